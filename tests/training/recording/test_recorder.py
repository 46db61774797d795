"""A recorder does what it says, in order, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from tests.training.phantom.scenes import scene
from tests.training.recording.recordings import numbered, shown, speckled
from training.phantom import recorded, simulate
from training.recording import Codec, Coding, Recorder, draw_recorder, record
from training.recording.picture import DisplayMap


def test_a_plain_recorder_changes_nothing() -> None:
    recording = speckled()

    taken = record(recording, Recorder(), np.random.default_rng(0))

    assert np.array_equal(taken.grey, recording.grey)
    assert np.array_equal(taken.times_s, recording.times_s)


def test_lost_frames_are_lost_before_the_export_fills_the_gaps() -> None:
    taken = record(numbered(30), Recorder(drop_share=0.5, export_fps=30.0), np.random.default_rng(0))

    assert len(taken.grey) == 30
    assert 8 < len(set(shown(taken))) < 22


def test_a_phantom_is_recorded_on_the_clock_of_its_truth() -> None:
    phantom = simulate(scene(recorder=Recorder(export_fps=60.0, coding=Coding(Codec.MJPEG))))

    taken = recorded(phantom)

    assert len(taken.grey) == 2 * len(phantom.frames)
    assert taken.duration_s == pytest.approx(phantom.spec.duration_s)
    assert np.abs(taken.grey[10].astype(int) - phantom.frames[5]).mean() < 6


def test_the_same_phantom_is_recorded_alike_each_time() -> None:
    phantom = simulate(replace(scene(), recorder=Recorder(noise_grey_levels=4.0, repeat_share=0.3)))

    assert np.array_equal(recorded(phantom).grey, recorded(phantom).grey)


def test_recorders_drawn_at_random_use_every_codec_and_every_map() -> None:
    drawn = [draw_recorder(np.random.default_rng(seed)) for seed in range(200)]

    assert {one.coding.codec for one in drawn} == set(Codec) - {Codec.NONE}
    assert {one.display_map for one in drawn} == set(DisplayMap)
    assert 0.1 < np.mean([one.export_fps is not None for one in drawn]) < 0.5


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"repeat_share": 1.0}, "The share of repeated frames lies in 0..1; it cannot be 1."),
        ({"drop_share": -0.1}, "The share of dropped frames lies in 0..1; it cannot be -0.1."),
        ({"zoom": 0.0}, "A picture cannot be shown 0 times its size."),
    ],
)
def test_an_impossible_recorder_is_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  (the whole message is read below)
        Recorder(**wrong)  # type: ignore[arg-type]

    assert str(refused.value) == sentence
