"""open_clip(): every container, every sort of pixels, honest times, and a sentence for every bad upload."""

import gc
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from service.cine.clip import Clip
from service.cine.decode import DEFAULT_LIMITS, open_clip
from service.cine.survey import Clock, find_duplicates
from service.errors import (
    ClipTooLong,
    EmptyUpload,
    FrameTooLarge,
    FrameTooSmall,
    NoVideo,
    RequestError,
    UnreadableClip,
    UnsupportedFormat,
)
from tests.fakes import media
from tests.fakes.media import EVERY_KIND, encode, mp4, texture

ACCEPTED = "MP4, MOV, AVI, MKV, WebM, MPEG, GIF and ultrasound DICOM clips can be read."


def opened(data: bytes | Path) -> Clip:
    return open_clip(data, DEFAULT_LIMITS)


def grey(clip: Clip) -> NDArray[np.uint8]:
    return np.stack(list(clip.frames()))


def rgb(clip: Clip) -> NDArray[np.uint8]:
    return np.stack(list(clip.rgb_frames()))


def mean_error(frames: NDArray[np.uint8], expected: NDArray[np.uint8]) -> float:
    return float(np.abs(frames.astype(np.int16) - expected).mean())


def refusal(data: bytes, kind: type[RequestError], **limits: Any) -> str:
    with pytest.raises(kind) as caught:
        open_clip(data, replace(DEFAULT_LIMITS, **limits))
    return str(caught.value)


# Every kind


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_gives_its_frames_and_times_back(kind: str) -> None:
    clip = opened(encode(texture(), **EVERY_KIND[kind]))

    fps = EVERY_KIND[kind].get("fps", 30)
    assert (clip.info.num_frames, clip.info.width, clip.info.height) == (30, 160, 120)
    assert clip.info.times_s == pytest.approx(np.arange(30) / fps, abs=0.001)
    assert clip.info.duration_s == pytest.approx(30 / fps, abs=0.002)
    assert clip.info.warnings == ()
    assert not clip.info.is_duplicate.any()
    assert mean_error(grey(clip), texture()) < 2
    assert mean_error(rgb(clip)[..., 1], texture()) < 2.5


@pytest.mark.parametrize(
    ("kind", "container"),
    [
        ("mp4 h264", "mp4"),
        ("mov prores", "mov"),
        ("avi mpeg4", "avi"),
        ("mkv h264", "matroska"),
        ("webm vp9", "matroska"),
        ("mpeg program stream", "mpeg"),
        ("mpeg transport stream", "mpegts"),
        ("gif", "gif"),
    ],
)
def test_the_container_is_told_from_the_bytes(kind: str, container: str) -> None:
    assert opened(encode(texture(2), **EVERY_KIND[kind])).info.container == container


def test_a_misleading_name_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clip.m3u8"
    path.write_bytes(mp4())

    assert opened(path).info.container == "mp4"


def test_a_path_that_looks_like_a_protocol_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("concat:a|b").write_bytes(mp4())

    assert opened(Path("concat:a|b")).info.num_frames == 30


# Walks


def test_frames_can_be_walked_through_again_and_are_the_same() -> None:
    clip = opened(mp4())

    assert (grey(clip) == grey(clip)).all()
    assert (rgb(clip) == rgb(clip)).all()


def test_two_walks_at_a_time_do_not_disturb_each_other() -> None:
    clip = open_clip(mp4(), replace(DEFAULT_LIMITS, cache_bytes=0))

    assert all((a == b).all() for a, b in zip(clip.frames(), clip.frames(), strict=True))


def test_a_clip_larger_than_the_cache_is_decoded_again_to_the_same_frames() -> None:
    data = mp4()

    uncached = open_clip(data, replace(DEFAULT_LIMITS, cache_bytes=29 * 160 * 120))

    assert (grey(uncached) == grey(opened(data))).all()
    assert "cache=None" not in repr(uncached)  # repr shows neither pixels nor their lack


