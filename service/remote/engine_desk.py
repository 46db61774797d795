"""The engine's side: patches of many readers' clips go through one `Batcher`, as those of one process do."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.engine.base import Grey, Task
from service.engine.turn import Answer, Lane, Turn
from service.errors import EngineFailed
from service.model import LoadedModel
from service.remote.calls import reply
from service.remote.shelf import PatientShelf
from service.settings import Settings
from service.shelf import ModelEntry

MAX_TURNS = 512
"""Clips whose place in the line is remembered. A clip that has been forgotten begins again as if it had just come."""


@dataclass(frozen=True, slots=True)
class ClipWork:
    """Whose patches these are: one clip, read with one model."""

    entry: ModelEntry
    sha256: str
    """Of the reader's bundle. Patches cut for one model are never shown to another."""
    clip: str
    """The same for all patches of one clip, and for no other clip."""
    lane: Lane


class EngineDesk:
    """Holds the models on one device. Its methods may be cancelled: the clip they were asked for then leaves the line."""

    def __init__(self, settings: Settings, load: Callable[[Path], LoadedModel]) -> None:
        self._shelf = PatientShelf(settings, load)
        self._turns: OrderedDict[tuple[str, str], Turn] = OrderedDict()

    def warm_up(self) -> None:
        """Have the default model ready. What is wrong with it is told to whoever asks for it."""
        self._shelf.warm_up()

    async def device(self, entry: ModelEntry) -> Any:
        """Replies the sha256 of the model and the device it is on."""
        return await reply(self._device(entry))

    async def ask(self, work: ClipWork, task: Task, patches: Grey) -> Any:
        """Replies the Answer and the device that gave it."""
        return await reply(self._ask(work, task, patches))

    async def _device(self, entry: ModelEntry) -> tuple[str, str]:
        model = await asyncio.to_thread(self._shelf.get, entry)
        return model.bundle.sha256, model.engine.device

    async def _ask(self, work: ClipWork, task: Task, patches: Grey) -> tuple[Answer, str]:
        model = await asyncio.to_thread(self._shelf.get, work.entry)
        if model.bundle.sha256 != work.sha256:
            raise EngineFailed(f"The readers and the engines of the cluster hold different models {work.entry}; they must be the same.")
        try:
            answer = await asyncio.wrap_future(self._turn(work, model).ask(task, patches))
        except asyncio.CancelledError:
            self._leave(work)  # whoever asked has left, and wants nothing else of this clip either
            raise
        return answer, model.engine.device

    def _turn(self, work: ClipWork, model: LoadedModel) -> Turn:
        turn = self._turns.pop((work.sha256, work.clip), None) or model.engine.turn(work.lane)
        self._turns[work.sha256, work.clip] = turn
        if len(self._turns) > MAX_TURNS:
            self._turns.popitem(last=False)
        return turn

    def _leave(self, work: ClipWork) -> None:
        if turn := self._turns.pop((work.sha256, work.clip), None):
            turn.__exit__(None, None, None)
