"""A device that heals: an engine that is wedged or lost is left behind, and another is opened in its place.

    sound --a batch is stuck, or black patches fail--> ill --opened, checked by the golden clip--> sound
                                                        |
                                                        +--not after so many tries--> give up: the process ends

A thread that is stuck inside a driver cannot be ended, and a CUDA context that has met an error never works again in its process:
where opening another engine does not help, only another process does, and whoever runs this one (Docker, systemd) starts it.
"""

import logging
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass

from service.engine.base import Engine
from service.engine.batcher import Batcher
from service.engine.turn import Device, Lane, Turn
from service.errors import EngineFailed, OperatorError
from service.standing import DeviceStanding

SLOWEST_TIMES = 10.0
"""A batch that takes so many times as long as the slowest one that came back is stuck, where that is longer than `stuck_after_s`."""
PAUSES_S = (0.0, 5.0, 15.0, 30.0, 60.0)
"""Before each try to open an engine; the last one before all further tries."""
OPENED_WITHIN_S = 600.0
"""TensorRT may compile for minutes; what takes longer is stuck as well."""
RETRY_AFTER_S = 15
"""What is told to whoever asks meanwhile: an engine opens within seconds."""
LOAD_AGAIN_AFTER_S = 30
"""Where not even the first engine could be opened: a driver may be up later than the service, after a power cut."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Care:
    """How long is waited for an engine, how often another is opened, and what happens then."""

    stuck_after_s: float
    """A batch that has not come back for so long is stuck; longer where batches are slow."""
    tries: int
    give_up: Callable[[], object]
    """Called after so many tries in vain."""
    pauses_s: tuple[float, ...] = PAUSES_S

    def pause_s(self, number: int) -> float:
        return self.pauses_s[min(number, len(self.pauses_s) - 1)]


class HealingDevice:
    """A `Device` over an engine that may have to be opened again."""

    def __init__(self, open_engine: Callable[[], Engine], check: Callable[[Device], object], care: Care) -> None:
        """`check` has an opened engine asked for answers that are known.

        Raises: EngineFailed, which says when it is worth another try; and what else `check` raises.
        """
        self._open_engine = open_engine
        self._check = check
        self._care = care
        self._lock = threading.Lock()
        self._ill: str = ""
        self._is_given_up = False
        try:
            self._batcher = self._opened()
        except EngineFailed as error:
            raise error.anew(retry_after_s=LOAD_AGAIN_AFTER_S) from error
        self._device = self._batcher.device
        # Without a hold on this device: its engine goes with the last reading, and the watch with it.
        look_every_s = min(1.0, care.stuck_after_s / 4)
        threading.Thread(target=_watch, args=(weakref.ref(self), look_every_s), name="engine watch", daemon=True).start()

    @property
    def device(self) -> str:
        return self._device

    @property
    def engine(self) -> Engine:
        """The present one; while it is ill, the one that was."""
        return self._batcher.engine

    @property
    def trouble(self) -> EngineFailed | None:
        """Why nothing can be asked just now."""
        return self._why() if self._ill else None

    def standing(self) -> DeviceStanding:
        """Of the present engine: what was counted of one that was left behind is gone with it."""
        return self._batcher.standing()

    def turn(self, lane: Lane = Lane.INTERACTIVE) -> Turn:
        return self._batcher.turn(lane)

    def look(self) -> None:
        """Whether a batch is stuck."""
        batcher = self._batcher
        limit_s = max(self._care.stuck_after_s, SLOWEST_TIMES * batcher.slowest_batch_s)
        if not self._ill and batcher.longest_batch_s > limit_s:
            self._fall_ill(batcher, f"The model's device has not answered for {limit_s:.0f} s", "")

    def heal(self, number: int) -> bool:
        """One try to open another engine. Blocks. Whether this device is sound again."""
        try:
            batcher = _within(OPENED_WITHIN_S, self._opened_alike)
        except Exception as error:  # whatever a broken driver does to whoever opens an engine
            detail = error.log_detail if isinstance(error, OperatorError) else type(error).__name__
            log.error("engine: try %d of %d to open it again was in vain: %s %s", number, self._care.tries, error, detail)
            return False
        with self._lock:
            self._batcher, self._ill = batcher, ""
        log.warning("engine: opened again on %s at try %d, and it answers the golden clip as it must.", self._device, number)
        return True

    def give_up(self) -> None:
        """Open no other engine any more."""
        self._is_given_up = True
        self._care.give_up()

    @property
    def care(self) -> Care:
        return self._care

    def _why(self) -> EngineFailed:
        if self._is_given_up:
            return EngineFailed(f"{self._ill}, and its engine could not be started again in {self._care.tries} tries.")
        sentence = f"{self._ill}. Its engine is being started again: ask again in {RETRY_AFTER_S} s."
        return EngineFailed(sentence, retry_after_s=RETRY_AFTER_S)

    def _opened_alike(self) -> Batcher:
        batcher = self._opened()
        if batcher.device != self._device:  # 50 times slower, perhaps, and nobody would know
            raise EngineFailed(f"It came up on {batcher.device}, not on {self._device}.")
        return batcher

    def _opened(self) -> Batcher:
        here = weakref.ref(self)

        def lost(batcher: Batcher, error: Exception) -> None:
            device = here()
            if device is not None:
                device._fall_ill(batcher, "The model's device failed", getattr(error, "log_detail", "") or type(error).__name__)

        batcher = Batcher(self._open_engine(), lost)
        self._check(batcher)
        return batcher

    def _fall_ill(self, batcher: Batcher, sentence: str, detail: str) -> None:
        """Once, however many batches and threads notice. An engine that is only being tried out, or was left behind, is no news."""
        with self._lock:
            is_news = not self._ill and batcher is getattr(self, "_batcher", None)
            if is_news:
                self._ill = sentence
        batcher.abandon(self._why if is_news or self._ill else lambda: EngineFailed(f"{sentence}."))
        if is_news:
            log.error("engine: %s. It is opened again. %s", sentence, detail)
            threading.Thread(target=_heal, args=(weakref.ref(self), self._care), name="engine healing", daemon=True).start()


def _watch(device: "weakref.ref[HealingDevice]", every_s: float) -> None:
    while (there := device()) is not None:
        there.look()
        del there
        time.sleep(every_s)


def _heal(device: "weakref.ref[HealingDevice]", care: Care) -> None:
    """Until it is sound, or has gone with its model, or nothing helps."""
    for number in range(care.tries):
        time.sleep(care.pause_s(number))
        there = device()
        if there is None or there.heal(number + 1):
            return
        del there
    log.critical("engine: given up after %d tries.", care.tries)
    there = device()
    if there is not None:
        there.give_up()


def _within(seconds: float, opened: Callable[[], Batcher]) -> Batcher:
    """In a thread of its own, which is left to itself when it takes longer. Raises: EngineFailed; whatever `opened` raises."""
    result: Future[Batcher] = Future()

    def run() -> None:
        try:
            result.set_result(opened())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, name="engine opening", daemon=True).start()
    try:
        return result.result(seconds)
    except TookTooLong:
        raise EngineFailed(f"It was not opened within {seconds:g} s.") from None
