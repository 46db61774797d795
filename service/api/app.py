"""create_app(): the service as an ASGI application, from its settings and whoever reads its clips."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import __version__
from service.access.door import Door
from service.api import openapi
from service.api.access import Guard
from service.api.backroom import BackRoom, start_or_tell
from service.api.dicomweb import dicomweb_routes
from service.api.failures import Failures
from service.api.frames import frames_routes
from service.api.health import Health, health_routes
from service.api.jobs import jobs_routes
from service.api.node import node_routes
from service.api.node_desk import NodeDesk
from service.api.node_metrics import NodeMetrics
from service.api.pacs import pacs_routes
from service.api.problems import Problem, error_response, http_problem, problem_of, problem_response
from service.api.request_log import RequestLog
from service.api.room import ReadingRoom
from service.api.routes import api_routes, page_routes
from service.api.session import session_routes
from service.api.small_body import SmallBody
from service.errors import BadOption, EngineFailed, SeashoreError
from service.pacs.desk.metrics import QueueMetrics
from service.pacs.desk.overview import Watch
from service.reader import Reader
from service.settings import Settings
from service.telemetry import describe_bug

WEB = Path(__file__).resolve().parent.parent / "web"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""The page runs nothing but its own files; clips come back to it as blobs."""

HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",  # answers are about patients: no copy stays in a browser or a proxy
}

log = logging.getLogger(__name__)


class SeashoreAPI(FastAPI):
    """FastAPI whose OpenAPI document says what this service really answers."""

    def openapi(self) -> dict[str, Any]:
        return openapi.document(self)


def create_app(settings: Settings, reader: Reader) -> FastAPI:
    """The application. Its model is loaded, checked and warmed when it starts; `/readyz` says when that is done.

    Raises: BadSite when the site's PACS file cannot be used.
    """
    door = Door(settings)
    room = ReadingRoom.furnish(settings, reader)
    back = BackRoom.furnish(settings, reader, room.observe)
    health = Health(room, back)

    app = SeashoreAPI(
        title="Seashore",
        version=__version__,
        summary="Does the lung slide? Reads lung-ultrasound clips.",
        description=openapi.DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # both pages fetch their scripts from elsewhere
        redoc_url=None,
        lifespan=_lifespan(room, back, health),
    )
    routers = _routers(door, room, back, health)
    for router in routers:
        app.include_router(router)
    app.mount("/web", StaticFiles(directory=WEB), name="web")
    _answer_errors_as_problems(app, room)
    app.add_middleware(SmallBody)
    app.add_middleware(Guard, door=door, settings=settings)
    app.add_middleware(LastResort, failures=room.failures)
    routes = [*app.routes, *(route for router in routers for route in router.routes)]
    app.add_middleware(RequestLog, metrics=room.metrics, routes=routes)
    return app


def _lifespan(room: ReadingRoom, back: BackRoom | None, health: Health) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """From when the server listens to when it has stopped."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        app.state.drain = partial(loop.call_soon_threadsafe, room.queue.drain)
        with suppress(RuntimeError, ValueError):  # only the main thread is told of signals
            loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, room.renew))
        health.beat()
        preparing = asyncio.create_task(asyncio.to_thread(_prepare, room, back))
        yield
        health.stop()
        room.close()
        if back is not None:
            back.stop_waiting()
        with suppress(asyncio.CancelledError):
            await preparing
        if back is not None:
            await asyncio.to_thread(back.stop)

    return lifespan


def _routers(door: Door, room: ReadingRoom, back: BackRoom | None, health: Health) -> list[APIRouter]:
    """Of all addresses that this deployment has; what they look at is also told as metrics."""
    routers = [api_routes(room), health_routes(health)]
    watch = None
    if back is not None:
        routers += [session_routes(door), jobs_routes(room, back.office), frames_routes(room, back.office)]
        if back.node is not None:
            watch = Watch(back.office.ledger, [destination.name for destination in back.node.site.destination])
            routers += [dicomweb_routes(back.node.inbox, back.node.limits), pacs_routes(back.node, back.office, watch)]
            room.metrics.registry.register(QueueMetrics(watch))
    desk = NodeDesk(room, back, watch)
    room.metrics.registry.register(NodeMetrics(desk, room.queue, health, door))
    return [*routers, node_routes(desk, WEB), page_routes(WEB)]


def _prepare(room: ReadingRoom, back: BackRoom | None) -> None:
    """Jobs are taken while the model is still being loaded: they wait for it, their senders need not."""
    try:
        room.readiness.error = None if back is None else start_or_tell(back)
        if room.readiness.error is None:
            room.prepare()
    except Exception as bug:
        log.error("not ready: internal_error: %s", describe_bug(bug))
        room.readiness.error = EngineFailed("The service could not be started; its log says where it failed.")


def _answer_errors_as_problems(app: FastAPI, room: ReadingRoom) -> None:
    @app.exception_handler(SeashoreError)
    async def answer_ours(request: Request, error: SeashoreError) -> Response:
        room.failures.note(error)
        return error_response(error)

    @app.exception_handler(HTTPException)
    async def answer_http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405:
            allowed = ", ".join(_methods_of(app, request))
            return problem_response(http_problem("method_not_allowed", f"Use {allowed} here, not {request.method}."), {"allow": allowed})
        if error.status_code == 400:  # FastAPI's, of a body that is not even text
            return problem_response(problem_of(BadOption("The body is not JSON.")))
        return problem_response(_not_found(request))

    @app.exception_handler(RequestValidationError)
    async def answer_validation(request: Request, error: RequestValidationError) -> Response:
        names = ", ".join(sorted({str(item["loc"][-1]) for item in error.errors()}))
        return problem_response(problem_of(BadOption(f"These do not have the form they need: {names}.")))


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _methods_of(app: FastAPI, request: Request) -> list[str]:
    """All that this address takes (RFC 9110 15.5.6). Starlette names those of the first route that has the address."""
    return [
        method for method in METHODS if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]


def _not_found(request: Request) -> Problem:
    if request.url.path.startswith("/v1/jobs"):
        return http_problem("not_found", "This service takes no jobs (SEASHORE_JOBS is off). POST /v1/predict answers clips at once.")
    if request.url.path.split("/")[1] in ("pacs", "dicom-web"):
        return http_problem("not_found", "This service is no node of a PACS: SEASHORE_SITE names no site file. docs/pacs.md says how.")
    return http_problem("not_found", "There is nothing here. Clips go to POST /v1/predict; /openapi.json lists the rest.")


class LastResort:
    """Around everything: the headers every answer carries, and a bare 500 for whatever is a bug.

    The log gets the bug's class and where it happened, not its message: a message may quote the clip's own header,
    and that names the patient.
    """

    def __init__(self, app: ASGIApp, failures: Failures) -> None:
        self._app = app
        self._failures = failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            log.info("caller_gone")
        except Exception as bug:
            log.error("internal_error: %s", describe_bug(bug))
            self._failures.note_bug()
            if not has_started:
                sentence = "The service met an error of its own. It is logged; nothing is wrong with the request as far as is known."
                await problem_response(http_problem("internal_error", sentence))(scope, receive, send_with_headers)
