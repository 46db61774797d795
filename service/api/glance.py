"""A look at what may be slow or hang, a disk, a database, a driver: taken in a thread of its own, so that nobody hangs with it."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from service.errors import SeashoreError
from service.telemetry import describe_bug

Value = TypeVar("Value")

SILENT_S = 5.0
"""A look that takes longer is told to have no answer; what was seen before it may be long untrue."""
LOOK_EVERY_S = 0.002

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen(Generic[Value]):
    """What was seen last; or why nothing was, as a code and a sentence. Nothing of either: nobody has looked yet."""

    value: Value | None = None
    code: str = ""
    detail: str = ""


class Glance(Generic[Value]):
    """Looks again when it is asked and the last look is older than `kept_s`; never twice at a time."""

    def __init__(self, look: Callable[[], Value], kept_s: float) -> None:
        self._look = look
        self._kept_s = kept_s
        self._lock = threading.Lock()
        self._last: Seen[Value] = Seen()
        self._ended_s: float | None = None
        self._begun_s: float | None = None

    @property
    def is_under_way(self) -> bool:
        return self._begun_s is not None

    def begin(self) -> None:
        with self._lock:
            is_fresh = self._ended_s is not None and time.monotonic() - self._ended_s < self._kept_s
            if self._begun_s is not None or is_fresh:
                return
            self._begun_s = time.monotonic()
        threading.Thread(target=self._run, name="glance", daemon=True).start()

    def seen(self) -> Seen[Value]:
        begun_s = self._begun_s
        silent_s = 0.0 if begun_s is None else time.monotonic() - begun_s
        if silent_s > SILENT_S:
            return Seen(code="no_answer", detail=f"There has been no answer for {silent_s:.0f} s.")
        return self._last

    def _run(self) -> None:
        seen = self._seen()
        with self._lock:
            self._last, self._ended_s, self._begun_s = seen, time.monotonic(), None

    def _seen(self) -> Seen[Value]:
        try:
            return Seen(self._look())
        except SeashoreError as error:
            return Seen(code=error.code, detail=str(error))
        except OSError as error:
            return Seen(code="disk_unreadable", detail=f"The operating system refuses it (error {error.errno}).")
        except Exception as bug:
            log.error("internal_error: %s", describe_bug(bug))
            return Seen(code="internal_error", detail="The service met an error of its own. It is logged.")


async def look(glances: Sequence[Glance[Any]], within_s: float) -> None:
    """Have all of them looked, if that is done within the time; the others go on."""
    for glance in glances:
        glance.begin()
    end_s = time.monotonic() + within_s
    while any(glance.is_under_way for glance in glances) and time.monotonic() < end_s:
        await asyncio.sleep(LOOK_EVERY_S)


def look_now(glances: Sequence[Glance[Any]], within_s: float) -> None:
    """The same from a thread that may wait."""
    for glance in glances:
        glance.begin()
    end_s = time.monotonic() + within_s
    while any(glance.is_under_way for glance in glances) and time.monotonic() < end_s:
        time.sleep(LOOK_EVERY_S)
