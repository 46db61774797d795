"""A job's clip as pictures over HTTP: its frames, a JPEG each, and any line of them through time."""

import asyncio
import os
import re
import time
from concurrent.futures import Future
from functools import partial

import cv2
from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from service.api import caller
from service.api.job_schemas import FramesSchema
from service.api.openapi import FRAMES_DATA_DOCUMENTATION, FRAMES_DOCUMENTATION, MMODE_DOCUMENTATION
from service.api.parameters import LineEnd, LineStart, refuse_unknown_options
from service.api.problems import http_problem, problem_response
from service.api.queue import CallerGone, Stop
from service.api.room import ReadingRoom
from service.errors import DeadlineExceeded
from service.findings import Line
from service.jobs.folder import JobFolder
from service.jobs.office import JobOffice
from service.jobs.rendition import FRAMES, FRAMES_INDEX, is_rendered, keep_rendition, require_clip, while_there
from service.options import parse_line

RETRY_AFTER_S = 5
"""What is told to whoever waited for frames in vain; they are drawn all the same."""

_RANGE = re.compile(r"bytes=(?:(?P<first>\d{1,15})-(?P<last>\d{1,15})?|-(?P<count>\d{1,15}))")


def frames_routes(room: ReadingRoom, office: JobOffice) -> APIRouter:
    router = APIRouter()
    renditions = Renditions(room)

    @router.get("/v1/jobs/{job}/frames", operation_id="job_frames", response_model=FramesSchema, **FRAMES_DOCUMENTATION)
    async def frames(job: str) -> Response:
        folder = await asyncio.to_thread(_folder, office, job)
        await renditions.have(folder)
        return Response(await asyncio.to_thread(_index, folder), media_type="application/json")

    @router.get("/v1/jobs/{job}/frames/data", operation_id="job_frames_data", response_class=Response, **FRAMES_DATA_DOCUMENTATION)
    async def data(job: str, request: Request) -> Response:
        folder = await asyncio.to_thread(_folder, office, job)
        await renditions.have(folder)
        found = await asyncio.to_thread(_stat, folder)
        if not is_within(request.headers.get("range"), found.st_size):
            sentence = f"The frames have {found.st_size} bytes; Range asks for one run of them, 'bytes=FIRST-LAST'."
            return problem_response(http_problem("range_not_satisfiable", sentence), {"content-range": f"bytes */{found.st_size}"})
        return FileResponse(folder.file(FRAMES), media_type="application/octet-stream", stat_result=found)

    @router.get("/v1/jobs/{job}/mmode", operation_id="job_mmode", response_class=Response, **MMODE_DOCUMENTATION)
    async def mmode(job: str, request: Request, start: LineStart = None, end: LineEnd = None) -> Response:
        refuse_unknown_options(request, ("from", "to"))
        line = parse_line(start, end)
        folder = await asyncio.to_thread(_folder, office, job)
        try:
            png = await room.queue.run(partial(_mmode, room, folder, line), caller_leaves=partial(caller.leaves, request))
        except CallerGone:  # as often as the line is drawn anew before its picture is there
            return caller.gone()
        return Response(png, media_type="image/png")

    return router


class Renditions:
    """Has the frames of a job drawn, once, however many ask for them. All but the drawing itself is done on the loop."""

    def __init__(self, room: ReadingRoom) -> None:
        self._room = room
        self._under_way: dict[JobFolder, Future[None]] = {}
        """Each done when the drawing has ended, however it ended."""

    async def have(self, folder: JobFolder) -> None:
        """Returns when the frames are there.

        Raises: UnknownJob, RequestError, EngineFailed; Overloaded, Stopping; DeadlineExceeded, and what was begun goes on.
        """
        while not await asyncio.to_thread(is_rendered, folder):
            under_way = self._under_way.get(folder)
            await (self._begin(folder) if under_way is None else self._wait_for(under_way))

    async def _begin(self, folder: JobFolder) -> None:
        drawing = self._under_way[folder] = Future[None]()
        drawing.add_done_callback(lambda _: self._under_way.pop(folder))
        try:
            await self._room.queue.run(partial(self._draw, drawing, folder), caller_leaves=caller.stays)
        except DeadlineExceeded:
            raise self._too_late() from None
        finally:
            drawing.cancel()  # which it is only where it has not begun

    async def _wait_for(self, drawing: Future[None]) -> None:
        """It takes no place in the queue, so that many who ask for one clip keep nobody else out."""
        ended, _ = await asyncio.wait([asyncio.wrap_future(drawing)], timeout=self._room.settings.deadline_s)
        if not ended:
            raise self._too_late()

    def _draw(self, drawing: Future[None], folder: JobFolder, stop: Stop) -> None:
        """Runs in a thread; to its end, though nobody waits any more, for whoever asks again wants what is done so far."""
        if not drawing.set_running_or_notify_cancel():
            return
        start_s = time.monotonic()

        def tell(share: float, stage: str) -> None:
            stop.note(share)
            if time.monotonic() - start_s > self._room.settings.max_job_seconds:  # a decoder that stands still
                raise self._too_late()

        try:
            keep_rendition(self._room.reader, folder, tell)
            self._room.metrics.observe_stage("frames", time.monotonic() - start_s)
        finally:
            drawing.set_result(None)

    def _too_late(self) -> DeadlineExceeded:
        sentence = f"The frames were not drawn within {self._room.settings.deadline_s:g} s. It goes on: ask again in {RETRY_AFTER_S} s."
        return DeadlineExceeded(sentence, retry_after_s=RETRY_AFTER_S)


def is_within(asked: str | None, num_bytes: int) -> bool:
    """Whether a Range header asks for one run of bytes, and some of it is there (RFC 9110 section 14.1.2)."""
    if asked is None:
        return True
    match = _RANGE.fullmatch(asked.replace(" ", ""))
    if match is None:
        return False
    if match["count"] is not None:
        return int(match["count"]) > 0
    return int(match["first"]) < num_bytes and (match["last"] is None or int(match["first"]) <= int(match["last"]))


def _folder(office: JobOffice, job: str) -> JobFolder:
    """Of a job whose clip is there, in whatever state it is. Raises: UnknownJob, LedgerUnavailable."""
    folder = office.folder(office.find(job).id)
    require_clip(folder)
    return folder


def _index(folder: JobFolder) -> bytes:
    with while_there(folder):
        return folder.file(FRAMES_INDEX).read_bytes()


def _stat(folder: JobFolder) -> os.stat_result:
    with while_there(folder):
        return folder.file(FRAMES).stat()


def _mmode(room: ReadingRoom, folder: JobFolder, line: Line, stop: Stop) -> bytes:
    """Runs in a thread."""
    start_s = time.monotonic()
    with while_there(folder):
        strip = room.reader.mmode(room.reader.open(folder.clip, unhurried=True), line, stop.check)
    _, png = cv2.imencode(".png", strip)
    room.metrics.observe_stage("mmode", time.monotonic() - start_s)
    return png.tobytes()