def test_frames_cannot_be_written_to() -> None:
    clip = opened(mp4())

    with pytest.raises(ValueError, match="read-only"):
        next(clip.frames())[0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        clip.info.times_s[0] = 1


def test_a_clip_from_a_file_equals_the_clip_from_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(mp4())

    assert (grey(opened(path)) == grey(opened(mp4()))).all()


# Pixels


def test_limited_range_is_stretched_to_full() -> None:
    steps = np.repeat(np.array([[0, 64, 128, 192, 255]], np.uint8), 64, axis=0).repeat(32, axis=1)[None]

    frame = grey(opened(encode(steps, container="matroska", codec="ffv1", pix_fmt="yuv420p")))[0]

    assert frame[32, 16::32].tolist() == pytest.approx([0, 64, 128, 192, 255], abs=1)


def test_full_range_is_left_as_it_is() -> None:
    clip = opened(mp4(pix_fmt="yuvj420p", full_range=True))

    assert mean_error(grey(clip), texture()) < 1


@pytest.mark.parametrize("kind", ["mp4 h264", "avi mpeg4", "avi mjpeg", "mpeg program stream"])
def test_grey_equals_opencv_within_a_level_or_two(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "clip"
    path.write_bytes(encode(texture(3), **EVERY_KIND[kind]))
    capture = cv2.VideoCapture(str(path))

    for ours in opened(path).frames():
        theirs = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2GRAY)
        assert np.abs(ours.astype(np.int16) - theirs).max() <= 2


def test_grey_and_colour_agree_on_a_grey_clip() -> None:
    clip = opened(mp4())

    assert np.abs(rgb(clip)[..., 1].astype(np.int16) - grey(clip)).max() <= 1


def test_ten_bits_are_rounded_to_eight() -> None:
    assert mean_error(grey(opened(media.ten_bit_mkv(texture(3)))), texture(3)) < 0.5


def test_a_stream_without_colour_is_read() -> None:
    clip = opened(media.grey_mp4())

    assert mean_error(grey(clip), texture()) < 1
    assert (rgb(clip)[..., 0] == rgb(clip)[..., 2]).all()


def test_colours_of_a_palette_are_weighed_by_bt_601() -> None:
    clip = opened(media.palette_avi(255, 0, 0))

    assert rgb(clip)[0, 5, 5].tolist() == [255, 0, 0]
    assert grey(clip)[0, 5, 5] == 76


def test_what_is_transparent_is_black() -> None:
    frames = np.full((2, 64, 64, 4), 200, np.uint8)
    frames[:, :32, :, 3] = 0
    frames[:, 32:, :, 3] = 255

    first = grey(opened(media.alpha_mov(frames)))[0]

    assert (first[:32] == 0).all()
    assert (first[32:] == 200).all()


@pytest.mark.parametrize("size", [(161, 120), (160, 121), (67, 65)])
@pytest.mark.parametrize("kind", ["mov mjpeg", "mov h264", "mkv ffv1 grey"])
def test_odd_sizes_are_read(size: tuple[int, int], kind: str) -> None:
    frames = texture(3, *size)

    clip = opened(encode(frames, **EVERY_KIND[kind]))

    assert (clip.info.width, clip.info.height) == size
    assert mean_error(grey(clip), frames) < 2
    assert rgb(clip).shape == (3, size[1], size[0], 3)


@pytest.mark.parametrize(
    ("clockwise_deg", "turn"),
    [
        (0, lambda frame: frame),
        (90, lambda frame: np.rot90(frame, -1)),
        (180, lambda frame: np.rot90(frame, 2)),
        (270, lambda frame: np.rot90(frame)),
    ],
)
def test_rotation_metadata_is_applied(clockwise_deg: int, turn: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> None:
    clip = opened(media.rotated(mp4(texture(2)), clockwise_deg))

    upright = turn(texture(2)[0])
    assert (clip.info.height, clip.info.width) == upright.shape
    assert mean_error(grey(clip)[0], upright) < 1
    assert mean_error(rgb(clip)[0, ..., 1], upright) < 1


def test_a_mirroring_matrix_is_applied() -> None:
    clip = opened(media.with_matrix(mp4(texture(2)), -1, 0, 0, 1))

    assert mean_error(grey(clip)[0], texture(2)[0][:, ::-1]) < 1


def test_4k_is_read() -> None:
    clip = opened(mp4(texture(2, 3840, 2160), options={"crf": "40", "preset": "ultrafast"}))

    assert (clip.info.width, clip.info.height, clip.info.num_frames) == (3840, 2160, 2)


def test_gif_frames_are_composed() -> None:
    drawn = np.zeros((3, 64, 64, 3), np.uint8)
    drawn[1:, 10:20] = 255
    drawn[2:, 40:50] = 255  # the third frame is stored as these rows alone

    assert (grey(opened(media.gif(drawn, [10, 10, 10]))) == drawn[..., 0]).all()


def test_transparency_of_a_gif_is_black_and_not_ffmpegs_white() -> None:
    drawn = np.zeros((2, 64, 64, 3), np.uint8)
    drawn[:, 10:20] = 255

    assert (grey(opened(media.transparent_gif(drawn)))[0] == drawn[0, ..., 0]).all()


# Streams


def test_sound_and_cover_art_are_not_the_clip() -> None:
    for changes in ({"with_sound": True}, {"with_cover": True}):
        clip = opened(mp4(**changes))

        assert (clip.info.num_frames, clip.info.width) == (30, 160)
        assert clip.info.warnings == ()


def test_frames_of_another_size_than_the_first_are_left_out_and_counted() -> None:
    kind = EVERY_KIND["mpeg transport stream"]

    clip = opened(encode(texture(20), **kind) + encode(texture(5, 96, 96), **kind))

    assert (clip.info.num_frames, clip.info.width) == (20, 160)
    assert "5 frames of another size than the first were left out." in clip.info.warnings
    assert len(list(clip.rgb_frames())) == 20


def test_pixels_that_are_not_square_are_said_so() -> None:
    clip = opened(mp4(options={"x264-params": "sar=2/1", "crf": "5"}))

    assert clip.info.warnings == ("The clip's pixels are not square (width : height = 2.00); it was read as stored.",)


# Times


@pytest.mark.parametrize("fps", [1, 9, 24, 60, 120])
def test_the_frame_rate_is_counted(fps: int) -> None:
    clip = opened(mp4(texture(12), fps=fps))

    assert clip.info.fps == pytest.approx(fps, rel=1e-3)
    assert clip.info.duration_s == pytest.approx(12 / fps, rel=1e-2)


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_a_variable_frame_rate_keeps_its_times(container: str) -> None:
    times_ms = media.uneven_times_ms([20, 50, 35], 20)

    clip = opened(mp4(texture(20), container=container, times_ms=times_ms))

    assert clip.info.times_s == pytest.approx(np.array(times_ms) / 1000, abs=1e-3)


def test_gif_delays_are_its_times() -> None:
    blinking = np.zeros((4, 64, 64, 3), np.uint8)
    blinking[::2] = 255

    clip = opened(media.gif(blinking, [4, 20, 6, 6]))

    assert clip.info.times_s == pytest.approx([0, 0.04, 0.24, 0.30])


def test_a_gifs_rest_on_its_last_frame_is_cut_to_two_frames() -> None:
    blinking = np.zeros((4, 64, 64, 3), np.uint8)
    blinking[::2] = 255

    clip = opened(media.gif(blinking, [10, 10, 10, 300]))

    assert clip.info.duration_s == pytest.approx(0.3 + 0.2)


def test_times_start_at_zero_whatever_the_stream_says() -> None:
    clip = opened(encode(texture(), **EVERY_KIND["mpeg program stream"]))  # FFmpeg starts these at half a second

    assert clip.info.times_s[0] == 0


def clock(stamps_s: list[float | None]) -> tuple[list[float], int]:
    made = Clock(nominal_s=0.1)
    return [round(made.show(stamp_s), 6) for stamp_s in stamps_s], made.num_repaired


def test_a_missing_stamp_is_put_one_interval_after_the_frame_before() -> None:
    assert clock([5.0, None, 5.2]) == ([0, 0.1, 0.2], 1)


def test_a_repeated_stamp_is_put_one_interval_after_the_frame_before() -> None:
    assert clock([0.0, 0.1, 0.1, 0.3]) == ([0, 0.1, 0.2, 0.3], 1)


def test_a_stamp_that_differs_from_the_frame_before_by_less_than_a_clock_can_say_is_a_repeated_one() -> None:
    """Found by soaking: sums of intervals came out 3e-17 s under a stamp, and nothing can be shown for so long."""
    assert clock([0.0, 0.1, 0.1 + 2e-17, 0.1 + 5e-7, 0.5]) == ([0, 0.1, 0.2, 0.3, 0.5], 2)


def test_a_clip_without_any_stamps_runs_at_the_nominal_rate() -> None:
    assert clock([None, None, None]) == ([0, 0.1, 0.2], 2)


def test_a_clock_that_was_set_back_goes_on_from_the_frame_before() -> None:
    assert clock([90.0, 90.1, 0.0, 0.1]) == ([0, 0.1, 0.2, 0.3], 0)


def test_joined_recordings_run_on() -> None:
    one = encode(texture(20), **EVERY_KIND["mpeg transport stream"])

    clip = opened(one + one)

    assert clip.info.num_frames == 40
    assert clip.info.times_s == pytest.approx(np.arange(40) / 30, abs=0.001)


def test_a_pause_is_kept() -> None:
    assert clock([0.0, 0.1, 0.9, 1.0]) == ([0, 0.1, 0.9, 1.0], 0)


# Duplicates


def test_frames_repeated_by_a_frame_rate_conversion_are_known() -> None:
    doubled = np.repeat(texture(20), 2, axis=0)

    clip = opened(mp4(doubled, options={"crf": "28"}))

    assert clip.info.is_duplicate.tolist() == [False, True] * 20


def test_a_frozen_clip_is_one_frame_and_its_duplicates() -> None:
    clip = opened(mp4(np.repeat(texture(1), 30, axis=0)))

    assert clip.info.is_duplicate.tolist() == [False] + [True] * 29


def test_a_breath_hold_is_not_a_run_of_duplicates() -> None:
    change = np.array([0, 2.0, 1.0, 0.4, 0.2, 0.1, 0.1, 0.2, 0.4, 1.0, 2.0])

    assert not find_duplicates(change, 10 * change).any()


def test_a_single_frame_has_no_duplicate() -> None:
    assert find_duplicates(np.zeros(1), np.zeros(1)).tolist() == [False]


# Damage


def test_a_clip_cut_off_in_transfer_is_read_as_far_as_it_goes() -> None:
    clip = opened(media.truncated(media.streamable_mp4(texture(90)), 0.6))

    assert 20 < clip.info.num_frames < 80
    assert clip.info.warnings[-1].startswith("The clip is cut off: it says that it lasts 3.0 s, and ")
    assert clip.info.warnings[-1].endswith(" s of it could be read.")
    assert mean_error(grey(clip)[:20], texture(90)[:20]) < 1


@pytest.mark.parametrize("kind", ["avi mpeg4", "mkv ffv1 grey"])
def test_other_containers_cut_off_are_read_as_far_as_they_go(kind: str) -> None:
    clip = opened(media.truncated(encode(texture(60), **EVERY_KIND[kind]), 0.5))

    assert 15 < clip.info.num_frames < 45
    assert "The clip is cut off" in clip.info.warnings[-1]


def test_a_gif_cut_off_says_so() -> None:
    clip = opened(media.truncated(encode(texture(), **EVERY_KIND["gif"]), 0.5))

    assert 5 < clip.info.num_frames < 25
    assert clip.info.warnings[0] == "The clip is cut off: its last frames are missing."


def test_a_damaged_frame_is_left_out_and_counted() -> None:
    clip = opened(media.corrupted(encode(texture(60), **EVERY_KIND["avi mpeg4"]), 0.5))

    assert clip.info.num_frames == 59
    assert clip.info.warnings == ("1 frame could not be decoded and was left out.",)
    assert np.diff(clip.info.times_s).max() == pytest.approx(2 / 30, abs=0.002)  # a gap stays where it was
    assert len(list(clip.frames())) == len(list(clip.rgb_frames())) == 59


def test_every_truncation_and_corruption_ends_in_a_clip_or_in_a_sentence() -> None:
    for kind in EVERY_KIND:
        data = encode(texture(8), **EVERY_KIND[kind])
        for share in (0.002, 0.01, 0.1, 0.3, 0.7, 0.95):
            for broken in (media.truncated(data, share), media.corrupted(data, share), media.corrupted(data, share, 20)):
                with suppress(RequestError):
                    clip = open_clip(broken, replace(DEFAULT_LIMITS, cache_bytes=0))
                    assert len(list(clip.frames())) == len(list(clip.rgb_frames())) == clip.info.num_frames >= 1


# Refusals, each with its sentence


def test_an_empty_upload() -> None:
    assert refusal(media.EMPTY, EmptyUpload) == "The upload is empty: it has 0 bytes."


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()

    with pytest.raises(EmptyUpload, match="The upload is empty"):
        opened(tmp_path / "clip.mp4")


def test_text_renamed() -> None:
    assert refusal(media.TEXT, UnsupportedFormat) == f"This is text, not a clip. {ACCEPTED}"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (media.png(), "a PNG picture"),
        (media.jpeg(), "a JPEG picture"),
        (b"RIFF\x00\x00\x00\x00WEBP", "a WebP picture"),
        (b"RIFF\x00\x00\x00\x00WAVE", "a sound file"),
        (b"\x00\x00\x00\x18ftypheic", "a HEIF or AVIF picture"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "a Windows Media (WMV) clip"),
    ],
)
def test_what_is_known_and_no_clip_is_named(data: bytes, what: str) -> None:
    assert refusal(data, UnsupportedFormat) == f"This is {what}, not a clip. {ACCEPTED}"


