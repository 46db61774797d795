"""A bad day at the hospital: machines that send until they are told that it was taken, processes that die, an archive that is away.

What was acknowledged is written down here, by those who sent; what became of it is counted in the archive.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from subprocess import TimeoutExpired
from typing import Protocol

from service.pacs.objects.uids import result_uid
from service.pacs.site import ResultKind
from tests.fakes.hospital import Seashore, store, uid_of
from tests.fakes.orthanc import Orthanc

SENDER_PATIENCE_S = 60.0
"""Of one storescu: a process that dies takes the connection with it, so this is hardly ever waited for."""


@dataclass(slots=True)
class Senders:
    """Ultrasound machines that share a pile of files. Each sends one file at a time, to one node or the other, until it is acknowledged."""

    paths: Sequence[Path]
    nodes: Sequence[Seashore]
    pause_s: float
    """Between two files of one sender, on the average."""
    random: Random
    acknowledged: list[Path] = field(default_factory=list)
    num_tries: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)
    _next: Iterator[Path] = field(default_factory=lambda: iter(()))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, count: int) -> None:
        self._next = iter(self.paths)
        self._threads = [threading.Thread(target=self._send_all, args=(Random(self.random.random()),), daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    @property
    def are_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _send_all(self, random: Random) -> None:
        while (path := self._take()) is not None:
            while not self._send(path, random.choice(self.nodes)):
                time.sleep(random.uniform(0.2, 1.0))
            with self._lock:
                self.acknowledged.append(path)
            time.sleep(random.uniform(0.0, 2 * self.pause_s))

    def _take(self) -> Path | None:
        with self._lock:
            return next(self._next, None)

    def _send(self, path: Path, node: Seashore) -> bool:
        with self._lock:
            self.num_tries += 1
        try:
            return store([path], node.dicom_port, timeout_s=SENDER_PATIENCE_S).returncode == 0
        except TimeoutExpired:
            return False


def torment(nodes: Sequence[Seashore], random: Random, *, kills: int, until: Callable[[], bool]) -> int:
    """Kill one of the nodes at random and start it again, at least so many times and until it is so. Gives how many times.

    Half of the deaths come while it starts and takes up what it left, half while it reads and sends.
    """
    num = 0
    while num < kills or not until():
        victim = random.choice(nodes)
        if num % 2:
            victim.wait_until_ready()
        time.sleep(random.uniform(0.3, 8.0))
        assert victim.is_running, victim.log.read_text()[-4000:]
        victim.kill()
        victim.start(wait=False)
        num += 1
    return num


class MayBeAway(Protocol):
    """An archive, a database."""

    def stop(self) -> None: ...

    def start(self) -> None: ...


@contextmanager
def outage(of: MayBeAway, after_s: float, for_s: float) -> Iterator[None]:
    """It is stopped, and comes back."""

    def be_away() -> None:
        time.sleep(after_s)
        of.stop()
        time.sleep(for_s)
        of.start()

    thread = threading.Thread(target=be_away)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@dataclass(frozen=True, slots=True)
class Count:
    """Of the results in the archive, against what was acknowledged."""

    acknowledged: int
    complete: int
    """Instances of which every kind of result is there."""
    missing: int
    """Results that are not there."""
    duplicates: int
    """Objects beyond one of each, and objects that nobody asked for."""

    @classmethod
    def of(cls, archive: Orthanc, acknowledged: Sequence[Path], model_sha256: str) -> "Count":
        held = Counter(archive.instances())
        expected = [{result_uid(uid_of(path), model_sha256, kind) for kind in ResultKind} for path in acknowledged]
        wanted = set().union(*expected)
        return cls(
            acknowledged=len(acknowledged),
            complete=sum(all(held[uid] for uid in uids) for uids in expected),
            missing=sum(not held[uid] for uid in wanted),
            duplicates=sum(count - (uid in wanted) for uid, count in held.items()),
        )

    @property
    def is_whole(self) -> bool:
        return self.missing == 0 and self.duplicates == 0


def settled(count: Callable[[], Count], patience_s: float) -> Count:
    """The last count: nothing is missing, or nothing more has come for so long."""
    last, changed_s = count(), time.monotonic()
    while last.missing and time.monotonic() - changed_s < patience_s:
        time.sleep(2.0)
        now = count()
        if now != last:
            last, changed_s = now, time.monotonic()
    return last
