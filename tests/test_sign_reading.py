"""Signs are read beside sliding, in the same walk through the clip; and a clip in which no sliding can be read may still show them."""

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service import sign_reading
from service.cine.frame_runs import frame_runs
from service.cine.overview import look_over
from service.cine.sector import find_sector
from service.engine.base import Grey, Task
from service.engine.turn import Answer, Device, Lane
from service.errors import BadBundle
from service.findings import TOLD_SIGNS, Analysis, ReasonCode, SignFinding, SignReason, SignReasonCode, Verdict
from service.pipeline import Options, analyse
from service.reading import Saliency
from service.sign_bundle import Domain, SignBundle, Told
from service.sign_loading import load_sign
from service.sign_reading import AskedSign, LoadedSign, contradicted
from tests.fakes.inputs import constant_engine, loaded_model
from tests.fakes.phantoms import small_phantom
from tests.fakes.signs import FLOW, FRAME, FailingDevice, opened, told, write_bright
from training.array_clip import ArrayClip

OPTIONS = Options(saliency=Saliency.NONE)


@pytest.fixture(scope="module")
def by_second(tmp_path_factory: pytest.TempPathFactory) -> SignBundle:
    return write_bright(tmp_path_factory.mktemp("second") / "store")


@pytest.fixture(scope="module")
def by_frame(tmp_path_factory: pytest.TempPathFactory) -> SignBundle:
    return write_bright(tmp_path_factory.mktemp("frame") / "store", ("a_lines", "effusion"), name="frames", frames=FRAME)


@pytest.fixture(scope="module")
def by_flow(tmp_path_factory: pytest.TempPathFactory) -> SignBundle:
    return write_bright(tmp_path_factory.mktemp("flow") / "store", ("lung_sliding",), name="flow", frames=FLOW)


class Surer:
    """A device whose second logit is `more` than it was, and whose second map is of the upper left corner; it counts what it is asked."""

    def __init__(self, device: Device, *, more: float = 0.0, sizes: list[int] | None = None) -> None:
        self.device = device.device
        self._turn, self._more, self._sizes = device.turn(), more, [] if sizes is None else sizes

    def turn(self, lane: Lane = Lane.INTERACTIVE) -> "Surer":
        return self

    def __enter__(self) -> "Surer":
        return self

    def __exit__(self, *what: object) -> None:
        pass

    def ask(self, task: Task, patches: Grey) -> "Future[Answer]":
        self._sizes.append(len(patches))
        answer = self._turn.ask(task, patches).result()
        figures = answer.logits.copy()
        if self._more:
            figures[:, 1] += self._more
            figures[:, 6:] = (100, 0, 0, 0)  # two logits and the first map go before
        asked: Future[Answer] = Future()
        asked.set_result(replace(answer, logits=figures))
        return asked


def asked(bundle: SignBundle, *signs: str) -> AskedSign:
    return AskedSign(LoadedSign(bundle, opened(bundle)), signs or bundle.signs)


def read(frames: NDArray[np.uint8], *signs: AskedSign, fps: float = 30.0) -> Analysis:
    return analyse(ArrayClip(frames, fps), loaded_model(constant_engine(2.0)), OPTIONS, signs=signs)[0]


def only(analysis: Analysis) -> SignFinding:
    (found,) = analysis.signs
    return found


def limits(bundle: SignBundle, **changed: float) -> SignBundle:
    return replace(bundle, tells=tuple(replace(one, **changed) for one in bundle.tells))


def brightness(frames: NDArray[np.uint8], bundle: SignBundle) -> NDArray[np.float64]:
    """The logits of each run, by hand: what the graph is given has the mean of the sector's box, black outside the sector."""
    clip = ArrayClip(frames, 30.0)
    sector = find_sector(look_over(clip))
    assert sector is not None
    return np.array([(run.given.mean() - 40) / 10 for run in frame_runs(clip, sector, bundle.frames)])


def test_each_run_is_told_and_the_clip_by_the_mean_of_their_logits(by_second: SignBundle) -> None:
    frames = small_phantom("present", 3.0).frames
    logits = brightness(frames, by_second)
    by_hand = 1 / (1 + np.exp(-logits))

    found = only(read(frames, asked(by_second)))

    assert (found.sign, found.model.name, found.measured) == ("b_lines", "bright", "Computed in the head.")
    assert [(round(moment.start_s, 3), round(moment.end_s, 3)) for moment in found.moments] == [(0, 1), (0.8, 1.8), (1.6, 2.6), (2, 3)]
    assert [moment.probability for moment in found.moments] == pytest.approx(by_hand.tolist(), abs=1e-4)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-logits.mean())), abs=1e-4)