def test_unknown_bytes() -> None:
    assert refusal(bytes(5000), UnsupportedFormat) == f"This is not a clip of a known kind. {ACCEPTED}"


def test_no_playlist_is_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(mp4())

    for listed in (media.playlist(f"file://{secret}"), media.concat_script(str(secret))):
        assert refusal(listed, UnsupportedFormat).startswith("This is text, not a clip.")


def test_sound_alone() -> None:
    assert refusal(media.sound_only(), NoVideo) == "The file has no moving pictures in it, only sound or data."


def test_a_clip_without_its_index() -> None:
    assert refusal(media.truncated(mp4(), 0.5), UnreadableClip) == (
        "The clip is damaged or cut off: it begins like a clip and could not be opened. Please export or copy it again."
    )


@pytest.mark.parametrize(
    "head",
    [
        b"GIF89a\x00",
        b"\x1a\x45\xdf\xa3" + bytes(99),
        b"RIFF\x00\x00\x00\x00AVI ",
        b"\x00\x00\x01\xba" + bytes(4000),
        (b"\x47" + bytes(187)) * 3,
    ],
)
def test_a_beginning_without_a_clip(head: bytes) -> None:
    assert refusal(head, UnreadableClip).startswith("The clip is damaged")


def test_one_frame_is_a_clip_of_one_frame() -> None:
    clip = opened(media.one_frame())

    assert (clip.info.num_frames, clip.info.fps) == (1, 0.0)
    assert clip.info.duration_s == pytest.approx(1 / 30, abs=1e-3)


