"""Frames through real encoders and back."""

from pathlib import Path

import numpy as np
import pytest

from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from tests.training.recording.recordings import speckled
from training.recording import Codec, Coding, Quality, coded
from training.recording.coding import decoded, encoded

REAL = [codec for codec in Codec if codec is not Codec.NONE]


def test_without_a_codec_nothing_changes() -> None:
    recording = speckled()

    assert coded(recording, Coding(Codec.NONE)) is recording


@pytest.mark.parametrize("codec", REAL)
def test_times_and_count_stay_and_the_picture_changes_more_the_coarser_it_is_coded(codec: Codec) -> None:
    recording = speckled()
    taken = [coded(recording, Coding(codec, quality)) for quality in Quality]

    off = [np.abs(one.grey.astype(int) - recording.grey).mean() for one in taken]
    assert all(np.array_equal(one.times_s, recording.times_s) and one.grey.shape == recording.grey.shape for one in taken)
    assert off[0] < off[1] <= off[2] < 40
    assert bool(off[1] == off[2]) == (codec is Codec.GIF)  # which has two palettes


def test_a_gif_of_all_greys_loses_nothing() -> None:
    recording = speckled()

    assert np.array_equal(coded(recording, Coding(Codec.GIF, Quality.FINE)).grey, recording.grey)


def test_a_gif_whose_palette_is_shared_with_colour_has_few_greys() -> None:
    assert len(np.unique(coded(speckled(), Coding(Codec.GIF, Quality.USUAL)).grey)) < 32


@pytest.mark.parametrize(("codec", "suffix"), [(Codec.H264, "mkv"), (Codec.MJPEG, "mkv"), (Codec.GIF, "gif")])
def test_the_service_reads_the_same_frames_from_the_file(tmp_path: Path, codec: Codec, suffix: str) -> None:
    data = encoded(speckled().grey, Coding(codec))
    (tmp_path / f"clip.{suffix}").write_bytes(data)

    read = np.stack(list(open_clip(tmp_path / f"clip.{suffix}", DEFAULT_LIMITS).frames()))

    assert np.abs(read.astype(int) - decoded(data)).max() <= 2


def test_no_codec_writes_no_file() -> None:
    with pytest.raises(ValueError, match=r"^Without a codec there is no file to write\.$"):
        encoded(speckled().grey, Coding(Codec.NONE))


def test_a_coding_is_said_in_words() -> None:
    assert [str(Coding(Codec.H264)), str(Coding(Codec.GIF, Quality.COARSE)), str(Coding(Codec.NONE))] == [
        "h264 usual",
        "gif coarse",
        "none",
    ]
