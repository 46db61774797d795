"""The reader process: `python -m service.readers.child DESCRIPTOR`. Does what it is ordered to, one clip after the other."""

import errno
import itertools
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import cv2

from service.bundle import read_bundle
from service.cine.clip import Clip
from service.cine.handed import HandedFile
from service.disk import is_full
from service.engine.base import Grey, Task
from service.engine.turn import Answer, Lane, nothing_asked
from service.errors import BadBundle, EngineFailed, SeashoreError
from service.model import LoadedModel
from service.reader import JOB_PIXELS_A_SECOND, ClipReader
from service.readers.wire import Wire
from service.readers.words import (
    ASKED,
    BROKEN,
    DONE,
    MEMORY,
    OUTPUT,
    READY,
    REFUSED,
    ROOM,
    SLIDING,
    SPENT,
    TOLD,
    Annotate,
    Answered,
    Drop,
    File,
    Mmode,
    Order,
    Read,
    ReadSign,
    Render,
    Report,
    obey,
    say,
)
from service.record import analysis_to_json
from service.sandbox.cage import Cage, enter_cage
from service.settings import Settings
from service.sign_bundle import read_sign_bundle
from service.sign_reading import AskedSign, LoadedSign
from service.telemetry import describe_bug

PACKAGE = Path(__file__).resolve().parents[1]


class Questions:
    """What was asked of the service's devices and has not been answered."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._numbers = itertools.count()
        self._asked: dict[int, Future[Answer]] = {}

    def ask(self, of: str, task: Task, patches: Grey) -> "Future[Answer]":
        number, future = next(self._numbers), Future[Answer]()
        self._asked[number] = future
        say(self._wire, ASKED, {"number": number, "of": of, "task": task.value}, {"patches": patches})
        return future

    def settle(self, answered: Answered) -> None:
        """Called from the thread that hears the answer."""
        asked = self._asked.pop(answered.number)
        if answered.answer is None:
            asked.set_exception(EngineFailed("The service could not run the model."))
        else:
            asked.set_result(answered.answer)

    def forget(self) -> None:
        self._asked.clear()


class ServiceDevice:
    """A `Device`: the service's, over there. Its clip has its turn from when it is read to when that is done."""

    def __init__(self, questions: Questions, of: str, device: str = "") -> None:
        """`of`: whose patches they are, SLIDING or a model of signs."""
        self.device = device
        """Where the patches of the present clip are classified; each order says it."""
        self._questions = questions
        self._of = of

    def turn(self, lane: Lane = Lane.INTERACTIVE) -> "ServiceTurn":
        """The lane is the one that the service opened the clip's turn in."""
        return ServiceTurn(self._questions, self._of)


class ServiceTurn:
    def __init__(self, questions: Questions, of: str) -> None:
        self._questions = questions
        self._of = of

    def ask(self, task: Task, patches: Grey) -> "Future[Answer]":
        return self._questions.ask(self._of, task, patches) if len(patches) else nothing_asked(task, patches)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass  # the service ends the turn, with the order


class _Dropped(Exception):
    """Raised inside a reading that nobody waits for any more."""


