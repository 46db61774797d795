"""Bearer tokens of the hospital's own sign-on (OpenID Connect): checked with PyJWT against the issuer's published keys.

Taken are access tokens that are signed JWTs (RFC 9068), asymmetrically, by `SEASHORE_OIDC_ISSUER` for `SEASHORE_OIDC_AUDIENCE`.
"""

import hashlib
import threading
import time
from typing import Any

import jwt
import requests

from service.access.principal import Principal, Scope
from service.errors import SignOnFailed, Unauthenticated

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""Asymmetric ones alone: with a symmetric one, whoever knows the published key could sign."""
CLOCK_SKEW_S = 60.0
KEYS_FOR_S = 600.0
"""How long the issuer's keys are taken for good. One that it withdraws opens nothing after that."""
ASK_AGAIN_AFTER_S = 10.0
"""At the soonest, for a key that is not among them: tokens with made-up key ids must not become requests to the issuer."""
TIMEOUT_S = 5.0
PREFIX = "seashore."
"""Of scopes and roles in a token, as `seashore.predict`: those of other services have no meaning here."""


class SignOn:
    """One issuer. From any thread; asks the issuer when its keys are needed and not known."""

    def __init__(self, issuer: str, audience: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._asked_s: float | None = None
        """On `time.monotonic`."""

    def open(self, token: str) -> Principal:
        """Raises: Unauthenticated; SignOnFailed when the issuer cannot be asked."""
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key.key,
                algorithms=list(ALGORITHMS),
                audience=self._audience,
                issuer=self._issuer,
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("This token's time is over. Sign in again.") from error
        except jwt.PyJWTError as error:
            raise Unauthenticated("This token is none that is taken here.", log_detail=type(error).__name__) from error
        return Principal(_owner(self._issuer, str(claims["sub"])), _scopes(claims))

    def _key(self, id: str | None) -> jwt.PyJWK:
        with self._lock:
            age_s = None if self._asked_s is None else time.monotonic() - self._asked_s
            is_stale = age_s is None or age_s > KEYS_FOR_S
            if is_stale or (id not in self._keys and age_s is not None and age_s > ASK_AGAIN_AFTER_S):
                self._keys = self._fetch()
                self._asked_s = time.monotonic()
        if id not in self._keys:
            raise jwt.InvalidKeyError
        return self._keys[id]

    def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        try:
            found = self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if found["issuer"] != self._issuer:
                raise ValueError("another issuer")
            keys = jwt.PyJWKSet.from_dict(self._get(found["jwks_uri"])).keys
        except (requests.RequestException, jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
            raise SignOnFailed("The sign-on cannot be asked for its keys just now.", log_detail=type(error).__name__) from error
        return {key.key_id: key for key in keys}

    @staticmethod
    def _get(address: str) -> Any:
        response = requests.get(address, timeout=TIMEOUT_S, allow_redirects=False)
        response.raise_for_status()
        return response.json()


def _owner(issuer: str, subject: str) -> str:
    """The same for the same account; the subject itself may be a person's name, and owners are written down."""
    return f"oidc-{hashlib.sha256(f'{issuer}|{subject}'.encode()).hexdigest()[:16]}"


def _scopes(claims: dict[str, Any]) -> frozenset[Scope]:
    """Out of `scope` (RFC 9068, words), `scp` and `roles` (as Microsoft Entra says them)."""
    said: list[str] = []
    for name in ("scope", "scp", "roles"):
        value = claims.get(name, [])
        said += value.split() if isinstance(value, str) else [str(one) for one in value] if isinstance(value, list) else []
    return frozenset(scope for scope in Scope if f"{PREFIX}{scope}" in map(str.lower, said))
