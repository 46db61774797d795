"""The CPU image, built and started for real: who it runs as, what it holds and what not, and that it answers as the checkout does."""

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes import hospital
from tests.fakes.media import EVERY_KIND, encode, mp4, texture
from tests.fakes.phantoms import small_phantom
from tests.image import box, build
from tests.image.box import Box
from tests.locks import normalised, pins

pytestmark = pytest.mark.slow

UNWANTED = {"torch", "training", "pip", "setuptools", "wheel", "ensurepip", "openvino_telemetry", "pytest"}
COMPILERS = {"as", "c++", "cc", "clang", "cpp", "g++", "gcc", "ld", "make"}


@dataclass(frozen=True, slots=True)
class Image:
    root: Path
    config: dict[str, Any]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    if not build.is_possible():
        pytest.skip(build.NOT_HERE)
    with build.new_store(tmp_path_factory.mktemp("image") / "store") as store:
        name = store.build("cpu", store.add_base(), VERSION="1.2.3", REVISION="abc")
        with store.mounted(name) as root:
            yield Image(root, store.config(name))


@pytest.fixture(scope="module")
def started(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with box.running(image.root, image.config, tmp_path_factory.mktemp("box")) as started:
        yield started


def post(box: Box, clip: bytes, accept: str = "application/json") -> httpx.Response:
    headers = {"Accept": accept, "Content-Type": "application/octet-stream"}
    return httpx.post(f"{box.url}/v1/predict", content=clip, headers=headers, timeout=120, trust_env=False)


def phantom() -> bytes:
    return mp4(small_phantom("present", 2.2).frames)


def files_of(root: Path) -> dict[str, tuple[int, int]]:
    """Of everything that is not a mount: size and time of change."""
    found = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not (Path(folder) == root and name in ("proc", "dev", "tmp", "data"))]
        for name in names:
            about = os.lstat(os.path.join(folder, name))
            found[os.path.relpath(os.path.join(folder, name), root)] = (about.st_size, about.st_mtime_ns)
    return found


def test_it_runs_as_a_user_of_its_own_without_any_right(started: Box, image: Image) -> None:
    about = started.status()

    assert image.config["User"] == str(box.USER)
    assert about["Uid"].split() == about["Gid"].split() == [str(box.USER)] * 4
    assert (about["CapEff"], about["CapPrm"], about["NoNewPrivs"], about["Groups"].strip()) == ("0" * 16, "0" * 16, "1", "")


def test_its_own_health_check_passes_and_it_is_ready(started: Box, image: Image) -> None:
    """Ready means that the bundle has answered its golden clip as it did when it was made."""
    kind, *command = image.config["Healthcheck"]["Test"]
    check = started.run(*command)

    assert (kind, check.returncode, check.stderr) == ("CMD", 0, "")
    assert httpx.get(f"{started.url}/readyz", trust_env=False).json()["status"] == "ready"


def test_its_health_check_fails_where_nobody_listens(started: Box, image: Image) -> None:
    _, *command = image.config["Healthcheck"]["Test"]

    assert started.run("env", "SEASHORE_PORT=1", *command).returncode == 1


def test_a_phantom_is_answered_as_the_checkout_answers_it(started: Box, tmp_path: Path) -> None:
    here = hospital.Seashore(tmp_path / "here", {})
    here.start()
    try:
        (tmp_path / "clip.mp4").write_bytes(phantom())
        expected = here.predict(tmp_path / "clip.mp4")
    finally:
        here.stop()
    found = post(started, phantom()).json()

    assert found["lung_sliding"]["verdict"] == expected["lung_sliding"]["verdict"] == "present"
    assert found["lung_sliding"]["probability"] == pytest.approx(expected["lung_sliding"]["probability"], abs=1e-4)
    assert found["model"] == expected["model"]  # the device among it


@pytest.mark.parametrize(
    ("accept", "magic"),
    [("video/mp4", rb"....ftyp"), ("application/pdf", rb"%PDF-"), ("application/x-npz", rb"PK")],
    ids=["mp4", "pdf", "npz"],
)
def test_every_form_of_the_answer_is_made_with_what_was_left_in(accept: str, magic: bytes, started: Box) -> None:
    answer = post(started, phantom(), accept)

    assert answer.status_code == 200, answer.text
    assert re.match(magic, answer.content, re.DOTALL)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_film_is_still_decoded(kind: str, started: Box) -> None:
    """A clip without a lung cannot be assessed; what matters is that it was read."""
    answer = post(started, encode(texture(70), **EVERY_KIND[kind]))

    assert answer.status_code == 200, answer.text


