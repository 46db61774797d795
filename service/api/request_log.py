"""Around everything: each request has an id, one line in the log, and its place in the counts. Never its address as it was written."""

import logging
import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.caller import CLIENT_CLOSED_REQUEST
from service.api.rules import scopes_for
from service.logs import FIELDS, about
from service.telemetry import Metrics
from service.tracing import request_span, tell

HEADER = "x-request-id"
# No free text: callers have been seen to send an accession number, which leads to a patient. A UUID, 32 hexadecimal digits, or a ULID.
_REQUEST_ID = re.compile(r"[0-9a-f]{8}(-?)(?:[0-9a-f]{4}\1){3}[0-9a-f]{12}|[0-7][0-9A-HJKMNP-TV-Z]{25}")
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
"""W3C Trace Context, 3.2."""
METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS")
"""A method is a word that the caller chooses; another than these is not repeated."""
QUIET = ("/healthz", "/readyz", "/metrics")
"""Asked every few seconds: told at the level debug while all is well."""
NOWHERE = "(nowhere)"

log = logging.getLogger(__name__)


def request_id_of(headers: Headers) -> str:
    """The caller's own, from X-Request-Id or else from traceparent, where it has the form of one; otherwise a new one."""
    said = _REQUEST_ID.fullmatch(headers.get(HEADER, ""))
    if said is not None:
        return said[0]
    trace = _TRACE_PARENT.fullmatch(headers.get("traceparent", ""))
    return uuid.uuid4().hex if trace is None else trace[1]


@dataclass(slots=True)
class _Traffic:
    """What went to and fro in one request."""

    status: int = CLIENT_CLOSED_REQUEST
    """Until there is an answer."""
    received_bytes: int = 0
    sent_bytes: int = 0


class RequestLog:
    """Outermost, so that it sees what was really answered."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._metrics = metrics
        self._addresses = addresses(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id, traffic, start_s = request_id_of(Headers(scope=scope)), _Traffic(), time.perf_counter()
        scope.setdefault("state", {})

        async def receive_counted() -> Message:
            message = await receive()
            traffic.received_bytes += len(message.get("body", b""))
            return message

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                traffic.status = message["status"]
                MutableHeaders(scope=message)[HEADER] = id
            traffic.sent_bytes += len(message.get("body", b""))
            await send(message)

        with about(request=id), request_span(Headers(scope=scope)):
            try:
                await self._app(scope, receive_counted, send_counted)
            finally:
                self._tell(scope, traffic, time.perf_counter() - start_s)

    def _route_of(self, path: str) -> str:
        return next((address for fits, address in self._addresses if fits.match(path)), NOWHERE)

    def _tell(self, scope: Scope, traffic: _Traffic, seconds: float) -> None:
        route, outcome = self._route_of(scope["path"]), _outcome(scope, traffic.status)
        self._metrics.observe_request(_scopes_said(scope), outcome, seconds)
        told: dict[str, str | int | float] = {
            "method": scope["method"] if scope["method"] in METHODS else "OTHER",
            "route": route,
            "status": traffic.status,
            "outcome": outcome,
            "milliseconds": round(seconds * 1000, 1),
            "received_bytes": traffic.received_bytes,
            "sent_bytes": traffic.sent_bytes,
        }
        tell(
            **{"http.request.method": told["method"], "http.route": route, "http.response.status_code": traffic.status, "outcome": outcome}
        )
        level = logging.DEBUG if route in QUIET and traffic.status == 200 else logging.INFO
        sentence = "%(method)s %(route)s: %(status)d %(outcome)s in %(milliseconds).0f ms, %(received_bytes)d bytes in, %(sent_bytes)d out"
        principal = scope["state"].get("principal")
        with about(**({} if principal is None else {"owner": principal.owner})):
            log.log(level, sentence, told, extra={FIELDS: told})


def addresses(routes: Iterable[BaseRoute]) -> list[tuple[re.Pattern[str], str]]:
    """What fits a path, and how the service writes that address: `/v1/jobs/{job}`."""
    return [(route.path_regex, route.path) for route in routes if isinstance(route, Route | Mount)]


def _outcome(scope: Scope, status: int) -> str:
    """A problem's code where one was answered; from a small, closed list, for it is a label of a metric."""
    if status == CLIENT_CLOSED_REQUEST:
        return "caller_gone"
    return scope["state"].get("outcome") or ("ok" if status < 400 else f"http_{status}")


def _scopes_said(scope: Scope) -> str:
    return " or ".join(sorted(scopes_for(scope["method"], scope["path"]))) or "public"
