"""What every test shares: how a test says which real component it needs, and what the closing lines say of those not there."""

import os
import shutil
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from tests.fakes import dcmtk, postgres, prometheus
from tests.fakes import orthanc as real_archive
from tests.image import build

os.environ["ORT_DISABLE_TELEMETRY"] = (
    "1"  # no test reports to anybody; tests/contract/test_privacy.py holds that the service does not either
)


@cache
def has_cuda_device() -> bool:
    """A CUDA device that ONNX Runtime can put a number on; its list of providers only says how it was built."""
    import onnxruntime as ort

    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return False
    ort.preload_dlls()
    try:
        ort.OrtValue.ortvalue_from_numpy(np.zeros(1, np.float32), "cuda", 0)
    except RuntimeError:
        return False
    return True


REAL_COMPONENTS = {
    "a CUDA device": has_cuda_device,
    "Chromium": lambda: any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    "Orthanc": real_archive.is_installed,
    "dcmtk": lambda: dcmtk.program("storescu") is not None,
    "dicom3tools": lambda: shutil.which("dciodvfy") is not None,
    "PostgreSQL": lambda: postgres.programs() is not None,
    "Prometheus": prometheus.is_installed,
    "docker-compose": lambda: shutil.which("docker-compose") is not None,
    "buildah and debootstrap, as root": build.is_possible,
}


@pytest.fixture(scope="session")
def _orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_archive.Orthanc]:
    if not real_archive.is_installed():
        pytest.skip(real_archive.NOT_HERE)
    archive = real_archive.Orthanc(tmp_path_factory.mktemp("orthanc"))
    archive.start()
    yield archive
    archive.kill()


@pytest.fixture
def orthanc(_orthanc: real_archive.Orthanc) -> real_archive.Orthanc:
    """A real archive, empty. It is one process for all tests of a worker; a test that stops it starts it again."""
    _orthanc.clear()
    return _orthanc


def pytest_runtest_setup(item: pytest.Item) -> None:
    required = os.environ.get("SEASHORE_REQUIRE_GPU") == "1"
    if item.get_closest_marker("gpu") and not required and not has_cuda_device():
        pytest.skip("no CUDA device (SEASHORE_REQUIRE_GPU=1 makes this a failure)")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, is_here in REAL_COMPONENTS.items():
        if not is_here():
            terminalreporter.write_line(f"Not run against {name}: there is none here.")
