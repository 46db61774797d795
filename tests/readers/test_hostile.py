"""Files made to take a decoder's memory are refused by the real reader in its real cage, and the clip beside them is read."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from service.errors import FrameTooLarge, RequestError, UnreadableClip
from service.pipeline import Options
from service.readers.reader import PooledReader, reader_processes
from service.reading import Saliency
from service.settings import Settings
from tests.fakes import dicom, media
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import shipped_reader

SMALL_CAGE = Settings(device="cpu", max_concurrent=2, max_background=1, cage_memory_mb=512)


@pytest.fixture(scope="module")
def reader() -> Iterator[PooledReader]:
    here = shipped_reader()
    with reader_processes(SMALL_CAGE, lambda folder: here._shelf.get(here.find(None))) as reader:
        reader.load(reader.find(None))
        yield reader


def read(reader: PooledReader, path: Path) -> float | None:
    analysis, _ = reader.read(reader.open(path), reader.find(None), Options(Saliency.NONE))
    return analysis.lung_sliding.probability


def refusal(reader: PooledReader, folder: Path, content: bytes) -> RequestError:
    """Of a clip that is read while a sound one is."""
    hostile, sound = folder / "hostile", folder / "sound"
    hostile.write_bytes(content)
    sound.write_bytes(media.mp4(small_phantom("present", 2.2).frames))
    with ThreadPoolExecutor(2) as threads:
        refused, answered = threads.submit(read, reader, hostile), threads.submit(read, reader, sound)
        with pytest.raises(RequestError) as error:
            refused.result()
        assert answered.result() is not None
    return error.value


def motion_jpeg() -> bytes:
    return media.encode(media.texture(), **media.EVERY_KIND["avi mjpeg"])


def growing(avi: bytes, side_px: int) -> bytes:
    """Motion JPEG whose every picture says that it is so large (ITU T.81 B.2.2), under a header that says what it was."""
    start_of_frame = b"\xff\xc0\x00\x11\x08"
    first, *others = avi.split(start_of_frame)
    return start_of_frame.join([first, *(side_px.to_bytes(2, "big") * 2 + other[4:] for other in others)])


def large_mp4(folder: Path, width: int, height: int, num_frames: int) -> bytes:
    """Noise, which keeps many frames as references in the decoder's memory."""
    path, random = folder / "large.mp4", np.random.default_rng(0)
    noise = random.integers(0, 255, (height, width), np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=30, options={"preset": "ultrafast", "refs": "16", "x264-params": "level=6.2:keyint=99"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, number, axis=1), format="gray")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path.read_bytes()


def test_a_dicom_object_that_states_huge_frames(reader: PooledReader, tmp_path: Path) -> None:
    error = refusal(reader, tmp_path, dicom.native(Rows=16384, Columns=16384))

    assert isinstance(error, FrameTooLarge)
    assert str(error).startswith("The frames are 16384 x 16384 px; at most 9.4 million pixels a frame can be read.")


def test_pictures_that_state_to_be_huge_under_a_header_that_does_not(reader: PooledReader, tmp_path: Path) -> None:
    error = refusal(reader, tmp_path, growing(motion_jpeg(), 16384))

    assert isinstance(error, (UnreadableClip, FrameTooLarge))


def test_pictures_that_are_huge(reader: PooledReader, tmp_path: Path) -> None:
    error = refusal(reader, tmp_path, large_mp4(tmp_path, 8192, 4096, 2))

    assert str(error).startswith("The frames are 8192 x 4096 px; at most 9.4 million pixels a frame can be read.")


@pytest.mark.parametrize("side_px", [16384, 65535])
def test_a_gif_of_a_few_bytes_that_states_a_huge_screen(reader: PooledReader, tmp_path: Path, side_px: int) -> None:
    assert isinstance(refusal(reader, tmp_path, media.huge_gif(side_px)), FrameTooLarge)


def test_frames_that_are_allowed_one_by_one_and_take_more_memory_together(reader: PooledReader, tmp_path: Path) -> None:
    """A frame that the decoder found no memory for would else be left out, and the clip answered without it."""
    error = refusal(reader, tmp_path, large_mp4(tmp_path, 4096, 2304, 40))

    assert isinstance(error, UnreadableClip)
    assert "memory" in str(error)
