"""The last failures of this process, for whoever runs it: when, what code, our own sentence. Never whose clip it was."""

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from service import errors
from service.errors import SeashoreError
from service.logs import known

KEPT = 20
LOST_AFTER = 3
"""Clips that failed at the engine one after the other: one may be the clip's own."""
TRY_AGAIN_AFTER_S = 30.0
CALLERS_SLIPS = (
    *(errors.BadOption, errors.UnknownModel, errors.NotAcceptable, errors.UnknownJob, errors.JobNotDone, errors.NoSuchClips),
    *(errors.EmptyUpload, errors.Stopping),
)
"""No failures of the node; and the sentences of some quote what the caller wrote."""
BUG = "The service met an error of its own. It is logged."


@dataclass(frozen=True, slots=True)
class Failure:
    """One, or several of the same code one after the other."""

    at: datetime
    """Of the last of them."""
    code: str
    detail: str
    """Of the last of them."""
    job: str | None = None
    count: int = 1
    request: str | None = None
    """Id of the last of them, as the log has it; None of jobs."""


class Failures:
    """Of requests, the newest first; jobs have theirs in the ledger. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: deque[Failure] = deque(maxlen=KEPT)
        self._engine_failed_s: deque[float] = deque(maxlen=LOST_AFTER)
        """When, since a clip was read."""

    def note(self, error: SeashoreError) -> None:
        if isinstance(error, errors.EngineFailed):
            self._engine_failed_s.append(time.monotonic())
        if not isinstance(error, CALLERS_SLIPS):
            self._add(Failure(datetime.now(UTC), error.code, str(error), request=known("request")))

    def note_read(self) -> None:
        """A clip was read: the engine is there."""
        self._engine_failed_s.clear()

    @property
    def is_engine_lost(self) -> bool:
        """The last clips all failed at the engine, a moment ago. After a while the next one may try."""
        failed_s = self._engine_failed_s
        return len(failed_s) == LOST_AFTER and time.monotonic() - failed_s[-1] < TRY_AGAIN_AFTER_S

    def note_bug(self) -> None:
        self._add(Failure(datetime.now(UTC), "internal_error", BUG, request=known("request")))

    def last(self) -> tuple[Failure, ...]:
        with self._lock:
            return tuple(self._last)

    def _add(self, failure: Failure) -> None:
        """A crowd that is sent away must not drive out what happened before it."""
        with self._lock:
            if self._last and self._last[0].code == failure.code:
                failure = replace(failure, count=self._last.popleft().count + 1)
            self._last.appendleft(failure)
