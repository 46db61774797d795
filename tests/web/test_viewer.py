"""The viewer in a real browser, in front of the real service: clips go in, the verdict is read off the page, the picture off its canvas."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from service.api.schemas import answer_of
from service.evidence.words import doubts
from service.findings import Analysis, Verdict
from tests.fakes import browser, media, pdf
from tests.fakes.analysis import example_analysis
from tests.fakes.browser import Page
from tests.fakes.phantoms import frozen, small_phantom
from tests.fakes.service import serving, shipped_reader, wait_until

pytestmark = pytest.mark.skipif(browser.executable() is None, reason="no Chromium")

WEB = Path(__file__).resolve().parents[2] / "service" / "web"
HEADLINES = {
    "present": ("Lung sliding present",),
    "absent": ("Lung sliding absent",),
    "indeterminate": ("Cannot tell: ", "Suspected lung point: "),
    "not_assessable": ("Not assessable: ",),
}
SHOWN = "document.querySelector('#viewer').checkVisibility()"
PICTURE = "!document.querySelector('#stage').classList.contains('waiting') && document.querySelector('#frame-number').innerText !== ''"


@pytest.fixture
def page(browser_tab: Page, client: httpx.Client) -> Page:
    """With nothing in its worklist."""
    browser_tab.open(f"{client.base_url}/web/icon.svg")
    browser_tab.value("sessionStorage.clear(), localStorage.clear()")
    browser_tab.problems.clear()
    browser_tab.open(f"{client.base_url}/")
    browser_tab.wait_for("document.querySelector('#service').innerText.startsWith('Ready')")
    return browser_tab


@pytest.fixture(scope="module")
def lung() -> bytes:
    return media.mp4(small_phantom("present", 2.2).frames)


@pytest.fixture(scope="module")
def still() -> bytes:
    return media.mp4(frozen(small_phantom("present", 2.2)))


def choose(page: Page, folder: Path, name: str, clip: bytes) -> None:
    path = folder / name
    path.write_bytes(clip)
    page.choose_file("#clip", path)


def shown(page: Page, folder: Path, clip: bytes, name: str = "lung.mp4") -> str:
    """The clip handed in, read and on the picture, paused. Its job."""
    choose(page, folder, name, clip)
    page.wait_for(SHOWN)
    page.wait_for(PICTURE)
    page.value("document.querySelector('#play').classList.contains('playing') && document.querySelector('#play').click()")
    return str(page.value("location.hash.slice(1)"))


def entries(page: Page) -> list[str]:
    found: list[str] = page.value("[...document.querySelectorAll('#entries li')].map((entry) => entry.innerText)")
    return [" ".join(entry.split()) for entry in found]


def result(client: httpx.Client, job: str) -> Any:
    return client.get(f"/v1/jobs/{job}/result").json()


# -- the verdict ------------------------------------------------------------------------------------------------------


def test_a_clip_is_answered_in_words(page: Page, client: httpx.Client, tmp_path: Path, lung: bytes) -> None:
    job = shown(page, tmp_path, lung)

    said = result(client, job)
    sliding = said["lung_sliding"]
    assert page.text("#headline").startswith(HEADLINES[sliding["verdict"]])
    assert page.text("#probability-text").startswith(f"Probability of sliding {min(sliding['probability'], 0.99):.2f}")
    assert page.text("#clip-name") == "lung.mp4"
    assert page.text("#slide-text").startswith("The lung moved ")
    assert said["model"]["name"] in page.text("#facts")
    assert page.text("#intended-use") == said["intended_use"]
    assert page.problems == []


def test_a_clip_that_cannot_be_assessed_is_told_what_to_do_and_still_plays(page: Page, tmp_path: Path, still: bytes) -> None:
    shown(page, tmp_path, still)

    assert page.text("#headline") == "Not assessable: the picture is frozen"
    assert page.text("#reasons") == "The picture does not change at all: this is a frozen image. Record a moving clip."
    assert not page.is_shown("#probability")
    assert not page.is_shown("#slide-card")
    assert page.text("#frame-number").endswith(" of 66")
    assert page.problems == []


def test_the_page_doubts_what_clip_report_and_command_line_doubt(page: Page) -> None:
    """`words.doubts` is written twice, in Python and here: the same answers go through both."""
    answers = [
        example_analysis(160, 120, num_windows=1, with_saliency=False, verdict=verdict, network=network, wall_control=control)[0]
        for verdict in Verdict
        for network in (Verdict.PRESENT, Verdict.ABSENT)
        for control in (None, 0.65, 0.65004, 0.6501, 0.9)
    ]
    near = {Verdict.PRESENT: (0.1499, 0.14996, 0.15, 0.15004), Verdict.ABSENT: (0.4999, 0.5, 0.50004, 0.5001)}
    answers += [with_patches(verdict, says) for verdict, figures in near.items() for says in figures]
    said = [list(doubts(answer)) for answer in answers]

    shown = json.dumps([answer_of(answer).model_dump(mode="json") for answer in answers])
    assert page.value(f"import('/web/words.js').then(({{doubts}}) => {shown}.map((answer) => [...doubts(answer)]))") == said
    assert {len(each) for each in said} == {0, 1, 2}


def with_patches(verdict: Verdict, says: float) -> Analysis:
    """All of whose patches have one probability."""
    analysis, _ = example_analysis(160, 120, num_windows=1, with_saliency=False, verdict=verdict)
    (window,) = analysis.windows
    return replace(analysis, windows=(replace(window, patches=tuple(replace(patch, probability=says) for patch in window.patches)),))


def test_a_file_that_is_no_clip_is_told_in_a_sentence_and_the_next_clip_is_read(page: Page, tmp_path: Path, lung: bytes) -> None:
    choose(page, tmp_path, "letter.mp4", media.TEXT)
    page.wait_for("document.querySelector('#problem').checkVisibility()")

    assert page.text("#problem-title") == "This is not a clip"
    assert page.text("#problem-detail").startswith("This is text, not a clip. MP4, ")
    assert page.text("#problem-code") == "Code: unsupported_format"
    assert not page.is_shown("#viewer")

    shown(page, tmp_path, lung)
    assert not page.is_shown("#problem")
    assert entries(page)[0] == "! letter.mp4 not read ×"


def test_several_clips_make_a_worklist_with_the_worst_first(page: Page, tmp_path: Path, lung: bytes, still: bytes) -> None:
    shown(page, tmp_path, lung, "first.mp4")
    shown(page, tmp_path, still, "second.mp4")
    page.wait_for("document.querySelectorAll('#entries .standing').length === 2")

    names = [entry.split()[1] for entry in entries(page)]
    assert names == ["second.mp4", "first.mp4"]
    page.value("[...document.querySelectorAll('#entries .choose')].at(-1).click()")
    page.wait_for("document.querySelector('#clip-name').innerText === 'first.mp4'")


@pytest.mark.parametrize(
    ("demo", "headline"),
    [
        ("present", "Lung sliding present"),
        ("absent", "Lung sliding absent"),
        ("lung_point", "Suspected lung point: slides on one side only"),
        ("not_assessable", "Not assessable: the picture is too dark"),
    ],
)
def test_without_a_clip_at_hand_a_simulated_one_is_read(page: Page, demo: str, headline: str) -> None:
    page.click(f"[data-demo={demo}]")
    page.wait_for(SHOWN)

    assert page.text("#headline") == headline
    assert page.problems == []


def test_where_nothing_is_kept_the_page_says_what_it_would_need(browser_tab: Page, tmp_path: Path, still: bytes) -> None:
    with serving(shipped_reader()) as client:
        browser_tab.open(f"{client.base_url}/")
        choose(browser_tab, tmp_path, "lung.mp4", still)
        browser_tab.wait_for("document.querySelector('#problem').checkVisibility()")

        assert "SEASHORE_JOBS is off" in browser_tab.text("#problem-detail")


@pytest.mark.slow
def test_more_clips_than_a_browser_has_connections_are_all_read_while_the_first_is_looked_at(page: Page, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.mp4" for number in range(8)]
    for number, path in enumerate(paths):
        path.write_bytes(media.mp4(small_phantom("present", 2.2, seed=20 + number).frames))
    page.choose_file("#clip", *paths)

    page.wait_for(SHOWN)
    page.wait_for(PICTURE)
    page.wait_for("document.querySelectorAll('#entries li').length === 8")
    page.wait_for("document.querySelectorAll('#entries .tone-waiting, #entries progress').length === 0")
    assert not any("not read" in entry for entry in entries(page))
    assert page.problems == []


# -- the picture -------------------------------------------------------------------------------------------------------


def test_every_frame_is_shown_when_it_is_asked_for(page: Page, tmp_path: Path) -> None:
    shown(page, tmp_path, media.mp4(stairs(40)))

    levels = []
    for frame in (0, 1, 17, 18, 39):
        page.value(
            f"(document.querySelector('#position').value = {frame}, document.querySelector('#position').dispatchEvent(new Event('input')))"
        )
        page.wait_for(f"document.querySelector('#frame-number').innerText === 'frame {frame + 1} of 40'")
        levels.append(settled_level(page))
    assert levels == pytest.approx([stair(frame) for frame in (0, 1, 17, 18, 39)], abs=2.4)


def test_keys_step_play_and_change_the_speed(page: Page, tmp_path: Path, lung: bytes) -> None:
    shown(page, tmp_path, lung)
    page.value("document.activeElement.blur()")
    page.press("Home")
    for _ in range(3):
        page.press("ArrowRight")
    page.press("ArrowLeft")
    assert page.text("#frame-number") == "frame 3 of 66"
    page.press("]")
    assert page.text("#speed") == "1.5×"
    page.press(" ")
    page.wait_for("document.querySelector('#frame-number').innerText !== 'frame 3 of 66'")
    page.press(" ")
    page.press("End")
    page.wait_for("document.querySelector('#frame-number').innerText === 'frame 66 of 66'")
    assert page.problems == []


@pytest.mark.parametrize("width_px", [360, 820, 1280])
def test_the_picture_is_not_stretched_and_the_page_not_wider_than_the_screen(
    page: Page, client: httpx.Client, tmp_path: Path, lung: bytes, width_px: int
) -> None:
    page.call("Emulation.setDeviceMetricsOverride", width=width_px, height=900, deviceScaleFactor=2, mobile=False)
    try:
        clip = result(client, shown(page, tmp_path, lung))["clip"]
        width, height = page.value("(({ width, height }) => [width, height])(document.querySelector('#picture').getBoundingClientRect())")
        assert width / height == pytest.approx(clip["width"] / clip["height"], rel=0.01)
        assert page.value("document.querySelector('#picture').width") == pytest.approx(2 * width, abs=1)
        assert page.value("document.documentElement.scrollWidth") <= width_px
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")


def test_frames_that_are_still_being_drawn_are_asked_for_again_and_it_is_heard_how_far_they_are(page: Page) -> None:
    heard = page.value(
        """(async () => {
          const { frames } = await import("/web/api.js");
          const answers = [new Response('{"share": 0.4}', { status: 202 }), new Response('{"width": 7}')];
          const really = window.fetch;
          window.fetch = async () => answers.shift();
          const shares = [];
          const index = await frames("job", new AbortController().signal, (share) => shares.push(share));
          window.fetch = really;
          return [shares, index.width];
        })()"""
    )
    assert heard == [[0.4], 7]


@pytest.mark.slow
def test_a_clip_of_a_minute_plays_and_is_scrubbed(page: Page, tmp_path: Path) -> None:
    frames = np.concatenate([small_phantom("present", 5.0).frames] * 12)
    shown(page, tmp_path, media.mp4(frames))
    page.press("End")

    page.wait_for("document.querySelector('#frame-number').innerText === 'frame 1800 of 1800'")
    page.click("#play")
    page.wait_for("Number(document.querySelector('#position').value) > 20 && Number(document.querySelector('#position').value) < 300", 20)
    assert page.problems == []


@pytest.mark.parametrize("density", [1.0, 2.5])
def test_the_overlay_lies_on_the_picture_to_a_pixel(page: Page, client: httpx.Client, tmp_path: Path, lung: bytes, density: float) -> None:
    """The drawing code is given the answer and a canvas of its own, so that only the overlay is on it."""
    job = shown(page, tmp_path, lung)
    answer = result(client, job)

    rows = page.value(
        f"""(async () => {{
          const {{ Overlay }} = await import("/web/overlay.js");
          const answer = await (await fetch("/v1/jobs/{job}/result")).json();
          const overlay = new Overlay(answer);
          overlay.shown = new Set(["pleura"]);
          const canvas = new OffscreenCanvas({density} * answer.clip.width, {density} * answer.clip.height);
          const context = canvas.getContext("2d");
          context.setTransform({density}, 0, 0, {density}, {density} / 2, {density} / 2);
          overlay.draw(context, 0, 1 / {density});
          const {{ data, width, height }} = context.getImageData(0, 0, canvas.width, canvas.height);
          return answer.pleura.columns.map(({{ x_px: x }}) => {{
            const column = Math.round(({density} * (x + 0.5)) - 0.5);
            let [sum, weight] = [0, 0];
            for (let y = 0; y < height; y++) {{
              const alpha = data[4 * (y * width + column) + 3];
              sum += alpha * y;
              weight += alpha;
            }}
            return (sum / weight + 0.5) / {density} - 0.5;
          }});
        }})()"""
    )

    line = np.array(answer["pleura"]["line"])
    expected = [np.interp(column["x_px"], line[:, 0], line[:, 1]) for column in answer["pleura"]["columns"]]
    assert rows == pytest.approx(expected, abs=0.6)
    truth = small_phantom("present", 2.2).truth.pleura_px
    assert truth is not None
    xs, ys = truth[len(truth) // 2].T
    assert np.median(np.abs(np.array(rows) - np.interp([column["x_px"] for column in answer["pleura"]["columns"]], xs, ys))) < 3


@pytest.mark.parametrize("density", [1.0, 2.5])
def test_picture_and_overlay_lie_on_each_other_to_a_pixel(page: Page, tmp_path: Path, density: float) -> None:
    """A picture of one bright oblique line, and an answer whose pleura is that line: on the canvas they are found at the same height."""
    xs, slope, first = np.arange(320), 0.3, 60
    frame = np.zeros((240, 320), np.uint8)
    for x in xs:
        frame[first + round(slope * x) - 1 : first + round(slope * x) + 2, x] = 255
    page.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=density, mobile=False)
    try:
        job = shown(page, tmp_path, media.mp4(np.stack([frame] * 40)))
        apart = page.value(
            f"""(async () => {{
              const [{{ Player }}, {{ Overlay }}] = await Promise.all([import("/web/player.js"), import("/web/overlay.js")]);
              const line = Array.from({{ length: 33 }}, (_, i) => [10 * i, {first} + {slope} * 10 * i]);
              const clip = {{ width: 320, height: 240 }};
              const pleura = {{ line, interspaces: [[0, 320]] }};
              const overlay = new Overlay({{ clip, pleura, windows: [], lung_point: {{ suspected: false, x_px: null }} }});
              const player = new Player();
              await player.open("{job}", overlay);
              const {{ canvas, context }} = player;
              const heights = (level) => {{
                const {{ data, width, height }} = context.getImageData(0, 0, canvas.width, canvas.height);
                return [40, 100, 160, 220, 280].map((x) => {{
                  const column = Math.round(((x + 0.5) * width) / clip.width - 0.5);
                  let [sum, weight] = [0, 0];
                  for (let y = 0; y < height; y++) {{
                    const here = level(...data.slice(4 * (y * width + column), 4 * (y * width + column) + 3));
                    sum += here * y;
                    weight += here;
                  }}
                  return sum / weight;
                }});
              }};
              overlay.shown = new Set();
              player.draw();
              const picture = heights((red, green, blue) => (blue > 90 ? blue : 0));
              overlay.shown = new Set(["pleura"]);
              player.draw();
              const drawn = heights((red, green, blue) => (green - blue > 40 ? green - blue : 0)); // the line is green
              const scale = canvas.height / clip.height;
              player.close();
              return [scale, picture.map((y, i) => (y - drawn[i]) / scale)];
            }})()"""
        )
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")
    scale, differences = apart
    assert scale > density
    assert np.abs(differences).max() < 1, differences


def test_a_patch_that_is_clicked_is_told_and_enlarged(page: Page, client: httpx.Client, tmp_path: Path, lung: bytes) -> None:
    answer = result(client, shown(page, tmp_path, lung))
    patch = answer["windows"][0]["patches"][0]
    x0, y0, x1, y1 = patch["box"]
    clip = answer["clip"]

    page.drag("#picture", ((x0 + x1 + 1) / 2 / clip["width"], (y0 + y1 + 1) / 2 / clip["height"]))

    assert page.text("#patch-title") == f"Patch: row {patch['row'] + 1}, column {patch['column'] + 1}"
    assert f"the network says {patch['probability']:.2f}" in page.text("#patch-text")
    assert page.value("document.querySelectorAll('#patch-windows li').length") == len(answer["windows"])
    assert mean_level(page, "#patch-now") > 5
    assert wait_until(lambda: abs(picture_sum(page, "#patch-looked") - picture_sum(page, "#patch-now")) > 1000, 10)  # saliency lies on it
    page.press("Escape")
    assert not page.is_shown("#patch")


def test_the_frames_of_a_patch_lie_beside_each_other_and_lead_to_theirs(page: Page, client: httpx.Client, tmp_path: Path) -> None:
    """A clip that gets brighter from frame to frame: so do the cells."""
    lung = small_phantom("present", 2.2).frames
    brighter = np.clip(lung * np.linspace(0.5, 1.0, len(lung))[:, None, None], 0, 255).astype(np.uint8)
    answer = result(client, shown(page, tmp_path, media.mp4(brighter)))
    x0, y0, x1, y1 = answer["windows"][0]["patches"][0]["box"]
    page.drag("#picture", ((x0 + x1 + 1) / 2 / answer["clip"]["width"], (y0 + y1 + 1) / 2 / answer["clip"]["height"]))

    assert wait_until(lambda: (cells := cell_levels(page))[0] > 5 and cells[-1] > 1.5 * cells[0], 10)
    page.drag("#patch-frames", (0.95, 0.4))
    assert page.text("#frame-number") == "frame 58 of 66"  # the middle of the last tenth of two seconds


def test_arrows_show_where_wall_and_lung_went(page: Page, client: httpx.Client, tmp_path: Path, lung: bytes) -> None:
    job = shown(page, tmp_path, lung)
    motion = result(client, job)["pleura"]["motion"]
    before = picture_sum(page)

    page.click("[data-show=motion]")
    assert wait_until(lambda: abs(picture_sum(page) - before) > 500, 10)
    assert page.is_shown("#motion-text")

    made = page.value(
        f"""(async () => {{
          const {{ arrows, momentAt, LONGER }} = await import("/web/motion.js");
          const {{ pleura }} = await (await fetch("/v1/jobs/{job}/result")).json();
          return {{ ...arrows(pleura.motion, 7), longer: LONGER, moments: [0, 0.07, 0.14, 99].map((at) => momentAt(pleura.motion, at)) }};
        }})()"""
    )
    assert made["moments"] == [0, 1, 2, -1]
    for kind in ("wall", "lung"):
        kept = [(at, shift) for at, shift in zip(motion[f"{kind}_at"], motion[f"{kind}_px"][7], strict=True) if shift is not None]
        assert [arrow[:2] for arrow in made[kind]] == [at for at, _ in kept]
        lengths = [np.hypot(*arrow[2:]) for arrow in made[kind]]
        assert lengths == pytest.approx([abs(made["longer"] * shift) for _, shift in kept], abs=0.01)
        assert all(np.sign(arrow[2]) == np.sign(shift) for arrow, (_, shift) in zip(made[kind], kept, strict=True))  # to the right
    first, last = motion["wall_at"][0], motion["lung_at"][0]
    deep, arrow = np.subtract(last, first), made["lung"][0][2:]
    assert abs(np.dot(deep, arrow)) < 0.01 * np.hypot(*deep) * np.hypot(*arrow)  # square to the way down
    page.click("[data-show=motion]")


def test_a_line_that_is_drawn_becomes_an_m_mode_strip(page: Page, tmp_path: Path, lung: bytes) -> None:
    shown(page, tmp_path, lung)
    page.wait_for("document.querySelector('#mmode-card').checkVisibility()")
    page.value("document.querySelector('#strip').getContext('2d').clearRect(0, 0, 9999, 9999)")

    page.click("[data-tool=mmode]")
    page.drag("#picture", (0.5, 0.2), (0.5, 0.5), (0.5, 0.9))

    assert wait_until(lambda: mean_level(page, "#strip") > 10, 20)
    assert page.text("#mmode-windows").startswith("0.0 to 2.0 s: ")
    page.drag("#strip", (0.5, 0.3))
    assert page.text("#frame-number") in ("frame 33 of 66", "frame 34 of 66")
    assert page.problems == []


def test_saliency_is_drawn_where_it_was_asked_for(page: Page, tmp_path: Path, lung: bytes) -> None:
    shown(page, tmp_path, lung)
    before = picture_sum(page)

    page.click("[data-show=saliency]")

    assert wait_until(lambda: abs(picture_sum(page) - before) > 1000, 10)


# -- links, lost connections, what is kept -----------------------------------------------------------------------------


def test_a_link_shows_the_answer_in_a_tab_that_knows_nothing(page: Page, client: httpx.Client, tmp_path: Path, lung: bytes) -> None:
    job = shown(page, tmp_path, lung)
    headline = page.text("#headline")
    page.open(f"{client.base_url}/web/icon.svg")
    page.value("sessionStorage.clear()")

    page.open(f"{client.base_url}/#{job}")
    page.wait_for(SHOWN)

    assert page.text("#headline") == headline
    assert "lung.mp4" not in str(page.value("location.href"))


def test_a_reload_while_a_clip_is_read_loses_nothing(page: Page, tmp_path: Path) -> None:
    choose(page, tmp_path, "long.mp4", media.mp4(small_phantom("present", 6.2, seed=5).frames))
    page.wait_for("location.hash !== '' || document.querySelector('#entries .standing').innerText.includes('waiting')")

    page.call("Page.reload")
    page.wait_for(f"document.readyState === 'complete' && {SHOWN}")

    assert [entry.split()[1] for entry in entries(page)] == ["long.mp4"]
    assert page.problems == []


def test_a_clip_that_was_half_sent_when_the_connection_was_lost_is_sent_again(page: Page, tmp_path: Path, still: bytes) -> None:
    page.call("Network.enable")
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.call("Network.emulateNetworkConditions", offline=True, **conditions)
    choose(page, tmp_path, "lung.mp4", still)
    page.wait_for("document.querySelector('#again').checkVisibility()")
    page.call("Network.emulateNetworkConditions", offline=False, **conditions)

    assert page.text("#problem-detail") == "The connection was lost while the clip was sent."
    page.click("#again")
    page.wait_for(SHOWN)
    assert not page.is_shown("#problem")


def test_a_clip_that_is_removed_is_gone_from_the_service_too(page: Page, client: httpx.Client, tmp_path: Path, lung: bytes) -> None:
    job = shown(page, tmp_path, lung)
    page.click("#entries .away")

    assert wait_until(lambda: client.get(f"/v1/jobs/{job}").status_code == 404)
    assert not page.is_shown("#viewer")
    assert entries(page) == []
    assert page.value("location.hash") == ""


def test_the_report_is_saved_on_demand(page: Page, tmp_path: Path, still: bytes) -> None:
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    shown(page, tmp_path, still)

    page.click("[data-take=report]")

    assert wait_until((tmp_path / "seashore.pdf").exists, seconds=30)
    assert "Not assessable: the picture is frozen" in pdf.text((tmp_path / "seashore.pdf").read_bytes()).split("\n")
    assert page.problems == []


def test_an_opinion_is_written_down(page: Page, tmp_path: Path, lung: bytes) -> None:
    shown(page, tmp_path, lung)
    page.value("document.querySelector('#opinion-note').value = 'rib shadow'")
    page.click("[data-opinion=unsure]")

    page.wait_for("document.querySelector('#opinion-kept').innerText.startsWith('Thank you')")
    assert page.problems == []


def test_a_region_drawn_by_hand_is_analysed(page: Page, client: httpx.Client, tmp_path: Path, lung: bytes) -> None:
    answer = result(client, shown(page, tmp_path, lung))
    ys = [y / answer["clip"]["height"] for _, y in answer["pleura"]["line"]]

    page.click("[data-tool=region]")
    for corner in ((0.2, min(ys) - 0.1), (0.8, min(ys) - 0.1), (0.8, max(ys) + 0.1), (0.2, max(ys) + 0.1)):
        page.drag("#picture", corner)
    page.click("#region-analyse")
    page.wait_for(f"{SHOWN} && document.querySelector('#clip-name').innerText.endsWith('region by hand')")

    assert len(entries(page)) == 2
    assert result(client, str(page.value("location.hash.slice(1)")))["pleura"]["confidence"] == 1.0


# -- the page itself ----------------------------------------------------------------------------------------------------


def test_another_language_says_all_of_it_and_marks_what_the_service_says_in_english(page: Page, tmp_path: Path) -> None:
    cut_off = media.truncated(media.streamable_mp4(small_phantom("present", 2.2).frames), 0.5)
    shown(page, tmp_path, cut_off)
    page.value("(document.querySelector('#language').value = 'sk', document.querySelector('#language').dispatchEvent(new Event('change')))")

    assert page.text("#headline") == "Nehodnotiteľné: záznam je príliš krátky"
    assert page.value("document.documentElement.lang") == "sk"
    assert "Drop" not in page.text("body")
    assert page.value("document.querySelector('#warnings > [lang=en]:last-child').innerText").startswith("The clip is cut off: ")


LIGHT, DARK = (f"getComputedStyle(document.body).backgroundColor === 'rgb({colour})'" for colour in ("243, 245, 246", "13, 16, 20"))


def test_the_page_is_dark_where_the_system_is_or_where_a_reader_wants_it_so(page: Page) -> None:
    def system(scheme: str) -> None:
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    system("light")
    page.wait_for(LIGHT)
    page.click("#scheme")
    page.wait_for(DARK)
    page.open(page.value("location.href"))
    page.wait_for(DARK)

    page.click("#scheme")  # as the system again, and with it from now on
    page.wait_for(LIGHT)
    system("dark")
    page.wait_for(DARK)
    page.click("#scheme")
    page.wait_for(LIGHT)
    system("")
    page.value("localStorage.clear()")


def test_every_language_has_every_text(page: Page) -> None:
    missing = page.value(
        """(async () => {
          const [{ texts: en }, { texts: sk }] = await Promise.all([import("/web/texts/en.js"), import("/web/texts/sk.js")]);
          return Object.keys(en).filter((key) => !(key in sk));
        })()"""
    )
    assert missing == []


def test_everything_that_can_be_pressed_has_a_name(page: Page, tmp_path: Path, lung: bytes) -> None:
    shown(page, tmp_path, lung)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    pressed = [
        node
        for node in nodes
        if node.get("role", {}).get("value") in ("button", "slider", "checkbox", "combobox", "textbox", "link", "image")
    ]

    assert len(pressed) > 20
    assert [node for node in pressed if not node["name"]["value"] and not node.get("ignored")] == []


def test_the_page_is_light_and_drawn_at_once(page: Page) -> None:
    weight = sum(path.stat().st_size for path in WEB.rglob("*") if path.suffix in (".js", ".css", ".html", ".svg"))
    assert weight < 300_000
    assert page.value("performance.getEntriesByName('first-contentful-paint')[0].startTime") < 1000


def test_all_overlays_are_drawn_sixty_times_a_second(page: Page, tmp_path: Path, lung: bytes) -> None:
    """The drawing alone, in a browser without a graphics card: median of 60 frames."""
    job = shown(page, tmp_path, lung)
    milliseconds = page.value(
        f"""(async () => {{
          const {{ Overlay }} = await import("/web/overlay.js");
          const answer = await (await fetch("/v1/jobs/{job}/result")).json();
          const overlay = new Overlay(answer);
          overlay.shown = new Set(["pleura", "patches", "saliency", "motion", "sector"]);
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [640, 480];
          const context = canvas.getContext("2d");
          context.scale(2, 2);
          overlay.draw(context, 0, 0.5);
          await new Promise((done) => setTimeout(done, 500));
          const times = [];
          for (let frame = 0; frame < 60; frame++) {{
            const began = performance.now();
            overlay.draw(context, frame / 30, 0.5);
            context.getImageData(0, 0, 1, 1); // until it is really drawn
            times.push(performance.now() - began);
          }}
          return times.sort((a, b) => a - b)[30];
        }})()"""
    )
    assert milliseconds < 1000 / 60


def test_a_page_that_would_ask_another_server_is_stopped_and_seen(page: Page) -> None:
    page.value("fetch('https://elsewhere.invalid/').catch(() => 0)")
    page.value("0")

    assert any("Content Security Policy" in problem for problem in page.problems)


def stair(frame: int) -> int:
    return 20 + 5 * frame


def stairs(count: int) -> NDArray[np.uint8]:
    """Flat frames, each five grey levels brighter than the one before."""
    return np.stack([np.full((120, 160), stair(frame), np.uint8) for frame in range(count)])


def level(page: Page) -> float:
    return float(page.value("document.querySelector('#picture').getContext('2d').getImageData(20, 20, 1, 1).data[0]"))


def settled_level(page: Page) -> float:
    """Once the picture has come."""
    before = -1.0
    for _ in range(40):
        time.sleep(0.05)
        before, now = level(page), before
        if before == now:
            break
    return before


def mean_level(page: Page, selector: str) -> float:
    script = f"""(() => {{
      const canvas = document.querySelector({json.dumps(selector)});
      const {{ data }} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let sum = 0;
      for (let i = 0; i < data.length; i += 4) sum += data[i];
      return sum / (data.length / 4);
    }})()"""
    return float(page.value(script))


def picture_sum(page: Page, selector: str = "#picture") -> float:
    return mean_level(page, selector) * 1e5


def cell_levels(page: Page) -> list[float]:
    """Of the pictures in the patch's strip of frames, left to right."""
    script = """(() => {
      const canvas = document.querySelector("#patch-frames"), wide = canvas.width / 10;
      const context = canvas.getContext("2d");
      return Array.from({ length: 10 }, (_, i) => {
        const { data } = context.getImageData(i * wide + 2, 2, wide - 4, canvas.height - 20);
        return data.reduce((sum, level, k) => (k % 4 === 0 ? sum + level : sum), 0) / (data.length / 4);
      });
    })()"""
    return [float(level) for level in page.value(script)]
