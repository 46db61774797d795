"""The engines of a cluster, as one clip sees them."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from service.engine.base import Task
from service.engine.turn import Answer, Lane
from service.reading import Wanted
from service.remote.device import RemoteDevice
from service.remote.engine_desk import ClipWork
from tests.remote.beside import ENTRY, patches


class Engines:
    """Answer in turn on these devices; with none left, never. `works` lists what was asked for."""

    def __init__(self, *devices: str) -> None:
        self.devices = list(devices)
        self.works: list[ClipWork] = []
        self.dropped = threading.Event()

    def call(self, method: str, *arguments: Any, wanted: Wanted) -> Any:
        assert method == "ask"
        work, _, patches_ = arguments
        self.works.append(work)
        try:
            while not self.devices:
                wanted()
        except CancelledError:
            self.dropped.set()
            raise
        return Answer(np.zeros(len(patches_), np.float32), None, 0.0), self.devices.pop(0)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def device(engines: Engines, threads: ThreadPoolExecutor) -> RemoteDevice:
    return RemoteDevice(engines, threads, ENTRY, "0" * 64, "cpu (OpenVINO)")


def test_a_clip_names_every_device_it_was_read_on(threads: ThreadPoolExecutor) -> None:
    model = device(Engines("cuda:0 (ONNX Runtime)", "cpu (OpenVINO)", "cuda:0 (ONNX Runtime)"), threads)
    clip = model.for_clip()
    with clip.turn() as turn:
        for _ in range(3):
            turn.ask(Task.CLASSIFY, patches(1)).result(5)

    assert clip.device == "cpu (OpenVINO) and cuda:0 (ONNX Runtime)"
    assert model.for_clip().device == "cpu (OpenVINO)"


def test_all_patches_of_a_clip_come_under_one_name_and_lane(threads: ThreadPoolExecutor) -> None:
    engines = Engines(*["cpu"] * 3)
    with device(engines, threads).turn(Lane.BACKGROUND) as turn:
        for _ in range(2):
            turn.ask(Task.CLASSIFY, patches(1)).result(5)
    with device(engines, threads).turn() as turn:
        turn.ask(Task.CLASSIFY, patches(1)).result(5)

    first, second, other = engines.works
    assert first == second
    assert first.lane is Lane.BACKGROUND
    assert other.clip != first.clip


def test_a_clip_that_is_left_asks_no_longer(threads: ThreadPoolExecutor) -> None:
    engines = Engines()
    with device(engines, threads).turn() as turn:
        asked = turn.ask(Task.CLASSIFY, patches(1))

    with pytest.raises(CancelledError):
        asked.result(5)
    assert engines.dropped.wait(5)


def test_no_patches_are_answered_without_an_engine(threads: ThreadPoolExecutor) -> None:
    with device(Engines(), threads).turn() as turn:
        classified = turn.ask(Task.CLASSIFY, patches()).result(0)
        explained = turn.ask(Task.EXPLAIN, patches().astype(np.float32)).result(0)

    assert len(classified.logits) == 0
    assert explained.gradients is not None
    assert explained.gradients.shape == (0, 1, 1, 1, 2)
