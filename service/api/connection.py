"""What a connection may cost before anybody knows who asks.

HTTP is read by h11: slower than the C parsers, and nothing in it can be made to write beyond its memory. It bounds how long a request's
head is; uvicorn bounds neither how long one takes nor how many connections there are, so that is done here.
"""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of every connection, whoever it is from."""

    head_deadline_s: float
    """For a request's head, from the connection or from its first byte on."""
    max_connections: int


class BoundedProtocol(H11Protocol):
    """One connection. Its refusals are bare text, as uvicorn's own of what is no HTTP: there is no request yet to answer."""

    bounds: ClassVar[Bounds]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._overdue: asyncio.TimerHandle | None = None
        if len(self.connections) > self.bounds.max_connections:
            self._refuse("503 Service Unavailable", "There are too many connections.")
        else:
            self._expect_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._expect_head()
        else:
            self._expect_none()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_none()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._overdue is None:
            self._overdue = self.loop.call_later(self.bounds.head_deadline_s, self._refuse_slow)

    def _expect_none(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _refuse_slow(self) -> None:
        self._refuse("408 Request Timeout", f"No request came within {self.bounds.head_deadline_s:g} s.")

    def _refuse(self, status: str, sentence: str) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {len(sentence)}\r\nconnection: close\r\n\r\n"
        self.transport.write((head + sentence).encode("ascii"))
        self.transport.close()


def server_config(app: FastAPI, settings: Settings, *, drain_s: int) -> uvicorn.Config:
    """How the application is served: `drain_s` is what requests under way have once the server is told to stop."""
    of_settings = Bounds(settings.head_deadline_s, settings.max_connections)

    class Protocol(BoundedProtocol):
        bounds = of_settings

    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        http=Protocol,
        loop="asyncio",  # not what else happens to be installed: what is tested is what is served
        h11_max_incomplete_event_size=settings.max_head_bytes,
        ws="none",
        log_level=settings.log_level,
        log_config=None,  # its lines as ours
        access_log=False,  # it would repeat whatever a caller puts into the address; service.api.request_log writes a line instead
        server_header=False,
        timeout_graceful_shutdown=drain_s,
    )
