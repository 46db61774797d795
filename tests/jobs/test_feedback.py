"""What an opinion says of sliding, what is written down of it, and what is read back."""

import hashlib
import json
from pathlib import Path

import pytest

from service.errors import BadOption
from service.findings import Verdict
from service.jobs.feedback import FEEDBACK, Feedback, Opinion, Sign, check_feedback, implied_label, keep_feedback, read_feedback
from service.manifest import Label
from tests.fakes.analysis import example_analysis

OLD = (
    '{"at": "2026-10-01T08:00:00+00:00", "job": "j", "clip_sha256": "%s", "model": "m:1", "model_sha256": "ab", '
    '"verdict": "absent", "probability": 0.1, "opinion": "disagree", "note": ""}'
) % ("0" * 64)
"""As it was written before signs and regions were."""


def say(folder: Path, feedback: Feedback, verdict: Verdict = Verdict.ABSENT, region: str = "") -> None:
    (folder / "clip").write_bytes(b"a clip")
    analysis, _ = example_analysis(num_windows=1, verdict=verdict)
    keep_feedback(folder, "a job", folder / "clip", analysis, region, feedback)


@pytest.mark.parametrize(
    ("verdict", "opinion", "label"),
    [
        (Verdict.PRESENT, Opinion.AGREE, Label.PRESENT),
        (Verdict.PRESENT, Opinion.DISAGREE, Label.ABSENT),
        (Verdict.ABSENT, Opinion.AGREE, Label.ABSENT),
        (Verdict.ABSENT, Opinion.DISAGREE, Label.PRESENT),
        *((verdict, Opinion.UNSURE, None) for verdict in Verdict),
        *((verdict, opinion, None) for verdict in (Verdict.INDETERMINATE, Verdict.NOT_ASSESSABLE) for opinion in Opinion),
    ],
)
def test_an_opinion_alone_says_something_of_a_closed_verdict_only(verdict: Verdict, opinion: Opinion, label: Label | None) -> None:
    assert implied_label(verdict, opinion, None) is label


@pytest.mark.parametrize("verdict", Verdict)
def test_what_was_seen_counts_whatever_the_verdict(verdict: Verdict) -> None:
    labels = [implied_label(verdict, Opinion.DISAGREE, sign) for sign in Sign]

    assert labels == [Label.PRESENT, Label.ABSENT, Label.LUNG_POINT, None]


def test_who_is_unsure_says_nothing_whatever_the_sign() -> None:
    assert implied_label(Verdict.PRESENT, Opinion.UNSURE, Sign.PRESENT) is None


@pytest.mark.parametrize(
    ("opinion", "sign"), [(Opinion.AGREE, Sign.ABSENT), (Opinion.AGREE, Sign.CANNOT_TELL), (Opinion.DISAGREE, Sign.PRESENT)]
)
def test_opinion_and_sign_must_not_contradict_each_other(opinion: Opinion, sign: Sign) -> None:
    with pytest.raises(BadOption) as caught:
        check_feedback(Verdict.PRESENT, Feedback(opinion, sign=sign))

    assert str(caught.value) == f"The verdict is present; the opinion {opinion} and the sign {sign} contradict each other."


@pytest.mark.parametrize(
    ("verdict", "opinion", "sign"),
    [
        (Verdict.PRESENT, Opinion.AGREE, Sign.PRESENT),
        (Verdict.PRESENT, Opinion.DISAGREE, Sign.LUNG_POINT),
        (Verdict.PRESENT, Opinion.UNSURE, Sign.ABSENT),
        (Verdict.INDETERMINATE, Opinion.AGREE, Sign.ABSENT),
    ],
)
def test_whatever_can_be_meant_is_taken(verdict: Verdict, opinion: Opinion, sign: Sign) -> None:
    check_feedback(verdict, Feedback(opinion, sign=sign))


def test_a_line_says_what_a_row_of_a_manifest_needs(tmp_path: Path) -> None:
    say(tmp_path, Feedback(Opinion.DISAGREE, "rib", Sign.LUNG_POINT), region="1.0,2.0 3.0,2.0 3.0,4.0")
    line = json.loads((tmp_path / FEEDBACK).read_text())
    (said,), _ = read_feedback(tmp_path)

    assert line["clip_sha256"] == hashlib.sha256(b"a clip").hexdigest()
    assert (line["label"], line["sign"], line["region"], line["probe"]) == ("lung_point", "lung_point", "1.0,2.0 3.0,2.0 3.0,4.0", "convex")
    assert (said.label, said.region, said.probe, said.note, said.verdict) == (
        Label.LUNG_POINT,
        line["region"],
        "convex",
        "rib",
        Verdict.ABSENT,
    )


def test_a_contradiction_is_not_written_down(tmp_path: Path) -> None:
    with pytest.raises(BadOption):
        say(tmp_path, Feedback(Opinion.AGREE, sign=Sign.PRESENT))

    assert not (tmp_path / FEEDBACK).exists()


def test_lines_of_before_are_read_with_the_label_they_imply(tmp_path: Path) -> None:
    (tmp_path / FEEDBACK).write_text(OLD + "\n")
    (said,), num_unreadable = read_feedback(tmp_path)

    assert (said.label, said.sign, said.region, num_unreadable) == (Label.PRESENT, None, "", 0)


def test_damaged_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    damaged = [OLD[:80], "[]", OLD.replace("0" * 64, "../etc"), OLD.replace('"absent"', '"gone"'), "\xff"]
    (tmp_path / FEEDBACK).write_text("\n".join([damaged[0], OLD, *damaged[1:]]) + "\n", encoding="latin-1")
    said, num_unreadable = read_feedback(tmp_path)

    assert (len(said), num_unreadable) == (1, 5)


def test_where_nobody_has_said_anything_there_is_nothing(tmp_path: Path) -> None:
    assert read_feedback(tmp_path) == ([], 0)
