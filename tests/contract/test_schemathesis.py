"""Schemathesis over the whole OpenAPI document, against the service on a port: as nobody, with each scope, and where nobody needs a key.

Four minutes. A failure's report ends with the commands that show it again.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from service.access.keys import add_key, now
from service.access.principal import Scope
from tests.contract.test_openapi import OPENAPI
from tests.fakes.service import WordReader, is_ready, serving_everything, shipped_reader

ROOT = OPENAPI.parent
SECONDS = 40
NOT_ASKED = "positive_data_acceptance"
"""It holds that whatever has the right form is accepted. Whether bytes are a clip, and a text is a UID, no schema can say."""
WITHOUT_ARCHIVE = ["--exclude-path", "/pacs/analyse"]
"""Its right answer here is a 501: this site has no archive to fetch from. tests/pacs ask it with one."""
NOT_ASKED_OF_STRANGERS = f"{NOT_ASKED},unsupported_method"
"""It wants a 405. Whoever may not ask is told no more than that: an address or method without a rule is closed (service/api/rules.py)."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("schemathesis") is None, reason="Schemathesis is not installed (requirements/all.txt)"),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, dict[str, str]]]:
    """A service with keys, and a key of each scope."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "data").mkdir()
    keys = {scope.value: add_key(folder / "data" / "keys.json", scope.value, (scope,), "ward", None, now())[1] for scope in Scope}
    with serving_everything(WordReader(), folder) as client:
        assert is_ready(client)
        yield client, keys


def complaints(client: httpx.Client, folder: Path, *arguments: str, not_asked: str = NOT_ASKED) -> str:
    """Schemathesis's report; empty where it found nothing."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(OPENAPI / "openapi.json"), "--url", str(client.base_url).rstrip("/")]
    bounded = ["--max-time", str(SECONDS), "--max-examples", "20", "--seed", "1", "--request-timeout", "30", "--no-color"]
    checks = ["--checks", "all", "--exclude-checks", not_asked, "--continue-on-failure", "--warnings", "off"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    environment["SCHEMATHESIS_HOOKS"] = "tests.contract.schemathesis_hooks"
    done = subprocess.run(
        [*command, *bounded, *checks, *WITHOUT_ARCHIVE, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_where_nobody_needs_a_key_nothing_is_found_with_the_real_reader(tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    with serving_everything(shipped_reader(), tmp_path / "served") as client:
        assert is_ready(client)
        report = complaints(client, tmp_path)
    assert not report, report


def test_as_nobody_nothing_is_found(guarded: tuple[httpx.Client, dict[str, str]], tmp_path: Path) -> None:
    client, _ = guarded

    report = complaints(client, tmp_path, not_asked=NOT_ASKED_OF_STRANGERS)
    assert not report, report


@pytest.mark.parametrize("scope", [scope.value for scope in Scope])
def test_with_a_key_of_one_scope_nothing_is_found(guarded: tuple[httpx.Client, dict[str, str]], scope: str, tmp_path: Path) -> None:
    client, keys = guarded

    report = complaints(client, tmp_path, "--header", f"Authorization: Bearer {keys[scope]}", not_asked=NOT_ASKED_OF_STRANGERS)
    assert not report, report
