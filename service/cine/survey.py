"""The one pass over all frames that makes a Clip: counts, times, finds duplicates, keeps what fits in memory.

What is particular to a format (PyAV, pydicom) is a `Source`; everything after that is the same for all of them, here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from service.cine.ahead import ahead
from service.cine.clip import ClipInfo, DecodeLimits, EchoRegion
from service.errors import ClipTooLong, FrameTooLarge, FrameTooSmall, UnreadableClip

_T = TypeVar("_T", bound=np.generic)

FRAMES_AHEAD = 4
"""Decoded while another is looked at: 20 MB of 1080p. Two cores open a clip of 4 s in 88 ms so, 130 ms one after the other."""

ASSUMED_FPS = 30.0
"""Where nothing says how fast the frames were taken: the commonest rate of the machines' own exports."""


COLOUR_STEP = 4
"""Of the pixels kept of the first frame to tell a coloured picture by, across and down."""

NUM_STILLS = 24
"""Frames of the first look at a clip. Eight already fix the sector; two dozen average the pleura over a breath."""
MIN_STILLS = 6
MAX_STILL_BYTES = 96 * 2**20
"""Two dozen of 2000x2000, or a dozen of 4K."""


def spread(num_frames: int, width: int, height: int, num_stills: int = NUM_STILLS) -> frozenset[int]:
    """So many frames spread evenly over a clip: all of them when it has fewer, fewer when they are very large."""
    affordable = max(MIN_STILLS, MAX_STILL_BYTES // (width * height))
    return frozenset(np.linspace(0, num_frames - 1, min(num_stills, affordable, num_frames)).round().astype(int).tolist())


class Picture(Protocol):
    """One decoded frame, before it is known in which colours it is wanted."""

    @property
    def time_s(self) -> float | None:
        """When it is shown, on the file's own clock; None where the file does not say."""
        ...

    @property
    def shown_s(self) -> float | None:
        """For how long, where the file says so."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as shown."""
        ...

    def grey(self) -> NDArray[np.uint8]:
        """(H, W), 0..255"""
        ...

    def rgb(self) -> NDArray[np.uint8]:
        """(H, W, 3), 0..255"""
        ...


class Damaged:
    """Stands in a walk for a frame that was there and could not be decoded."""


DAMAGED = Damaged()


@dataclass(frozen=True, slots=True)
class Header:
    """What the file says of itself. Hints: the survey believes frames, not headers."""

    container: str
    nominal_s: float | None
    """Time between two frames."""
    stated_s: float | None
    """Length of the whole clip."""
    region: EchoRegion | None = None
    warnings: tuple[str, ...] = ()

    @property
    def stated_frames(self) -> int:
        """0 where it does not say."""
        return round(self.stated_s / self.nominal_s) if self.stated_s and self.nominal_s else 0


class Source(Protocol):
    """A file that can be walked through any number of times."""

    @property
    def header(self) -> Header: ...

    def pictures(self) -> Iterator[Picture | Damaged]:
        """Every frame in the order shown. Raises only errors of `service.errors`."""
        ...


_SAME_TIME_S = 1e-6
"""Stamps this close are equal: a file's stamp and a sum of intervals differ in their last bits."""


@dataclass(slots=True)
class Clock:
    """Makes times that start at 0 and strictly increase out of a file's time stamps.

    The rule: a frame is shown when its stamp says so. A frame without a stamp, or with one not after the frame before,
    is shown one nominal interval after the frame before. A stamp more than a second back is a clock that was set anew
    (joined files, MPEG wrap-around): from there on, stamps count from that frame.
    """

    nominal_s: float
    num_repaired: int = 0
    times_s: list[float] = field(default_factory=list)
    _origin_s: float | None = None

    def show(self, stamp_s: float | None) -> float:
        """The time of the next frame."""
        self.times_s.append(self._next(stamp_s))
        return self.times_s[-1]

    def _next(self, stamp_s: float | None) -> float:
        if not self.times_s:
            self._origin_s = stamp_s
            return 0.0
        expected_s = self.times_s[-1] + self.nominal_s
        if stamp_s is None:
            self.num_repaired += 1
            return expected_s
        if self._origin_s is None or stamp_s - self._origin_s < self.times_s[-1] - 1.0:
            self._origin_s = stamp_s - expected_s
        time_s = stamp_s - self._origin_s
        if time_s > self.times_s[-1] + _SAME_TIME_S:
            return time_s
        self.num_repaired += 1
        return expected_s


# Frame-rate conversion repeats frames, and lossy coding makes the repeats unequal. Measured on 90 clips from the web, of which 12 had
# been converted: a repeat differs from the frame before by at most 0.57 grey levels on average, and by at most 0.13 of the change to
# the next new frame on one side of it; what is no repeat differs by 0.27 of it or more. A breath-hold is as still as a repeat, but
# movement dies away before it and grows after it, where a repeat stands between two jumps.
_REPEAT_MEAN = 0.6
_REPEAT_SHARE, _REPEAT_SHARE_OF_LESSER = 0.13, 0.35
_MOST_REPEATS = 6
# And where nothing moves at all: equal but for a little coding noise.
_STILL_MEAN, _STILL_MAX = 0.02, 12


def find_duplicates(mean_change: NDArray[np.float64], max_change: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which frames repeat the one before, from how each differs from it in grey levels: |difference|, mean and largest, (F,).

    The first frame has nothing before it: its entries are not looked at, and it is no duplicate.
    """
    if len(mean_change) < 2:
        return np.zeros(len(mean_change), dtype=np.bool_)
    is_duplicate = (mean_change <= _STILL_MEAN) & (max_change <= _STILL_MAX)
    is_duplicate[0] = False
    for start, end in _runs(_are_small(mean_change)):
        jumps = [mean_change[at] for at in (start - 1, end) if 1 <= at < len(mean_change)]
        largest = mean_change[start:end].max()
        if jumps and largest <= _REPEAT_SHARE * max(jumps) and largest <= _REPEAT_SHARE_OF_LESSER * min(jumps):
            is_duplicate[start:end] = True
    return is_duplicate


def _are_small(change: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Beside the largest change that can stand at the end of the same run, (F,); never the first."""
    nearby = np.lib.stride_tricks.sliding_window_view(np.pad(change[1:], _MOST_REPEATS), 2 * _MOST_REPEATS + 1).max(axis=1)
    return np.concatenate([[False], (change[1:] <= _REPEAT_MEAN) & (change[1:] <= _REPEAT_SHARE * nearby)])


def _runs(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """(start, end) of each run of True, end exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class SurveyedClip:
    """A Clip (see `service.cine.clip`): a source, what the survey found in it, and its grey frames where they fit."""

    info: ClipInfo
    source: Source = field(repr=False)
    cache: tuple[NDArray[np.uint8], ...] | None = field(repr=False)
    first_colours: NDArray[np.uint8] = field(repr=False)
    """Every `COLOUR_STEP`th pixel of the first frame, (h, w, 3)."""
    stills: dict[int, NDArray[np.uint8]] = field(repr=False)
    """Of a clip too large for the cache: frames spread over it by what its header says of its length, by index. A walk is saved
    where the header is right."""

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame (H, W), read-only."""
        return iter(self.cache) if self.cache is not None else self._walk(lambda picture: picture.grey())

    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Every frame (H, W, 3), read-only; decoded anew."""
        return self._walk(lambda picture: picture.rgb())

    def _walk(self, colours: Callable[[Picture], NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        size = (self.info.width, self.info.height)
        for picture in ahead(self.source.pictures(), FRAMES_AHEAD):
            if not isinstance(picture, Damaged) and picture.size == size:
                yield _frozen(colours(picture))


def survey(source: Source, limits: DecodeLimits) -> SurveyedClip:
    """Walk through the clip once.

    Raises: UnreadableClip (not one sound frame), FrameTooLarge, FrameTooSmall, ClipTooLong (as soon as it is passed).
    """
    header = source.header
    tally = _Tally(limits, Clock(header.nominal_s or 1.0 / ASSUMED_FPS), header.stated_frames)
    for picture in ahead(source.pictures(), FRAMES_AHEAD):
        tally.add(picture)
    info = tally.info(header)
    assert tally.first_colours is not None, "a clip has a first frame"
    return SurveyedClip(info, source, tally.cache(), tally.first_colours, tally.stills)


@dataclass(slots=True)
class _Tally:
    limits: DecodeLimits
    clock: Clock
    stated_frames: int
    expected: frozenset[int] = frozenset()
    """The stills, if the header is right; empty where the whole clip is kept."""
    stills: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    first_colours: NDArray[np.uint8] | None = None
    frames: list[NDArray[np.uint8]] = field(default_factory=list)
    num_pixels: int = 0
    mean_change: list[float] = field(default_factory=list)
    max_change: list[float] = field(default_factory=list)
    before: NDArray[np.uint8] | None = None
    shown_s: float | None = None
    num_damaged: int = 0
    num_resized: int = 0

    def add(self, picture: Picture | Damaged) -> None:
        if isinstance(picture, Damaged):
            self.num_damaged += 1
            self._check_work()
            return
        self.num_pixels += picture.size[0] * picture.size[1]
        if self.before is None:
            check_size(*picture.size, self.limits)
            self._expect(*picture.size)
            self.first_colours = _frozen(picture.rgb()[::COLOUR_STEP, ::COLOUR_STEP].copy())
        elif picture.size != self.before.shape[::-1]:
            self.num_resized += 1
            self._check_work()
            return
        self._check_length(self.clock.show(picture.time_s))
        frame = _frozen(picture.grey())
        self.shown_s = picture.shown_s
        self._compare(frame, self.before)
        self.before = frame
        self._keep(frame)

    def _expect(self, width: int, height: int) -> None:
        if self.stated_frames * width * height > self.limits.cache_bytes:
            self.expected = spread(self.stated_frames, width, height)

    def _compare(self, frame: NDArray[np.uint8], before: NDArray[np.uint8] | None) -> None:
        # Norms, because they write no difference down: 10 ms less for 120 frames of 640x480.
        other = np.zeros_like(frame) if before is None else before
        self.mean_change.append(cv2.norm(frame, other, cv2.NORM_L1) / frame.size)
        self.max_change.append(cv2.norm(frame, other, cv2.NORM_INF))

    def _check_length(self, time_s: float) -> None:
        if time_s > self.limits.max_seconds:
            raise too_long(self.limits)
        self._check_work()

    def _check_work(self) -> None:
        """Frames that are left out have been decoded as well: a file can be made of nothing else."""
        if len(self.clock.times_s) + self.num_resized + self.num_damaged > self.limits.max_frames:
            raise ClipTooLong(f"The clip has more than {self.limits.max_frames} frames, the most that can be read in one clip.")
        if self.num_pixels > self.limits.max_pixels_in_all:
            raise ClipTooLong(
                f"The clip's frames have more than {self.limits.max_pixels_in_all / 1e6:g} million pixels in all, the most that can be "
                "read in one clip. Please cut it, or export it at a smaller size."
            )

    def _keep(self, frame: NDArray[np.uint8]) -> None:
        index = len(self.clock.times_s) - 1
        if index in self.expected:
            self.stills[index] = frame
        elif self._fits and not self.expected:
            self.frames.append(frame)
        else:
            self.frames.clear()

    def cache(self) -> tuple[NDArray[np.uint8], ...] | None:
        return tuple(self.frames) if self._fits and not self.expected else None

    @property
    def _fits(self) -> bool:
        """A grey pixel is a byte."""
        return self.num_pixels <= self.limits.cache_bytes

    def info(self, header: Header) -> ClipInfo:
        if self.before is None:
            raise UnreadableClip("The clip is damaged: not one of its frames could be decoded. Please export it again.")
        times_s = np.asarray(self.clock.times_s, dtype=np.float64)
        duration_s = float(times_s[-1]) + self._last_shown_s(times_s)
        return ClipInfo(
            times_s=_frozen(times_s),
            duration_s=duration_s,
            width=self.before.shape[1],
            height=self.before.shape[0],
            is_duplicate=_frozen(find_duplicates(np.asarray(self.mean_change), np.asarray(self.max_change))),
            container=header.container,
            region=header.region,
            warnings=(*header.warnings, *self._warnings(header, duration_s)),
        )

    def _last_shown_s(self, times_s: NDArray[np.float64]) -> float:
        """What the file says, but no more than two usual intervals: a GIF rests on its last frame before it starts again."""
        usual_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else self.clock.nominal_s
        return min(self.shown_s, 2 * usual_s) if self.shown_s else usual_s

    def _warnings(self, header: Header, duration_s: float) -> Iterator[str]:
        if self.num_damaged:
            yield f"{_frames(self.num_damaged)} could not be decoded and {_were(self.num_damaged)} left out."
        if self.num_resized:
            yield f"{_frames(self.num_resized)} of another size than the first {_were(self.num_resized)} left out."
        if self.clock.num_repaired:
            yield (
                f"{_frames(self.clock.num_repaired)} had no time stamp, or one out of order; each was put "
                f"{1000 * self.clock.nominal_s:.1f} ms after the frame before."
            )
        stated_s = header.stated_s or 0.0
        if stated_s - duration_s > max(2 * self.clock.nominal_s, 0.02 * stated_s):
            yield f"The clip is cut off: it says that it lasts {stated_s:.1f} s, and {duration_s:.1f} s of it could be read."


def check_size(width: int, height: int, limits: DecodeLimits) -> None:
    """Raises: FrameTooLarge, FrameTooSmall."""
    if width * height > limits.max_pixels_per_frame:
        raise FrameTooLarge(
            f"The frames are {width} x {height} px; at most {limits.max_pixels_per_frame / 1e6:.1f} million pixels a frame can be read. "
            "Please export the clip at a smaller size."
        )
    if min(width, height) < limits.min_side_px:
        raise FrameTooSmall(f"The frames are {width} x {height} px; each side must have at least {limits.min_side_px} px.")


def too_long(limits: DecodeLimits) -> ClipTooLong:
    return ClipTooLong(f"The clip is longer than {limits.max_seconds:g} s, the most that can be read in one clip. Please cut it.")


def _frozen(array: NDArray[_T]) -> NDArray[_T]:
    array.flags.writeable = False
    return array


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
