"""Nothing leaves the machine, and nothing of a run stays on it: the runtimes' own telemetry is off, whoever starts the service.

ONNX Runtime's official builds report their use to Microsoft unless ORT_DISABLE_TELEMETRY=1 is set before they load, and keep an
id under the home folder. OpenVINO does the same to Google through openvino-telemetry, by its mere import. The id is the trace
looked for here: each run gets an empty home folder and an environment that says nothing, as a user's does.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.locks import pins

ROOT = Path(__file__).resolve().parents[2]
GOLDEN_CLIPS = sorted((ROOT / "model_store").glob("*/*/golden.mp4"))

IMPORT_ALL = """
import importlib, pathlib, sys
for path in sorted(pathlib.Path("service").rglob("*.py")):
    parts = path.with_suffix("").parts
    importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
"""
OPEN_NOTHING = """
from pathlib import Path
from service.engine.{module} import {engine}
from service.errors import EngineFailed
try:
    {engine}(Path("none.onnx"), Path("none.onnx"){options})
except EngineFailed:
    pass
"""
IMPORT_AND_LOAD = "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '1'; import onnxruntime"


def run_at_home(home: Path, *arguments: str, **variables: str) -> list[str]:
    """Run Python with an empty home folder; what is in it afterwards."""
    environment = variables | {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    run = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())


def test_importing_the_service_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    assert run_at_home(tmp_path, "-c", IMPORT_ALL) == []


@pytest.mark.parametrize(
    ("module", "engine", "options"),
    [("onnx", "OnnxEngine", ""), ("openvino", "OpenVinoEngine", "")],
    ids=["ONNX Runtime", "OpenVINO"],
)
def test_an_engine_turns_off_its_runtimes_telemetry_before_it_loads_it(module: str, engine: str, options: str, tmp_path: Path) -> None:
    assert run_at_home(tmp_path, "-c", OPEN_NOTHING.format(module=module, engine=engine, options=options)) == []


def test_openvinos_reporting_package_is_not_loaded_where_it_is_installed(tmp_path: Path) -> None:
    """A stand-in for openvino-telemetry that leaves a file when it is imported; `import openvino` alone does import it."""
    home, packages = tmp_path / "home", tmp_path / "packages"
    (packages / "openvino_telemetry").mkdir(parents=True)
    (packages / "openvino_telemetry" / "__init__.py").write_text("import pathlib\n(pathlib.Path.home() / 'loaded').touch()\n")
    home.mkdir()
    ours = OPEN_NOTHING.format(module="openvino", engine="OpenVinoEngine", options="")

    assert run_at_home(home, "-c", ours, PYTHONPATH=str(packages)) == []
    assert run_at_home(home, "-c", "import openvino", PYTHONPATH=str(packages)) == ["loaded"]


@pytest.mark.parametrize("clip", GOLDEN_CLIPS, ids=lambda clip: clip.parent.name)
def test_reading_a_clip_leaves_nothing_in_the_home_folder(clip: Path, tmp_path: Path) -> None:
    assert run_at_home(tmp_path, "-m", "service.cli", "predict", "--json", str(clip)) == []


def test_the_variable_that_turns_onnx_runtimes_telemetry_off_still_does(tmp_path: Path) -> None:
    assert run_at_home(tmp_path, "-c", IMPORT_AND_LOAD) == []


def test_an_empty_home_folder_would_show_it(tmp_path: Path) -> None:
    """Red on purpose: without the variable the id is there. When this fails, ONNX Runtime has stopped, and the care can go."""
    assert any("deviceid" in name for name in run_at_home(tmp_path, "-c", "import onnxruntime"))


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda lock: lock.name)
def test_openvino_is_installed_without_the_package_that_reports_its_use(lock: Path) -> None:
    names = pins(lock.stem)

    assert "openvino" in names or lock.stem in ("bench", "build", "supply")  # the first only adds to all.txt, the others serve nobody
    assert "openvino-telemetry" not in names


def test_the_makefile_and_the_image_turn_it_off_for_whatever_else_they_start() -> None:
    assert "\nexport ORT_DISABLE_TELEMETRY := 1\n" in (ROOT / "Makefile").read_text()
    assert "ORT_DISABLE_TELEMETRY=1" in (ROOT / "Dockerfile").read_text()
