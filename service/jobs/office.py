"""The office where clips are handed in to be read later: jobs of the API, from asking to forgetting."""

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from service.disk import needing_room
from service.engine.turn import Lane
from service.errors import NoRoom, UnknownJob
from service.findings import Analysis
from service.jobs.clock import CautiousClock
from service.jobs.feedback import Feedback, forget_clip, keep_clip, keep_feedback
from service.jobs.folder import JobFolder, make_folder
from service.jobs.ledger import Entry, Ledger, State, ledger_url
from service.jobs.reading import Asked, ProgressBoard, is_our_fault, read_job
from service.jobs.rendition import while_there
from service.jobs.secret import deployment_secret
from service.jobs.workers import Workers, step
from service.options import quoted, region_text
from service.reader import Reader
from service.settings import Settings
from service.shelf import ModelEntry
from service.telemetry import describe_bug

log = logging.getLogger(__name__)

READ_CLIP = "read_clip"
CLIPS_QUEUE = "clips"
AWAITED_QUEUE = "awaited clips"
"""Of whoever follows the job: read as soon as they come, like those of /v1/predict."""
AWAITED_LOOK_EVERY_S = 0.1
SWEEP_EVERY_S = 600.0
ORPHAN_S = 24 * 3600.0
"""A folder without an entry is what a sender began and did not finish; nothing under way is older."""
LOCAL = "local"
"""Whose jobs they are while the service has no keys: everybody's who reaches it."""
NOBODY = ""
"""Whose those of the PACS are, and those of a predecessor of this service."""

Belongs = Callable[[str], bool]
"""Whether whoever asks may see what is this owner's."""


def to_anybody(owner: str) -> bool:
    """For the service's own use."""
    return True