class Desk:
    """Where orders are done. One thread does them; another hears answers and whether they are still wanted."""

    def __init__(self, wire: Wire, settings: Settings, gaps: Sequence[str]) -> None:
        """`gaps`: what its cage leaves open."""
        self._wire = wire
        self._gaps = gaps
        self._questions = Questions(wire)
        self._device = ServiceDevice(self._questions, SLIDING)
        self._reader = ClipReader(settings, self._load, self._load_sign)
        self._orders: queue.SimpleQueue[tuple[Order, list[int]]] = queue.SimpleQueue()
        self._dropped = threading.Event()
        self._last_told: tuple[float, str] | None = None

    def serve(self) -> None:
        """Until the service has hung up."""
        threading.Thread(target=self._work, name="reading", daemon=True).start()
        say(self._wire, READY, {"gaps": list(self._gaps)})
        while True:
            said, files = obey(self._wire)
            match said:
                case Answered() as answered:
                    self._questions.settle(answered)
                case Drop():
                    self._dropped.set()
                case order:
                    self._dropped.clear()
                    self._orders.put((order, files))

    def _work(self) -> None:
        while True:
            order, files = self._orders.get()
            self._last_told = None
            try:
                self._tell(0.0, "decode")  # it has begun: what ends it from here on, the clip may have done
                self._do(order, files)
            except _Dropped:
                say(self._wire, DONE)
            except SeashoreError as error:
                say(self._wire, REFUSED, {"code": error.code, "message": str(error), "log_detail": error.log_detail})
            except Exception as bug:
                limit = limit_met(bug)
                say(self._wire, BROKEN, {"where": describe_bug(bug)}) if limit is None else say(self._wire, SPENT, {"limit": limit})
            finally:
                self._questions.forget()
                for file in files:
                    os.close(file)

    def _do(self, order: Order, files: list[int]) -> None:
        clip = HandedFile(files[0])
        if isinstance(order, Read):
            self._read(order, clip)
        elif isinstance(order, Mmode):
            strip = self._reader.mmode(self._open(order.clip, clip), order.line, self._tell_in_percent)
            say(self._wire, DONE, arrays={"strip": strip})
        else:
            with _emptied(files[1]) as out:
                index = self._draw(order, self._open(order.clip, clip), out)
            say(self._wire, DONE, index)

    def _draw(self, order: Annotate | Report | Render, clip: Clip, out: BinaryIO) -> dict[str, Any] | None:
        match order:
            case Annotate():
                self._reader.annotate(clip, order.analysis, out)
            case Report():
                at, identity, outside = order.analysed_at, order.identity, order.show_outside_region
                self._reader.report(clip, order.analysis, out, analysed_at=at, identity=identity, show_outside_region=outside)
            case Render():
                return self._reader.render(clip, out, self._tell_in_percent, marks=order.marks).to_json()
        return None

    def _open(self, file: File, handed: HandedFile) -> Clip:
        return self._reader.open_handed(handed, unhurried=file.is_unhurried)

    def _read(self, order: Read, handed: HandedFile) -> None:
        self._device.device = order.device
        if self._reader.model(order.entry).bundle.fingerprint != order.fingerprint:
            raise EngineFailed(f"The model {order.entry} has been replaced in the store. Reload the service.")
        signs = tuple(filter(None, map(self._asked, order.signs)))
        start_s = time.perf_counter()
        clip = self._open(order.clip, handed)
        decode_ms = (time.perf_counter() - start_s) * 1000
        analysis, arrays = self._reader.read_asked(
            clip, order.entry, order.options, signs, self._tell, decode_ms=decode_ms, keeps_arrays=order.keeps_arrays
        )
        say(self._wire, DONE, analysis_to_json(analysis), {} if arrays is None else arrays.by_name())

    def _asked(self, ordered: ReadSign) -> AskedSign | None:
        """None where the store holds another bundle by now: the answer says that the sign could not be told."""
        try:
            bundle = self._reader.sign(ordered.entry).bundle
        except BadBundle:
            return None
        if bundle.fingerprint != ordered.fingerprint:
            return None
        return AskedSign(LoadedSign(bundle, ServiceDevice(self._questions, bundle.name, ordered.device)), ordered.signs)

    def _tell(self, share: float, stage: str) -> None:
        if self._dropped.is_set():
            raise _Dropped
        if (share, stage) != self._last_told:
            self._last_told = share, stage
            say(self._wire, TOLD, {"share": share, "stage": stage})

    def _tell_in_percent(self, share: float, stage: str) -> None:
        """Frames go by in a millisecond: a word for each would be most of the work."""
        self._tell(round(share, 2), stage)

    def _load(self, folder: Path) -> LoadedModel:
        return LoadedModel(read_bundle(folder), self._device)

    def _load_sign(self, folder: Path) -> LoadedSign:
        bundle = read_sign_bundle(folder)
        return LoadedSign(bundle, ServiceDevice(self._questions, bundle.name))


def limit_met(bug: Exception) -> str | None:
    """Which limit of the cage, or of the disk, a library complains of; None where it is a bug."""
    is_thread_refused = isinstance(bug, RuntimeError) and "new thread" in str(bug)  # its stack is memory
    if isinstance(bug, MemoryError) or is_thread_refused or (isinstance(bug, cv2.error) and bug.code == cv2.Error.StsNoMem):
        return MEMORY
    if is_full(bug):
        return ROOM
    return OUTPUT if isinstance(bug, OSError) and bug.errno == errno.EFBIG else None


@contextmanager
def _emptied(descriptor: int) -> Iterator[BinaryIO]:
    """A file that was handed over, to be written from its start: another reader may have begun it."""
    with open(descriptor, "r+b", closefd=False) as file:
        file.seek(0)
        file.truncate()
        yield file


def cage_of(settings: Settings) -> Cage:
    """A reader reads the models, this package and the files that it is handed."""
    store = settings.model_store
    linked = [path for depth in ("*", "*/*") for path in store.glob(depth)]  # bundles may be links to where they really lie
    longest_s = max(settings.max_job_seconds, settings.max_seconds)
    return Cage(
        readable=tuple(path.resolve() for path in (PACKAGE, store, *linked)),
        memory_bytes=settings.cage_memory_mb * 2**20,
        output_bytes=round(longest_s * JOB_PIXELS_A_SECOND),  # a byte a pixel: three times what its JPEGs take
    )


def main() -> None:
    # A service that is stopped reads its clips to the end; who stops it often tells all its processes.
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    wire = Wire(socket.socket(fileno=int(sys.argv[1])))
    cv2.getNumThreads()  # from now on it knows the container's share of cores, which the cage hides from it
    try:
        said, _ = obey(wire)
        settings = Settings.model_validate(said)
        Desk(wire, settings, enter_cage(cage_of(settings))).serve()
    except OSError:
        os._exit(0)  # the service is gone, however it ended; whatever is being read, nobody waits for it


if __name__ == "__main__":
    main()
