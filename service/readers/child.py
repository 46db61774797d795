"""The reader process: `python -m service.readers.child DESCRIPTOR`. Does what it is ordered to, one clip after the other."""

import itertools
import os
import queue
import signal
import socket
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

from service.bundle import read_bundle
from service.cine.clip import Clip
from service.engine.base import Grey, Task
from service.engine.turn import Answer, Lane, nothing_asked
from service.errors import EngineFailed, SeashoreError
from service.model import LoadedModel
from service.reader import ClipReader, open_timed
from service.readers.wire import Wire
from service.readers.words import (
    ASKED,
    BROKEN,
    DONE,
    READY,
    REFUSED,
    TOLD,
    Annotate,
    Answered,
    Drop,
    File,
    Mmode,
    Order,
    Read,
    Render,
    Report,
    obey,
    say,
)
from service.record import analysis_to_json
from service.settings import Settings
from service.telemetry import describe_bug


class ServiceDevice:
    """A `Device`: the service's, over there. Its clip has its turn from when it is read to when that is done."""

    def __init__(self, wire: Wire) -> None:
        self.device = ""
        """Where the patches of the present clip are classified; each order says it."""
        self._wire = wire
        self._numbers = itertools.count()
        self._asked: dict[int, Future[Answer]] = {}

    def turn(self, lane: Lane = Lane.INTERACTIVE) -> "ServiceTurn":
        """The lane is the one that the service opened the clip's turn in."""
        return ServiceTurn(self)

    def ask(self, task: Task, patches: Grey) -> "Future[Answer]":
        number, future = next(self._numbers), Future[Answer]()
        self._asked[number] = future
        say(self._wire, ASKED, {"number": number, "task": task.value}, {"patches": patches})
        return future

    def settle(self, answered: Answered) -> None:
        """Called from the thread that hears the answer."""
        self._asked.pop(answered.number).set_result(answered.answer)

    def forget(self) -> None:
        self._asked.clear()


class ServiceTurn:
    def __init__(self, device: ServiceDevice) -> None:
        self._device = device

    def ask(self, task: Task, patches: Grey) -> "Future[Answer]":
        return self._device.ask(task, patches) if len(patches) else nothing_asked(task, patches)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass  # the service ends the turn, with the order


class _Dropped(Exception):
    """Raised inside a reading that nobody waits for any more."""


class Desk:
    """Where orders are done. One thread does them; another hears answers and whether they are still wanted."""

    def __init__(self, wire: Wire, settings: Settings) -> None:
        self._wire = wire
        self._device = ServiceDevice(wire)
        self._reader = ClipReader(settings, self._load)
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._dropped = threading.Event()
        self._last_told: tuple[float, str] | None = None

    def serve(self) -> None:
        """Until the service has hung up."""
        threading.Thread(target=self._work, name="reading", daemon=True).start()
        say(self._wire, READY)
        while True:
            match obey(self._wire):
                case Answered() as answered:
                    self._device.settle(answered)
                case Drop():
                    self._dropped.set()
                case order:
                    self._dropped.clear()
                    self._orders.put(order)

    def _work(self) -> None:
        while True:
            order = self._orders.get()
            self._last_told = None
            try:
                self._do(order)
            except _Dropped:
                say(self._wire, DONE)
            except SeashoreError as error:
                say(self._wire, REFUSED, {"code": error.code, "message": str(error), "log_detail": error.log_detail})
            except Exception as bug:
                say(self._wire, BROKEN, {"where": describe_bug(bug)})
            finally:
                self._device.forget()

    def _do(self, order: Order) -> None:
        match order:
            case Read():
                self._read(order)
            case Annotate():
                self._reader.annotate(self._open(order.clip), order.analysis, order.out)
                say(self._wire, DONE)
            case Report():
                clip, at, identity, outside = self._open(order.clip), order.analysed_at, order.identity, order.show_outside_region
                self._reader.report(clip, order.analysis, order.out, analysed_at=at, identity=identity, show_outside_region=outside)
                say(self._wire, DONE)
            case Render():
                say(self._wire, DONE, self._reader.render(self._open(order.clip), order.out, self._tell_in_percent).to_json())
            case Mmode():
                say(self._wire, DONE, arrays={"strip": self._reader.mmode(self._open(order.clip), order.line, self._tell_in_percent)})

    def _open(self, file: File) -> Clip:
        return self._reader.open(file.path, unhurried=file.is_unhurried)

    def _read(self, order: Read) -> None:
        self._device.device = order.device
        if self._reader.digest(order.entry) != order.sha256:
            raise EngineFailed(f"The model {order.entry} has been replaced in the store. Reload the service.")
        clip, decode_ms = open_timed(self._reader, order.clip.path, unhurried=order.clip.is_unhurried)
        analysis, arrays = self._reader.read(
            clip, order.entry, order.options, self._tell, decode_ms=decode_ms, keeps_arrays=order.keeps_arrays
        )
        say(self._wire, DONE, analysis_to_json(analysis), {} if arrays is None else arrays.by_name())

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


def main() -> None:
    # A service that is stopped reads its clips to the end; who stops it often tells all its processes.
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    wire = Wire(socket.socket(fileno=int(sys.argv[1])))
    try:
        Desk(wire, Settings.model_validate(obey(wire))).serve()
    except OSError:
        os._exit(0)  # the service is gone, however it ended; whatever is being read, nobody waits for it


if __name__ == "__main__":
    main()
