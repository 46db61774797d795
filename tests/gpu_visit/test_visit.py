"""What of a visit can be told without a GPU; and all of it, small, on the CPU."""

import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from service.errors import EngineFailed
from tests.bench.servers import ROOT
from tests.bench.table import Row, Section
from tests.gpu_visit.__main__ import _page, _status
from tests.gpu_visit.carry import cut, wanted
from tests.gpu_visit.gpu import Watch
from tests.gpu_visit.half import write_half
from tests.gpu_visit.visit import Visit, tried


def test_the_parts_put_together_are_the_archive(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "module.py").write_bytes(bytes(range(256)) * 100)
    archive = tmp_path / "site.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(tmp_path / "site", "site")
    parts = list(cut(archive, 100))

    assert [part.name for part in parts[:2]] == ["part-00", "part-01"]
    assert all(part.stat().st_size == 100 for part in parts[:-1])
    assert b"".join(part.read_bytes() for part in parts) == archive.read_bytes()


def test_what_the_machine_has_is_not_carried(tmp_path: Path) -> None:
    (tmp_path / "run-gpu.txt").write_text("# a comment\nav==18.1.0\n\nnumpy==2.4.6\nnvidia-cublas==13.10.0.20\nonnxruntime-gpu==1.31.1\n")
    (tmp_path / "all.txt").write_text("av==18.1.0\nhttpx==0.28.1\nonnxruntime==1.31.1\ntorch==2.13.0\n")

    assert wanted(tmp_path) == ["av==18.1.0", "onnxruntime-gpu==1.31.1", "httpx==0.28.1"]


def test_how_busy_the_gpu_was_leaves_out_the_first_half_second() -> None:
    watch = Watch()
    for line in ["0, 500"] * 5 + ["90, 1500", "100, 1200", "[N/A], [N/A]"]:
        watch.note(line)

    assert (watch.busy, watch.peak_memory) == ("95 %", "1500 MiB")


def test_without_a_gpu_nothing_is_said_of_it() -> None:
    assert (Watch().busy, Watch().peak_memory) == ("-", "-")


def test_what_fails_is_said_in_its_place() -> None:
    def fails() -> tuple[str, ...]:
        raise EngineFailed("It failed.", log_detail="cuda | error\n2")

    assert tried("a row", fails, 3) == Row("a row", ("failed: EngineFailed: It failed. cuda / error 2", "", ""))
    assert tried("a row", lambda: ("1", "2", "3"), 3) == Row("a row", ("1", "2", "3"))


@pytest.mark.parametrize(
    ("title", "figure", "status"),
    [("Checks", "yes", 0), ("Checks", "NO: 0.5", 1), ("Checks", "failed: x", 1), ("Checks", "not here: x", 0), ("Streams", "failed: x", 0)],
)
def test_the_exit_status_is_that_of_the_checks(title: str, figure: str, status: int) -> None:
    assert _status([Section(title, ("found",), (Row("what", (figure,)),))]) == status


def test_a_dry_run_says_that_it_is_one() -> None:
    assert "A dry run on a CPU: it shows that the script works. None of these figures says anything of a GPU." in _page(True, [], 1.0)
    assert "dry run" not in _page(False, [], 1.0)


def test_the_network_in_float16_answers_nearly_as_it_does(tmp_path: Path) -> None:
    visit = Visit(dry=True)
    half = write_half(visit.bundle.model_onnx, tmp_path / "half.onnx")
    patches = visit.patches(4)
    rounded, exact = visit.engine(graphs=(half, visit.bundle.saliency_onnx)).logits(patches), visit.engine().logits(patches)

    assert half.stat().st_size < 0.51 * visit.bundle.model_onnx.stat().st_size
    assert 0 < np.abs(rounded - exact).max() < 0.02


@pytest.mark.slow
def test_the_whole_visit_runs_on_a_cpu(tmp_path: Path) -> None:
    page = tmp_path / "gpu.md"
    command = [sys.executable, "-m", "tests.gpu_visit", "measure", "--dry-run", "--write", str(page)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    text = page.read_text()

    assert run.returncode == 0, run.stderr
    assert "failed" not in text
    assert [line for line in text.splitlines() if line.startswith("### ")] == [
        "### Checks",
        "### Patches a second, model.onnx",
        "### Patches a second, saliency.onnx: logit and gradient",
        "### Streams: patches a second in the largest batches, float32",
        "### Saliency",
        "### The batcher, 8 clips that ask 24 patches at a time",
        "### Whole answers",
    ]
