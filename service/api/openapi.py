"""The OpenAPI document. `python -m service.api.openapi [PATH]` writes it; a test fails when the written one has drifted."""

import json
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service import errors
from service.api.problems import KINDS, MEDIA_TYPE, Problem
from service.api.schemas import AnswerSchema
from service.errors import SeashoreError

DESCRIPTION = """\
Send a lung-ultrasound clip, get back whether the lung slides: a calibrated probability, the evidence for it in pixels of
the clip's own frame, and an honest "not assessable". Decision support for trained clinicians; not for diagnosis.

Errors are `application/problem+json` with a stable `code`. A clip that is fine but too short, still, or without a pleura
is no error: it is answered 200 with the verdict `not_assessable` and the reasons.
"""

_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
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


_CLIP_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "required": ["clip"], "properties": {"clip": _CLIP_BYTES}}},
            "application/octet-stream": {"schema": _CLIP_BYTES},
        },
    }
}

PREDICT_DOCUMENTATION: dict[str, Any] = {
    "summary": "Does the lung slide in this clip?",
    "description": (
        "The clip is the multipart field `clip`, or the body itself. MP4, AVI, MOV, MKV, WebM, MPEG, GIF or multi-frame "
        "ultrasound DICOM; told from the content, never from the name or the declared type."
    ),
    "response_description": "The answer. `probability` is the probability that sliding is PRESENT.",
    "responses": {
        200: {"content": _OTHER_FORMS},
        **_problem_responses(*KINDS),
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
    "responses": {200: {"description": "It is done already."}, **_problem_responses(*KINDS)},
    "openapi_extra": _CLIP_BODY,
}
_JOB_PROBLEMS = _problem_responses(errors.UnknownJob, errors.LedgerUnavailable)
JOB_DOCUMENTATION: dict[str, Any] = {"summary": "Where a job stands", "responses": _JOB_PROBLEMS}
JOB_EVENTS_DOCUMENTATION: dict[str, Any] = {
    "summary": "Follow a job (server-sent events)",
    "description": "`progress` whenever something has changed, then `done` or `failed`, and the end. The data are the job's own JSON.",
    "responses": {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **_JOB_PROBLEMS},
}
JOB_RESULT_DOCUMENTATION: dict[str, Any] = {
    "summary": "The answer of a job, in every form that /v1/predict gives",
    "response_model": AnswerSchema,
    "responses": {
        200: {
            "content": dict.fromkeys(("video/mp4", "application/pdf", "application/x-npz", "application/dicom"), {"schema": _CLIP_BYTES})
        },
        **_problem_responses(*KINDS),
    },
}

_DRAWING = (
    *(errors.UnknownJob, errors.LedgerUnavailable, errors.Overloaded, errors.Stopping, errors.DeadlineExceeded, errors.EngineFailed),
    *(errors.UnsupportedFormat, errors.NoVideo, errors.UnreadableClip, errors.WrongModality),
    *(errors.FrameTooLarge, errors.FrameTooSmall, errors.ClipTooLong),
)
"""What can go wrong when a job's clip is decoded once more."""
_RANGE_PROBLEM = {416: {"description": "`range_not_satisfiable`", "content": {MEDIA_TYPE: {"schema": _PROBLEM_REF}}}}
FRAMES_DOCUMENTATION: dict[str, Any] = {
    "summary": "Every frame of a job's clip: when it is shown, and where its JPEG lies in `frames/data`",
    "description": (
        "Of the clip as it was sent, in its own size and colours, frame by frame: no browser need know its format. There as soon as the "
        "job is, in whatever state. Drawn when first asked for; a long clip may take longer than a request (504): ask again."
    ),
    "responses": _problem_responses(*_DRAWING),
}
FRAMES_DATA_DOCUMENTATION: dict[str, Any] = {
    "summary": "The JPEGs of all frames, one after the other",
    "description": "Range asks for some of them: the index says which bytes are which frame.",
    "responses": {
        200: {"content": {"application/octet-stream": {"schema": _CLIP_BYTES}}, "description": "All of them."},
        206: {"content": {"application/octet-stream": {"schema": _CLIP_BYTES}}, "description": "The bytes that Range asks for."},
        **_RANGE_PROBLEM,
        **_problem_responses(*_DRAWING),
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

READY_DOCUMENTATION: dict[str, Any] = {
    "summary": "Is the model loaded, checked and warm?",
    "responses": _problem_responses(errors.BadBundle, errors.EngineFailed, errors.LedgerUnavailable),
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
        app.openapi_schema = schema
    return app.openapi_schema


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
