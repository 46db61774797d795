"""An answer as a response, in the form that was agreed on."""

from pathlib import Path

from fastapi import Response
from fastapi.responses import FileResponse

from service.api.negotiation import Form


def response_of(answer: bytes | Path, form: Form) -> Response:
    """Bytes as they are; a file is read as it is sent. A cache is told that the form is the caller's choice (RFC 9110 12.5.5)."""
    headers = {"vary": "Accept"}
    if isinstance(answer, bytes):
        return Response(answer, media_type=form.value, headers=headers)
    return FileResponse(answer, media_type=form.value, headers=headers)
