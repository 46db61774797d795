"""A real archive: Orthanc as a child process on free loopback ports, with an index and a storage folder of its own.

It may be stopped or killed, and started again with the same storage and ports.
"""

import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from service.pacs.site import Destination, Node, Web

DICOMWEB_PLUGINS = (Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"), Path("/usr/lib/orthanc/libOrthancDicomWeb.so"))
READY_WITHIN_S = 60.0
AE_TITLE = "ORTHANC"
NOT_HERE = "Orthanc with its DICOMweb plugin is not installed (Debian: orthanc, orthanc-dicomweb)"


def is_installed() -> bool:
    return executable() is not None and dicomweb_plugin() is not None


def executable() -> str | None:
    """Debian keeps it in /usr/sbin, which is not on everybody's path."""
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")


def dicomweb_plugin() -> Path | None:
    return next((path for path in DICOMWEB_PLUGINS if path.exists()), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Orthanc:
    """`folder` holds the configuration, the storage and the log. `options` go into Orthanc's configuration as they are; `user` is whom
    its own questions here come from, name and password."""

    folder: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    user: tuple[str, str] | None = None
    dicom_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def node(self) -> Node:
        return Node(ae_title=AE_TITLE, address="127.0.0.1", port=self.dicom_port)

    @property
    def web(self) -> Web:
        return Web(url=f"{self.url}/dicom-web")

    def by_dicom(self, **fields: Any) -> Destination:
        return Destination(name="orthanc", dicom=self.node, **fields)

    def by_web(self, **fields: Any) -> Destination:
        return Destination(name="orthanc-web", web=self.web, **fields)

    # Its life

    def start(self) -> None:
        """Returns when it answers."""
        path = executable()
        assert path is not None, NOT_HERE
        (self.folder / "orthanc.json").write_text(json.dumps(self._configuration()))
        with (self.folder / "log").open("ab") as log:
            command = [path, str(self.folder / "orthanc.json")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)
        self._wait_until_ready()

    def stop(self) -> None:
        """As an administrator does: what it has acknowledged is on its disk afterwards."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(READY_WITHIN_S)
            self._process = None

    def _wait_until_ready(self) -> None:
        end_s = time.monotonic() + READY_WITHIN_S
        while not self._answers():
            assert self._process is not None
            assert self._process.poll() is None, f"Orthanc ended at once: {self._log()}"
            assert time.monotonic() < end_s, f"Orthanc was not ready within {READY_WITHIN_S:g} s: {self._log()}"
            time.sleep(0.05)

    def _answers(self) -> bool:
        """HTTP comes up before DICOM does."""
        try:
            socket.create_connection(("127.0.0.1", self.dicom_port), 1.0).close()
            return requests.get(f"{self.url}/system", auth=self.user, timeout=5.0).ok
        except (OSError, requests.RequestException):
            return False

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def _configuration(self) -> dict[str, Any]:
        storage = str(self.folder / "storage")
        return {
            "StorageDirectory": storage,
            "IndexDirectory": storage,
            "Plugins": [str(dicomweb_plugin())],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
            "HttpPort": self.http_port,
            "DicomAet": AE_TITLE,
            "DicomPort": self.dicom_port,
            "DicomModalitiesInDatabase": True,  # what `introduce` says is still known after a restart
            "DicomAlwaysAllowFind": True,
            "DicomScuTimeout": 10,
            "StableAge": 1,
            "SaveJobs": False,
            "HttpThreadsCount": 8,
            **self.options,
        }

    # What it is told and asked

    def introduce(self, ae_title: str, port: int) -> None:
        """Have it know a node on loopback, so that it moves objects there and reports commitment to it."""
        about: dict[str, Any] = {"AET": ae_title, "Host": "127.0.0.1", "Port": port}
        requests.put(f"{self.url}/modalities/{ae_title}", json=about, auth=self.user, timeout=10.0).raise_for_status()

    def upload(self, file: bytes) -> None:
        requests.post(f"{self.url}/instances", data=file, auth=self.user, timeout=60.0).raise_for_status()

    def studies(self) -> list[str]:
        return self._uids("studies", "StudyInstanceUID")

    def series(self) -> list[str]:
        return self._uids("series", "SeriesInstanceUID")

    def instances(self) -> list[str]:
        """SOP Instance UIDs, one for each object it holds."""
        return self._uids("instances", "SOPInstanceUID")

    def count(self, sop_instance_uid: str) -> int:
        """How many objects it holds under this UID."""
        return len(self._find(sop_instance_uid))

    def download(self, sop_instance_uid: str) -> bytes:
        """The object as Part 10 file."""
        (identifier,) = self._find(sop_instance_uid)
        return self._get(f"instances/{identifier}/file").content

    def clear(self) -> None:
        """Have it forget every patient."""
        for patient in self._get("patients").json():
            requests.delete(f"{self.url}/patients/{patient}", auth=self.user, timeout=30.0).raise_for_status()

    def _uids(self, level: str, keyword: str) -> list[str]:
        return [str(one["MainDicomTags"][keyword]) for one in self._get(f"{level}?expand").json()]

    def _find(self, sop_instance_uid: str) -> list[str]:
        query: dict[str, Any] = {"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}}
        answer = requests.post(f"{self.url}/tools/find", json=query, auth=self.user, timeout=30.0)
        answer.raise_for_status()
        found: list[str] = answer.json()
        return found

    def _get(self, path: str) -> requests.Response:
        answer = requests.get(f"{self.url}/{path}", auth=self.user, timeout=60.0)
        answer.raise_for_status()
        return answer
