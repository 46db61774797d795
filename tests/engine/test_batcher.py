"""Many clips, one engine whose answers can be computed in the head: the sum of a patch."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from service.engine import batcher as batcher_module
from service.engine.base import Task
from service.engine.batcher import Batcher
from service.engine.turn import Lane
from service.errors import EngineFailed
from tests.fakes.service import wait_until

POISON = 255


class SumEngine:
    """logit = sum of the patch; the gradient is one everywhere. A patch that begins with POISON fails its batch.

    `gate`: batches wait until it is open. `batches` lists what each held, `most_at_once` how many ran side by side.
    """

    device = "cpu (fake)"

    def __init__(self, streams: int = 2) -> None:
        self.streams = streams
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.running = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def buckets(self, task: Task) -> tuple[int, ...]:
        return 4, 2, 1

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._lock:
            self.batches.append(len(patches))
            self.running += 1
            self.most_at_once = max(self.most_at_once, self.running)
        try:
            assert self.gate.wait(10)
            if (patches[:, 0, 0, 0, 0] == POISON).any():
                raise EngineFailed("This patch is poison.")
            return np.asarray(patches.sum(axis=(1, 2, 3, 4)), np.float32)
        finally:
            with self._lock:
                self.running -= 1

    def logits_and_gradients(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.logits(pixels.astype(np.uint8)), np.ones_like(pixels)


class SmallEngine(SumEngine):
    """Has memory for two patches at a time."""

    def logits(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = super().logits(patches)
        if len(patches) > 2:
            raise EngineFailed("Out of memory.")
        return logits


def patches(*values: int) -> NDArray[np.uint8]:
    """Patches of two pixels, both of this value."""
    return np.array(values, np.uint8).reshape(-1, 1, 1, 1, 1).repeat(2, axis=4)


@pytest.fixture
def engine() -> SumEngine:
    return SumEngine()


@pytest.fixture
def batcher(engine: SumEngine) -> Iterator[Batcher]:
    batcher = Batcher(engine)
    yield batcher
    engine.gate.set()
    batcher.close()


def test_every_patch_gets_its_own_answer(batcher: Batcher) -> None:
    with batcher.turn() as turn:
        answer = turn.ask(Task.CLASSIFY, patches(*range(23))).result(5)

    assert answer.logits.tolist() == [2 * value for value in range(23)]
    assert answer.gradients is None
    assert answer.device_s > 0


def test_gradients_come_with_their_logits(batcher: Batcher) -> None:
    with batcher.turn() as turn:
        answer = turn.ask(Task.EXPLAIN, patches(1, 2, 3, 4, 5).astype(np.float32)).result(5)

    assert answer.logits.tolist() == [2, 4, 6, 8, 10]
    assert answer.gradients is not None
    assert answer.gradients.shape == (5, 1, 1, 1, 2)
    assert (answer.gradients == 1).all()


def test_many_clips_at_once_each_get_their_own(batcher: Batcher) -> None:
    def read(value: int) -> list[list[float]]:
        with batcher.turn(Lane(value % 2)) as turn:
            asked = [turn.ask(Task.CLASSIFY, patches(*[value] * count)) for count in (5, 1, 8)]
            return [answer.result(10).logits.tolist() for answer in asked]

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(read, range(100)))

    assert found == [[[2 * value] * count for count in (5, 1, 8)] for value in range(100)]


def test_no_patches_are_answered_at_once(batcher: Batcher) -> None:
    with batcher.turn() as turn:
        assert turn.ask(Task.CLASSIFY, patches()).result(0).logits.tolist() == []


def test_every_stream_is_used(batcher: Batcher, engine: SumEngine) -> None:
    engine.gate.clear()
    with batcher.turn() as turn:
        asked = turn.ask(Task.CLASSIFY, patches(*range(8)))
        assert wait_until(lambda: engine.running == 2)
        engine.gate.set()
        asked.result(5)

    assert engine.most_at_once == 2


def test_an_idle_device_does_not_wait_for_a_batch_to_fill(batcher: Batcher, engine: SumEngine) -> None:
    with batcher.turn() as turn:
        turn.ask(Task.CLASSIFY, patches(7)).result(5)

    assert engine.batches == [1]


def test_patches_of_several_clips_share_a_batch() -> None:
    engine = SumEngine(streams=1)
    batcher = Batcher(engine)
    engine.gate.clear()
    with batcher.turn() as first, batcher.turn() as second, batcher.turn() as third:
        asked = [first.ask(Task.CLASSIFY, patches(1))]
        assert wait_until(lambda: engine.running == 1)
        asked += [second.ask(Task.CLASSIFY, patches(2, 3)), third.ask(Task.CLASSIFY, patches(4, 5))]
        engine.gate.set()
        found = [answer.result(5).logits.tolist() for answer in asked]

    assert found == [[2], [4, 6], [8, 10]]
    assert engine.batches == [1, 4]


def test_a_clip_that_leaves_frees_the_device_within_a_batch(batcher: Batcher, engine: SumEngine) -> None:
    engine.gate.clear()
    with batcher.turn() as leaver, batcher.turn() as stayer:
        left = leaver.ask(Task.CLASSIFY, patches(*[1] * 200))
        assert wait_until(lambda: engine.running == 2)
        stayed = stayer.ask(Task.CLASSIFY, patches(9))
        leaver.__exit__(None, None, None)
        engine.gate.set()

        assert stayed.result(5).logits.tolist() == [18]
        with pytest.raises(CancelledError):
            left.result(0)
    assert sum(engine.batches) == 4 + 4 + 1  # what ran when it left, and the other clip's


def test_a_turn_that_was_left_asks_no_more(batcher: Batcher) -> None:
    with batcher.turn() as turn:
        pass

    with pytest.raises(EngineFailed, match=r"^The model is being put away; no more is read with it.$"):
        turn.ask(Task.CLASSIFY, patches(1))


def test_a_clip_that_spoils_a_batch_spoils_only_its_own_answer() -> None:
    engine = SumEngine(streams=1)
    batcher = Batcher(engine)
    engine.gate.clear()
    with batcher.turn() as first, batcher.turn() as poisoned, batcher.turn() as sound:
        running = first.ask(Task.CLASSIFY, patches(1))
        assert wait_until(lambda: engine.running == 1)
        bad, good = poisoned.ask(Task.CLASSIFY, patches(POISON, 1)), sound.ask(Task.CLASSIFY, patches(2, 3))
        engine.gate.set()

        assert running.result(5).logits.tolist() == [2]
        assert good.result(5).logits.tolist() == [4, 6]
        with pytest.raises(EngineFailed, match=r"^This patch is poison.$"):
            bad.result(5)
    assert engine.batches == [1, 4, 2, 2]


def test_of_a_clip_that_failed_nothing_more_is_run() -> None:
    engine = SumEngine(streams=1)
    with Batcher(engine).turn() as turn:
        failed = turn.ask(Task.CLASSIFY, patches(*[POISON] * 40))
        with pytest.raises(EngineFailed):
            failed.result(5)

    assert wait_until(lambda: engine.running == 0)
    assert engine.batches == [4, 2]  # the second one to see whether a smaller batch would do


def test_a_batch_that_is_too_large_for_the_memory_is_read_in_halves() -> None:
    engine = SmallEngine(streams=1)
    with Batcher(engine).turn() as turn:
        assert turn.ask(Task.CLASSIFY, patches(1, 2, 3, 4)).result(5).logits.tolist() == [2, 4, 6, 8]

    assert engine.batches == [4, 2, 2]


def test_work_that_waits_is_known_in_seconds() -> None:
    engine = SumEngine(streams=1)
    batcher = Batcher(engine)
    assert batcher.backlog_s == 0
    with batcher.turn() as turn:
        turn.ask(Task.CLASSIFY, patches(1, 1, 1, 1)).result(5)
        engine.gate.clear()
        turn.ask(Task.CLASSIFY, patches(*[1] * 12))
        assert wait_until(lambda: engine.running == 1)

        assert batcher.backlog_s > 0
        engine.gate.set()


def test_a_batcher_that_is_closed_answers_whoever_waits() -> None:
    engine = SumEngine(streams=1)
    batcher = Batcher(engine)
    engine.gate.clear()
    with batcher.turn() as running, batcher.turn() as waiting:
        begun = running.ask(Task.CLASSIFY, patches(1))
        assert wait_until(lambda: engine.running == 1)
        waited = waiting.ask(Task.CLASSIFY, patches(2))
        batcher.close()
        engine.gate.set()

        assert begun.result(5).logits.tolist() == [2]
        with pytest.raises(EngineFailed, match=r"^The model was put away before the clip was read.$"):
            waited.result(5)


def test_threads_that_have_nothing_to_do_end_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher_module, "IDLE_S", 0.05)
    batcher = Batcher(SumEngine())

    def num_threads() -> int:
        return sum(thread.name == "engine" and thread.is_alive() for thread in threading.enumerate()) - before

    before = 0
    before = num_threads()
    for _ in range(2):
        with batcher.turn() as turn:
            assert turn.ask(Task.CLASSIFY, patches(1, 2, 3, 4)).result(5).logits.tolist() == [2, 4, 6, 8]
        assert wait_until(lambda: num_threads() <= 0)
        time.sleep(0.01)
