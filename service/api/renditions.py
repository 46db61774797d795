"""The frames of jobs' clips, drawn for whoever looks at them: once, however many ask."""

import asyncio
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from service.api import caller
from service.api.queue import Stop
from service.api.room import ReadingRoom
from service.errors import DeadlineExceeded, SeashoreError
from service.jobs.folder import JobFolder
from service.jobs.rendition import forget_others, is_rendered, keep_rendition

RETRY_AFTER_S = 5
"""What is told to whoever waited for frames in vain; they are drawn all the same."""


@dataclass(slots=True)
class Drawing:
    """Of one clip, under way."""

    ended: Future[None] = field(default_factory=Future)
    """However it did; cancelled where it never began."""
    share: float = 0.0
    refused: SeashoreError | None = None
    """Why it never began."""


class Renditions:
    """All but the drawing itself is done on the loop."""

    def __init__(self, room: ReadingRoom) -> None:
        self._room = room
        self._under_way: dict[JobFolder, Drawing] = {}
        self._admissions: set[asyncio.Task[None]] = set()

    async def have(self, folder: JobFolder, wait_s: float) -> float:
        """How much of the frames is drawn, 0..1, at the latest after `wait_s`; at 1 they are all there. What was begun goes on.

        Raises: UnknownJob, RequestError, EngineFailed; Overloaded, Stopping; DeadlineExceeded when the drawing took too long.
        """
        if await asyncio.to_thread(is_rendered, folder):
            return 1.0
        drawing = self._under_way.get(folder) or self._begin(folder)
        drawn = asyncio.wrap_future(drawing.ended)
        drawn.add_done_callback(_hear)
        ended, _ = await asyncio.wait([drawn], timeout=wait_s)
        if not ended:
            return min(drawing.share, 0.99)
        if drawing.refused is not None:
            raise drawing.refused
        drawing.ended.result()
        return 1.0

    def too_late(self) -> DeadlineExceeded:
        sentence = f"The frames were not drawn within {self._room.settings.deadline_s:g} s. It goes on: ask again in {RETRY_AFTER_S} s."
        return DeadlineExceeded(sentence, retry_after_s=RETRY_AFTER_S)

    def _begin(self, folder: JobFolder) -> Drawing:
        drawing = self._under_way[folder] = Drawing()
        drawing.ended.add_done_callback(lambda _: self._under_way.pop(folder))
        admission = asyncio.ensure_future(self._admit(drawing, folder))
        self._admissions.add(admission)  # the loop itself holds tasks weakly
        admission.add_done_callback(self._admissions.discard)
        return drawing

    async def _admit(self, drawing: Drawing, folder: JobFolder) -> None:
        """It takes one place in the queue; those who wait for it take none, so that many who ask for one clip keep nobody else out."""
        try:
            await self._room.queue.run(partial(self._draw, drawing, folder), caller_leaves=caller.stays)
        except SeashoreError as error:
            drawing.refused = error
            if not drawing.ended.cancel():
                drawing.refused = None  # it has begun: how it ends is told by itself

    def _draw(self, drawing: Drawing, folder: JobFolder, stop: Stop) -> None:
        """Runs in a thread; to its end, though nobody waits any more, for whoever asks again wants what is done so far."""
        if not drawing.ended.set_running_or_notify_cancel():
            return
        start_s, settings = time.monotonic(), self._room.settings

        def tell(share: float, stage: str) -> None:
            drawing.share = share
            stop.note(share)
            if time.monotonic() - start_s > settings.max_job_seconds:  # a decoder that stands still
                raise self.too_late()

        try:
            keep_rendition(self._room.reader, folder, tell)
            forget_others(folder, settings.max_frames_bytes)
        except BaseException as error:
            drawing.ended.set_exception(error)
        else:
            self._room.metrics.observe_stage("frames", time.monotonic() - start_s)
            drawing.ended.set_result(None)


def _hear(drawn: asyncio.Future[None]) -> None:
    """How it ended, for whoever waits no more: asyncio logs what nobody has heard."""
    if not drawn.cancelled():
        drawn.exception()
