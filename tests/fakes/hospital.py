"""A hospital on this machine: `seashore serve` as a process of its own with a site file, an archive, and a modality that sends.

The process may be killed and started again with the same data folder and ports.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import tomli_w
from pydicom import dcmread
from pydicom.uid import generate_uid

from service.jobs.ledger import Ledger, ledger_url
from tests.fakes import dcmtk, dicom
from tests.fakes.media import Frames
from tests.fakes.orthanc import Orthanc, free_port
from tests.fakes.phantoms import small_phantom

AE_TITLE = "SEASHORE"
READY_WITHIN_S = 90.0


@dataclass(slots=True)
class Seashore:
    """One serving process. `folder` holds its data, its site file and its log."""

    folder: Path
    site: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    dicom_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return Path(self.environment.get("SEASHORE_DATA_DIR", self.folder / "data"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Read from here, beside the process."""
        opened = Ledger(ledger_url(self.environment.get("SEASHORE_DATABASE_URL"), self.data))
        try:
            yield opened
        finally:
            opened.close()

    def start(self, *, wait: bool = True) -> None:
        self.folder.mkdir(exist_ok=True)
        receive = {"ae_title": AE_TITLE, "port": self.dicom_port, "calling_ae_titles": ["*"], "min_free_bytes": 0}
        (self.folder / "pacs.toml").write_text(tomli_w.dumps({"receive": receive, **self.site}))
        settings = {"SEASHORE_DATA_DIR": str(self.data), "SEASHORE_SITE": str(self.folder / "pacs.toml"), "SEASHORE_DEVICE": "cpu"}
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "service.cli", "serve", "--port", str(self.http_port)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **settings, **self.environment})
        if wait:
            self.wait_until_ready()

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_until_ready(self) -> None:
        end_s = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            assert self.is_running, self.log.read_text()[-4000:]
            assert time.monotonic() < end_s, self.log.read_text()[-4000:]
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def audit(self) -> list[dict[str, Any]]:
        """What all nodes of the data folder wrote down, in the order of its time."""
        lines = [line for path in (self.data / "audit").glob("*.jsonl") for line in path.read_text().splitlines()]
        return sorted((json.loads(line) for line in lines), key=lambda event: str(event["at"]))

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.audit if event["event"] == name]

    def predict(self, path: Path) -> dict[str, Any]:
        """What POST /v1/predict says of a file."""
        headers = {"Content-Type": "application/octet-stream"}
        answer = httpx.post(f"{self.url}/v1/predict", content=path.read_bytes(), headers=headers, timeout=120, trust_env=False)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def stow(self, path: Path) -> httpx.Response:
        """Sent by STOW-RS, alone."""
        headers = {"Content-Type": "application/dicom"}
        return httpx.post(f"{self.url}/dicom-web/studies", content=path.read_bytes(), headers=headers, timeout=60, trust_env=False)

    def stop(self) -> int:
        """As an administrator does; the exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(60)


def wait_until(is_so: Callable[[], bool], within_s: float) -> None:
    end_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end_s, f"not within {within_s:g} s"
        time.sleep(0.1)


def to_dicom(archive: Orthanc, name: str = "archive", **fields: Any) -> dict[str, Any]:
    """One [[destination]] of a site file, by C-STORE."""
    return {"name": name, "dicom": {"ae_title": "ORTHANC", "address": "127.0.0.1", "port": archive.dicom_port}, **fields}


def to_web(archive: Orthanc, name: str = "archive-web", **fields: Any) -> dict[str, Any]:
    return {"name": name, "web": {"url": f"{archive.url}/dicom-web"}, **fields}


def clip_file(folder: Path, number: int = 0, frames: Frames | None = None, **elements: Any) -> Path:
    """A sliding phantom, or these frames, as an ultrasound multi-frame object of a patient and study of its own."""
    identity = {
        "SOPInstanceUID": generate_uid(entropy_srcs=["clip", str(folder), str(number)]),
        "StudyInstanceUID": generate_uid(entropy_srcs=["study", str(folder), str(number)]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=["series", str(folder), str(number)]),
        "PatientID": f"P{number:04d}",
        "PatientName": f"Phantom^{number}",
        "StudyDate": "20261121",
        "StudyTime": "101500",
        "AccessionNumber": f"A{number:04d}",
    }
    shown = small_phantom("present", 2.2).frames if frames is None else frames
    made = dicom.jpeg_baseline(shown, **{"frame_time_ms": 1000 / 30, **identity, **elements})
    path = folder / f"clip-{number:04d}.dcm"
    path.write_bytes(made)
    return path


def copies(folder: Path, originals: Sequence[Path], count: int) -> list[Path]:
    """Instances of these pixels under UIDs of their own, each the only one of its patient."""
    made = []
    for number in range(count):
        instance = dcmread(originals[number % len(originals)])
        for level in ("SOPInstance", "StudyInstance", "SeriesInstance"):
            setattr(instance, f"{level}UID", generate_uid(entropy_srcs=[level, str(folder), str(number)]))
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        instance.PatientID, instance.PatientName = f"C{number:04d}", f"Copy^{number}"
        path = folder / f"copy-{number:04d}.dcm"
        instance.save_as(path, enforce_file_format=True)
        made.append(path)
    return made


def uid_of(path: Path) -> str:
    """SOP Instance UID."""
    return str(dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)


def store(paths: Sequence[Path], port: int, *, aec: str = AE_TITLE, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """dcmtk's storescu, with the JPEG baseline it was given."""
    command = [dcmtk.program("storescu") or "storescu", "-xy", "-aet", "MODALITY", "-aec", aec, "127.0.0.1", str(port), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
