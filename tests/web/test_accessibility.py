"""Every state of the pages, light and dark, against WCAG 2.2 AA by axe-core."""

from pathlib import Path

import httpx
import pytest

from tests.fakes import axe, browser
from tests.fakes.browser import Page

pytestmark = pytest.mark.skipif(browser.executable() is None, reason="no Chromium")

DEMOS = ("present", "absent", "lung_point", "not_assessable")


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser_tab: Page, client: httpx.Client) -> Page:
    """The viewer, empty. It keeps still: what fades in has no contrast yet."""
    features = [{"name": "prefers-color-scheme", "value": request.param}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    browser_tab.call("Emulation.setEmulatedMedia", features=features)
    browser_tab.open(f"{client.base_url}/web/icon.svg")
    browser_tab.value("sessionStorage.clear(), localStorage.clear()")
    browser_tab.open(f"{client.base_url}/")
    browser_tab.wait_for("document.querySelector('#service').innerText.startsWith('Ready')")
    return browser_tab


def test_the_empty_page(page: Page) -> None:
    assert axe.violations(page) == []


@pytest.mark.parametrize("demo", DEMOS)
def test_an_answer(page: Page, demo: str) -> None:
    page.click(f"[data-demo={demo}]")
    page.wait_for("document.querySelector('#viewer').checkVisibility() && document.querySelector('#frame-number').innerText !== ''")

    assert axe.violations(page) == []
    assert axe.faint_chart_texts(page) == []


def test_a_problem(page: Page, tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("no clip")
    page.choose_file("#clip", tmp_path / "letter.mp4")
    page.wait_for("document.querySelector('#problem').checkVisibility()")

    assert axe.violations(page) == []


def test_tools_and_a_patch(page: Page, client: httpx.Client) -> None:
    page.click("[data-demo=present]")
    page.wait_for("document.querySelector('#mmode-card').checkVisibility()")
    answer = client.get(f"/v1/jobs/{page.value('location.hash.slice(1)')}/result").json()
    x0, y0, x1, y1 = answer["windows"][0]["patches"][0]["box"]
    page.drag("#picture", ((x0 + x1) / 2 / answer["clip"]["width"], (y0 + y1) / 2 / answer["clip"]["height"]))
    assert page.is_shown("#patch")
    page.click("[data-tool=region]")
    page.value("document.querySelector('details').open = true")

    assert axe.violations(page) == []


def test_what_is_wrong_is_found(page: Page) -> None:
    page.value("document.querySelector('#language').removeAttribute('aria-label')")

    assert any(line.startswith("select-name") for line in axe.violations(page))
