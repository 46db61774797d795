"""The page in a real browser, in front of the real service: a clip goes up through the form, the verdict is read off the page."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes import browser, media, pdf
from tests.fakes.browser import Page, chromium
from tests.fakes.phantoms import frozen, small_phantom
from tests.fakes.service import serving, shipped_reader, wait_until

pytestmark = pytest.mark.skipif(browser.executable() is None, reason="no Chromium")

HEADLINES = {
    "present": ("Lung sliding present",),
    "absent": ("Lung sliding absent",),
    "indeterminate": ("Cannot tell: ", "Suspected lung point: "),
    "not_assessable": ("Not assessable: ",),
}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(shipped_reader()) as client:
        yield client


@pytest.fixture(scope="module")
def browser_tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def page(browser_tab: Page, client: httpx.Client) -> Page:
    browser_tab.problems.clear()
    browser_tab.open(str(client.base_url))
    browser_tab.wait_for("document.querySelector('#service').innerText.startsWith('Ready')")
    return browser_tab


def choose(page: Page, folder: Path, name: str, clip: bytes) -> None:
    path = folder / name
    path.write_bytes(clip)
    page.choose_file("#clip", path)


def test_a_clip_sent_through_the_form_is_answered_in_words_and_on_the_picture(page: Page, client: httpx.Client, tmp_path: Path) -> None:
    clip = media.mp4(small_phantom("present", 2.2).frames)
    said = client.post("/v1/predict?saliency=none", content=clip).json()

    choose(page, tmp_path, "lung.mp4", clip)
    page.wait_for("document.querySelector('#answer').checkVisibility()")
    page.wait_for("document.querySelector('#annotated').videoWidth > 0")

    sliding = said["lung_sliding"]
    assert page.text("#headline").startswith(HEADLINES[sliding["verdict"]])
    assert page.text("#probability-text").startswith(f"Probability of sliding {sliding['probability']:.2f}")
    assert page.text("#clip-name") == "lung.mp4"
    assert page.text("#slide-text").startswith("The lung moved ")
    assert said["model"]["name"] in page.text("#facts")
    assert page.text("#intended-use") == said["intended_use"]
    assert not page.is_shown("#progress")
    assert page.problems == []


def test_a_clip_that_cannot_be_assessed_is_told_what_to_do(page: Page, tmp_path: Path) -> None:
    choose(page, tmp_path, "still.mp4", media.mp4(frozen(small_phantom("present", 2.2))))
    page.wait_for("document.querySelector('#answer').checkVisibility()")

    assert page.text("#headline") == "Not assessable: the picture is frozen"
    assert page.text("#reasons") == "The picture does not change at all: this is a frozen image. Record a moving clip."
    assert not page.is_shown("#probability")
    assert not page.is_shown("#slide-card")
    page.wait_for("document.querySelector('#annotated').videoWidth > 0")
    assert page.problems == []


def test_the_report_is_saved_on_demand(page: Page, tmp_path: Path) -> None:
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    choose(page, tmp_path, "still.mp4", media.mp4(frozen(small_phantom("present", 2.2))))
    page.wait_for("document.querySelector('#answer').checkVisibility()")

    page.value("document.querySelector('#download-report').click()")

    assert wait_until((tmp_path / "seashore.pdf").exists, seconds=30)
    page.wait_for("!document.querySelector('#download-report').disabled")
    assert "Not assessable: the picture is frozen" in pdf.text((tmp_path / "seashore.pdf").read_bytes()).split("\n")
    assert page.problems == []


def test_a_file_that_is_no_clip_is_told_in_a_sentence_and_the_next_clip_is_read(page: Page, tmp_path: Path) -> None:
    choose(page, tmp_path, "letter.mp4", media.TEXT)
    page.wait_for("document.querySelector('#problem').checkVisibility()")

    assert page.text("#problem-title") == "This is not a clip"
    assert page.text("#problem-detail").startswith("This is text, not a clip. MP4, ")
    assert page.text("#problem-code") == "Code: unsupported_format"
    assert not page.is_shown("#answer")

    choose(page, tmp_path, "lung.mp4", media.mp4(small_phantom("present", 2.2).frames))
    page.wait_for("document.querySelector('#answer').checkVisibility()")
    assert not page.is_shown("#problem")


def test_a_page_that_would_ask_another_server_is_stopped_and_seen(page: Page) -> None:
    page.value("fetch('https://elsewhere.invalid/').catch(() => 0)")
    page.value("0")

    assert any("Content Security Policy" in problem for problem in page.problems)
