"""Jobs over HTTP: a clip is handed in, its progress is followed, its result fetched in every form, and it is removed."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from service.access.principal import Principal
from service.api import caller
from service.api.access import principal_of
from service.api.job_schemas import FeedbackSchema, JobProgress, JobSchema
from service.api.negotiation import Form, form_of, negotiate
from service.api.openapi import (
    DELETE_JOB_DOCUMENTATION,
    FEEDBACK_DOCUMENTATION,
    JOB_DOCUMENTATION,
    JOB_EVENTS_DOCUMENTATION,
    JOB_RESULT_DOCUMENTATION,
    JOBS_DOCUMENTATION,
)
from service.api.parameters import (
    OPTION_NAMES,
    AwaitedOption,
    ModelOption,
    RegionOption,
    RowsOption,
    SaliencyOption,
    ScaleOption,
    ScratchFolder,
    SignsOption,
    refuse_unknown_options,
)
from service.api.problems import Problem, problem_of_code, problem_response
from service.api.responses import response_of
from service.api.room import Answered, ReadingRoom
from service.api.upload import receive_clip
from service.cine.sniff import is_dicom
from service.errors import JobNotDone, SeashoreError, UnknownJob
from service.jobs.feedback import Feedback
from service.jobs.ledger import Entry, State
from service.jobs.office import JobOffice
from service.jobs.reading import FAILED, READ, REFUSED, Asked, kept_analysis
from service.options import parse_options, parse_switch
from service.pacs.instance_work import SKIPPED

EVENTS_EVERY_S = 0.3
"""How often a follower looks. A reading reports a few times a second."""
HEARTBEAT_S = 15.0
"""Proxies close a connection that says nothing for a minute."""

log = logging.getLogger(__name__)


def jobs_routes(room: ReadingRoom, office: JobOffice) -> APIRouter:
    router = APIRouter()
    _add_handing_in(router, room, office)
    _add_following(router, office)
    _add_answers(router, room, office)
    return router


def _add_handing_in(router: APIRouter, room: ReadingRoom, office: JobOffice) -> None:
    @router.post("/v1/jobs", operation_id="create_job", response_model=JobSchema, **JOBS_DOCUMENTATION)
    async def create(
        request: Request,
        folder: ScratchFolder,
        saliency: SaliencyOption = None,
        model: ModelOption = None,
        rows: RowsOption = None,
        region: RegionOption = None,
        mm_per_px: ScaleOption = None,
        signs: SignsOption = None,
        awaited: AwaitedOption = None,
    ) -> Response:
        refuse_unknown_options(request, (*OPTION_NAMES, "awaited"))
        is_awaited = parse_switch("awaited", awaited)
        entry = room.reader.find(model)
        asked = Asked(str(entry), parse_options(saliency, rows, region, mm_per_px, signs))
        await room.refuse_untold(asked.options.signs)
        await asyncio.to_thread(room.check_room)
        arrived = office.incoming / folder.name
        try:
            upload = await receive_clip(
                request, arrived, max_bytes=room.settings.max_upload_bytes, deadline_s=room.settings.upload_deadline_s
            )
            job = await asyncio.to_thread(
                partial(office.hand_in, upload.path, upload.sha256, entry, asked, principal_of(request).owner, is_awaited=is_awaited)
            )
        finally:
            arrived.unlink(missing_ok=True)
        room.metrics.count_request("job")
        log.info("job %s: %s", job.id, job.state)
        status = 200 if job.state is State.DONE else 202
        return Response(_schema(office, job).model_dump_json(), status, {"location": f"/v1/jobs/{job.id}"}, "application/json")


def _add_following(router: APIRouter, office: JobOffice) -> None:
    @router.get("/v1/jobs/{job}", operation_id="job", **JOB_DOCUMENTATION)
    async def show(job: str, request: Request) -> JobSchema:
        return _schema(office, await asyncio.to_thread(office.find, job, principal_of(request).owns))

    @router.delete("/v1/jobs/{job}", operation_id="delete_job", status_code=204, **DELETE_JOB_DOCUMENTATION)
    async def remove(job: str, request: Request) -> Response:
        await asyncio.to_thread(office.discard, job, principal_of(request).owns)
        log.info("job %s: deleted", job)
        return Response(status_code=204)

    @router.get("/v1/jobs/{job}/events", operation_id="job_events", response_class=StreamingResponse, **JOB_EVENTS_DOCUMENTATION)
    async def events(job: str, request: Request) -> StreamingResponse:
        first = await asyncio.to_thread(office.find, job, principal_of(request).owns)
        return StreamingResponse(_events(office, first), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _add_answers(router: APIRouter, room: ReadingRoom, office: JobOffice) -> None:
    @router.get("/v1/jobs/{job}/result", operation_id="job_result", **JOB_RESULT_DOCUMENTATION)
    async def result(job: str, request: Request, folder: ScratchFolder) -> Response:
        accept = request.headers.get("accept")
        negotiate(accept)
        wanted = await asyncio.to_thread(_finished, office, job, principal_of(request))
        if isinstance(wanted, Problem):
            return problem_response(wanted)
        return await _rendered(room, office.folder(job).clip, wanted, accept, folder)

    @router.post("/v1/jobs/{job}/feedback", operation_id="job_feedback", status_code=204, **FEEDBACK_DOCUMENTATION)
    async def feedback(job: str, request: Request, said: FeedbackSchema) -> Response:
        wanted = await asyncio.to_thread(_finished, office, job, principal_of(request))
        if isinstance(wanted, Problem):
            raise JobNotDone("The job has no answer to agree or disagree with.")
        feedback = Feedback(said.opinion, said.note, said.sign)
        await asyncio.to_thread(office.hear, job, wanted.asked, wanted.answered.analysis, feedback)
        return Response(status_code=204)


@dataclass(frozen=True, slots=True)
class _Finished:
    """A job whose clip was read."""

    job: str
    asked: Asked
    answered: Answered


def _finished(office: JobOffice, job: str, principal: Principal) -> _Finished | Problem:
    """The analysis, or the problem that the clip met. Raises: UnknownJob, JobNotDone, LedgerUnavailable."""
    entry = office.find(job, principal.owns)
    problem = _problem(entry)
    if problem is not None:
        return problem
    analysis = kept_analysis(office.folder(job)) if entry.state is not State.QUEUED else None
    if analysis is None and (entry.result or {}).get("outcome") == READ:
        raise _damaged(office, entry)
    if analysis is None:
        because = (entry.result or {}).get("detail")
        raise JobNotDone(because or f"The job is {entry.state}; GET /v1/jobs/{job} tells when it is done.")
    return _Finished(job, Asked.from_json(entry.arguments["asked"]), Answered(analysis, entry.ended_at or entry.asked_at))


def _damaged(office: JobOffice, entry: Entry) -> SeashoreError:
    """Of an answer that was written and cannot be read."""
    log.error("job %s: its kept answer is damaged or gone", entry.id)
    if office.read_again(entry):
        return JobNotDone("The kept answer of this job is damaged. Its clip is being read again.")
    return UnknownJob("The kept answer of this job is damaged and its clip is not here to be read again. Please send it once more.")


async def _rendered(room: ReadingRoom, clip: Path, wanted: _Finished, accept: str | None, folder: Path) -> Response:
    is_here = clip.exists()
    form = form_of(accept, lies_in_a_study=is_here and is_dicom(clip))
    if form is not Form.JSON and not is_here:
        raise UnknownJob("The clip of this job is not here any more: only its JSON answer is.")
    answer = await room.queue.run(partial(room.render, clip, wanted.answered, wanted.asked, form, folder), caller_leaves=caller.stays)
    return response_of(answer, form)


async def _events(office: JobOffice, first: Entry) -> AsyncIterator[str]:
    """Server-sent events: "progress" whenever something has changed, then one "done" or "failed", and the end."""
    said, silent_s = "", 0.0
    entry = first
    while True:
        schema = _schema(office, entry)
        text = schema.model_dump_json()
        if text != said:
            said, silent_s = text, 0.0
            yield f"event: {_event_name(schema)}\ndata: {text}\n\n"
        if _event_name(schema) != "progress":
            return
        await asyncio.sleep(EVENTS_EVERY_S)
        silent_s += EVENTS_EVERY_S
        if silent_s >= HEARTBEAT_S:
            silent_s = 0.0
            yield ": still here\n\n"
        found = await asyncio.to_thread(office.ledger.find, entry.id)
        if found is None:
            yield f"event: failed\ndata: {json.dumps({'id': entry.id, 'state': 'deleted'})}\n\n"
            return
        entry = found


def _event_name(schema: JobSchema) -> str:
    return "progress" if schema.state in ("queued", "running") else "done" if schema.state in ("done", "skipped") else "failed"


def _schema(office: JobOffice, entry: Entry) -> JobSchema:
    progress = office.board.progress(entry.id) if entry.state is State.RUNNING else None
    result = entry.result or {}
    problem = _problem(entry)
    return JobSchema(
        id=entry.id,
        state="failed" if problem else "skipped" if result.get("outcome") == SKIPPED else entry.state.value,
        progress=None if progress is None else JobProgress(share=progress[0], stage=progress[1]),
        model=entry.arguments["asked"]["model"],
        asked_at=entry.asked_at,
        ended_at=entry.ended_at,
        expires_at=None if entry.ended_at is None else entry.ended_at + timedelta(hours=office.keep_hours),
        verdict=result.get("verdict"),
        result=f"/v1/jobs/{entry.id}/result" if result.get("outcome") == READ else None,
        problem=problem,
    )


def _problem(entry: Entry) -> Problem | None:
    result = entry.result or {}
    if result.get("outcome") in (REFUSED, FAILED):
        return problem_of_code(result["code"], result["detail"])
    if entry.state is State.FAILED:
        return problem_of_code("internal_error", "The service stopped while it read this clip, again and again. Nothing more is tried.")
    return None
