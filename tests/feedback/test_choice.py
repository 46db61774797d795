"""Which opinions count."""

from datetime import UTC, datetime

from service.feedback.choice import choose
from service.findings import Verdict
from service.jobs.feedback import Opinion, Said, Sign
from service.manifest import Label


def said(
    clip: str, minute: int, opinion: Opinion, sign: Sign | None = None, *, verdict: Verdict = Verdict.ABSENT, region: str = ""
) -> Said:
    at = datetime(2026, 11, 1, 8, minute, tzinfo=UTC)
    return Said(at, "job", clip, "m:1", verdict, opinion, sign, region, "linear", "")


def test_the_last_by_time_counts_whatever_the_order_of_the_lines() -> None:
    found = choose([said("a", 9, Opinion.AGREE), said("a", 3, Opinion.DISAGREE)])

    assert [one.label for one in found.counted] == [Label.ABSENT]
    assert found.num_contradicted == 1


def test_of_two_at_the_same_second_the_later_line_counts() -> None:
    found = choose([said("a", 3, Opinion.AGREE), said("a", 3, Opinion.DISAGREE)])

    assert [one.label for one in found.counted] == [Label.PRESENT]


def test_whoever_says_the_same_of_another_models_verdict_contradicts_nobody() -> None:
    found = choose([said("a", 1, Opinion.AGREE), said("a", 2, Opinion.DISAGREE, verdict=Verdict.PRESENT)])

    assert ([one.label for one in found.counted], found.num_contradicted) == ([Label.ABSENT], 0)


def test_a_region_is_spoken_of_apart_from_the_whole_clip() -> None:
    found = choose([said("a", 1, Opinion.AGREE), said("a", 2, Opinion.DISAGREE, region="0,0 9,0 9,9")])

    assert [(one.region, one.label) for one in found.counted] == [("", Label.ABSENT), ("0,0 9,0 9,9", Label.PRESENT)]
    assert found.num_contradicted == 0


def test_the_unsure_and_the_open_are_left_out_and_counted() -> None:
    opinions = [
        said("a", 1, Opinion.AGREE),
        said("a", 2, Opinion.UNSURE),
        said("b", 1, Opinion.DISAGREE, Sign.CANNOT_TELL),
        said("c", 1, Opinion.AGREE, verdict=Verdict.INDETERMINATE),
        said("d", 1, Opinion.DISAGREE, verdict=Verdict.NOT_ASSESSABLE),
        said("e", 1, Opinion.DISAGREE, Sign.LUNG_POINT, verdict=Verdict.INDETERMINATE),
    ]
    found = choose(opinions)

    assert [(one.clip_sha256, one.label) for one in found.counted] == [("e", Label.LUNG_POINT)]
    assert (found.num_unsure, found.num_open, found.num_contradicted) == (2, 2, 0)
