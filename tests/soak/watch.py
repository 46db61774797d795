"""What the service takes of the machine, read from /proc while it is being soaked. Linux only."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench import processes
from tests.bench.timing import Line, fit_line

EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """At one moment."""

    num_inputs: int
    service_mib: float
    """Memory of its own (RssAnon): what it has mapped of files is not growth."""
    readers_mib: float
    largest_reader_mib: float
    num_processes: int
    num_descriptors: int


class Watch:
    """Looks once a second, in a thread."""

    def __init__(self, pid: int, num_inputs: Callable[[], int]) -> None:
        self._pid = pid
        self._num_inputs = num_inputs
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self.looks: list[Look] = []

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> Look:
        _, *readers = processes.family(self._pid)
        sizes = [processes.status_mib(pid, "RssAnon") for pid in readers]
        own = processes.status_mib(self._pid, "RssAnon")
        return Look(self._num_inputs(), own, sum(sizes), max(sizes, default=0.0), 1 + len(readers), _num_descriptors(self._pid))

    def _look_on(self) -> None:
        while not self._ended.wait(EVERY_S):
            with suppress(OSError):
                self.looks.append(self.look())


def growth(looks: list[Look], of: Callable[[Look], float], after: float) -> Line:
    """MiB by thousands of inputs, once the share `after` (0..1) of the inputs has been sent. A line of slope 0 where there are too few."""
    start = after * max((look.num_inputs for look in looks), default=0)
    points = [(look.num_inputs / 1000, of(look)) for look in looks if look.num_inputs >= start]
    return fit_line(points) if len({x for x, _ in points}) > 1 else Line(0.0, 0.0, 0.0)


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _num_descriptors(pid: int) -> int:
    with suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0
