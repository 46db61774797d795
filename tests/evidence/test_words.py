"""The words a clinician reads, read."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from service.evidence import words
from service.findings import TOLD_SIGNS, Analysis, Quality, Reason, ReasonCode, Verdict
from tests.fakes.analysis import PROBE_MOVING, example_analysis, example_signs, six_signs

ENGLISH = Path(__file__).resolve().parents[2] / "service" / "web" / "texts" / "en.js"
STILL, SLIDING, CONTROL = words.DOUBTS.values()


def answer(verdict: Verdict, *reasons: Reason, lung_point: bool = False) -> Analysis:
    return example_analysis(num_windows=1, verdict=verdict, reasons=reasons, lung_point=lung_point, with_saliency=False)[0]


@pytest.mark.parametrize(
    ("analysis", "headline", "one_line"),
    [
        (answer(Verdict.PRESENT), "Lung sliding: PRESENT", "Lung sliding: PRESENT (0.93, 0.85-0.97)"),
        (answer(Verdict.ABSENT), "Lung sliding: ABSENT", "Lung sliding: ABSENT (probability of sliding 0.07, 0.03-0.15)"),
        (
            answer(Verdict.INDETERMINATE),
            "Cannot tell: neither clearly sliding nor clearly still",
            "Cannot tell: neither clearly sliding nor clearly still (probability of sliding 0.52, 0.31-0.74)",
        ),
        (
            answer(Verdict.INDETERMINATE, PROBE_MOVING),
            "Cannot tell: the probe moved",
            "Cannot tell: the probe moved (probability of sliding 0.52, 0.31-0.74)",
        ),
        (
            answer(Verdict.INDETERMINATE, lung_point=True),
            "Suspected lung point: slides on one side only",
            "Suspected lung point: slides on one side only (probability of sliding 0.52, 0.31-0.74)",
        ),
        (
            answer(Verdict.NOT_ASSESSABLE),
            "Not assessable: no pleural line was found",
            "Not assessable: no pleural line was found",
        ),
    ],
    ids=["present", "absent", "indeterminate", "probe moved", "lung point", "not assessable"],
)
def test_the_verdict_in_words(analysis: Analysis, headline: str, one_line: str) -> None:
    assert words.headline(analysis) == headline
    assert words.one_line(analysis) == one_line


def test_the_lung_point_comes_first_even_when_the_probe_moved() -> None:
    assert words.headline(answer(Verdict.INDETERMINATE, PROBE_MOVING, lung_point=True)).startswith("Suspected lung point")


def test_what_may_not_be_pleura_has_no_lung_point() -> None:
    doubtful = answer(Verdict.INDETERMINATE, Reason(ReasonCode.PLEURA_DOUBTFUL, "It may be fluid."), lung_point=True)

    assert words.headline(doubtful) == "Cannot tell: the pleural line is doubtful"


def test_not_assessable_without_a_reason_still_says_something() -> None:
    analysis = answer(Verdict.NOT_ASSESSABLE)
    nameless = replace(analysis, quality=replace(analysis.quality, reasons=()))

    assert words.headline(nameless) == "Not assessable: lung sliding could not be read"


def test_every_reason_has_words() -> None:
    assert set(words.REASON_WORDS) == set(ReasonCode)


def test_every_verdict_has_words() -> None:
    assert set(words.VERDICT_WORDS) == set(Verdict)


def test_the_probability_says_what_it_is_the_probability_of() -> None:
    sliding = answer(Verdict.ABSENT).lung_sliding

    assert words.probability_line(sliding) == "Probability of sliding 0.07 (95 %: 0.03-0.15)"
    assert words.probability_line(replace(sliding, interval=None)) == "Probability of sliding 0.07"
    assert words.probability_line(answer(Verdict.NOT_ASSESSABLE).lung_sliding) == ""


@pytest.mark.parametrize(
    ("probability", "interval", "said"),
    [(0.9987, (0.9951, 1.0), "0.99 (95 %: 0.99-0.99)"), (0.0004, (0.0, 0.0123), "0.01 (95 %: 0.01-0.01)")],
)
def test_nothing_is_certain(probability: float, interval: tuple[float, float], said: str) -> None:
    sliding = replace(answer(Verdict.ABSENT).lung_sliding, probability=probability, interval=interval)

    assert words.probability_line(sliding) == f"Probability of sliding {said}"


@pytest.mark.parametrize(
    ("quality", "line"),
    [
        (Quality(True, 0.9, ()), "Picture quality: good (0.90)"),
        (Quality(True, 0.75, ()), "Picture quality: good (0.75)"),
        (Quality(True, 0.6, ()), "Picture quality: fair (0.60)"),
        (Quality(True, 0.3, ()), "Picture quality: poor (0.30)"),
        (Quality(False, 0.9, ()), "Picture quality: not sufficient (0.90)"),
    ],
)
def test_picture_quality_in_a_word(quality: Quality, line: str) -> None:
    assert words.quality_line(quality) == line


def test_the_wall_control_in_words() -> None:
    sliding = answer(Verdict.PRESENT).lung_sliding

    assert words.wall_control_line(sliding) == "Control: the chest wall itself reads 0.12"
    assert words.wall_control_line(replace(sliding, wall_control=None)) == "Control: too little chest wall to check against"


def test_reasons_are_their_sentences_or_their_words() -> None:
    quality = Quality(False, 0.1, (Reason(ReasonCode.TOO_SHORT, "The clip has 1.2 s; 2.0 s are needed."), Reason(ReasonCode.TOO_DARK, "")))

    assert words.reason_lines(quality) == ("The clip has 1.2 s; 2.0 s are needed.", "The picture is too dark.")


# -- doubts -----------------------------------------------------------------------------------------------------------


def answer_with(verdict: Verdict, patches: list[float], control: float | None = 0.12) -> Analysis:
    """One window with patches of these probabilities."""
    analysis = answer(verdict)
    (window,) = analysis.windows
    made = tuple(replace(window.patches[0], probability=probability) for probability in patches)
    sliding = replace(analysis.lung_sliding, wall_control=control)
    return replace(analysis, lung_sliding=sliding, windows=(replace(window, patches=made),))


@pytest.mark.parametrize(
    ("verdict", "patches", "control", "said"),
    [
        (Verdict.PRESENT, [0.1, 0.1499, 0.9], 0.65, (STILL,)),
        (Verdict.PRESENT, [0.1, 0.15, 0.9], 0.65, ()),
        (Verdict.PRESENT, [0.05, 0.1, 0.18, 0.9], 0.65, (STILL,)),  # of an even number the middle two: 0.14
        (Verdict.PRESENT, [0.14996], 0.65004, ()),  # 0.15 and 0.65 in the JSON, and so on the page
        (Verdict.PRESENT, [0.9], 0.6501, (CONTROL,)),
        (Verdict.PRESENT, [0.1], 0.9, (STILL, CONTROL)),
        (Verdict.PRESENT, [], None, ()),
        (Verdict.ABSENT, [0.1, 0.5001, 0.9], 0.12, (SLIDING,)),
        (Verdict.ABSENT, [0.1, 0.5, 0.9], 0.9, ()),
        (Verdict.INDETERMINATE, [0.1], 0.9, ()),
    ],
)
def test_a_verdict_that_patches_or_wall_do_not_bear_out_is_doubted(
    verdict: Verdict, patches: list[float], control: float | None, said: tuple[str, ...]
) -> None:
    assert words.doubts(answer_with(verdict, patches, control)) == said


def test_all_windows_count_and_nothing_is_doubted_where_nothing_was_read() -> None:
    still, sliding = answer_with(Verdict.PRESENT, [0.1] * 3), answer_with(Verdict.PRESENT, [0.9] * 4)

    assert words.doubts(replace(still, windows=still.windows + sliding.windows)) == ()
    assert words.doubts(answer(Verdict.NOT_ASSESSABLE)) == ()


def test_doubts_are_the_sentences_of_the_page() -> None:
    """That both go by one rule is seen in a browser: tests/web/test_viewer.py."""
    assert dict(re.findall(r'^  (doubt_\w+): "(.*)",$', ENGLISH.read_text(), re.MULTILINE)) == words.DOUBTS


# -- signs beside sliding -------------------------------------------------------------------------------------------


def test_every_sign_has_words() -> None:
    assert tuple(words.SIGN_WORDS) == TOLD_SIGNS


def test_each_sign_is_one_line_and_its_number_says_what_it_counts() -> None:
    assert [words.sign_line(found) for found in example_signs()] == [
        "A-lines: ABSENT (probability of A-lines 0.08)",
        "B-lines: PRESENT (0.91), best seen at 1.4 s",
        "Effusion: CANNOT TELL (probability of effusion 0.52), most like it at 2.0 s",
        "Consolidation: not assessable: Its model was measured on clips of convex probes alone; this one is linear.",
    ]


def test_a_second_reader_is_never_called_the_answer() -> None:
    *_, either, second = six_signs()

    assert words.sign_line(either) == "Fluid or solid lung: PRESENT (0.86), best seen at 2.0 s"
    assert words.sign_line(second) == "Lung sliding, second reader: ABSENT (probability of sliding 0.07)"
    assert words.signs_in_a_cell([second]) == "lung sliding, second reader ABSENT"


@pytest.mark.parametrize(("probability", "said"), [(1.0, "0.99"), (0.0, "0.01")])
def test_no_sign_is_certain(probability: float, said: str) -> None:
    assert said in words.sign_line(replace(example_signs()[1], probability=probability))


def test_a_sign_without_a_reason_or_a_frame_says_nothing_of_them() -> None:
    _, lines, _, outside = example_signs()

    assert words.sign_line(replace(outside, reason=None)) == "Consolidation: not assessable"
    assert words.sign_line(replace(lines, representative=None)) == "B-lines: PRESENT (0.91)"


def test_on_what_a_model_was_measured_is_said_once_for_all_signs_it_is_true_of() -> None:
    first, second, third, _ = example_signs()

    assert words.measured_lines((replace(first, measured="One."), second, replace(third, measured="One."))) == (
        "Measured (A-lines, effusion; signs-small 1.0.0): One.",
        f"Measured (B-lines; blines-small 1.0.0): {second.measured}",
    )
    assert len(words.measured_lines((first, replace(third, measured="Another.")))) == 2
    assert words.measured_lines((first, first)) == (f"Measured (A-lines; signs-small 1.0.0): {first.measured}",)
    assert words.measured_lines(()) == ()


def test_a_cell_has_each_signs_verdict() -> None:
    assert words.signs_in_a_cell(example_signs()[1:]) == "B-lines PRESENT, effusion CANNOT TELL, consolidation NOT ASSESSABLE"
