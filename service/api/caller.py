"""Whoever waits for an answer: how to see that they have left, and what is then said to nobody."""

import asyncio

from fastapi import Request, Response

CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a caller that hung up. Nobody receives it."""


async def leaves(request: Request) -> None:
    """Returns when the caller has hung up. Only after the whole body has been received."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def stays() -> None:
    """Never returns: what is made is kept, so it is made to its end."""
    await asyncio.Event().wait()


def gone() -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)
