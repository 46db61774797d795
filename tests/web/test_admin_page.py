"""The administrator's page in a real browser, in front of the real service and a ledger with a story."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w

from service.api.node_schemas import ProblemKind
from service.findings import TOLD_SIGNS
from tests.fakes import axe, browser
from tests.fakes.browser import Page
from tests.fakes.orthanc import free_port
from tests.fakes.queues import READ, REFUSAL, copy_story
from tests.fakes.service import ILL, IllSigns, WordReader, is_ready, serving

pytestmark = pytest.mark.skipif(browser.executable() is None, reason="no Chromium")

TO_ARCHIVE = {"name": "archive", "results": [], "dicom": {"ae_title": "ARCHIVE", "address": "127.0.0.1", "port": 104}}


@pytest.fixture
def page(browser_tab: Page, tmp_path: Path) -> Iterator[Page]:
    """The page of a site with one destination, "archive", which takes what it gets at once."""
    copy_story(tmp_path / "data")
    receive = {"port": free_port(), "calling_ae_titles": ["*"], "min_free_bytes": 0}
    (tmp_path / "pacs.toml").write_text(tomli_w.dumps({"receive": receive, "destination": [TO_ARCHIVE]}))
    with serving(WordReader(), data_dir=tmp_path / "data", site=tmp_path / "pacs.toml") as client:
        assert is_ready(client)
        browser_tab.problems.clear()
        browser_tab.open(f"{client.base_url}/web/icon.svg")
        browser_tab.value("localStorage.clear()")
        browser_tab.open(f"{client.base_url}/admin")
        browser_tab.wait_for("document.querySelectorAll('#recent tr').length === 4")
        yield browser_tab


def cards(page: Page) -> list[str]:
    found: list[str] = page.value("[...document.querySelectorAll('#destinations > li')].map((card) => card.innerText)")
    return [" ".join(card.split()) for card in found]


def test_the_queues_are_told_with_their_failures(page: Page) -> None:
    assert cards(page)[0] == f"archive: results were given up 0 waiting 0 delivered 1 given up Last failure: {REFUSAL}"
    assert cards(page)[1] == "research: all delivered 0 waiting 1 delivered 0 given up"
    assert cards(page)[2].startswith("slow: results wait 1 waiting, the oldest for ")
    page.value("document.querySelector('#recent-part').open = true")
    assert "sliding absent" in page.text("#recent")
    assert "left out" in page.text("#counts")
    assert page.text("#updated").startswith("As of ")
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

    page.wait_for("document.querySelector('#headline').innerText === 'The service cannot be reached.'", 20)
    assert page.text("#problems").startswith("What is shown below is from before.")
    assert "archive" in page.text("#destinations")


def test_the_first_line_says_what_is_wrong_and_the_next_what_to_do(page: Page) -> None:
    page.wait_for("document.querySelector('#headline').innerText.startsWith('1 result for archive was given up, the first from ')")

    assert page.text("#state") == "Needs attention"
    assert page.text("#mark") == "!"
    assert f"{REFUSAL} Mend what is said, then send again below." in " ".join(page.text("#problems").split())


def test_a_refresh_leaves_focus_scroll_and_open_details(page: Page) -> None:
    page.value("document.querySelector('#recent-part').open = true, document.querySelector('#dead button').focus({preventScroll: true})")
    page.value("scrollTo(0, 300)")
    before = page.text("#updated")

    page.wait_for(f"document.querySelector('#updated').innerText !== {before!r}", 20)

    focused = f"{READ}-archive-2"
    assert page.value("[document.activeElement.dataset.id, scrollY, document.querySelector('#recent-part').open]") == [focused, 300, True]


def test_the_report_for_support_is_text_without_a_patient(page: Page) -> None:
    page.value("Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => { window.copied = text; }}})")
    page.click("#copy")
    page.wait_for("document.querySelector('#copied').innerText.startsWith('Copied')")

    lines = page.value("window.copied").splitlines()
    assert lines[0] == "Seashore 0.1.0: attention"
    assert "problems.0.kind: results_given_up" in lines
    assert any(line.startswith("versions.openvino: ") for line in lines)


def test_without_a_clipboard_the_report_is_there_to_be_selected(page: Page) -> None:
    page.value("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.click("#copy")

    page.wait_for("document.querySelector('#report').checkVisibility()")
    assert page.value("getSelection().toString() || document.querySelector('#report').value").startswith("Seashore 0.1.0: attention")


def test_models_of_signs_are_listed_with_what_they_tell_and_what_ails_them(browser_tab: Page, tmp_path: Path) -> None:
    with serving(IllSigns(), data_dir=tmp_path / "data") as client:
        assert is_ready(client)
        browser_tab.problems.clear()
        browser_tab.open(f"{client.base_url}/web/icon.svg")
        browser_tab.value("localStorage.clear()")
        browser_tab.open(f"{client.base_url}/admin")
        browser_tab.wait_for("document.querySelectorAll('#signs > .refused').length === 1", 20)

        signs = browser_tab.text("#signs")
        assert f"blines-small 1.0.0\n\ndoes not answer just now · B-lines\n\n{ILL}" in signs
        assert "signs-small 1.0.0\n\nnot loaded yet · A-lines, effusion, consolidation" in signs
        assert browser_tab.text("#headline").startswith("The model resnet3d18-w16:0.0.9 was refused: ")
        told = " ".join(browser_tab.text("#problems").split())
        assert (
            f"The model of signs blines-small:1.0.0 cannot be asked: {ILL} Sliding is read all the same. The model is opened again" in told
        )
        assert axe.violations(browser_tab) == []
        speak_slovak(browser_tab)
        assert "teraz neodpovedá · B-línie" in browser_tab.text("#signs")
        assert browser_tab.problems == []


def speak_slovak(page: Page) -> None:
    page.value("(document.querySelector('#language').value = 'sk', document.querySelector('#language').dispatchEvent(new Event('change')))")


def test_the_page_speaks_slovak_too(page: Page) -> None:
    speak_slovak(page)

    assert page.text("#headline").startswith("Výsledky pre archive, ktoré sa už neposielajú: 1, prvý z ")
    assert page.value("document.documentElement.lang") == "sk"
    assert "Given up" not in page.text("main")


def test_every_text_is_there_in_every_language_and_every_kind_of_problem_has_its_words(page: Page) -> None:
    keys = page.value(
        """(async () => {
          const [{ texts: en }, { texts: sk }] = await Promise.all([import("/web/texts/admin/en.js"), import("/web/texts/admin/sk.js")]);
          return [Object.keys(en), Object.keys(sk)];
        })()"""
    )

    assert set(keys[0]) == set(keys[1])
    assert {f"{what}_{kind}" for what in ("problem", "do") for kind in ProblemKind} <= set(keys[0])
    assert {f"sign_{name}" for name in TOLD_SIGNS} <= set(keys[0])


def test_a_part_that_cannot_be_shown_does_not_end_the_watch_over_the_others(page: Page) -> None:
    before = page.text("#updated")
    page.value("document.querySelector('#device').remove()")

    page.wait_for(f"document.querySelector('#updated').innerText !== {before!r}", 20)
    again = page.text("#updated")
    page.wait_for(f"document.querySelector('#updated').innerText !== {again!r}", 20)
    page.problems.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_page(page: Page, scheme: str) -> None:
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    assert axe.violations(page) == []


def test_everything_that_can_be_pressed_has_a_name(page: Page) -> None:
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    pressed = [node for node in nodes if node.get("role", {}).get("value") in ("button", "combobox", "link", "textbox", "meter")]

    assert len(pressed) > 5
    assert [node for node in pressed if not node.get("ignored") and not node["name"]["value"]] == []


def test_a_node_that_is_well_says_so_in_one_line(browser_tab: Page, tmp_path: Path) -> None:
    with serving(WordReader(), data_dir=tmp_path / "data") as client:
        assert is_ready(client)
        browser_tab.open(f"{client.base_url}/web/icon.svg")
        browser_tab.value("localStorage.clear()")
        browser_tab.open(f"{client.base_url}/admin")
        browser_tab.wait_for("document.querySelector('#headline').innerText.startsWith('All is well')", 20)

        assert browser_tab.text("#headline") == "All is well: ready on words, 1 model loaded, nothing waiting."
        assert browser_tab.text("#mark") == "✓"
        assert browser_tab.text("#no-failures") == "None."
        assert browser_tab.text("#pacs-none").startswith("This node is no node of a PACS")