TOO_LONG = "The clip is longer than 120 s, the most that can be read in one clip. Please cut it."


def test_ten_minutes_are_refused_before_anything_is_decoded() -> None:
    data = media.ten_minutes()
    start_s = time.perf_counter()

    assert refusal(data, ClipTooLong) == TOO_LONG
    assert time.perf_counter() - start_s < 1


def test_a_header_that_says_five_seconds_of_ten_minutes_is_not_believed() -> None:
    assert refusal(media.claiming(media.ten_minutes("avi mpeg4"), 10), ClipTooLong) == TOO_LONG


def test_a_header_that_says_ten_minutes_of_one_second_is_not_believed_either() -> None:
    clip = opened(media.claiming(encode(texture(), **EVERY_KIND["avi mpeg4"]), 18_000))

    assert clip.info.duration_s == pytest.approx(1.0)
    assert clip.info.warnings == ("The clip is cut off: it says that it lasts 600.0 s, and 1.0 s of it could be read.",)


def test_too_many_frames() -> None:
    assert refusal(mp4(), ClipTooLong, max_frames=29) == "The clip has more than 29 frames, the most that can be read in one clip."


def test_frames_that_are_left_out_are_counted_as_well() -> None:
    """They have been decoded: a clip could keep a decoder busy with nothing else."""
    kind = EVERY_KIND["mpeg transport stream"]
    clip = encode(texture(20), **kind) + encode(texture(15, 96, 96), **kind)

    assert opened(clip).info.num_frames == 20
    assert refusal(clip, ClipTooLong, max_frames=30) == "The clip has more than 30 frames, the most that can be read in one clip."
    assert "more than 0.45 million pixels" in refusal(clip, ClipTooLong, max_pixels_in_all=450_000)  # 20 of 160x120 have 384 000


