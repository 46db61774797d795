"""Tells from what a request carries who asks: a key, a token of the sign-on, or the session of a page."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

from service.access.keys import Key, KeyRing, now
from service.access.oidc import SignOn
from service.access.principal import LOCAL, Principal
from service.errors import Unauthenticated
from service.jobs.secret import deployment_secret
from service.settings import Settings

KEYS = "keys.json"
SESSION_COOKIE = "seashore_session"
SESSION_S = 12 * 3600
"""A shift. The page asks for the key again after that."""
HOW = "Send a key as 'Authorization: Bearer KEY'; `seashore keys add` makes one."


def keys_file(settings: Settings) -> Path:
    return settings.keys_file or settings.data_dir / KEYS


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and how it was told."""

    principal: Principal
    by_browser: bool = False
    """Nothing but a cookie says it, which a browser sends by itself also for pages of others; or nothing at all was needed."""
    is_known: bool = True
    """False where nobody needs a key."""


class Door:
    """Open to everybody until a key is made or a sign-on set up; from then on to those who carry one."""

    def __init__(self, settings: Settings) -> None:
        self._ring = KeyRing(keys_file(settings))
        issuer, audience = settings.oidc_issuer, settings.oidc_audience
        self._sign_on = SignOn(issuer, audience) if issuer and audience else None
        self._data_dir = settings.data_dir
        self._was_guarded = False

    @property
    def is_guarded(self) -> bool:
        """Once it was, it stays so: a file of keys that is lost must not open the door. Raises: BadKeys."""
        self._was_guarded = self._was_guarded or self._sign_on is not None or bool(self._ring.keys)
        return self._was_guarded

    def next_end(self) -> datetime | None:
        """When the first of the keys in force ends; None where none does. Raises: BadKeys."""
        ends = [key.until for key in self._ring.keys if key.until is not None and not key.is_over(now())]
        return min(ends, default=None)

    def admit(self, headers: Mapping[str, str]) -> Asker:
        """`headers` by lower-case name. May ask the issuer of tokens, so not on the loop.

        Raises: Unauthenticated, SignOnFailed, BadKeys.
        """
        if not self.is_guarded:
            return Asker(LOCAL, by_browser=True, is_known=False)
        said = headers.get("authorization")
        if said is not None:
            return Asker(self._of_credentials(said))
        session = _cookie(headers.get("cookie", ""))
        if session is not None:
            return Asker(self._of_session(session), by_browser=True)
        raise Unauthenticated(f"This service wants to know who asks. {HOW}")

    def begin_session(self, token: str) -> tuple[str, Key]:
        """The cookie's value for whoever has this key. Raises: Unauthenticated."""
        key = self._ring.open(token.strip(), now())
        if key is None:
            raise Unauthenticated("This key opens nothing: it may be mistyped, revoked, or its time is over.")
        return str(self._signer().dumps(key.id)), key

    def _of_credentials(self, said: str) -> Principal:
        kind, _, credentials = said.partition(" ")
        token = {"bearer": credentials.strip(), "basic": _password(credentials)}.get(kind.lower())
        if not token:
            raise Unauthenticated(f"The Authorization header cannot be read. {HOW}")
        key = self._ring.open(token, now())
        if key is not None:
            return key.principal
        if self._sign_on is not None and token.count(".") == 2:
            return self._sign_on.open(token)
        raise Unauthenticated("This key opens nothing: it may be mistyped, revoked, or its time is over.")

    def _of_session(self, session: str) -> Principal:
        try:
            id = str(self._signer().loads(session, max_age=SESSION_S))
        except BadSignature as error:
            raise Unauthenticated("The session is over. Sign in again.") from error
        key = self._ring.find(id, now())
        if key is None:
            raise Unauthenticated("The session's key was revoked, or its time is over.")
        return key.principal

    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(deployment_secret(self._data_dir), salt="session")


def _password(credentials: str) -> str:
    """Of HTTP Basic (RFC 7617): DICOM software often knows nothing else. The user's name does not matter."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _cookie(header: str) -> str | None:
    try:
        found = SimpleCookie(header).get(SESSION_COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value
