"""A job's clip as pictures over HTTP: its frames, a JPEG each, and any line of them through time."""

import asyncio
import os
import re
import time
from functools import partial

import cv2
from fastapi import APIRouter, Request, Response, status
from fastapi.responses import FileResponse, JSONResponse

from service.access.principal import Principal
from service.api import caller
from service.api.access import principal_of
from service.api.job_schemas import FramesSchema
from service.api.openapi import FRAMES_DATA_DOCUMENTATION, FRAMES_DOCUMENTATION, MMODE_DOCUMENTATION
from service.api.parameters import LineEnd, LineStart, refuse_unknown_options
from service.api.problems import http_problem, problem_response
from service.api.queue import CallerGone, Stop
from service.api.renditions import Renditions
from service.api.room import ReadingRoom
from service.findings import Line
from service.jobs.folder import JobFolder
from service.jobs.office import JobOffice
from service.jobs.rendition import FRAMES, FRAMES_INDEX, note_use, require_clip, while_there
from service.options import parse_line

WAIT_S = 2.0
"""Longest that the index is waited for; then it is said how far the drawing is."""

_RANGE = re.compile(r"bytes=(?:(?P<first>\d{1,15})-(?P<last>\d{1,15})?|-(?P<count>\d{1,15}))")


def frames_routes(room: ReadingRoom, office: JobOffice) -> APIRouter:
    router = APIRouter()
    renditions = Renditions(room)

    @router.get("/v1/jobs/{job}/frames", operation_id="job_frames", response_model=FramesSchema, **FRAMES_DOCUMENTATION)
    async def frames(job: str, request: Request) -> Response:
        folder = await asyncio.to_thread(_folder, office, job, principal_of(request))
        share = await renditions.have(folder, WAIT_S)
        if share < 1:
            return JSONResponse({"share": round(share, 2)}, status.HTTP_202_ACCEPTED, {"retry-after": "1"})
        return Response(await asyncio.to_thread(_index, folder), media_type="application/json")

    @router.get("/v1/jobs/{job}/frames/data", operation_id="job_frames_data", response_class=Response, **FRAMES_DATA_DOCUMENTATION)
    async def data(job: str, request: Request) -> Response:
        folder = await asyncio.to_thread(_folder, office, job, principal_of(request))
        if await renditions.have(folder, room.settings.deadline_s) < 1:
            raise renditions.too_late()
        found = await asyncio.to_thread(_stat, folder)
        if not is_within(request.headers.get("range"), found.st_size):
            sentence = f"The frames have {found.st_size} bytes; Range asks for one run of them, 'bytes=FIRST-LAST'."
            return problem_response(http_problem("range_not_satisfiable", sentence), {"content-range": f"bytes */{found.st_size}"})
        return FileResponse(folder.file(FRAMES), media_type="application/octet-stream", stat_result=found)

    @router.get("/v1/jobs/{job}/mmode", operation_id="job_mmode", response_class=Response, **MMODE_DOCUMENTATION)
    async def mmode(job: str, request: Request, start: LineStart = None, end: LineEnd = None) -> Response:
        refuse_unknown_options(request, ("from", "to"))
        line = parse_line(start, end)
        folder = await asyncio.to_thread(_folder, office, job, principal_of(request))
        try:
            png = await room.queue.run(partial(_mmode, room, folder, line), caller_leaves=partial(caller.leaves, request))
        except CallerGone:  # as often as the line is drawn anew before its picture is there
            return caller.gone()
        return Response(png, media_type="image/png")

    return router


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


def _folder(office: JobOffice, job: str, principal: Principal) -> JobFolder:
    """Of a job whose clip is there, in whatever state it is. Raises: UnknownJob, LedgerUnavailable."""
    folder = office.folder(office.find(job, principal.owns).id)
    require_clip(folder)
    return folder


def _index(folder: JobFolder) -> bytes:
    with while_there(folder):
        note_use(folder)
        return folder.file(FRAMES_INDEX).read_bytes()


def _stat(folder: JobFolder) -> os.stat_result:
    with while_there(folder):
        note_use(folder)
        return folder.file(FRAMES).stat()


def _mmode(room: ReadingRoom, folder: JobFolder, line: Line, stop: Stop) -> bytes:
    """Runs in a thread."""
    start_s = time.monotonic()
    with while_there(folder):
        strip = room.reader.mmode(room.reader.open(folder.clip, unhurried=True), line, stop.check)
    _, png = cv2.imencode(".png", strip)
    room.metrics.observe_stage("mmode", time.monotonic() - start_s)
    return png.tobytes()
