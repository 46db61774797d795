"""The OpenAPI document. `python -m service.api.openapi [PATH]` writes it; a test fails when the written one has drifted."""

import json
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service import errors
from service.api.job_schemas import DrawingSchema
from service.api.problems import HTTP_KINDS, KINDS, MEDIA_TYPE, Problem
from service.api.rules import SENDING, scopes_for
from service.api.schemas import AnswerSchema
from service.errors import SeashoreError

DESCRIPTION = """\
Send a lung-ultrasound clip, get back whether the lung slides: a calibrated probability, the evidence for it in pixels of
the clip's own frame, and an honest "not assessable". Decision support for trained clinicians; not for diagnosis.

Errors are `application/problem+json` with a stable `code`. A clip that is fine but too short, still, or without a pleura
is no error: it is answered 200 with the verdict `not_assessable` and the reasons.
"""

_KEYS = "A key (`seashore keys add`) or a token of the hospital's sign-on. Where none was ever made, none is needed: loopback only."
_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
_VALIDATION = "HTTPValidationError"
_ACCESS = (errors.Unauthenticated, errors.Forbidden, errors.SignOnFailed, errors.BadKeys)
_CLIP_BYTES = {"type": "string", "format": "binary"}

_OTHER_FORMS = {
    media_type: {"schema": _CLIP_BYTES} for media_type in ("video/mp4", "application/pdf", "application/x-npz", "application/dicom")
}


def _problem_responses(*kinds: type[SeashoreError]) -> dict[int | str, dict[str, Any]]:
    """One response a status, listing the codes it comes with."""
    by_status: dict[int, list[type[SeashoreError]]] = {}
    for kind in kinds:
        by_status.setdefault(KINDS[kind].status, []).append(kind)
    return {
        status: {
            "description": "; ".join(f"`{kind.code}`: {KINDS[kind].title}" for kind in same),
            "content": {MEDIA_TYPE: {"schema": _PROBLEM_REF}},
        }
        for status, same in sorted(by_status.items())
    }


