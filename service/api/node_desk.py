"""What an administrator sees of this node, gathered part by part: whatever is slow or hangs takes only its own part with it."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from service.api.backroom import BackRoom
from service.api.failures import KEPT, Failure
from service.api.glance import Glance, look, look_now
from service.api.job_counts import JobCounts, count, unread
from service.api.queue import QueueStanding
from service.api.room import ReadingRoom
from service.engine.hardware import Hardware, hardware
from service.errors import SeashoreError
from service.jobs.entries import Entries
from service.jobs.office import READ_CLIP
from service.pacs.desk.overview import Overview, Watch
from service.standing import ReaderStanding
from service.versions import versions

WITHIN_S = 0.03
"""How long an answer waits for its parts."""
KEPT_S = 2.0
"""So long a part is told again before it is looked at anew: pages ask every few seconds."""
COUNTED_S = 60.0
"""The same of what every file of every job must be looked at for."""
STOPS_WITHIN_S = 10.0
"""After its deadline a reading is told to stop, and looks for that many times a second."""
NEEDED_BYTES = 2 * 2**30
"""Free space below which a deployment without a site file is told so; a site file says it itself (`min_free_bytes`)."""

SHOWN_SETTINGS = (
    *("host", "port", "default_model", "device", "precision", "max_upload_bytes", "max_seconds", "max_pixels", "deadline_s"),
    *("upload_deadline_s", "max_concurrent", "max_wait_s", "max_queued", "drain_s", "jobs", "node", "max_background"),
    *("job_keep_hours", "record_keep_days", "max_job_seconds", "log_level", "log_format"),
)
"""Each was thought about: a setting that is added later is not shown before somebody has."""


@dataclass(frozen=True, slots=True)
class Disk:
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class View:
    """This node at one moment. A part is None where it is not in use, or was not seen."""

    at: datetime
    started_at: datetime
    is_ready: bool
    error: SeashoreError | None
    queue: QueueStanding
    versions: dict[str, str] | None
    reader: ReaderStanding | None
    hardware: Hardware | None
    jobs: JobCounts | None
    disk: Disk | None
    jobs_bytes: int | None
    needed_bytes: int
    max_read_s: float
    """A reading that takes longer does not hear that nobody waits for it any more."""
    overview: Overview | None
    request_failures: tuple[Failure, ...]
    unseen: dict[str, tuple[str, str]]
    """Why a part was not seen, by its name: a code and a sentence."""

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Of requests, jobs and instances of the PACS, the newest first."""
        of_jobs = () if self.jobs is None else self.jobs.failures
        of_pacs = () if self.overview is None else unread(self.overview)
        return tuple(sorted((*self.request_failures, *of_jobs, *of_pacs), key=lambda failure: failure.at, reverse=True)[:KEPT])


class NodeDesk:
    """Looks at this node."""

    def __init__(self, room: ReadingRoom, back: BackRoom | None, watch: Watch | None) -> None:
        self._room = room
        self._started_at = datetime.now(UTC)
        site = None if back is None or back.node is None else back.node.site
        self._needed_bytes = NEEDED_BYTES if site is None else site.receive.min_free_bytes
        self._glances: dict[str, Glance[Any]] = {
            "versions": Glance(versions, float("inf")),
            "models": Glance(room.reader.standing, KEPT_S),
            "device": Glance(self._hardware, KEPT_S),
        }
        if back is not None:
            entries = Entries(back.office.ledger, READ_CLIP, kept=timedelta(hours=room.settings.job_keep_hours))
            self._glances["jobs"] = Glance(lambda: count(entries.look()), KEPT_S)
            self._glances["disk"] = Glance(partial(_disk, back.office.data_dir), KEPT_S)
            self._glances["jobs_bytes"] = Glance(partial(_num_bytes, back.office.data_dir / "jobs"), COUNTED_S)
        if watch is not None:
            self._glances["destinations"] = Glance(watch.overview, KEPT_S)

    async def view(self) -> View:
        """Within some 30 ms, whatever hangs."""
        await look([*self._glances.values()], WITHIN_S)
        seen = {name: glance.seen() for name, glance in self._glances.items()}
        values = {name: one.value for name, one in seen.items()}
        return View(
            at=datetime.now(UTC),
            started_at=self._started_at,
            is_ready=self._room.readiness.is_ready,
            error=self._room.readiness.error or self._room.reader.trouble(),
            queue=self._room.queue.standing(),
            versions=values["versions"],
            reader=values["models"],
            hardware=values["device"],
            jobs=values.get("jobs"),
            disk=values.get("disk"),
            jobs_bytes=values.get("jobs_bytes"),
            needed_bytes=self._needed_bytes,
            max_read_s=self._room.settings.deadline_s + STOPS_WITHIN_S,
            overview=values.get("destinations"),
            request_failures=self._room.failures.last(),
            unseen={name: (one.code, one.detail) for name, one in seen.items() if one.code},
        )

    def seen_soon(self, within_s: float) -> dict[str, Any]:
        """Each part as it was seen last, by its name; what was not seen is None. Waits no longer, whatever hangs. Not on the loop."""
        look_now([*self._glances.values()], within_s)
        return {name: glance.seen().value for name, glance in self._glances.items()}

    def settings(self) -> dict[str, Any]:
        settings = self._room.settings
        database = "sqlite" if settings.database_url is None else "postgresql"
        return settings.model_dump(mode="json", include=set(SHOWN_SETTINGS)) | {"database": database, "site": settings.site is not None}

    def _hardware(self) -> Hardware | None:
        """Of the model that is asked when none is named; None before it is loaded."""
        device = next((model.device for model in self._room.reader.standing().models if model.is_default), "")
        return hardware(device) if device else None


def _disk(folder: Path) -> Disk:
    """Raises: OSError."""
    usage = shutil.disk_usage(folder)
    return Disk(usage.free, usage.total)


def _num_bytes(folder: Path) -> int:
    """Of all files below it, as many as are there still when it is their turn."""
    return sum(_size(path) for path in folder.rglob("*"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0
