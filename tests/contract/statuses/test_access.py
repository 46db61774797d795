"""Who is turned away, and how, of every address that is not for everybody."""

from pathlib import Path

import pytest

from service.access.keys import add_key, now
from service.access.principal import Scope
from service.api.rules import SENDING
from tests.contract.statuses.asking import GUARDED, OPERATIONS, UNKNOWN, Asked, answers, expected
from tests.fakes.service import WordReader, is_ready, problem, serving_everything
from tests.fakes.sign_on import AUDIENCE, issuing, token

WITHOUT_A_KEY = tuple(Asked(name, 401) for name in [*GUARDED, "session"])
WITHOUT_THEIR_SCOPE = tuple(Asked(name, 403) for name in GUARDED)
KEYS_DAMAGED = (
    *(Asked(name, 503) for name in [*GUARDED, "session"]),
    Asked("sign_in", 503, changes={"json": {"key": f"seashore_{'0' * 8}_{'x' * 43}"}}),
)
TOO_MANY = tuple(Asked(name, 429) for name in GUARDED if OPERATIONS[name].scopes == SENDING)
NOT_SIGNED_IN = (
    Asked("session", 200),
    Asked("sign_in", 401, changes={"json": {"key": "none"}}),
    Asked("sign_in", 422, changes={"json": {}}),
    Asked("sign_out", 204),
)
SIGNED_IN = (Asked("sign_in", 200),)


def key_of(folder: Path, *scopes: Scope) -> str:
    return add_key(folder / "data" / "keys.json", "one", scopes, "ward", None, now())[1]


def test_without_a_key_it_is_a_401(tmp_path: Path) -> None:
    key_of(tmp_path, Scope.READ)
    with serving_everything(WordReader(), tmp_path) as client:
        assert answers(client, WITHOUT_A_KEY) == expected(WITHOUT_A_KEY)


def test_with_a_token_that_has_no_scope_it_is_a_403(tmp_path: Path) -> None:
    with issuing() as issuer, serving_everything(WordReader(), tmp_path, oidc_issuer=issuer.address, oidc_audience=AUDIENCE) as client:
        said = token(issuer, scope="openid")
        assert answers(client, WITHOUT_THEIR_SCOPE, key=said) == expected(WITHOUT_THEIR_SCOPE)
        refused = client.get("/v1/models", headers={"authorization": f"Bearer {said}"})

    assert problem(refused) == (403, "forbidden")
    assert refused.json()["detail"] == "This needs the scope predict or read; who asks has none."


@pytest.mark.parametrize("scope", [Scope.PREDICT, Scope.READ])
def test_with_a_key_for_other_things_it_is_a_403(tmp_path: Path, scope: Scope) -> None:
    wrong = [Asked(name, 403) for name in GUARDED if scope not in OPERATIONS[name].scopes]
    key = key_of(tmp_path, scope)
    with serving_everything(WordReader(), tmp_path) as client:
        assert answers(client, wrong, key=key) == expected(wrong)


def test_with_a_damaged_file_of_keys_nobody_is_let_in(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "keys.json").write_text("{")
    with serving_everything(WordReader(), tmp_path) as client:
        assert answers(client, KEYS_DAMAGED) == expected(KEYS_DAMAGED)


def test_a_sign_on_that_is_away_is_told_to_everybody(tmp_path: Path) -> None:
    asked = [Asked(name, 503) for name in [*GUARDED, "session"]]
    with issuing() as issuer:
        said, gone = token(issuer), issuer.address
    with serving_everything(WordReader(), tmp_path, oidc_issuer=gone, oidc_audience=AUDIENCE) as client:
        assert answers(client, asked, key=said) == expected(asked)


def test_who_sends_too_much_is_told(tmp_path: Path) -> None:
    key = key_of(tmp_path, Scope.PREDICT)
    with serving_everything(WordReader(), tmp_path, max_clips_a_minute=1) as client:
        assert is_ready(client)
        client.delete(f"/v1/jobs/{UNKNOWN}", headers={"authorization": f"Bearer {key}"})
        assert answers(client, TOO_MANY, key=key) == expected(TOO_MANY)


def test_a_session_begins_and_ends(tmp_path: Path) -> None:
    with serving_everything(WordReader(), tmp_path) as client:
        assert answers(client, NOT_SIGNED_IN) == expected(NOT_SIGNED_IN)
        asked = [Asked("sign_in", 200, changes={"json": {"key": key_of(tmp_path, Scope.READ)}})]
        assert answers(client, asked) == expected(SIGNED_IN)