def test_a_dicom_object_is_read_and_its_structured_report_written(started: Box, tmp_path: Path) -> None:
    answer = post(started, hospital.clip_file(tmp_path).read_bytes(), "application/dicom")

    assert answer.status_code == 200, answer.text
    assert answer.content[128:132] == b"DICM"


def test_a_job_is_kept_under_data_and_nothing_else_is_written(started: Box) -> None:
    before = files_of(started.root)
    job = httpx.post(
        f"{started.url}/v1/jobs", content=phantom(), headers={"Content-Type": "application/octet-stream"}, trust_env=False
    ).json()
    hospital.wait_until(lambda: httpx.get(f"{started.url}/v1/jobs/{job['id']}", trust_env=False).json()["state"] == "done", 60)

    assert started.run("sh", "-c", "touch /app/x /opt/x /usr/x /etc/x /x").stderr.count("Read-only file system") == 5
    assert files_of(started.root) == before
    assert {path.stat().st_uid for path in started.data.rglob("*")} == {box.USER}
    assert (started.data / "jobs").is_dir()
    assert "Traceback" not in started.log()


def test_it_holds_no_torch_no_way_to_install_and_no_compiler(started: Box, image: Image) -> None:
    asked = f"import importlib.util; print([name for name in {sorted(UNWANTED)} if importlib.util.find_spec(name)])"
    programs = {path.name for folder in ("usr/bin", "usr/local/bin", "opt/seashore/bin") for path in (image.root / folder).iterdir()}

    assert started.run("python3", "-c", asked).stdout == "[]\n"
    assert programs & (COMPILERS | {"pip", "pip3"}) == set()
    assert "python3" in programs


def test_nothing_in_it_lets_a_user_become_root_but_what_debian_brings(image: Image) -> None:
    """And no_new_privs, which the compose file sets, takes even that."""
    found = {path.name for path in (image.root / "usr").rglob("*") if path.is_file() and path.lstat().st_mode & stat.S_ISUID}

    assert found <= {"chfn", "chsh", "gpasswd", "mount", "newgrp", "passwd", "su", "umount", "expiry", "chage", "unix_chkpwd"}


def test_the_list_of_its_parts_holds_every_package_of_the_lock_and_debians(image: Image) -> None:
    parts = json.loads((image.root / image.config["Labels"]["seashore.sbom"].lstrip("/")).read_text())
    packages = {(normalised(one["name"]), one["version"]): one for one in parts["components"]}

    assert (parts["bomFormat"], parts["specVersion"]) == ("CycloneDX", "1.6")
    assert parts["metadata"]["component"]["name"] == "seashore"
    assert set(pins("run").items()) <= packages.keys()
    assert {name for name, _ in packages} >= {"libc6", "python3-11", "openssl"}
    assert not {name for name, _ in packages} & {"pip", "setuptools"}
    # Its metadata names none in a way that CycloneDX knows; docs/licences.md has it.
    assert [name for (name, version) in pins("run").items() if not packages[name, version].get("licenses")] == ["protobuf"]


def test_the_labels_say_what_it_is(image: Image) -> None:
    labels = {name.removeprefix("org.opencontainers.image."): said for name, said in image.config["Labels"].items()}

    assert (labels["title"], labels["version"], labels["revision"]) == ("Seashore", "1.2.3", "abc")
    assert labels["base.name"] == "localhost/seashore-base"
    assert labels["licenses"] == "Apache-2.0 AND GPL-2.0-or-later AND LGPL-3.0-only"


def test_it_starts_again_with_the_data_of_before(image: Image, tmp_path: Path) -> None:
    """An upgrade is that: another image, the same folder."""
    with box.running(image.root, image.config, tmp_path) as first:
        sent = httpx.post(f"{first.url}/v1/jobs", content=phantom(), headers={"Content-Type": "application/octet-stream"}, trust_env=False)
        job = sent.json()["id"]
    with box.running(image.root, image.config, tmp_path) as second:
        hospital.wait_until(lambda: httpx.get(f"{second.url}/v1/jobs/{job}", trust_env=False).json()["state"] == "done", 60)
        result = httpx.get(f"{second.url}/v1/jobs/{job}/result", trust_env=False).json()

    assert result["lung_sliding"]["verdict"] == "present"
