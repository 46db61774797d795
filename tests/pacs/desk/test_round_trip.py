"""`seashore doctor --round-trip` against a real service and a real archive; and what it says where the clip does not come through."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import orthanc as real_archive
from tests.fakes.hospital import Seashore, to_dicom, to_web
from tests.fakes.orthanc import Orthanc, free_port

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not real_archive.is_installed(), reason=real_archive.NOT_HERE)]

GONE = {"name": "gone", "results": ["sr"], "dicom": {"ae_title": "GONE", "address": "127.0.0.1", "port": 1}, "give_up_after_s": 1}


@pytest.fixture(scope="module")
def seashore(_orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seashore]:
    site = {"destination": [to_dicom(_orthanc, results=["sr", "sc"]), to_web(_orthanc, results=["pdf"]), GONE]}
    node = Seashore(tmp_path_factory.mktemp("seashore"), site)
    node.start()
    yield node
    node.stop()


def doctor(node: Seashore, site: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "SEASHORE_DATA_DIR": str(node.data),
        "SEASHORE_SITE": str(site or node.folder / "pacs.toml"),
        "SEASHORE_PORT": str(node.http_port),
        "SEASHORE_DEVICE": "cpu",
    }
    command = [sys.executable, "-m", "service.cli", "doctor", "--round-trip", "--within", "90"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)


def test_a_clip_of_nobody_goes_in_and_its_results_are_found_in_the_archive(seashore: Seashore, orthanc: Orthanc) -> None:
    result = doctor(seashore)

    said = result.stdout
    assert "ok    service: It runs on 127.0.0.1:" in said
    assert "ok    test clip sent: SEASHORE took it (5.6 MB) in " in said
    assert "ok    test clip read: Lung sliding present, after " in said
    assert ": structured report, annotated clip.\n" in said.split("ok    results at 'archive': Accepted after ")[1]
    assert ": one-page report.\n" in said.split("ok    results at 'archive-web': Accepted after ")[1]
    assert "FAIL  results at 'gone': Not delivered. GONE at 127.0.0.1:1 refused the connection: nothing listens there." in said
    assert "of the patient SEASHORE, TEST with the ID SEASHORE-TEST: delete that patient in the archives." in said
    assert (result.returncode, len(orthanc.instances())) == (1, 3)


def test_a_service_that_does_not_run_is_told_to_be_started(tmp_path: Path) -> None:
    node = Seashore(tmp_path, {}, http_port=free_port())
    (tmp_path / "pacs.toml").write_text(f'[receive]\ncalling_ae_titles = ["*"]\nport = {node.dicom_port}\n')

    result = doctor(node)

    assert f"FAIL  test clip sent: SEASHORE at 127.0.0.1:{node.dicom_port} refused the connection: nothing listens there." in result.stdout
    assert "      Start the service with `seashore serve`, where it does not run.\n" in result.stdout
    assert result.returncode == 1
