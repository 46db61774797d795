"""Tokens of a sign-on, against an issuer that publishes its keys over HTTP as OpenID Connect Discovery 1.0 says."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from service.access import oidc
from service.access.oidc import SignOn
from service.access.principal import Scope
from service.errors import SignOnFailed, Unauthenticated
from tests.fakes.sign_on import AUDIENCE, EC_KEY, RSA_KEY, Issuer, issuing, token

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.mark.parametrize(("key", "kid", "algorithm"), [(RSA_KEY, "rsa", "RS256"), (RSA_KEY, "rsa", "PS384"), (EC_KEY, "ec", "ES256")])
def test_a_token_says_who_asks_and_what_they_may(issuer: Issuer, key: Any, kid: str, algorithm: str) -> None:
    principal = SignOn(issuer.address, AUDIENCE).open(token(issuer, key, kid, algorithm))

    assert principal.scopes == {Scope.PREDICT}
    assert principal.owner.startswith("oidc-")
    assert "novak" not in principal.owner


def test_one_account_is_one_owner_and_two_are_two(issuer: Issuer) -> None:
    door = SignOn(issuer.address, AUDIENCE)

    one, same, other = (door.open(token(issuer, sub=sub)).owner for sub in ("a", "a", "b"))
    assert one == same != other


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "seashore.predict seashore.read"}, {Scope.PREDICT, Scope.READ}),
        ({"scope": None, "roles": ["Seashore.Admin", "other"]}, {Scope.ADMIN}),
        ({"scope": None, "scp": "seashore.read"}, {Scope.READ}),
        ({"scope": "predict read admin"}, set()),
        ({"scope": None}, set()),
        ({"scope": {"seashore.admin": 1}}, set()),
    ],
)
def test_scopes_are_those_of_seashore_alone(issuer: Issuer, claims: dict[str, Any], scopes: set[Scope]) -> None:
    assert SignOn(issuer.address, AUDIENCE).open(token(issuer, **claims)).scopes == scopes


@pytest.mark.parametrize(
    "claims", [{"iss": "https://elsewhere"}, {"aud": "other"}, {"aud": None}, {"exp": None}, {"sub": None}, {"nbf": time.time() + 3600}]
)
def test_a_token_for_others_or_without_an_end_is_refused(issuer: Issuer, claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated, match=r"This token is none that is taken here\."):
        SignOn(issuer.address, AUDIENCE).open(token(issuer, **claims))


def test_clocks_may_differ_by_a_minute_and_no_more(issuer: Issuer) -> None:
    door = SignOn(issuer.address, AUDIENCE)

    assert door.open(token(issuer, exp=time.time() - 50)).scopes
    with pytest.raises(Unauthenticated, match=r"This token's time is over\. Sign in again\."):
        door.open(token(issuer, exp=time.time() - 70))


def test_a_token_signed_by_another_or_by_nobody_is_refused(issuer: Issuer) -> None:
    public = RSAAlgorithm.to_jwk(RSA_KEY.public_key())
    forged = [token(issuer, OTHER_KEY), token(issuer, "", algorithm="none"), token(issuer, "x" * 2048, algorithm="HS256"), "a.b.c"]
    door = SignOn(issuer.address, AUDIENCE)

    for text in forged:
        with pytest.raises(Unauthenticated):
            door.open(text)
    assert public  # what anybody knows


def test_made_up_key_ids_do_not_become_requests_to_the_issuer(issuer: Issuer) -> None:
    door = SignOn(issuer.address, AUDIENCE)
    for number in range(20):
        with pytest.raises(Unauthenticated):
            door.open(token(issuer, OTHER_KEY, kid=f"made-up-{number}"))

    assert issuer.num_asked == 1


def test_a_key_that_the_issuer_adds_is_found(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    door = SignOn(issuer.address, AUDIENCE)
    door.open(token(issuer))
    issuer.jwks.append(json.loads(RSAAlgorithm.to_jwk(OTHER_KEY.public_key())) | {"kid": "new"})
    monkeypatch.setattr(oidc, "ASK_AGAIN_AFTER_S", 0.0)

    assert door.open(token(issuer, OTHER_KEY, kid="new")).scopes


def test_an_issuer_that_is_another_or_away_is_told(issuer: Issuer) -> None:
    sentence = r"The sign-on cannot be asked for its keys just now\."
    issuer.says = "https://elsewhere"
    with pytest.raises(SignOnFailed, match=sentence):
        SignOn(issuer.address, AUDIENCE).open(token(issuer))
    with pytest.raises(SignOnFailed, match=sentence):
        SignOn("http://127.0.0.1:9", AUDIENCE).open(token(issuer))
