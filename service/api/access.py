"""Who asks is found out, and whether they may, before anything else looks at a request."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access.door import Asker, Door
from service.access.exposure import is_loopback
from service.access.principal import Principal
from service.api.problems import error_response
from service.api.rules import PUBLIC, SENDING, scopes_for
from service.errors import Forbidden, Overloaded, SeashoreError
from service.logs import about
from service.settings import Settings

SAFE_METHODS = ("GET", "HEAD")


def principal_of(request: Request) -> Principal:
    """Who asks, as the guard found out. Of an address that is not public."""
    principal: Principal = request.state.principal
    return principal


class Guard:
    """Around the application: lets through who may, and tells it who they are."""

    def __init__(self, app: ASGIApp, door: Door, settings: Settings) -> None:
        self._app = app
        self._door = door
        self._takes_any_name = not is_loopback(settings.host) or settings.allow_keyless
        self._share = FairShare(max_clips_a_minute=settings.max_clips_a_minute, max_uploads=settings.max_uploads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scopes_for(scope["method"], scope["path"]) == PUBLIC:
            await self._app(scope, receive, send)
            return
        with ExitStack() as share:
            try:
                await self._let_in(scope, share)
            except SeashoreError as error:
                await error_response(error)(scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _let_in(self, scope: Scope, share: ExitStack) -> None:
        """Raises: Unauthenticated, Forbidden, Overloaded, SignOnFailed, BadKeys."""
        headers, wanted = Headers(scope=scope), scopes_for(scope["method"], scope["path"])
        asker = await asyncio.to_thread(self._door.admit, headers)  # reads a file, and may ask the sign-on
        if not asker.is_known and not self._takes_any_name:
            refuse_other_names(headers)
        refuse_other_pages(asker, scope["method"], headers)
        principal = asker.principal
        if not principal.may(wanted):
            raise Forbidden(f"This needs the scope {' or '.join(sorted(wanted))}; {_scopes_said(principal)}.")
        if wanted == SENDING and self._door.is_guarded:
            share.enter_context(self._share.taken(principal.owner))
        scope.setdefault("state", {})["principal"] = principal
        share.enter_context(about(owner=principal.owner))


def refuse_other_names(headers: Headers) -> None:
    """A page of a stranger whose name is made to mean 127.0.0.1 (DNS rebinding) asks under that name. Raises: Forbidden."""
    name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    if not is_loopback(name):
        raise Forbidden(
            "While nobody needs a key, this service answers to localhost and 127.0.0.1 alone. Make a key (`seashore keys add`), or set "
            "SEASHORE_ALLOW_KEYLESS where something in front of it asks who it is."
        )


def refuse_other_pages(asker: Asker, method: str, headers: Headers) -> None:
    """A browser asks, with its cookie, whichever page makes it; what changes something is taken from our own pages alone.

    Raises: Forbidden. (Fetch Metadata, and Origin where a browser does not know that; beside SameSite=Strict on the cookie.)
    A program without a cookie sends neither.
    """
    if not asker.by_browser or method in SAFE_METHODS:
        return
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None and origin is None and not asker.is_known:
        return
    is_ours = site == "same-origin" if site is not None else origin is not None and urlsplit(origin).netloc == headers.get("host")
    if not is_ours:
        raise Forbidden("A browser may ask this from Seashore's own pages alone; programs send a key.")


class FairShare:
    """How much of the service one owner of keys may take, so that one runaway script does not keep a hospital waiting. On the loop."""

    def __init__(self, *, max_clips_a_minute: int, max_uploads: int) -> None:
        self._rate = RateLimitItemPerMinute(max_clips_a_minute)
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._max_uploads = max_uploads
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def taken(self, owner: str) -> Iterator[None]:
        """While one clip is sent and answered. Raises: Overloaded."""
        if self._under_way[owner] >= self._max_uploads:
            raise Overloaded(f"{self._max_uploads} clips of this key's owner are on their way already; wait for one.", retry_after_s=1)
        if not self._window.hit(self._rate, owner):
            wait_s = max(1, math.ceil(self._window.get_window_stats(self._rate, owner).reset_time - time.time()))
            sentence = f"This key's owner sends more than {self._rate.amount} clips a minute. Try again in {wait_s} s."
            raise Overloaded(sentence, retry_after_s=wait_s)
        self._under_way[owner] += 1
        try:
            yield
        finally:
            self._under_way[owner] -= 1
            self._under_way += Counter()  # drops those at nought


def _scopes_said(principal: Principal) -> str:
    return f"who asks has {' and '.join(sorted(principal.scopes))}" if principal.scopes else "who asks has none"