def test_too_many_pixels_in_all() -> None:
    assert refusal(mp4(), ClipTooLong, max_pixels_in_all=500_000) == (
        "The clip's frames have more than 0.5 million pixels in all, the most that can be read in one clip. "
        "Please cut it, or export it at a smaller size."
    )


def test_8k_is_refused_with_its_size() -> None:
    assert refusal(mp4(texture(1, 7680, 4320), options={"crf": "50", "preset": "ultrafast"}), FrameTooLarge) == (
        "The frames are 7680 x 4320 px; at most 9.4 million pixels a frame can be read. Please export the clip at a smaller size."
    )


def test_a_gif_whose_header_asks_for_gigabytes_gets_none() -> None:
    assert refusal(media.huge_gif(60_000), FrameTooLarge).startswith("The frames are 60000 x 60000 px;")


def test_frames_too_small_to_show_a_pleura() -> None:
    assert refusal(mp4(texture(2, 48, 96)), FrameTooSmall) == "The frames are 48 x 96 px; each side must have at least 64 px."


def test_a_frame_is_given_back_as_soon_as_it_has_been_looked_at() -> None:
    """Without the garbage collector: frames that waited for it held 700 MB of 20 s of 1080p."""
    gc.collect()
    gc.disable()
    try:
        clip = open_clip(mp4(), replace(DEFAULT_LIMITS, cache_bytes=0))
        list(clip.frames()), list(clip.rgb_frames())
        held = [thing for thing in gc.get_objects() if type(thing) is VideoFrame]
    finally:
        gc.enable()

    assert held == []
