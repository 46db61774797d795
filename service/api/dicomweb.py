"""STOW-RS over HTTP: POST /dicom-web/studies. What is done with a body is `service.pacs.incoming.stow`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response

from service.api.openapi import STORE_PROBLEMS
from service.errors import BadOption, DeadlineExceeded
from service.pacs.incoming.identity import is_uid
from service.pacs.incoming.inbox import Inbox, Limits
from service.pacs.incoming.stow import MEDIA_TYPE, store

CHUNK_DEADLINE_S = 60.0
"""A sender that falls silent for so long in the middle of a body is let go; the body as a whole may take any time."""
RETRY_AFTER_S = 60

STATUSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "All instances are stored, and will be analysed if the site's rule says so.", "content": {MEDIA_TYPE: {}}},
    202: {"description": "Some are stored; FailedSOPSequence says which are not, and why.", "content": {MEDIA_TYPE: {}}},
    409: {"description": "None is stored; FailedSOPSequence says why.", "content": {MEDIA_TYPE: {}}},
    503: {"description": "None is stored, for there is no room; send them again later.", "content": {MEDIA_TYPE: {}}},
}
_INSTANCES = {"schema": {"type": "string", "format": "binary"}}
BODY = {
    "requestBody": {
        "required": True,
        "content": {'multipart/related; type="application/dicom"': _INSTANCES, "application/dicom": _INSTANCES},
    }
}


def dicomweb_routes(inbox: Inbox, limits: Limits, *, chunk_deadline_s: float = CHUNK_DEADLINE_S) -> APIRouter:
    """The routes that store into `inbox`."""
    router = APIRouter(prefix="/dicom-web", tags=["DICOMweb"])
    documented: dict[str, Any] = {"response_class": Response, "responses": STORE_PROBLEMS | STATUSES, "openapi_extra": BODY}

    async def answered(request: Request, study: str | None) -> Response:
        content_type = request.headers.get("content-type", "")
        answer = await store(_unhurried(request, chunk_deadline_s), content_type, inbox, limits, study)
        headers = {"retry-after": str(RETRY_AFTER_S)} if answer.http_status == 503 else None
        return Response(answer.json, status_code=answer.http_status, media_type=MEDIA_TYPE, headers=headers)

    @router.post("/studies", summary="Store instances (STOW-RS)", operation_id="store_instances", **documented)
    async def studies(request: Request) -> Response:
        return await answered(request, None)

    @router.post(
        "/studies/{study}", summary="Store instances of one study (STOW-RS)", operation_id="store_instances_of_study", **documented
    )
    async def study_only(request: Request, study: str) -> Response:
        if not is_uid(study):
            raise BadOption("The address names no study: a Study Instance UID has digits and dots, 64 at most.")
        return await answered(request, study)

    return router


async def _unhurried(request: Request, chunk_deadline_s: float) -> AsyncIterator[bytes]:
    chunks = request.stream()
    while True:
        try:
            async with asyncio.timeout(chunk_deadline_s):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise DeadlineExceeded(f"Nothing came for {chunk_deadline_s:g} s in the middle of the request.") from None
        yield chunk