def test_sliding_is_answered_as_without_signs(by_second: SignBundle) -> None:
    frames = small_phantom("present", 2.5).frames

    with_signs, without = read(frames, asked(by_second)), read(frames)

    assert without.signs == ()
    assert with_signs.lung_sliding == without.lung_sliding
    assert with_signs.quality == without.quality
    assert with_signs.timings.signs_ms > 0 == without.timings.signs_ms


def test_the_representative_frame_is_the_one_attended_to(by_second: SignBundle) -> None:
    frames = small_phantom("present", 2.0).frames.copy()
    frames[42] = np.minimum(frames[42].astype(int) + 40 * (frames[42] > 0), 255).astype(np.uint8)  # tick 21 of 15 a second
    found = only(read(frames, asked(limits(by_second, absent_below=0.0))))

    assert found.representative is not None
    assert (found.representative.index, found.representative.t_s) == (42, pytest.approx(1.4))
    attention = found.moments[1].attention
    assert attention is not None
    assert (attention.sum(), int(attention.argmax())) == (pytest.approx(1.0), 42 // 2 - 12)


def test_a_map_lies_on_the_sectors_box_and_reaches_from_0_to_1(by_frame: SignBundle) -> None:
    frames = small_phantom("present", 2.0).frames
    found = read(frames, asked(limits(by_frame, absent_below=0.0), "effusion")).signs

    assert [one.sign for one in found] == ["effusion"]
    best = found[0].representative
    assert best is not None
    assert best.map is not None
    x0, y0, x1, y1 = best.box
    assert -0.5 <= x0 < 160 < x1 <= 319.5
    assert -0.5 <= y0 < 120 < y1 <= 239.5
    assert (best.map.shape, best.map.max()) == ((2, 2), pytest.approx(1.0))


def test_of_two_outputs_the_surer_one_tells_each_run_and_its_map_is_drawn(by_frame: SignBundle) -> None:
    """Output 1 is output 0 and a little more: `more` is added to it by the device."""
    either = replace(by_frame, tells=(told("fluid_or_solid", 0, 1, absent_below=0.0),))
    frames = small_phantom("present", 2.0).frames
    logits = brightness(frames, by_frame)

    found = only(read(frames, AskedSign(LoadedSign(either, Surer(opened(either), more=2.0)), either.signs)))

    assert found.probability == pytest.approx(1 / (1 + np.exp(-(logits + 2).mean())), abs=1e-4)
    assert found.representative is not None
    assert found.representative.map is not None
    assert found.representative.map[0, 0] == 1.0  # where `Surer` drew it


def test_large_runs_are_asked_about_one_by_one(by_flow: SignBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    frames = small_phantom("present", 2.0).frames

    def asked_in(num_bytes: int) -> Analysis:
        monkeypatch.setattr(sign_reading, "BYTES_TOGETHER", num_bytes)
        device = Surer(opened(by_flow), sizes=sizes)
        return read(frames, AskedSign(LoadedSign(by_flow, device), by_flow.signs))

    one_by_one, by_three = (asked_in(num_bytes).signs for num_bytes in (1, 3 * by_flow.frames.run_bytes))

    assert sizes == [1] * 10 + [3, 3, 3, 1]
    assert [one.probability for one in one_by_one] == [one.probability for one in by_three]


def test_a_second_reader_that_contradicts_the_answer_is_a_warning_and_nothing_more(by_flow: SignBundle) -> None:
    frames = small_phantom("present", 2.0).frames
    alone = read(frames)
    assert alone.lung_sliding.verdict is Verdict.PRESENT

    contradicting, agreeing = (read(frames, asked(limits(by_flow, offset=offset))) for offset in (-3.0, 20.0))

    assert [only(one).verdict for one in (contradicting, agreeing)] == [Verdict.ABSENT, Verdict.PRESENT]
    assert contradicting.lung_sliding == agreeing.lung_sliding == alone.lung_sliding
    assert agreeing.warnings == alone.warnings
    assert contradicting.warnings == (
        *alone.warnings,
        "A second reader (flow 1.0.0, a research model) reads the sliding otherwise; look at the clip.",
    )


@pytest.mark.parametrize(
    ("answer", "second"),
    [
        (Verdict.INDETERMINATE, Verdict.ABSENT),
        (Verdict.NOT_ASSESSABLE, Verdict.PRESENT),
        (Verdict.ABSENT, Verdict.INDETERMINATE),
        (Verdict.ABSENT, Verdict.ABSENT),
    ],
)
def test_who_is_undecided_contradicts_nobody(by_flow: SignBundle, answer: Verdict, second: Verdict) -> None:
    (found,) = asked(by_flow).unread(SignReason(SignReasonCode.TOO_SHORT, ""))

    assert contradicted(answer, [replace(found, verdict=second)]) == ()
    assert contradicted(Verdict.ABSENT, [replace(found, sign="b_lines", verdict=Verdict.PRESENT)]) == ()


def test_what_is_absent_has_no_representative_frame(by_second: SignBundle) -> None:
    found = only(read(small_phantom("present", 2.0).frames, asked(limits(by_second, absent_below=0.99, present_above=1.0))))

    assert (found.verdict, found.representative) == (Verdict.ABSENT, None)


def test_signs_come_in_their_order_whoever_tells_them(by_second: SignBundle, by_frame: SignBundle) -> None:
    analysis = read(small_phantom("present", 2.0).frames, asked(by_second), asked(by_frame))

    assert [found.sign for found in analysis.signs] == ["a_lines", "b_lines", "effusion"]
    assert [found.sign for found in analysis.signs] == [sign for sign in TOLD_SIGNS if sign in ("a_lines", "b_lines", "effusion")]


def test_a_lung_without_a_pleura_is_looked_at_all_the_same(by_frame: SignBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be fluid, or solid: what explains that nothing slides."""
    monkeypatch.setattr("service.pipeline.find_pleura", lambda overview, sector: None)
    analysis = read(small_phantom("present", 2.5).frames, asked(by_frame))

    assert [reason.code for reason in analysis.quality.reasons] == [ReasonCode.NO_PLEURA]
    assert [found.reason for found in analysis.signs] == [None, None]
    assert all(len(found.moments) == 12 for found in analysis.signs)


def test_no_sign_is_read_in_what_is_not_ultrasound(by_second: SignBundle) -> None:
    found = only(read(np.zeros((75, 240, 320), np.uint8), asked(by_second)))

    assert (found.verdict, found.probability, found.moments) == (Verdict.NOT_ASSESSABLE, None, ())
    assert found.reason is not None
    assert found.reason.code in (SignReasonCode.NOT_ULTRASOUND, SignReasonCode.TOO_DARK)


def test_a_clip_shorter_than_a_run_says_what_is_needed(by_second: SignBundle, by_frame: SignBundle) -> None:
    analysis = read(small_phantom("present", 1.0).frames[:20], asked(by_second), asked(by_frame, "a_lines"))

    of_frame, of_second = analysis.signs
    assert of_frame.verdict is not Verdict.NOT_ASSESSABLE
    assert of_second.reason is not None
    assert (of_second.reason.code, of_second.reason.detail) == (
        SignReasonCode.TOO_SHORT,
        "The clip lasts 0.67 s; 1.0 s are needed for this sign.",
    )


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        (Domain(("linear",), 5.0), "Its model was measured on clips of linear probes alone; this one is convex."),
        (Domain(("convex",), 31.0), "Its model was measured on clips of 31 frames a second and more; this one has 30.0."),
    ],
)
def test_of_clips_outside_its_domain_a_model_says_nothing(by_second: SignBundle, domain: Domain, words: str) -> None:
    found = only(read(small_phantom("present", 2.0).frames, asked(replace(by_second, domain=domain))))

    assert (found.verdict, found.probability) == (Verdict.NOT_ASSESSABLE, None)
    assert found.reason is not None
    assert (found.reason.code, found.reason.detail) == (SignReasonCode.OUTSIDE_DOMAIN, words)


def test_a_bundle_whose_graph_answers_its_golden_clip_otherwise_is_refused(by_second: SignBundle, tmp_path: Path) -> None:
    def lies(bundle: SignBundle) -> dict[str, float]:
        return {"b_lines": 0.99}

    lying = write_bright(tmp_path / "store", golden_answer=lies)

    assert load_sign(by_second.directory, "cpu").bundle == by_second
    with pytest.raises(BadBundle, match=r"gives b_lines of its golden clip the probability 0\.\d+; it must be 0\.99\.$"):
        load_sign(lying.directory, "cpu")


def test_every_limit_of_a_sign_is_its_own() -> None:
    sure, unsure = told("effusion", present_above=0.6), told("effusion", present_above=0.95)

    assert isinstance(sure, Told)
    assert (sure.verdict(0.9), unsure.verdict(0.9)) == (Verdict.PRESENT, Verdict.INDETERMINATE)


def test_a_model_that_fails_is_told_and_everything_else_is_answered(
    by_second: SignBundle, by_frame: SignBundle, caplog: pytest.LogCaptureFixture
) -> None:
    broken = AskedSign(LoadedSign(by_frame, FailingDevice(at_once=True)), by_frame.signs)
    analysis = read(small_phantom("present", 2.5).frames, broken, asked(by_second))

    a_lines, b_lines, effusion = analysis.signs
    assert [found.reason.code for found in (a_lines, effusion) if found.reason] == [SignReasonCode.MODEL_FAILED] * 2
    assert b_lines.probability is not None
    assert analysis.lung_sliding.probability is not None
    assert caplog.text.count("signs: frames:1.0.0 could not be run: It was lost. CUDA error 700") == 1
