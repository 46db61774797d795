"""The queue page in a real browser, in front of the real service and a ledger with a story."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w

from tests.fakes import browser
from tests.fakes.browser import Page, chromium
from tests.fakes.orthanc import free_port
from tests.fakes.queues import READ, REFUSAL, copy_story
from tests.fakes.service import WordReader, serving, wait_until

pytestmark = pytest.mark.skipif(browser.executable() is None, reason="no Chromium")

TO_ARCHIVE = {"name": "archive", "results": [], "dicom": {"ae_title": "ARCHIVE", "address": "127.0.0.1", "port": 104}}


@pytest.fixture(scope="module")
def browser_tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def page(browser_tab: Page, tmp_path: Path) -> Iterator[Page]:
    """The page of a site with one destination, "archive", which takes what it gets at once."""
    copy_story(tmp_path / "data")
    receive = {"port": free_port(), "calling_ae_titles": ["*"], "min_free_bytes": 0}
    (tmp_path / "pacs.toml").write_text(tomli_w.dumps({"receive": receive, "destination": [TO_ARCHIVE]}))
    with serving(WordReader(), data_dir=tmp_path / "data", site=tmp_path / "pacs.toml") as client:
        assert wait_until(lambda: client.get("/readyz").status_code == 200)
        browser_tab.problems.clear()
        browser_tab.open(f"{client.base_url}/pacs")
        browser_tab.wait_for("document.querySelectorAll('#recent tr').length === 4")
        yield browser_tab


def cards(page: Page) -> list[str]:
    found: list[str] = page.value("[...document.querySelectorAll('#destinations > li')].map((card) => card.innerText)")
    return [" ".join(card.split()) for card in found]


def test_the_queues_are_told_with_their_failures(page: Page) -> None:
    assert cards(page)[0] == f"archive: results were given up 0 waiting 0 delivered 1 given up Last failure: {REFUSAL}"
    assert cards(page)[1] == "research: all delivered 0 waiting 1 delivered 0 given up"
    assert cards(page)[2].startswith("slow: results wait 1 waiting, the oldest for ")
    assert "sliding absent" in page.text("#recent")
    assert "left out" in page.text("#counts")
    assert page.text("#updated").startswith("As of ")
    assert not page.is_shown("#problem")
    assert page.problems == []


def test_a_dead_letter_is_sent_again_by_its_button(page: Page) -> None:
    assert REFUSAL in page.text("#dead")

    page.value(f"document.querySelector('[data-id=\"{READ}-archive-2\"]').click()")

    page.wait_for("document.querySelector('#said').innerText !== ''")
    assert page.text("#said") == f"{READ}-archive-2 is sent again, as {READ}-archive-3."
    page.wait_for("document.querySelector('#destinations > li').innerText.includes('all delivered')", 20)
    assert REFUSAL not in page.text("#dead")
    assert page.problems == []


def test_the_page_fits_a_telephone(page: Page) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=360, height=800, deviceScaleFactor=1, mobile=True)
    try:
        assert page.value("document.documentElement.scrollWidth") == 360
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")


def test_a_service_that_is_gone_is_said_to_be(page: Page) -> None:
    page.value("window.fetch = () => Promise.reject(new TypeError('gone'))")

    page.wait_for("document.querySelector('#problem').checkVisibility()", 20)
    assert page.text("#problem-detail") == "The service cannot be reached. What is shown is from before."
