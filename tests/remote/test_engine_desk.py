"""Patches of many readers' clips at one engine of a cluster."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from service.engine.base import Task
from service.engine.turn import Lane
from service.errors import EngineFailed
from service.remote import engine_desk
from service.remote.calls import RemoteBug, answer_of
from service.remote.engine_desk import ClipWork, EngineDesk
from service.settings import Settings
from tests.fakes.inputs import loaded_model
from tests.remote.beside import ENTRY, GatedEngine, patches

WORK = ClipWork(ENTRY, "0" * 64, "clip A", Lane.INTERACTIVE)
OTHER = replace(WORK, clip="clip B")


@pytest.fixture
def engine() -> GatedEngine:
    return GatedEngine()


@pytest.fixture
def desk(engine: GatedEngine) -> EngineDesk:
    model = loaded_model(engine)
    return EngineDesk(Settings(), lambda folder: model)


async def until(is_so: object) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # type: ignore[operator]
            await asyncio.sleep(0.001)


async def begun(engine: GatedEngine, desk: EngineDesk) -> asyncio.Task[object]:
    """The engine busy with a patch of a third clip, until its gate is opened."""
    engine.gate.clear()
    task = asyncio.create_task(desk.ask(replace(WORK, clip="clip 0"), Task.CLASSIFY, patches(9)))
    await until(lambda: engine.batches)
    return task


def test_patches_are_answered_with_the_device_they_were_classified_on(desk: EngineDesk) -> None:
    answer, device = asyncio.run(desk.ask(WORK, Task.CLASSIFY, patches(1, 2, 3)))

    assert answer.logits.tolist() == [2, 4, 6]
    assert device == "cpu (fake)"


def test_patches_of_two_clips_share_a_batch(engine: GatedEngine, desk: EngineDesk) -> None:
    async def both() -> None:
        await begun(engine, desk)
        asks = [asyncio.create_task(desk.ask(work, Task.CLASSIFY, patches(k))) for k, work in enumerate((WORK, OTHER))]
        await asyncio.sleep(0.1)
        engine.gate.set()
        await asyncio.gather(*asks)

    asyncio.run(both())

    assert engine.batches == [[9], [0, 1]]


def test_the_background_lane_waits_for_the_interactive_one(engine: GatedEngine, desk: EngineDesk) -> None:
    async def both() -> None:
        await begun(engine, desk)
        job = asyncio.create_task(desk.ask(replace(OTHER, lane=Lane.BACKGROUND), Task.CLASSIFY, patches(5)))
        await asyncio.sleep(0.1)
        bedside = asyncio.create_task(desk.ask(WORK, Task.CLASSIFY, patches(1)))
        await asyncio.sleep(0.1)
        engine.gate.set()
        await asyncio.gather(job, bedside)

    asyncio.run(both())

    assert engine.batches == [[9], [1], [5]]


def test_a_clip_whose_caller_has_left_is_out_before_the_next_batch(engine: GatedEngine, desk: EngineDesk) -> None:
    async def leave() -> None:
        first = await begun(engine, desk)
        windows = [asyncio.create_task(desk.ask(WORK, Task.CLASSIFY, patches(k, k))) for k in (1, 2)]
        await asyncio.sleep(0.1)
        windows[0].cancel()
        await asyncio.gather(*windows, return_exceptions=True)
        assert all(window.cancelled() for window in windows)
        engine.gate.set()
        await first
        await desk.ask(OTHER, Task.CLASSIFY, patches(7))

    asyncio.run(leave())

    assert engine.batches == [[9], [7]]


def test_a_clip_keeps_its_place_from_one_window_to_the_next(desk: EngineDesk) -> None:
    async def two_windows() -> int:
        for _ in range(2):
            await desk.ask(WORK, Task.CLASSIFY, patches(1))
        await desk.ask(OTHER, Task.CLASSIFY, patches(1))
        return len(desk._turns)

    assert asyncio.run(two_windows()) == 2


def test_only_so_many_places_are_remembered(desk: EngineDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_desk, "MAX_TURNS", 2)

    async def three_clips() -> int:
        for clip in "ABC":
            await desk.ask(replace(WORK, clip=clip), Task.CLASSIFY, patches(1))
        return len(desk._turns)

    assert asyncio.run(three_clips()) == 2


def test_patches_cut_for_another_model_are_not_classified(engine: GatedEngine, desk: EngineDesk) -> None:
    reply = asyncio.run(desk.ask(replace(WORK, sha256="f" * 64), Task.CLASSIFY, patches(1)))

    with pytest.raises(EngineFailed, match=r"The readers and the engines .* hold different models linear:0.0.1; they must be the same\."):
        answer_of(reply)
    assert engine.batches == []


def test_a_bug_comes_back_without_its_message(engine: GatedEngine, desk: EngineDesk) -> None:
    engine.bug = ValueError("Doe^Jane")

    with pytest.raises(RemoteBug, match="ValueError in logits") as bug:
        answer_of(asyncio.run(desk.ask(WORK, Task.CLASSIFY, patches(1))))

    assert "Doe" not in str(bug.value)


def test_the_default_model_is_loaded_before_anybody_asks() -> None:
    loaded: list[Path] = []
    model = loaded_model(GatedEngine())
    EngineDesk(Settings(), lambda folder: loaded.append(folder) or model).warm_up()

    assert [folder.parent.parent for folder in loaded] == [Settings().model_store]
