"""UIDs made from what they name."""

import re
from dataclasses import replace

import pytest

from service.findings import SignReason, SignReasonCode, Verdict
from service.pacs.objects.uids import (
    CODING_SCHEME_UID,
    IMPLEMENTATION_CLASS_UID,
    device_uid,
    missing_uid,
    read_by,
    result_uid,
    series_uid,
    tracking_uid,
)
from service.pacs.site import ResultKind
from tests.fakes.analysis import example_analysis, example_signs

A, B = "a" * 64, "b" * 64


def test_the_same_clip_model_and_kind_always_give_the_same_object() -> None:
    # Written down: were the recipe to change, every archive would get each result a second time.
    assert result_uid("1.2.3.4", A, ResultKind.SR) == "2.25.129245655582403745183542229822016385740"
    assert series_uid("1.2.3.4", A, ResultKind.SR) == "2.25.46419156116182348614823275774201444614"
    assert device_uid(A) == "2.25.261338507006727215966068960331047552987"


def test_another_clip_model_or_kind_gives_another_object() -> None:
    uids = [result_uid(clip, model, kind) for clip in ("1.2.3.4", "1.2.3.5") for model in (A, B) for kind in (ResultKind.SR, ResultKind.SC)]

    assert len(set(uids)) == 8


def test_signs_that_were_told_make_another_object_and_none_the_same() -> None:
    analysis, _ = example_analysis(160, 120, num_windows=1, with_saliency=False)
    signs = example_signs()
    newer = replace(signs[1], model=replace(signs[1].model, sha256="f" * 64))

    relimited = replace(signs[1], model=replace(signs[1].model, version="1.0.1"))
    failed = replace(signs[1], verdict=Verdict.NOT_ASSESSABLE, reason=SignReason(SignReasonCode.MODEL_FAILED, "It was lost."))

    assert read_by(analysis) == analysis.model.sha256
    told = [(), signs[:1], signs, *((signs[0], other, *signs[2:]) for other in (newer, relimited, failed))]
    assert len({read_by(replace(analysis, signs=of)) for of in told}) == 6


def test_no_two_kinds_of_uid_are_ever_the_same() -> None:
    uids = every_uid()

    assert len(set(uids)) == len(uids)


@pytest.mark.parametrize("index", range(9))
def test_each_is_a_valid_uid(index: int) -> None:
    uid = every_uid()[index]

    assert re.fullmatch(r"2\.25\.[1-9][0-9]*", uid)
    assert len(uid) <= 64


def every_uid() -> list[str]:
    return [
        result_uid("1.2", A, ResultKind.PDF),
        series_uid("1.2", A, ResultKind.PDF),
        tracking_uid("1.2", A, "Clip"),
        tracking_uid("1.2", A, "Interspace 1"),
        device_uid(A),
        missing_uid("study", "1.2"),
        missing_uid("series", "1.2"),
        IMPLEMENTATION_CLASS_UID,
        CODING_SCHEME_UID,
    ]
