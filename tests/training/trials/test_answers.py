"""A row is what serving would answer."""

from dataclasses import replace

import numpy as np
import pytest

from service.findings import Verdict
from tests.fakes.inputs import MODEL_ALONE, SLIDE_ALONE, SPEC, constant_engine
from tests.fakes.phantoms import preset_phantom
from tests.training.trials.rows import row
from tests.training.trials.sources import swaying
from training.counterfactual import Base
from training.recording import Recording
from training.trials.answers import Judge, Kind, Row, answered, answered_of_wall, source_of
from training.trials.composites import side_by_side
from training.trials.twins import clip_twins

BLANK = row(None, slides=True)
MOTION = replace(SLIDE_ALONE, lung_point_contrast=2.0)


def test_the_answer_is_the_pooled_probability_and_the_verdict_decided_from_it() -> None:
    """A model that always says 2: a probability of 1 / (1 + exp(-2)) = 0.88. Held to 0.8, so does its wall."""
    judge = Judge(constant_engine(2.0), SPEC, MODEL_ALONE)
    found = answered(BLANK, swaying(), judge, 4.0)

    assert found.probability == pytest.approx(0.8808, abs=1e-4)
    assert found.verdict == Verdict.PRESENT
    assert (
        answered(BLANK, swaying(), replace(judge, calibration=replace(MODEL_ALONE, wall_control_above=0.8)), 4.0).verdict == "indeterminate"
    )


def test_a_clip_shorter_than_a_breath_is_not_called_absent() -> None:
    judge = Judge(constant_engine(-3.0), SPEC, MODEL_ALONE)

    assert answered(BLANK, swaying(), judge, 4.0).verdict == Verdict.ABSENT
    assert answered(BLANK, swaying(), judge, 2.0).verdict == Verdict.INDETERMINATE


def test_a_line_that_may_not_be_the_pleura_gives_no_verdict_and_a_probability_all_the_same() -> None:
    found = answered(BLANK, replace(swaying(), is_plain=False), Judge(constant_engine(3.0), SPEC, MODEL_ALONE), 4.0)

    assert (found.verdict, found.is_answered) == (Verdict.INDETERMINATE, False)
    assert found.probability is not None
    assert found.probability > 0.9


def test_where_nothing_can_be_followed_the_clip_is_not_assessable() -> None:
    black = replace(swaying(), windows=tuple(replace(w, strip=np.zeros_like(w.strip)) for w in swaying().windows))

    assert answered(BLANK, black, Judge(constant_engine(3.0), SPEC, MODEL_ALONE), 4.0).verdict == Verdict.NOT_ASSESSABLE


def test_the_wall_in_the_lungs_place_does_not_slide_while_the_lung_does() -> None:
    sliding = clip_twins(swaying(), Base.LOCKED, SPEC.fps, np.random.default_rng(1)).sliding
    judge = Judge(constant_engine(0.0), SPEC, SLIDE_ALONE)
    lung, wall = answered(BLANK, sliding, judge, 4.0), answered_of_wall(BLANK, sliding, judge, 4.0)

    assert (lung.probability or 0) > 0.8
    assert (wall.probability or 1) < 0.2


def test_a_lung_point_is_told_as_a_share_of_the_width() -> None:
    left = clip_twins(swaying(0), Base.LOCKED, SPEC.fps, np.random.default_rng(1)).sliding
    made = side_by_side(left, swaying(1), SPEC, np.random.default_rng(0))
    assert made is not None
    found = answered(BLANK, made.source, Judge(constant_engine(0.0), SPEC, MOTION), 4.0)

    assert found.verdict == Verdict.INDETERMINATE
    assert found.found_point == pytest.approx(made.seam_column / 240, abs=0.15)


def test_opposite_is_present_of_a_still_lung_and_absent_of_a_sliding_one() -> None:
    assert row(0.9, slides=False).is_opposite
    assert row(0.1, slides=True).is_opposite
    assert not any(r.is_opposite for r in (row(0.9, slides=True), row(0.5, slides=False), row(0.9), row(None, slides=True)))


def test_a_row_survives_json() -> None:
    made = row(0.5, kind=Kind.COMPOSITE, found=0.3, true=0.35)

    assert Row.from_json(made.to_json()) == made


def test_serving_reads_a_phantom_where_its_pleura_is_and_not_a_frozen_one() -> None:
    phantom = preset_phantom("linear_present")
    still = np.repeat(phantom.frames[:1], len(phantom.frames), axis=0)

    assert source_of(Recording.at(phantom.frames, 30.0), SPEC, 2) is not None
    assert source_of(Recording.at(phantom.frames, 30.0), SPEC, 2, region="1,1 4,1 4,4") is None  # a corner of the picture
    assert source_of(Recording.at(still, 30.0), SPEC, 2) is None