def _http_problem_responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Of problems of HTTP itself."""
    return {
        HTTP_KINDS[code].status: {"description": f"`{code}`: {HTTP_KINDS[code].title}", "content": {MEDIA_TYPE: {"schema": _PROBLEM_REF}}}
        for code in codes
    }


_CLIP_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "required": ["clip"], "properties": {"clip": _CLIP_BYTES}}},
            "application/octet-stream": {"schema": _CLIP_BYTES},
        },
    }
}

_DECODING = (
    *(errors.UnsupportedFormat, errors.NoVideo, errors.UnreadableClip, errors.WrongModality),
    *(errors.FrameTooLarge, errors.FrameTooSmall, errors.ClipTooLong),
)
"""What can be wrong with a clip that has arrived."""
_TURN = (errors.Overloaded, errors.Stopping, errors.DeadlineExceeded, errors.EngineFailed)
"""What can come between a clip and its turn at the device."""
_ASKED = (errors.EmptyUpload, errors.UploadTooLarge, errors.BadOption, errors.UnknownModel, errors.BadBundle)

PREDICT_DOCUMENTATION: dict[str, Any] = {
    "summary": "Does the lung slide in this clip?",
    "description": (
        "The clip is the multipart field `clip`, or the body itself. MP4, AVI, MOV, MKV, WebM, MPEG, GIF or multi-frame "
        "ultrasound DICOM; told from the content, never from the name or the declared type."
    ),
    "response_description": "The answer. `probability` is the probability that sliding is PRESENT.",
    "responses": {
        200: {"content": _OTHER_FORMS},
        **_problem_responses(*_ASKED, errors.NotAcceptable, *_DECODING, *_TURN, errors.NoRoom),
    },
    "openapi_extra": _CLIP_BODY,
}

JOBS_DOCUMENTATION: dict[str, Any] = {
    "summary": "Hand in a clip to be read later",
    "description": (
        "As /v1/predict, but no connection waits: longer clips are taken, and the work survives a restart. The same clip with the same "
        "options and model is the same job. `Location` is where it can be followed. Clip and result are removed when their time is over."
    ),
    "status_code": 202,
    "response_description": "Taken on; 200 when it is done already.",
    "responses": {
        200: {"description": "It is done already."},
        **_problem_responses(*_ASKED, errors.UnreadableClip, errors.DeadlineExceeded, errors.LedgerUnavailable, errors.NoRoom),
    },
    "openapi_extra": _CLIP_BODY,
}
_JOB_PROBLEMS = _problem_responses(errors.UnknownJob, errors.LedgerUnavailable)
JOB_DOCUMENTATION: dict[str, Any] = {"summary": "Where a job stands", "responses": _JOB_PROBLEMS}
DELETE_JOB_DOCUMENTATION: dict[str, Any] = {
    "summary": "Stop a job and remove all that was kept of it",
    "responses": _problem_responses(errors.UnknownJob, errors.LedgerUnavailable, errors.NoRoom),
}
FEEDBACK_DOCUMENTATION: dict[str, Any] = {
    "summary": "Agree, disagree or unsure, with a note",
    "responses": _problem_responses(errors.UnknownJob, errors.JobNotDone, errors.BadOption, errors.LedgerUnavailable, errors.NoRoom),
}
_EVENT = {
    "type": "object",
    "description": "One event.",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["progress", "done", "failed"]},
        "data": {"type": "string", "contentMediaType": "application/json", "description": "The job, or of one that was deleted its id."},
    },
}
JOB_EVENTS_DOCUMENTATION: dict[str, Any] = {
    "summary": "Follow a job (server-sent events)",
    "description": "`progress` whenever something has changed, then `done` or `failed`, and the end. The data are the job's own JSON.",
    "responses": {200: {"content": {"text/event-stream": {"schema": _EVENT}}}, **_JOB_PROBLEMS},
}
JOB_RESULT_DOCUMENTATION: dict[str, Any] = {
    "summary": "The answer of a job, in every form that /v1/predict gives",
    "response_model": AnswerSchema,
    "responses": {
        200: {
            "content": dict.fromkeys(("video/mp4", "application/pdf", "application/x-npz", "application/dicom"), {"schema": _CLIP_BYTES})
        },
        **_problem_responses(
            *(errors.UnknownJob, errors.UnknownModel, errors.JobNotDone, errors.NotAcceptable, errors.BadOption),
            *(*_DECODING, *_TURN, errors.LedgerUnavailable, errors.BadBundle, errors.NoRoom),
        ),
        **_http_problem_responses("internal_error"),  # kept of a job that met a bug
    },
}

_DRAWING = (errors.UnknownJob, errors.LedgerUnavailable, *_TURN, *_DECODING)
"""What can go wrong when a job's clip is decoded once more."""
FRAMES_DOCUMENTATION: dict[str, Any] = {
    "summary": "Every frame of a job's clip: when it is shown, and where its JPEG lies in `frames/data`",
    "description": (
        "Of the clip as it was sent, in its own size and colours, frame by frame: no browser need know its format. There as soon as the "
        "job is, in whatever state. Drawn when first asked for; while that goes on it is said how far it is (202): ask again."
    ),
    "responses": {
        202: {"model": DrawingSchema, "description": "They are being drawn."},
        **_problem_responses(*_DRAWING, errors.NoRoom),
    },
}
FRAMES_DATA_DOCUMENTATION: dict[str, Any] = {
    "summary": "The JPEGs of all frames, one after the other",
    "description": "Range asks for some of them: the index says which bytes are which frame.",
    "responses": {
        200: {"content": {"application/octet-stream": {"schema": _CLIP_BYTES}}, "description": "All of them."},
        206: {"content": {"application/octet-stream": {"schema": _CLIP_BYTES}}, "description": "The bytes that Range asks for."},
        **_http_problem_responses("range_not_satisfiable"),
        **_problem_responses(*_DRAWING, errors.NoRoom),
    },
}
MMODE_DOCUMENTATION: dict[str, Any] = {
    "summary": "A line of a job's clip through time (M-mode)",
    "description": "Grey, 8 bits: a column a frame, a row a pixel along the line. Black where the line leaves the frame.",
    "responses": {
        200: {"content": {"image/png": {"schema": _CLIP_BYTES}}, "description": "The M-mode."},
        **_problem_responses(errors.BadOption, *_DRAWING),
    },
}

SESSION_DOCUMENTATION: dict[str, Any] = {
    "summary": "Who asks?",
    "responses": _problem_responses(errors.Unauthenticated, errors.SignOnFailed, errors.BadKeys),
}
SIGN_IN_DOCUMENTATION: dict[str, Any] = {
    "summary": "Sign in on the page: a key for a cookie",
    "responses": _problem_responses(errors.Unauthenticated, errors.BadOption, errors.BadKeys),
}

