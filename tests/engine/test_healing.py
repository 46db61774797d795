"""An engine that hangs, raises or lies is left behind, and another is opened in its place. The logit is the sum of a patch."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from service.engine import healing as healing_module
from service.engine.base import Task
from service.engine.healing import LOAD_AGAIN_AFTER_S, Care, HealingDevice
from service.engine.turn import Device
from service.errors import BadBundle, EngineFailed
from tests.fakes.engine import FragileEngine
from tests.fakes.service import wait_until

STUCK = "The model's device has not answered for 0 s. Its engine is being started again: ask again in 15 s."
FAILED = "The model's device failed. Its engine is being started again: ask again in 15 s."


def patches(*values: int) -> NDArray[np.uint8]:
    return np.array(values, np.uint8).reshape(-1, 1, 1, 1, 1)


def check(device: Device) -> None:
    """Its golden clip: a patch of 7."""
    with device.turn() as turn:
        if turn.ask(Task.CLASSIFY, patches(7)).result(5).logits.tolist() != [7]:
            raise BadBundle("It answers its golden clip wrongly.")


@dataclass
class Workshop:
    """Opens engines one after the other; `engines` lists them, `next_is` says how the next one is."""

    engines: list[FragileEngine] = field(default_factory=list)
    next_is: Callable[[], FragileEngine] = FragileEngine
    given_up: threading.Event = field(default_factory=threading.Event)

    def open(self) -> FragileEngine:
        self.engines.append(self.next_is())
        return self.engines[-1]

    def device(self, tries: int = 3) -> HealingDevice:
        return HealingDevice(self.open, check, Care(0.2, tries, self.given_up.set, pauses_s=(0.0,)))


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    workshop = Workshop()
    yield workshop
    for engine in workshop.engines:
        engine.release()


def logits(device: Device, *values: int) -> list[float]:
    with device.turn() as turn:
        return list(turn.ask(Task.CLASSIFY, patches(*values)).result(5).logits.tolist())


def test_a_batch_that_hangs_is_answered_and_the_next_clip_is_read_by_another_engine(workshop: Workshop) -> None:
    device = workshop.device()
    workshop.engines[0].hang()
    with device.turn() as stuck, device.turn() as waiting:
        asked = [stuck.ask(Task.CLASSIFY, patches(1)), waiting.ask(Task.CLASSIFY, patches(2, 3))]
        for answer in asked:
            with pytest.raises(EngineFailed) as told:
                answer.result(5)
            assert (str(told.value), told.value.retry_after_s) == (STUCK, 15)
    assert wait_until(lambda: device.trouble is None)

    assert logits(device, 4, 5) == [4, 5]
    assert len(workshop.engines) == 2


def test_what_a_stuck_batch_says_when_it_comes_back_after_all_is_heard_by_nobody(workshop: Workshop) -> None:
    device = workshop.device()
    first = workshop.engines[0]
    first.hang()
    with device.turn() as turn:
        asked = turn.ask(Task.CLASSIFY, patches(1))
        with pytest.raises(EngineFailed):
            asked.result(5)
        assert wait_until(lambda: device.trouble is None)
        first.release()
        assert wait_until(lambda: first.num_running == 0)

        assert logits(device, 6) == [6]
        with pytest.raises(EngineFailed):
            asked.result(0)


def test_a_device_that_is_lost_is_noticed_at_once_and_opened_again(workshop: Workshop) -> None:
    device = workshop.device()
    workshop.engines[0].lose()
    with pytest.raises(EngineFailed) as told:
        logits(device, 1, 2)

    assert (str(told.value), told.value.retry_after_s) == (FAILED, 15)
    assert wait_until(lambda: device.trouble is None)
    assert logits(device, 1, 2) == [1, 2]


def test_while_it_is_ill_everybody_is_told_so_at_once(workshop: Workshop) -> None:
    device = workshop.device()
    may_open = threading.Event()
    workshop.next_is = lambda: FragileEngine() if may_open.wait(5) else FragileEngine()
    workshop.engines[0].lose()
    for _ in range(2):
        with pytest.raises(EngineFailed) as told:
            logits(device, 1)
        assert str(told.value) == FAILED
    assert str(device.trouble) == FAILED
    may_open.set()

    assert wait_until(lambda: device.trouble is None)


def test_an_engine_is_opened_again_and_again_until_one_answers_as_it_must(workshop: Workshop) -> None:
    device = workshop.device()
    states = iter([FragileEngine(is_lost=True), FragileEngine(lies_by=1), FragileEngine()])
    workshop.next_is = lambda: next(states)
    workshop.engines[0].lose()
    with pytest.raises(EngineFailed):
        logits(device, 1)

    assert wait_until(lambda: device.trouble is None)
    assert logits(device, 9) == [9]
    assert len(workshop.engines) == 4
    assert not workshop.given_up.is_set()


def test_after_so_many_tries_it_is_given_up(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    device = workshop.device(tries=2)
    workshop.next_is = lambda: FragileEngine(lies_by=1)
    workshop.engines[0].lose()
    with pytest.raises(EngineFailed):
        logits(device, 1)

    assert workshop.given_up.wait(5)
    assert len(workshop.engines) == 3
    assert str(device.trouble) == "The model's device failed, and its engine could not be started again in 2 tries."
    assert "engine: try 2 of 2 to open it again was in vain: It answers its golden clip wrongly." in caplog.text
    assert "engine: given up after 2 tries." in caplog.text


def test_where_not_even_the_first_can_be_opened_it_is_said_when_to_try_again(workshop: Workshop) -> None:
    workshop.next_is = lambda: FragileEngine(is_lost=True)
    with pytest.raises(EngineFailed) as failed:
        workshop.device()

    assert failed.value.retry_after_s == LOAD_AGAIN_AFTER_S


def test_an_engine_that_comes_up_on_another_device_is_refused(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    device = workshop.device(tries=1)
    workshop.next_is = lambda: FragileEngine(device="cpu (slow)")
    workshop.engines[0].lose()
    with pytest.raises(EngineFailed):
        logits(device, 1)

    assert workshop.given_up.wait(5)
    assert "It came up on cpu (slow), not on cpu (fake)." in caplog.text


def test_an_engine_that_hangs_while_it_is_opened_is_a_try_in_vain(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    device = workshop.device(tries=1)
    monkeypatch.setattr(healing_module, "OPENED_WITHIN_S", 0.1)
    workshop.next_is = lambda: FragileEngine(hangs=True)
    workshop.engines[0].lose()
    with pytest.raises(EngineFailed):
        logits(device, 1)

    assert workshop.given_up.wait(5)
    assert "It was not opened within 0.1 s." in caplog.text


def test_a_clip_that_spoils_its_batch_is_told_so_and_the_engine_stays(workshop: Workshop) -> None:
    device = workshop.device()
    with pytest.raises(EngineFailed, match=r"^This patch is poison\.$") as told:
        logits(device, FragileEngine.POISON, 1)

    assert told.value.retry_after_s is None
    assert device.trouble is None
    assert logits(device, 1) == [1]
    assert len(workshop.engines) == 1


def test_slow_batches_are_not_taken_for_stuck_ones(workshop: Workshop) -> None:
    """Ten times the slowest that came back: 0.15 s -> 1.5 s, where 0.2 s would be the limit."""
    device = workshop.device()
    workshop.engines[0].takes_s = 0.15
    assert logits(device, 1) == [1]
    workshop.engines[0].takes_s = 0.6

    assert logits(device, 2) == [2]
    assert len(workshop.engines) == 1


def test_a_model_that_is_put_away_leaves_no_watch_behind(workshop: Workshop) -> None:
    before = threading.active_count()
    device = workshop.device()
    engine = weakref.ref(workshop.engines.pop())
    gone = weakref.ref(device)
    device._batcher.close()
    del device

    assert wait_until(lambda: gc.collect() is not None and gone() is None)
    assert wait_until(lambda: engine() is None)
    assert wait_until(lambda: threading.active_count() <= before)


def test_an_engine_that_is_broken_from_the_start_is_refused_as_ever(workshop: Workshop) -> None:
    workshop.next_is = lambda: FragileEngine(lies_by=1)
    with pytest.raises(BadBundle, match=r"^It answers its golden clip wrongly\.$"):
        workshop.device()
    workshop.next_is = lambda: FragileEngine(is_lost=True)
    with pytest.raises(EngineFailed, match=r"^The model's device failed\.$"):
        workshop.device()


def test_it_heals_more_than_once_under_load(workshop: Workshop) -> None:
    device = workshop.device()
    wrong: list[list[float]] = []
    refused, answered = [0], [0]
    ends_s = time.monotonic() + 3.0

    def read(value: int) -> None:
        while time.monotonic() < ends_s:
            try:
                found = logits(device, *[value] * 5)
            except EngineFailed:
                refused[0] += 1
                time.sleep(0.01)
            else:
                answered[0] += 1
                if found != [value] * 5:
                    wrong.append(found)

    readers = [threading.Thread(target=read, args=(value,)) for value in range(1, 7)]
    for reader in readers:
        reader.start()
    for _ in range(4):
        time.sleep(0.4)
        workshop.engines[-1].lose()
    for reader in readers:
        reader.join(10)

    assert wrong == []
    assert refused[0] > 0
    assert answered[0] > 0
    assert wait_until(lambda: device.trouble is None)
    assert len(workshop.engines) >= 4
