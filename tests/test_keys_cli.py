"""`seashore keys`, as an administrator types it."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from service import cli
from service.access.keys import KeyRing, now
from tests.fakes.service import WordReader


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEASHORE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "keys.json"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.build_app(lambda settings: WordReader()), ["keys", *arguments])


def test_a_key_is_printed_once_and_opens(path: Path) -> None:
    added = run("add", "ward-3")

    key = KeyRing(path).open(added.stdout.strip(), now())
    assert key is not None
    assert (key.owner, key.scopes) == ("ward-3", ("predict", "read"))
    assert added.stderr == "ward-3 (predict, read), of ward-3, until revoked. Keep it now: it cannot be shown again.\n"


def test_what_a_key_is_for_can_be_said(path: Path) -> None:
    token = run("add", "screen", "--owner", "ward-3", "--scope", "read", "--days", "30").stdout.strip()

    key = KeyRing(path).open(token, now())
    assert key is not None
    assert (key.owner, key.scopes) == ("ward-3", ("read",))
    assert key.until is not None
    assert (key.until - now()).days in (29, 30)


def test_keys_are_listed_without_their_secrets() -> None:
    assert run("list").stderr == "There are no keys: whoever reaches the service can use it, which it allows on loopback alone.\n"
    token = run("add", "ward-3").stdout.strip()
    listed = run("list").stdout

    assert "ward-3" in listed
    assert "predict, read" in listed
    assert token.split("_", 2)[2] not in listed


def test_a_key_is_rotated_and_revoked(path: Path) -> None:
    old = run("add", "ward-3").stdout.strip()
    new = run("rotate", "ward-3", "--grace-hours", "0").stdout.strip()
    ring = KeyRing(path)
    assert ring.open(old, now()) is None
    assert ring.open(new, now()) is not None

    assert run("revoke", "ward-3").stderr == "ward-3 opens nothing any more.\n"
    assert ring.open(new, now()) is None


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (("add", "Dr. Novak"), 2, "A name has letters, digits, dots, dashes and underscores, 64 at most."),
        (("revoke", "nobody"), 1, "There is no key nobody. `seashore keys list` names them."),
        (("rotate", "nobody"), 1, "There is no key nobody. `seashore keys list` names them."),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], exit_code: int, sentence: str) -> None:
    result = run(*arguments)

    assert (result.exit_code, result.stderr.strip()) == (exit_code, sentence)


def test_the_help_teaches() -> None:
    assert "seashore keys add pacs-admin --scope admin --days 365" in run("--help").stdout
