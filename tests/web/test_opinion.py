"""The question "Do you agree?" in a real browser, in front of the real service: what is pressed is what is written down."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.jobs.feedback import FEEDBACK
from tests.fakes import browser, media
from tests.fakes.browser import Page, chromium
from tests.fakes.phantoms import frozen, small_phantom
from tests.fakes.service import is_ready, serving, shipped_reader

pytestmark = pytest.mark.skipif(browser.executable() is None, reason="no Chromium")

KEPT = "document.querySelector('#opinion-kept').innerText.startsWith('Thank you')"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Iterator[Page]:
    """A clip that cannot be assessed (a frozen picture), shown."""
    clip = tmp_path_factory.mktemp("clips") / "still.mp4"
    clip.write_bytes(media.mp4(frozen(small_phantom("present", 2.2))))
    with serving(shipped_reader(), data_dir=data_dir) as client, chromium(tmp_path_factory.mktemp("chromium")) as page:
        assert is_ready(client)
        page.open(f"{client.base_url}/")
        page.wait_for("document.querySelector('#service').innerText.startsWith('Ready')")
        page.choose_file("#clip", clip)
        page.wait_for("document.querySelector('#viewer').checkVisibility()")
        yield page


def last_line(data_dir: Path) -> Any:
    return json.loads((data_dir / FEEDBACK).read_text().splitlines()[-1])


def signs(page: Page) -> list[str]:
    buttons = "[...document.querySelectorAll('[data-sign]')]"
    return list(page.value(f"{buttons}.filter((button) => button.checkVisibility()).map((button) => button.dataset.sign)"))


def test_who_disagrees_is_asked_what_they_see_and_that_is_sent(page: Page, data_dir: Path) -> None:
    assert signs(page) == []
    page.click("[data-opinion=disagree]")
    assert signs(page) == ["present", "absent", "lung_point"]  # "nobody can tell" is what the answer said itself
    assert page.value("document.activeElement.dataset.sign") == "present"
    assert not (data_dir / FEEDBACK).exists()
    page.value("document.querySelector('#opinion-note').value = 'it slides'")

    page.click("[data-sign=present]")
    page.wait_for(KEPT)
    line = last_line(data_dir)
    assert (line["opinion"], line["sign"], line["label"], line["note"]) == ("disagree", "present", "present", "it slides")
    assert signs(page) == []
    assert page.problems == []


@pytest.mark.parametrize("opinion", ["agree", "unsure"])
def test_any_other_opinion_is_sent_at_once_and_says_nothing_of_an_open_verdict(page: Page, data_dir: Path, opinion: str) -> None:
    page.click("[data-opinion=disagree]")
    page.click(f"[data-opinion={opinion}]")

    page.wait_for(KEPT)
    line = last_line(data_dir)
    assert (line["opinion"], line["sign"], line["label"]) == (opinion, None, None)
    assert signs(page) == []


def test_the_page_says_what_opinions_are_for(page: Page) -> None:
    assert "What you say, with the clip and a region drawn by hand, can be exported to train a model." in page.text(".take")
