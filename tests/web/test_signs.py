"""Signs beside sliding in the viewer: a real browser in front of the real service, with models whose answers are computed in the head."""

import base64
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from service.reader import ClipReader
from service.settings import Settings
from service.sign_bundle import Domain
from tests.fakes import axe, browser, media
from tests.fakes.browser import Page
from tests.fakes.phantoms import preset_phantom
from tests.fakes.service import is_ready, serving, shipped_bundle, wait_until
from tests.fakes.signs import FLOW, FRAME, told, write_bright

pytestmark = [pytest.mark.slow, pytest.mark.skipif(browser.executable() is None, reason="no Chromium")]

READ = "document.querySelector('#viewer').checkVisibility() && document.querySelector('#mmode-windows').innerText !== ''"
STILL = [{"name": "prefers-reduced-motion", "value": "reduce"}]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Of a service that tells B-lines, effusion with maps, consolidation of linear probes alone, and sliding by a second reader."""
    folder = tmp_path_factory.mktemp("signs")
    bundle = shipped_bundle()
    shutil.copytree(bundle, folder / "store" / bundle.parent.name / bundle.name)
    sure = replace(told("b_lines", present_above=0.2, absent_below=0.1), measured="On 47 clips.")
    write_bright(folder / "store", ("b_lines",), name="lines", tells=(sure,))
    write_bright(folder / "store", ("effusion",), name="fluid", frames=FRAME)
    (folder / "linear.mp4").write_bytes(media.mp4(preset_phantom("linear_present").frames))
    write_bright(folder / "store", ("consolidation",), name="solid", domain=Domain(("linear",), 5.0), golden_clip=folder / "linear.mp4")
    write_bright(folder / "store", ("lung_sliding",), name="second", frames=FLOW)
    reader = ClipReader(Settings(device="cpu", model_store=folder / "store"))
    with serving(reader, data_dir=folder / "data") as client:
        assert is_ready(client)
        yield client


@pytest.fixture
def page(browser_tab: Page, client: httpx.Client) -> Page:
    """With nothing in its worklist, keeping still."""
    browser_tab.call("Emulation.setEmulatedMedia", features=STILL)
    browser_tab.open(f"{client.base_url}/web/icon.svg")
    browser_tab.value("sessionStorage.clear(), localStorage.clear()")
    browser_tab.problems.clear()
    opened(browser_tab, client)
    return browser_tab


def opened(page: Page, client: httpx.Client) -> None:
    page.open(f"{client.base_url}/")
    page.wait_for("document.querySelector('#service').innerText.startsWith('Ready')")


@pytest.fixture
def answer(page: Page, client: httpx.Client) -> Any:
    """Of a simulated clip that was read for signs too, and is shown."""
    page.click("#signs-wanted")
    return read(page, client)


def read(page: Page, client: httpx.Client) -> Any:
    page.click("[data-demo=present]")
    page.wait_for(READ)
    page.wait_for("document.querySelector('#frame-number').innerText !== ''")
    settle(page)
    return client.get(f"/v1/jobs/{page.value('location.hash.slice(1)')}/result").json()


def settle(page: Page) -> None:
    """Until nothing moves any more: a frame is drawn when its picture has come, and cards push others down when they are filled."""
    assert wait_until(lambda: _seen(page) == (time.sleep(0.3), _seen(page))[1], 30)


def _seen(page: Page) -> Any:
    return page.value("[document.body.scrollHeight, document.querySelector('#picture').toDataURL()]")


def levels(page: Page) -> NDArray[np.uint8]:
    """The picture as it is drawn."""
    png = base64.b64decode(page.value("document.querySelector('#picture').toDataURL().split(',')[1]"))
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def frame(page: Page) -> int:
    return int(page.text("#frame-number").split()[1])


# -- asking -----------------------------------------------------------------------------------------------------------


def test_signs_are_looked_for_where_it_was_ticked_and_that_is_remembered(page: Page, client: httpx.Client) -> None:
    assert page.is_shown("#signs-option")
    assert read(page, client)["signs"] == []
    assert not page.is_shown("#signs-card")

    page.click("#signs-wanted")
    page.value("sessionStorage.clear()")
    opened(page, client)
    assert page.value("document.querySelector('#signs-wanted').checked") is True
    assert [sign["sign"] for sign in read(page, client)["signs"]] == ["b_lines", "effusion", "consolidation", "lung_sliding"]
    assert page.is_shown("#signs-card")


def test_where_no_model_tells_a_sign_none_is_offered_nor_asked_for(page: Page) -> None:
    page.click("#signs-wanted")
    asked = page.value("import('/web/options.js').then(({offer, options}) => [options(), offer([]), options()])")

    assert asked == [{"signs": "all"}, None, {}]
    assert not page.is_shown("#signs-option")


# -- the answer -------------------------------------------------------------------------------------------------------


def test_each_sign_is_told_with_its_probability_and_what_its_model_was_measured_on(page: Page, answer: Any) -> None:
    rows = [" ".join(row.split()) for row in page.value("[...document.querySelectorAll('#signs li')].map((row) => row.innerText)")]
    lines, effusion, consolidation, _ = answer["signs"]

    assert rows[:3] == [
        f"B-lines present (probability of being seen {lines['probability']:.2f}) ▼ Measured (lines 1.0.0): On 47 clips.",
        f"Effusion cannot tell (probability of being seen {effusion['probability']:.2f}) ▼ Measured (fluid 1.0.0): Computed in the head.",
        f"Consolidation not assessable {consolidation['reason']['detail']} Measured (solid 1.0.0): Computed in the head.",
    ]
    assert "research" in page.text("#signs-heading")
    assert page.text("#headline") == "Lung sliding present"
    assert "lines 1.0.0, fluid 1.0.0, solid 1.0.0, second 1.0.0" in page.text("#facts")
    assert page.problems == []


def test_a_lane_has_the_models_probabilities_and_its_attention_over_the_time_of_the_clip(page: Page, answer: Any) -> None:
    lines, effusion, *_ = answer["signs"]
    heights = page.value("[...document.querySelectorAll('#lane-b_lines .sign')].map((bar) => bar.height.baseVal.value / 42)")

    assert heights == pytest.approx([moment["probability"] for moment in lines["moments"]], abs=0.01)
    assert page.value("document.querySelectorAll('#lane-b_lines .attention').length") == len(lines["moments"])
    assert page.value("document.querySelectorAll('#lane-effusion .attention').length") == 0
    assert page.value("document.querySelectorAll('#lane-effusion .sign').length") == len(effusion["moments"])
    assert page.value("document.querySelector('#lane-consolidation')") is None


def test_lanes_lie_under_the_m_mode_and_their_cursor_goes_with_the_picture(page: Page, client: httpx.Client, answer: Any) -> None:
    page.wait_for("document.querySelector('#mmode-card').checkVisibility()")
    strip, lane = (page.value(f"document.querySelector('{it}').getBoundingClientRect().toJSON()") for it in ("#strip", "#lane-b_lines"))
    assert [strip["left"], strip["width"]] == pytest.approx([lane["left"], lane["width"]], abs=0.5)

    page.value("(document.querySelector('#position').value = 75, document.querySelector('#position').dispatchEvent(new Event('input')))")
    at = page.value(
        "document.querySelector('#lane-effusion .cursor').x1.baseVal.value / document.querySelector('#lane-effusion').clientWidth"
    )
    times = client.get(f"/v1/jobs/{page.value('location.hash.slice(1)')}/frames").json()["times_s"]
    assert at == pytest.approx(times[75] / answer["clip"]["duration_s"], abs=0.003)


def test_a_lane_that_is_clicked_leads_to_its_time(page: Page, answer: Any) -> None:
    page.value("document.querySelector('#lane-b_lines').scrollIntoView()")
    page.drag("#lane-b_lines", (0.5, 0.5))

    assert frame(page) == pytest.approx(answer["clip"]["frames"] / 2, abs=2)


@pytest.mark.parametrize("press", ["click", "Enter"])
def test_a_marker_leads_to_the_frame_that_shows_its_sign_best(page: Page, answer: Any, press: str) -> None:
    best = answer["signs"][1]["representative"]
    page.value("(document.querySelector('#position').value = 75, document.querySelector('#position').dispatchEvent(new Event('input')))")

    marker = "#lane-effusion + button"
    if press == "click":
        page.click(marker)
    else:
        page.value(f"document.querySelector('{marker}').focus()")
        page.press(press)
    page.wait_for(f"document.querySelector('#frame-number').innerText.startsWith('frame {best['index'] + 1} ')")

    assert page.value("document.querySelector('#signs li:nth-child(2)').className") == "shown"
    assert page.value(f"document.querySelector('{marker}').ariaLabel").startswith(f"Effusion: to frame {best['index'] + 1} at ")
    assert page.value("document.querySelector('#lane-b_lines + button').title").endswith(" s, which shows it best")


def test_on_its_frame_alone_a_sign_shows_where_its_model_saw_it_when_the_switch_is_on(page: Page, answer: Any) -> None:
    best = answer["signs"][1]["representative"]
    page.click("#lane-effusion + button")
    page.wait_for(f"document.querySelector('#frame-number').innerText.startsWith('frame {best['index'] + 1} ')")
    for layer in ("patches", "pleura"):
        page.click(f"[data-show={layer}]")
    settle(page)
    without = levels(page)

    page.click("[data-show=saliency]")
    drawn = f"document.querySelector('#picture').getContext('2d').getImageData({without.shape[1] // 2}, 40, 1, 1).data[0]"
    page.wait_for(f"{drawn} > {int(without[40, without.shape[1] // 2].max())}")  # its edge is there at once, the map when it is decoded
    changed = np.abs(levels(page).astype(int) - without).sum(axis=2) > 6
    ys, xs = np.nonzero(changed)
    height, width = changed.shape
    scale_x, scale_y = width / answer["clip"]["width"], height / answer["clip"]["height"]
    x0, y0, x1, y1 = best["box"]
    assert [xs.min(), xs.max()] == pytest.approx([(x0 + 0.5) * scale_x, (x1 + 0.5) * scale_x], abs=2.5)
    assert [ys.min(), ys.max()] == pytest.approx([(y0 + 0.5) * scale_y, (y1 + 0.5) * scale_y], abs=2.5)
    assert changed[: height // 2].sum() > changed[height // 2 :].sum()  # the near field is brighter, and the map is the frame

    page.click("[data-show=saliency]")
    assert np.array_equal(levels(page), without)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(page: Page, client: httpx.Client, scheme: str) -> None:
    page.call("Emulation.setEmulatedMedia", features=[*STILL, {"name": "prefers-color-scheme", "value": scheme}])
    page.click("#signs-wanted")
    read(page, client)

    assert page.is_shown("#signs-card")
    assert axe.violations(page) == []
    assert axe.faint_chart_texts(page) == []


def test_another_language_says_it_too_and_the_models_own_sentence_stays_marked_as_english(page: Page, answer: Any) -> None:
    page.value("(document.querySelector('#language').value = 'sk', document.querySelector('#language').dispatchEvent(new Event('change')))")

    assert page.text("#signs-heading") == "Znaky okrem kĺzania (výskumné nálezy)"
    assert page.value("document.querySelector('#signs li [lang=en]').innerText") == "On 47 clips."
    assert "nikto nepreveril" in page.text("#signs")
    assert "Nie je to výrok" in page.text("#signs li:last-child")


def test_a_second_reader_is_said_not_to_be_the_answer_and_contradicts_it_among_the_warnings(page: Page, answer: Any) -> None:
    assert (answer["lung_sliding"]["verdict"], answer["signs"][-1]["verdict"]) == ("present", "absent")

    said = page.text("#signs li:last-child")
    assert said.startswith("Lung sliding, second reader")
    assert "It is not the verdict" in said
    assert "A second reader (second 1.0.0, a research model) reads the sliding otherwise" in page.text("#warnings")
