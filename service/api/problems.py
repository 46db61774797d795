"""Errors on the wire: application/problem+json (RFC 9457) with a stable `code`. The one table of statuses is here."""

import logging
from dataclasses import dataclass

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from service import errors
from service.errors import SeashoreError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What is the same every time a code occurs."""

    status: int
    title: str


KINDS: dict[type[SeashoreError], ProblemKind] = {
    errors.EmptyUpload: ProblemKind(400, "No clip was sent"),
    errors.UploadTooLarge: ProblemKind(413, "The clip is larger than this service accepts"),
    errors.UnsupportedFormat: ProblemKind(415, "This is not a clip"),
    errors.NoVideo: ProblemKind(422, "The file holds no pictures"),
    errors.UnreadableClip: ProblemKind(422, "The clip cannot be read"),
    errors.WrongModality: ProblemKind(422, "The DICOM object is not ultrasound"),
    errors.FrameTooLarge: ProblemKind(422, "The clip's frames are too large"),
    errors.FrameTooSmall: ProblemKind(422, "The clip's frames are too small"),
    errors.ClipTooLong: ProblemKind(422, "The clip is too long to be answered at once"),
    errors.BadOption: ProblemKind(422, "An option is wrong"),
    errors.UnknownModel: ProblemKind(404, "There is no such model"),
    errors.NotAcceptable: ProblemKind(406, "The answer does not come in that form"),
    errors.UnknownJob: ProblemKind(404, "There is no such job"),
    errors.JobNotDone: ProblemKind(409, "The job has no result yet"),
    errors.NoSuchClips: ProblemKind(404, "The archive holds no such clips"),
    errors.Unauthenticated: ProblemKind(401, "Who asks?"),
    errors.Forbidden: ProblemKind(403, "This is not allowed"),
    errors.Overloaded: ProblemKind(429, "Too many clips are waiting"),
    errors.Stopping: ProblemKind(503, "The service is stopping"),
    errors.DeadlineExceeded: ProblemKind(504, "It took too long"),
    errors.BadBundle: ProblemKind(503, "The model cannot be used"),
    errors.EngineFailed: ProblemKind(503, "The model could not be run"),
    errors.LedgerUnavailable: ProblemKind(503, "Jobs cannot be taken on just now"),
    errors.NoRoom: ProblemKind(507, "There is too little room on the disk"),
    errors.BadKeys: ProblemKind(503, "The keys cannot be read"),
    errors.SignOnFailed: ProblemKind(503, "The sign-on does not answer"),
    errors.BadSite: ProblemKind(503, "The site file is wrong"),
    errors.NoArchive: ProblemKind(501, "Nothing can be fetched here"),
    errors.ArchiveFailed: ProblemKind(502, "The archive did not serve"),
}
"""Every class of error a request can meet. A test walks the tree and fails on one that is missing."""

HTTP_KINDS: dict[str, ProblemKind] = {
    "not_found": ProblemKind(404, "Nothing is at this address"),
    "method_not_allowed": ProblemKind(405, "This address does not take that method"),
    "range_not_satisfiable": ProblemKind(416, "These bytes are not there"),
    "starting": ProblemKind(503, "The service is starting"),
    "internal_error": ProblemKind(500, "Something went wrong in the service"),
}
"""Problems of HTTP itself, by code."""

CHALLENGE = 'Bearer realm="seashore"'
JOBS_HINT = "Longer ones go to /v1/jobs."


class Problem(BaseModel):
    """What went wrong, and what can be done about it."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="urn:seashore:problem:<code>")
    title: str = Field(description="The same for every problem of this code.")
    status: int
    code: str = Field(description="Stable; branch on this.")
    detail: str = Field(description="What was found and what was needed, for a person to read.")


def problem_of(error: SeashoreError) -> Problem:
    return _problem(error.code, KINDS[type(error)], _detail_of(error))


def problem_of_code(code: str, detail: str) -> Problem:
    """Of an error that was written down by its code."""
    kind = next((kind for error, kind in KINDS.items() if error.code == code), None) or HTTP_KINDS.get(code, HTTP_KINDS["internal_error"])
    return _problem(code, kind, detail)


def http_problem(code: str, detail: str) -> Problem:
    return _problem(code, HTTP_KINDS[code], detail)


def not_well(code: str, detail: str) -> Problem:
    """What `/healthz` and `/readyz` say: 503, whatever status the code has elsewhere."""
    return _problem(code, ProblemKind(503, "The service is not well"), detail)


class ProblemResponse(JSONResponse):
    """A problem, which tells the log what became of the request."""

    def __init__(self, problem: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(problem.model_dump(), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)
        self._code = problem.code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["outcome"] = self._code
        await super().__call__(scope, receive, send)


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    return ProblemResponse(problem, headers)


def error_response(error: SeashoreError) -> JSONResponse:
    """The answer to an error, with what the caller's software is told by headers; logged where only an operator can help."""
    if isinstance(error, errors.OperatorError):
        log.error("%s: %s %s", error.code, error, error.log_detail)
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if isinstance(error, errors.Unauthenticated):
        headers["www-authenticate"] = CHALLENGE
    return problem_response(problem_of(error), headers)


def _problem(code: str, kind: ProblemKind, detail: str) -> Problem:
    return Problem(type=f"urn:seashore:problem:{code}", title=kind.title, status=kind.status, code=code, detail=detail)


def _detail_of(error: SeashoreError) -> str:
    """The decoder's sentence says how long a clip may be; where longer ones go is this API's knowledge."""
    return f"{error} {JOBS_HINT}" if isinstance(error, errors.ClipTooLong) else str(error)
