"""A recorder: all that lies between the scanner's screen and the file that is uploaded, in the order it happens."""

from dataclasses import dataclass

import numpy as np

from training.recording.coding import Codec, Coding, Quality, coded
from training.recording.picture import DisplayMap, mapped, noisy, zoomed
from training.recording.take import Recording
from training.recording.timing import at_rate, blended, dropped, repeated

_SHARE_UNTOUCHED = 0.3
_EXPORT_RATES_FPS = (15.0, 20.0, 25.0, 30.0, 30.0, 50.0, 60.0)


@dataclass(frozen=True, slots=True)
class Recorder:
    """As it was on the screen unless said otherwise."""

    display_map: DisplayMap = DisplayMap.PLAIN
    zoom: float = 1.0
    """Of the stored picture: users enlarge the pleura, or film a screen from further off."""
    noise_grey_levels: float = 0.0
    """Standard deviation; an analogue output or a screen that was filmed."""
    repeat_share: float = 0.0
    """Of frames: a grabber that was late stores the last picture again."""
    drop_share: float = 0.0
    """Of frames: they are simply missing, and the lung seems to jump."""
    export_fps: float | None = None
    """Rate of the file; None: the scanner's. Machines export at 25 or 30 whatever they scanned at."""
    is_blended: bool = False
    """The exporter mixes neighbouring frames: speckle appears that no frame had, which looks like change in place."""
    coding: Coding = Coding(Codec.NONE)
    """Coarse coding freezes what changes little: a slow slide is lost in it first."""

    def __post_init__(self) -> None:
        for name, share in (("repeated", self.repeat_share), ("dropped", self.drop_share)):
            if not 0 <= share < 1:
                raise ValueError(f"The share of {name} frames lies in 0..1; it cannot be {share:g}.")
        if self.zoom <= 0:
            raise ValueError(f"A picture cannot be shown {self.zoom:g} times its size.")


def record(recording: Recording, recorder: Recorder, rng: np.random.Generator) -> Recording:
    """What is uploaded of what was on the screen. The clock stays: a moment of the one is the same moment of the other."""
    taken = mapped(recording, recorder.display_map)
    taken = taken if recorder.zoom == 1 else zoomed(taken, recorder.zoom)
    taken = noisy(taken, recorder.noise_grey_levels, rng) if recorder.noise_grey_levels > 0 else taken
    taken = dropped(repeated(taken, recorder.repeat_share, rng), recorder.drop_share, rng)
    if recorder.export_fps is not None:
        taken = (blended if recorder.is_blended else at_rate)(taken, recorder.export_fps)
    return coded(taken, recorder.coding)


def draw_recorder(rng: np.random.Generator) -> Recorder:
    """As varied as uploads: three in ten come untouched but for a fine coding."""
    if rng.random() < _SHARE_UNTOUCHED:
        return Recorder(coding=Coding(Codec.H264, Quality.FINE))
    codec = rng.choice([Codec.H264, Codec.H264, Codec.H264, Codec.MPEG4, Codec.MPEG2, Codec.MJPEG, Codec.MJPEG, Codec.GIF])
    return Recorder(
        display_map=DisplayMap(rng.choice([DisplayMap.PLAIN, DisplayMap.PLAIN, *DisplayMap])),
        zoom=float(rng.choice([1.0, 1.0, rng.uniform(0.7, 1.4)])),
        noise_grey_levels=float(rng.choice([0.0, 0.0, rng.uniform(0, 5)])),
        repeat_share=float(rng.choice([0.0, 0.0, rng.uniform(0, 0.25)])),
        drop_share=float(rng.choice([0.0, 0.0, rng.uniform(0, 0.15)])),
        export_fps=float(rng.choice(_EXPORT_RATES_FPS)) if rng.random() < 0.4 else None,
        is_blended=bool(rng.random() < 0.2),
        coding=Coding(Codec(codec), Quality(rng.choice([Quality.FINE, Quality.USUAL, Quality.USUAL, Quality.COARSE]))),
    )