STORE_PROBLEMS = _problem_responses(
    *(errors.EmptyUpload, errors.UploadTooLarge, errors.UnsupportedFormat, errors.UnreadableClip, errors.BadOption, errors.DeadlineExceeded)
)
ANALYSE_DOCUMENTATION: dict[str, Any] = {
    "summary": "Fetch clips from the archive and read them",
    "responses": _problem_responses(
        *(errors.NoSuchClips, errors.BadOption, errors.Overloaded, errors.NoArchive, errors.ArchiveFailed),
        *(errors.LedgerUnavailable, errors.BadBundle, errors.NoRoom),
    ),
}
QUEUE_DOCUMENTATION: dict[str, Any] = {
    "summary": "What came, and what waits for whom",
    "responses": _problem_responses(errors.LedgerUnavailable),
}
RETRY_DOCUMENTATION: dict[str, Any] = {
    "summary": "Send a dead letter again; try what waits now",
    "responses": _problem_responses(errors.UnknownJob, errors.LedgerUnavailable, errors.NoRoom),
}


def _not_well(*codes: str) -> dict[int | str, dict[str, Any]]:
    said = ", ".join(f"`{code}`" for code in codes)
    return {503: {"description": f"{said}: `detail` says what is wrong.", "content": {MEDIA_TYPE: {"schema": _PROBLEM_REF}}}}


ALIVE_DOCUMENTATION: dict[str, Any] = {
    "summary": "Is the process alive?",
    "description": "503 when it is stuck and only a restart helps. A process whose event loop hangs does not answer at all.",
    "responses": _not_well("loop_stuck", "engine_stuck"),
}
READY_DOCUMENTATION: dict[str, Any] = {
    "summary": "Would a clip that is sent now be read?",
    "description": "503 until the model is loaded, checked and warm, and whenever what reading or keeping a clip needs is missing.",
    "responses": _not_well(
        *("starting", "stopping", "bad_bundle", "engine_failed", "engine_stuck", "loop_stuck"),
        *("no_room", "ledger_unavailable", "disk_unreadable", "no_answer", "bad_site", "internal_error"),
    ),
}


def document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 of the whole service."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            license_info=app.license_info,
            routes=app.routes,
        )
        schemas = schema["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        schema["components"]["schemas"] = dict(sorted(schemas.items()))
        schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": _KEYS}}
        _say_what_is_refused(schema)
        _say_who_may(schema)
        app.openapi_schema = schema
    return app.openapi_schema


def _say_what_is_refused(schema: dict[str, Any]) -> None:
    """FastAPI says of every address with a parameter that it may be refused, in a form of its own; here texts are taken as they come."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            if _VALIDATION in json.dumps(operation["responses"].get("422")):
                del operation["responses"]["422"]
    for name in (_VALIDATION, "ValidationError"):
        schema["components"]["schemas"].pop(name, None)


def _say_who_may(schema: dict[str, Any]) -> None:
    """Of every address that is not for everybody: the scopes, and how those are refused who have none or ask too much."""
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            scopes = scopes_for(method.upper(), path)
            if not scopes:
                continue
            operation["security"] = [{"key": []}, {}]
            operation["x-scopes"] = sorted(scopes)
            kinds = (*_ACCESS, errors.Overloaded) if scopes == SENDING else _ACCESS
            for status, refusal in _problem_responses(*kinds).items():
                _add_refusal(operation["responses"].setdefault(str(status), refusal), refusal)


def _add_refusal(known: dict[str, Any], refusal: dict[str, Any]) -> None:
    known["content"] = refusal["content"] | known.get("content", {})
    known["description"] = "; ".join(dict.fromkeys([*known["description"].split("; "), *refusal["description"].split("; ")]))


def written() -> str:
    """The document as it is kept in the repository: of a service with all there is, jobs and PACS too."""
    from service.api.app import create_app  # app imports this module: the document is a view of it
    from service.reader import ClipReader
    from service.settings import Settings

    with NamedTemporaryFile(suffix=".toml") as site:
        settings = Settings(site=Path(site.name))
        return json.dumps(create_app(settings, ClipReader(settings)).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "openapi/openapi.json").write_text(written(), encoding="utf-8")
