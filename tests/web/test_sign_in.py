"""Signing in on the page, in a real browser in front of a service that has keys."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.access.keys import add_key, now, revoke_key
from service.access.principal import Scope
from tests.fakes import axe, browser
from tests.fakes.browser import Page, chromium
from tests.fakes.service import is_ready, serving, shipped_reader

pytestmark = pytest.mark.skipif(browser.executable() is None, reason="no Chromium")

ASKED = "document.querySelector('#sign-in')?.open"


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "keys.json"


@pytest.fixture
def key(keys_file: Path) -> str:
    return add_key(keys_file, "ward-3", (Scope.PREDICT, Scope.READ), "ward-3", None, now())[1]


@pytest.fixture
def client(key: str, tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(shipped_reader(), data_dir=tmp_path / "data") as client:
        assert is_ready(client)
        yield client


@pytest.fixture
def page(client: httpx.Client, tmp_path: Path) -> Iterator[Page]:
    with chromium(tmp_path) as page:
        page.open(f"{client.base_url}/")
        yield page


def sign_in(page: Page, key: str) -> None:
    page.wait_for(ASKED)
    page.value(f"document.querySelector('#key').value = {key!r}")
    page.click("#sign-in-form button")


def test_the_page_asks_for_a_key_and_works_with_it(page: Page, key: str) -> None:
    sign_in(page, "nonsense")
    page.wait_for("document.querySelector('#sign-in-said').innerText.startsWith('This key opens nothing')")
    assert axe.violations(page) == []
    sign_in(page, key)
    page.wait_for(f"!{ASKED} && document.querySelector('#service').innerText.startsWith('Ready')")

    page.click("[data-demo=present]")
    page.wait_for("document.querySelector('#viewer').checkVisibility() && document.querySelector('#frame-number').innerText !== ''")

    assert page.text("#sign-out") == "Sign out ward-3"
    assert key not in page.value("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, location.href])")
    page.click("#sign-out")
    page.wait_for(ASKED)


def test_a_clip_that_is_dropped_when_the_session_is_over_is_sent_once_somebody_has_signed_in(page: Page, key: str, keys_file: Path) -> None:
    sign_in(page, key)
    page.wait_for("document.querySelector('#service').innerText.startsWith('Ready')")
    other = add_key(keys_file, "other", (Scope.PREDICT, Scope.READ), "other", None, now())[1]
    revoke_key(keys_file, "ward-3")

    page.click("[data-demo=not_assessable]")
    sign_in(page, other)

    page.wait_for("document.querySelector('#viewer').checkVisibility()")
    assert page.text("#headline").startswith("Not assessable")
