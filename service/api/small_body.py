"""The body of a request that brings no clip: a key, an opinion, a study's number. It is read whole, so it must be small and come soon."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import error_response
from service.api.rules import SENDING, scopes_for
from service.errors import BadOption

MAX_BODY_BYTES = 64 * 1024
"""An opinion with the longest note is 9 kB."""
BODY_DEADLINE_S = 20.0


class SmallBody:
    """Inside the guard, around the application, which is given such a body once it is whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope) or scopes_for(scope["method"], scope["path"]) == SENDING:
            await self._app(scope, receive, send)
            return
        try:
            first = [await _in_time(receive)]
        except BadOption as error:
            await error_response(error)(scope, receive, send)
        else:

            async def receive_again() -> Message:
                return first.pop() if first else await receive()

            await self._app(scope, receive_again, send)


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "content-length" in headers or "transfer-encoding" in headers


async def _in_time(receive: Receive) -> Message:
    """Raises: BadOption."""
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            return await _whole(receive)
    except TimeoutError:
        raise BadOption(f"The body did not arrive within {BODY_DEADLINE_S:g} s.") from None


async def _whole(receive: Receive) -> Message:
    """All of it in one message; or that nobody is there any more. Raises: BadOption."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise BadOption(f"The body has more than {MAX_BODY_BYTES} bytes; nothing that is asked here needs so many.")
        if not message.get("more_body", False):
            return {"type": "http.request", "body": body, "more_body": False}
