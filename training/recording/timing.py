"""What happens to a clip's frames in time: another frame rate, repeats, losses, pictures blended in between."""

import numpy as np
from numpy.typing import NDArray

from training.recording.take import Recording


def at_rate(recording: Recording, fps: float) -> Recording:
    """Exported at another rate, as most exporters do: each new frame is the one on the screen. Frames are repeated or left out."""
    times_s = _ticks(recording, fps)
    shown = np.searchsorted(recording.times_s, times_s + 1e-9, side="right") - 1
    return Recording(recording.grey[shown], times_s, len(times_s) / fps)


def blended(recording: Recording, fps: float) -> Recording:
    """Exported at another rate by a converter that mixes the frames before and after: pictures nobody took."""
    times_s = _ticks(recording, fps)
    place = np.interp(times_s, recording.times_s, np.arange(len(recording.grey)))
    first = np.minimum(place.astype(int), max(len(recording.grey) - 2, 0))
    share = (place - first)[:, None, None]
    after = np.minimum(first + 1, len(recording.grey) - 1)
    # Frame by frame: the whole clip as float32 would take four times its memory.
    mixed = [
        np.rint((1 - s) * recording.grey[a] + s * recording.grey[b]).astype(np.uint8) for a, b, s in zip(first, after, share, strict=True)
    ]
    return Recording(np.stack(mixed), times_s, len(times_s) / fps)


def repeated(recording: Recording, share: float, rng: np.random.Generator) -> Recording:
    """A grabber that was late: this share of the frames is the one before once more. The first frame never is."""
    source = _carried(_chosen(recording, share, rng))
    return recording.showing(recording.grey[source])


def dropped(recording: Recording, share: float, rng: np.random.Generator) -> Recording:
    """A network or disk that was late: this share of the frames is not there, and the others keep their times. The first always is."""
    kept = ~_chosen(recording, share, rng)
    return Recording(recording.grey[kept], recording.times_s[kept], recording.duration_s)


def _ticks(recording: Recording, fps: float) -> NDArray[np.float64]:
    return np.arange(max(1, round(recording.duration_s * fps))) / fps


def _chosen(recording: Recording, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    chosen = rng.random(len(recording.grey)) < share
    chosen[0] = False
    return chosen


def _carried(is_repeat: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each frame the last one that is no repeat."""
    return np.asarray(np.maximum.accumulate(np.where(is_repeat, 0, np.arange(len(is_repeat)))), np.int64)