class JobOffice:
    """Jobs of one deployment: their folders and the ledger. The work itself is offered to `Workers` by `offer_work`."""

    def __init__(self, settings: Settings, reader: Reader, ledger: Ledger, board: ProgressBoard) -> None:
        self._settings = settings
        self._reader = reader
        self.ledger = ledger
        self.board = board

    @classmethod
    def furnish(cls, settings: Settings, reader: Reader, on_read: Callable[[Analysis], None] = lambda analysis: None) -> "JobOffice":
        """`on_read` hears of every answer of a job."""
        return cls(settings, reader, Ledger(ledger_url(settings.database_url, settings.data_dir)), ProgressBoard(on_read))

    @property
    def data_dir(self) -> Path:
        return self._settings.data_dir

    @property
    def keep_hours(self) -> float:
        """How long a finished job is kept."""
        return self._settings.job_keep_hours

    @property
    def incoming(self) -> Path:
        """Where files arrive: on the same filesystem as the jobs, so that moving them is one step."""
        return self._settings.data_dir / "incoming"

    def prepare(self) -> None:
        make_folder(self.incoming)
        make_folder(self._settings.data_dir / "jobs")
        deployment_secret(self._settings.data_dir)  # while there is room: who signs in on a full disk needs it, too

    def folder(self, job: str) -> JobFolder:
        return JobFolder(self._settings.data_dir / "jobs" / job)

    def job_id(self, *what: Any) -> str:
        """The same for the same, on this deployment alone: whoever holds a clip cannot tell the address of another's job."""
        return hmac.new(self._secret, json.dumps(what, sort_keys=True).encode(), hashlib.sha256).hexdigest()[:32]

    @cached_property
    def _secret(self) -> bytes:
        return deployment_secret(self._settings.data_dir)

    @needing_room()
    def hand_in(
        self, arrived: Path, sha256: str, entry: ModelEntry, asked: Asked, owner: str = LOCAL, *, is_awaited: bool = False
    ) -> Entry:
        """Take on a clip; the file is moved away. The same clip, options, model and owner are the same job; one that failed starts again.

        `is_awaited`: somebody looks on, so it goes before the jobs for which nobody does.

        Raises: LedgerUnavailable, NoRoom.
        """
        signs = [[sign.name, sign.version, sign.is_loaded] for sign in self._reader.signs()] if asked.options.signs else []
        job = self.job_id(READ_CLIP, owner, sha256, asked.to_json(), self._reader.digest(entry), *signs)
        known = self.ledger.find(job)
        if known is not None and known.state is not State.CANCELLED and not is_our_fault(known):
            arrived.unlink(missing_ok=True)
            return known
        if known is not None:
            self.ledger.forget([job])
        self.folder(job).keep_clip(arrived)
        queue, lane = (AWAITED_QUEUE, Lane.INTERACTIVE) if is_awaited else (CLIPS_QUEUE, Lane.BACKGROUND)
        self.ledger.enqueue(queue, READ_CLIP, job, {"job": job, "asked": asked.to_json(), "lane": lane.value, "owner": owner})
        return self.find(job, to_anybody)

    def read_again(self, entry: Entry) -> bool:
        """Have a job's clip read once more, its kept answer being damaged. False where the clip is gone, or it is not ours to read."""
        if entry.work != READ_CLIP or not self.folder(entry.id).clip.exists():
            return False
        self.ledger.forget([entry.id])
        self.ledger.enqueue(AWAITED_QUEUE, READ_CLIP, entry.id, {**entry.arguments, "lane": Lane.INTERACTIVE.value})
        return True

    def find(self, job: str, belongs: Belongs) -> Entry:
        """A job whose owner `belongs` takes; that of another is as unknown as none. Raises: UnknownJob, LedgerUnavailable."""
        entry = self.ledger.find(job) if _is_id(job) else None
        if entry is None or not belongs(entry.arguments.get("owner", NOBODY)):
            raise UnknownJob(f"There is no job {quoted(job)}. It may have been deleted, or its time is over.")
        return entry

    @needing_room()
    def hear(self, job: str, asked: Asked, analysis: Analysis, feedback: Feedback) -> None:
        """Write down what a clinician says of a job's answer. Raises: BadOption, UnknownJob."""
        folder = self.folder(job)
        with while_there(folder):
            keep_feedback(self.data_dir, job, folder.clip, analysis, region_text(asked.options.region), feedback)
            if self._settings.keep_feedback_clips:
                keep_clip(self.data_dir, job, folder.clip)

    def discard(self, job: str, belongs: Belongs) -> None:
        """Stop it where it stands and remove all that was kept of it, but what was said of its answer.

        A clip that was kept longer than its job goes as well; whose it was is then no longer known, so only who may see everything
        can have it removed. Raises: UnknownJob, LedgerUnavailable; NoRoom, when its files are gone and that could not be written down.
        """
        is_forgotten = _is_id(job) and self.ledger.find(job) is None
        if is_forgotten and belongs(NOBODY) and forget_clip(self.data_dir, job):
            return
        entry = self.find(job, belongs)
        forget_clip(self.data_dir, job)
        try:
            self._forget(entry)
        except NoRoom:  # to write that down; the job's own files may be what takes it
            self.folder(job).remove()
            self._forget(entry)
        self.folder(job).remove()

    def _forget(self, entry: Entry) -> None:
        """Nothing more is done for it. Raises: LedgerUnavailable, NoRoom."""
        if entry.state in (State.QUEUED, State.RUNNING):
            self.ledger.cancel(entry.id)
            self.board.give_up(entry.id)
        self.ledger.forget([entry.id])

    def offer_work(self, workers: Workers) -> None:
        workers.offer(READ_CLIP, self._read_clip)
        workers.listen(CLIPS_QUEUE, at_once=self._settings.max_background)
        workers.listen(AWAITED_QUEUE, at_once=self._settings.max_concurrent, look_every_s=AWAITED_LOOK_EVERY_S)

    def _read_clip(self, job: str, asked: dict[str, Any], lane: int = Lane.BACKGROUND, owner: str = NOBODY) -> dict[str, Any]:
        """Jobs of a predecessor of this service say no lane and no owner."""
        return step("read", lambda: read_job(self._reader, job, self.folder(job), Asked.from_json(asked), self.board, Lane(lane)))

    def sweep(self, now: datetime) -> int:
        """Forget the jobs whose time is over, and folders that no job is known of. Gives how many there were."""
        over = self.ledger.list(work=READ_CLIP, ended_before=now - timedelta(hours=self._settings.job_keep_hours))
        for entry in over:
            self.folder(entry.id).remove()
        self.ledger.forget([entry.id for entry in over])
        return len(over) + self._sweep_orphans(now)

    def _sweep_orphans(self, now: datetime) -> int:
        old = [path for path in _older_than(now, self.incoming, self._settings.data_dir / "jobs") if not self._is_known(path.name)]
        for path in old:
            JobFolder(path).remove() if path.is_dir() else path.unlink(missing_ok=True)
        return len(old)

    def _is_known(self, name: str) -> bool:
        return _is_id(name) and self.ledger.find(name) is not None


class Sweeper:
    """Calls `sweep` from time to time, in a thread of its own."""

    def __init__(self, *offices: Any) -> None:
        self._offices = offices
        self._clock = CautiousClock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(SWEEP_EVERY_S):
            for office in self._offices:
                self._sweep(office)

    def _sweep(self, office: Any) -> None:
        """Whatever comes of it, the next one is due."""
        try:
            office.sweep(self._clock.now())
        except Exception as error:
            log.error("not swept: %s", describe_bug(error))


def _older_than(now: datetime, *folders: Path) -> Iterator[Path]:
    """Paths that nothing was written to for ORPHAN_S. What is moved away meanwhile is in use."""
    for path in (path for folder in folders for path in folder.iterdir()):
        with suppress(FileNotFoundError):
            if now.timestamp() - path.stat().st_mtime > ORPHAN_S:
                yield path


def _is_id(text: str) -> bool:
    return len(text) == 32 and all(c in "0123456789abcdef" for c in text)
