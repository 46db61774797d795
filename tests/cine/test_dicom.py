"""Ultrasound DICOM: pixels equal in every transfer syntax, times from whichever element states them, nothing of the patient in any text."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.clip import Clip, EchoRegion
from service.cine.decode import DEFAULT_LIMITS, open_clip
from service.errors import (
    ClipTooLong,
    FrameTooLarge,
    FrameTooSmall,
    NoVideo,
    RequestError,
    UnreadableClip,
    UnsupportedFormat,
    WrongModality,
)
from tests.fakes import dicom
from tests.fakes.media import Frames, texture, truncated

GREY = texture(4)
COLOUR = dicom.colour()
COLOUR_AS_GREY = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in COLOUR])


def opened(data: bytes | Path) -> Clip:
    return open_clip(data, DEFAULT_LIMITS)


def grey(clip: Clip) -> NDArray[np.int16]:
    return np.stack(list(clip.frames())).astype(np.int16)


def rgb(clip: Clip) -> NDArray[np.int16]:
    return np.stack(list(clip.rgb_frames())).astype(np.int16)


def refusal(data: bytes, kind: type[RequestError], **limits: Any) -> str:
    with pytest.raises(kind) as caught:
        open_clip(data, replace(DEFAULT_LIMITS, **limits))
    return str(caught.value)


# Pixels


@pytest.mark.parametrize("syntax", dicom.every_syntax())
def test_grey_pixels_come_back_exactly(syntax: str) -> None:
    clip = opened(dicom.every_syntax()[syntax](GREY))

    assert (grey(clip) == GREY).all()
    assert (rgb(clip) == GREY[..., None]).all()
    assert clip.info.container == "dicom"


@pytest.mark.parametrize("syntax", dicom.every_syntax())
def test_colours_come_back_exactly(syntax: str) -> None:
    clip = opened(dicom.every_syntax()[syntax](COLOUR))

    assert (rgb(clip) == COLOUR).all()
    assert (grey(clip) == COLOUR_AS_GREY).all()


def test_jpeg_baseline() -> None:
    assert np.abs(grey(opened(dicom.jpeg_baseline(GREY))) - GREY).max() <= 3


def test_jpeg_baseline_in_colour_is_luma_and_two_colours() -> None:
    clip = opened(dicom.jpeg_baseline(COLOUR, PhotometricInterpretation="YBR_FULL_422"))

    assert np.abs(grey(clip) - COLOUR_AS_GREY).max() <= 3
    assert np.abs(rgb(clip) - COLOUR).mean() < 3


def test_a_jfif_marker_says_luma_first_whatever_the_object_says() -> None:
    said_rgb = opened(dicom.jpeg_baseline(COLOUR))

    assert (grey(said_rgb) == grey(opened(dicom.jpeg_baseline(COLOUR, PhotometricInterpretation="YBR_FULL_422")))).all()


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_jpeg_components_called_rgb_are_rgb_whatever_the_object_says(photometric: str) -> None:
    clip = opened(dicom.jpeg_rgb(COLOUR, PhotometricInterpretation=photometric))

    assert np.abs(rgb(clip) - COLOUR).max() <= 8
    assert np.abs(grey(clip) - COLOUR_AS_GREY).max() <= 4


def test_native_ybr_full() -> None:
    clip = opened(dicom.native(dicom.ybr(COLOUR), PhotometricInterpretation="YBR_FULL"))

    assert (grey(clip) == COLOUR_AS_GREY).all()
    assert np.abs(rgb(clip) - COLOUR).max() <= 1


def test_native_ybr_full_422() -> None:
    full = dicom.ybr(COLOUR)

    clip = opened(dicom.native(full, PhotometricInterpretation="YBR_FULL_422", PixelData=dicom.ybr_422_bytes(full)))

    assert (grey(clip) == COLOUR_AS_GREY).all()
    assert np.abs(rgb(clip) - COLOUR).mean() < 3


def test_colour_by_plane() -> None:
    by_plane = np.ascontiguousarray(np.moveaxis(COLOUR, 3, 1)).tobytes()

    assert (rgb(opened(dicom.native(COLOUR, PlanarConfiguration=1, PixelData=by_plane))) == COLOUR).all()


def test_monochrome1_is_inverted() -> None:
    assert (grey(opened(dicom.native(GREY, PhotometricInterpretation="MONOCHROME1"))) == 255 - GREY.astype(np.int16)).all()


def test_a_palette_is_applied() -> None:
    ramp = np.arange(256, dtype=np.uint16)
    table = np.stack([ramp, 255 - ramp, ramp // 2], axis=-1) * 257

    clip = opened(dicom.file_of(dicom.palette(dicom.dataset(GREY), table)))

    assert (rgb(clip) == COLOUR).all()
    assert (grey(clip) == COLOUR_AS_GREY).all()


def test_twelve_stored_bits_fill_the_grey_scale() -> None:
    stored = np.repeat(np.array([0, 1024, 2048, 4095], np.uint16), 64 * 64).reshape(4, 64, 64)

    frames = grey(opened(dicom.native(stored, BitsStored=12, HighBit=11)))

    assert frames[:, 0, 0].tolist() == [0, 64, 128, 255]


def test_signed_pixels_start_at_black() -> None:
    stored = np.repeat(np.array([-32768, 0, 32767], np.int16), 64 * 64).reshape(3, 64, 64)

    assert grey(opened(dicom.native(stored, PixelRepresentation=1)))[:, 0, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("name", dicom.FILM_SYNTAXES)
def test_a_film_inside_the_object(name: str) -> None:
    clip = opened(dicom.film(name))

    assert clip.info.num_frames == 30
    assert np.abs(grey(clip) - texture()).mean() < 2
    assert clip.info.times_s == pytest.approx(np.arange(30) * 0.04)  # the object says 40 ms, the stream 33
    assert clip.info.container == "dicom"
    assert clip.info.warnings == ()


def test_a_film_in_several_fragments_is_joined() -> None:
    assert (grey(opened(dicom.film("H.264, MP4", num_fragments=3))) == grey(opened(dicom.film("H.264, MP4")))).all()


def test_a_film_whose_object_states_no_times_keeps_its_own() -> None:
    clip = opened(dicom.film("H.264, MP4", frame_time_ms=None))

    assert clip.info.fps == pytest.approx(30)
    assert clip.info.warnings == ()


@pytest.mark.parametrize("implicit", [True, False])
def test_an_object_without_preamble_is_read(implicit: bool) -> None:
    assert (grey(opened(dicom.bare(dicom.dataset(GREY), implicit))) == GREY).all()


def test_a_compressed_object_that_leaves_its_vrs_out_is_read() -> None:
    assert np.abs(grey(opened(dicom.without_vrs(GREY))) - GREY).max() <= 3


def test_an_object_from_a_file_equals_the_object_from_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "object").write_bytes(dicom.jpeg_baseline(GREY))

    assert (grey(opened(tmp_path / "object")) == grey(opened(dicom.jpeg_baseline(GREY)))).all()


def test_frames_too_many_for_the_cache_are_decoded_again() -> None:
    clip = open_clip(dicom.native(GREY), replace(DEFAULT_LIMITS, cache_bytes=1))

    assert (grey(clip) == GREY).all()
    assert (grey(clip) == GREY).all()


# Times

VECTOR = {"frame_time_ms": None, "FrameTimeVector": [0, 20, 50, 30]}
ASSUMED = "The object does not say when its frames were taken; 30 frames a second were assumed."


@pytest.mark.parametrize(
    ("elements", "fps"),
    [
        ({"frame_time_ms": 20}, 50),
        ({"frame_time_ms": 20, "CineRate": 25, "RecommendedDisplayFrameRate": 15}, 50),
        ({"frame_time_ms": None, "CineRate": 25}, 25),
        ({"frame_time_ms": None, "CineRate": 25, "RecommendedDisplayFrameRate": 15}, 15),
        ({"frame_time_ms": 0, "CineRate": 25}, 25),
        ({"frame_time_ms": 0.033, "CineRate": 25}, 25),  # seconds, for milliseconds
    ],
)
def test_the_frame_rate_comes_from_the_best_element_there_is(elements: dict[str, Any], fps: float) -> None:
    clip = opened(dicom.native(GREY, **elements))

    assert clip.info.fps == pytest.approx(fps)
    assert clip.info.duration_s == pytest.approx(4 / fps)
    assert clip.info.warnings == ()


def test_a_frame_time_vector_gives_each_frame_its_time() -> None:
    clip = opened(dicom.native(GREY, **VECTOR))

    assert clip.info.times_s == pytest.approx([0, 0.02, 0.07, 0.1])


def test_the_vector_goes_before_the_frame_time_unless_the_pointer_says_otherwise() -> None:
    both = {**VECTOR, "frame_time_ms": 40}

    assert opened(dicom.native(GREY, **both, FrameIncrementPointer=0x00181065)).info.times_s[-1] == pytest.approx(0.1)
    assert opened(dicom.native(GREY, **both)).info.times_s[-1] == pytest.approx(0.12)


@pytest.mark.parametrize("vector", [[0, 20, 50], [0, 20, -5, 30], [0, 0, 0, 0]])
def test_a_vector_that_does_not_fit_is_not_used(vector: list[float]) -> None:
    clip = opened(dicom.native(GREY, frame_time_ms=None, FrameTimeVector=vector, CineRate=25))

    assert clip.info.fps == pytest.approx(25)


@pytest.mark.parametrize("elements", [{}, {"CineRate": 0}, {"FrameTime": None}])
def test_missing_times_are_assumed_and_said_so(elements: dict[str, Any]) -> None:
    clip = opened(dicom.native(GREY, **{"frame_time_ms": None, **{k: v for k, v in elements.items() if v is not None}}))

    assert clip.info.fps == pytest.approx(30)
    assert clip.info.warnings == (ASSUMED,)


# Regions


def test_the_region_of_tissue_is_the_echo_region() -> None:
    clip = opened(dicom.with_regions([dicom.region(10, 20, 109, 99, cm_per_px=0.02)]))

    assert clip.info.region == EchoRegion(box=(10, 20, 110, 100), mm_per_px=pytest.approx(0.2))


def test_the_largest_region_of_tissue_is_taken_and_others_are_not() -> None:
    regions = [dicom.region(0, 0, 159, 119, data_type=2), dicom.region(0, 0, 9, 9), dicom.region(30, 30, 59, 89)]

    clip = opened(dicom.with_regions(regions))

    assert clip.info.region is not None
    assert clip.info.region.box == (30, 30, 60, 90)


def test_a_region_that_leaves_the_frame_is_cut_to_it() -> None:
    clip = opened(dicom.with_regions([dicom.region(100, 20, 9999, 99)]))

    assert clip.info.region is not None
    assert clip.info.region.box == (100, 20, 160, 100)


@pytest.mark.parametrize(
    "changes",
    [{"cm_per_px": None}, {"PhysicalUnitsXDirection": 4}, {"PhysicalDeltaY": 0.02}, {"PhysicalDeltaX": 0.0, "PhysicalDeltaY": 0.0}],
)
def test_a_scale_that_is_not_one_length_a_pixel_is_unknown(changes: dict[str, Any]) -> None:
    clip = opened(dicom.with_regions([dicom.region(0, 0, 99, 99, **changes)]))

    assert clip.info.region is not None
    assert clip.info.region.mm_per_px is None


def test_a_negative_delta_is_a_direction_and_not_a_length() -> None:
    clip = opened(dicom.with_regions([dicom.region(0, 0, 99, 99, PhysicalDeltaY=-0.01)]))

    assert clip.info.region is not None
    assert clip.info.region.mm_per_px == pytest.approx(0.1)


def test_an_object_without_regions_has_none() -> None:
    assert opened(dicom.native(GREY)).info.region is None
    assert opened(dicom.with_regions([])).info.region is None


# Damage


@pytest.mark.parametrize(
    "make",
    [
        lambda: dicom.native(),
        lambda: dicom.jpeg_baseline(),
        lambda: dicom.every_syntax()["RLE"](texture()),
        lambda: dicom.every_syntax()["JPEG-LS"](texture()),
    ],
)
def test_an_object_cut_off_in_transfer_is_read_as_far_as_it_goes(make: Callable[[], bytes]) -> None:
    clip = opened(truncated(make(), 0.5))

    assert 13 <= clip.info.num_frames <= 16
    assert np.abs(grey(clip) - texture()[: clip.info.num_frames]).max() <= 3
    assert clip.info.warnings[-1].startswith("The clip is cut off: it says that it lasts 1.2 s, and 0.")


def test_a_film_cut_off_in_transfer_is_read_as_far_as_it_goes() -> None:
    clip = opened(truncated(dicom.film("H.264, transport stream"), 0.9))

    assert 5 < clip.info.num_frames < 30
    assert "The clip is cut off" in clip.info.warnings[-1]


def test_a_damaged_frame_is_left_out_and_its_time_stays_empty() -> None:
    def coder(frame: Frames) -> bytes:
        return dicom.jpeg_coder(frame) if not (frame == texture(10)[4]).all() else b"\xff\xd8 no picture"

    clip = opened(dicom.encapsulated(texture(10), dicom.JPEGBaseline8Bit, coder))

    assert clip.info.times_s == pytest.approx([0, 0.04, 0.08, 0.12, 0.2, 0.24, 0.28, 0.32, 0.36])
    assert clip.info.warnings == ("1 frame could not be decoded and was left out.",)


def test_an_object_that_says_more_frames_than_it_has() -> None:
    clip = opened(dicom.native(GREY, NumberOfFrames=20_000))

    assert clip.info.num_frames == 4
    assert clip.info.warnings == ("The clip is cut off: it says that it lasts 800.0 s, and 0.2 s of it could be read.",)


def test_a_missing_offset_table_is_no_lost_frame() -> None:
    data = dicom.jpeg_baseline(GREY)

    assert opened(data.replace(b"\xfe\xff\x00\xe0\x00\x00\x00\x00", b"", 1)).info.num_frames == 4


@pytest.mark.parametrize("share", [0.0005, 0.005, 0.05, 0.2, 0.5, 0.9, 0.999])
def test_every_truncation_ends_in_a_clip_or_in_a_sentence_without_the_patient(share: float) -> None:
    for name, make in dicom.every_syntax().items():
        try:
            clip = opened(truncated(make(GREY), share))
        except RequestError as error:
            sentence = str(error)
        else:
            sentence = " ".join(clip.info.warnings)
            assert len(list(clip.frames())) == clip.info.num_frames, name
        assert "DOE" not in sentence


# Refusals, each with its sentence


def test_an_object_without_pixel_data() -> None:
    assert refusal(dicom.without_pixel_data(), NoVideo) == "The DICOM object has no pixel data, or is cut off before it."


def test_a_single_frame_is_a_clip_of_one() -> None:
    clip = opened(dicom.single_frame())

    assert (clip.info.num_frames, clip.info.fps, clip.info.warnings) == (1, 0.0, ())


@pytest.mark.parametrize("modality", ["CT", "MR", "SR", "IVUS"])
def test_another_modality_is_named(modality: str) -> None:
    assert refusal(dicom.of_modality(modality), WrongModality) == (
        f"The DICOM object has the modality {modality}; only ultrasound (modality US) can be read."
    )


@pytest.mark.parametrize("modality", ["", "DOE JANE", "Doe^Jane", "us"])
def test_what_is_not_a_modality_is_not_repeated(modality: str) -> None:
    assert refusal(dicom.of_modality(modality), WrongModality) == (
        "The DICOM object does not say that it is ultrasound; only ultrasound (modality US) can be read."
    )


def test_an_ultrasound_class_without_a_modality_is_ultrasound() -> None:
    assert opened(dicom.native(GREY, Modality="")).info.num_frames == 4


def test_a_secondary_capture_of_ultrasound_is_read() -> None:
    assert opened(dicom.native(GREY, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.4")).info.num_frames == 4


def test_a_transfer_syntax_that_inflates_is_refused_by_name() -> None:
    assert refusal(dicom.deflated(), UnsupportedFormat) == (
        "The DICOM object is in the transfer syntax Deflated Explicit VR Little Endian, which cannot be read."
    )


def test_an_invented_transfer_syntax_is_refused_without_repeating_it() -> None:
    data = dicom.native(GREY).replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.99999.1.2.1\x00", 1)

    assert refusal(data, UnsupportedFormat) == (
        "The DICOM object is in a transfer syntax that is not in the standard. Please export it in another."
    )


@pytest.mark.parametrize(
    "elements",
    [
        {"PhotometricInterpretation": "ARGB"},
        {"PhotometricInterpretation": None},
        {"SamplesPerPixel": 3},
        {"BitsAllocated": 32},
        {"BitsStored": 12},
    ],
)
def test_pixels_that_contradict_themselves(elements: dict[str, Any]) -> None:
    assert refusal(dicom.native(GREY, **elements), UnreadableClip) == (
        "The DICOM object's description of its pixels is missing, contradicts itself or is not that of a picture."
    )


def test_a_small_coded_frame_that_would_unpack_to_gigabytes_is_not_unpacked() -> None:
    assert refusal(dicom.bomb(60_000), UnreadableClip) == (
        "The clip is damaged: not one of its frames could be decoded. Please export it again."
    )


def test_ten_minutes_are_refused() -> None:
    data = dicom.native(np.repeat(texture(1, 64, 64), 1000, axis=0), frame_time_ms=600)

    assert refusal(data, ClipTooLong) == "The clip is longer than 120 s, the most that can be read in one clip. Please cut it."


def test_frames_too_large_are_refused_by_their_header() -> None:
    assert refusal(dicom.native(GREY, Rows=30_000, Columns=30_000), FrameTooLarge).startswith("The frames are 30000 x 30000 px;")


def test_frames_too_small_are_refused_by_their_header() -> None:
    assert refusal(dicom.native(GREY, Rows=0), FrameTooSmall) == "The frames are 160 x 0 px; each side must have at least 64 px."


def test_bytes_that_only_begin_like_a_data_set_are_no_clip() -> None:
    assert refusal(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" * 20, UnsupportedFormat).startswith("This is not a clip of a known kind.")


@pytest.mark.parametrize("num_bytes", [0, 1, 63])
def test_an_rle_frame_too_short_for_its_own_header_is_left_out(num_bytes: int) -> None:
    """Found by soaking: pydicom cannot even wrap an empty one."""
    whole = dicom.every_syntax()["RLE"](GREY)
    last = whole.rindex(b"\xfe\xff\x00\xe0")
    cut = whole[: last + 4] + num_bytes.to_bytes(4, "little") + whole[last + 8 : last + 8 + num_bytes]

    clip = opened(cut)

    assert clip.info.num_frames == 3
    assert "1 frame could not be decoded and was left out." in clip.info.warnings
