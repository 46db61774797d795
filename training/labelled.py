"""Examples out of labels: patches of clips in which somebody has seen the lung slide, or seen that it does not.

A patch is 2 s of one column, a label is of a clip. "absent" holds of every patch of it. "present" does not: breath pauses, a
column lies beyond the lung, a cough hides it. So a patch of such a clip is a positive only where the slide *measured* in
this very window and column says that it moves; what cannot be tracked is no example at all.

Both classes or none: patches that were not put together from two pictures would be known by that, and where all of them
slide, "not put together" would be learned as "slides". For the same reason there are as many of one as of the other, and
all go through the hands, scanners and files that the twins go through.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.cine.motion import Motion, mean_square
from service.cine.pooling import MIN_PAIRS
from service.cine.prepare import StripWindow, prepare_window
from service.cine.spec import InputSpec
from service.errors import RequestError
from service.manifest import Label, LabelledClip
from training.examples import ExampleWriter, Origin
from training.finish import draw_finish
from training.recipe import Example, Source, read_source
from training.slide import MIN_SLIDE_RMS_PX

MIN_PATIENTS_OF_EACH = 2
"""With one, the network could tell the patients by their looks, and the fit has none of the other class to be judged on."""
MIN_PAST_WALL = 1.5
"""The slide of a positive in units of wall past wall, the clip's own noise floor: what jitters as much as its wall is not seen to slide."""
NO_PLEURA, DOUBTED = "no pleura, or shorter than a window", "the line may not be the pleura"


@dataclass(frozen=True, slots=True)
class LabelledSettings:
    """How much is taken of labelled clips. No defaults: the TOML says it."""

    patches_per_clip: int
    """At most, of the class that has fewer clips; the other gives as many in all."""
    windows_per_clip: int
    """At most, spread over the clip."""
    seed: int


def both_labels(clips: Sequence[LabelledClip]) -> bool:
    """Enough patients labelled present, and enough labelled absent, to learn from their labels."""
    return all(len({clip.patient for clip in _of(clips, label)}) >= MIN_PATIENTS_OF_EACH for label in (Label.PRESENT, Label.ABSENT))


def labelled_clips(clips: Sequence[LabelledClip]) -> list[LabelledClip]:
    """Those whose labels are learned from: labelled present, then absent; none without `both_labels`."""
    return _of(clips, Label.PRESENT) + _of(clips, Label.ABSENT) if both_labels(clips) else []


def add_labelled(writer: ExampleWriter, clips: Sequence[LabelledClip], spec: InputSpec, settings: LabelledSettings) -> Iterator[str]:
    """Add patches of the clips labelled present, and as many of those labelled absent; yields a line on each of these clips.

    Nothing without `both_labels`, or where one label gives no patch. The kind of an example is its label, and it has no twin.
    """
    chosen = labelled_clips(clips)
    present, absent = _of(chosen, Label.PRESENT), _of(chosen, Label.ABSENT)
    sliding: list[Example] = []
    still: list[Example] = []
    yield from _collect(sliding, present, settings.patches_per_clip * min(len(present), len(absent)), spec, settings)
    yield from _collect(still, absent, len(sliding), spec, settings)
    # Held until here: how few the absent clips give (none, where no pleura is found) is known only behind the last of them.
    kept = np.random.default_rng(settings.seed).permutation(len(sliding))[: len(still)]
    for patch, origin in [*(sliding[n] for n in sorted(kept)), *still]:
        writer.add(patch, origin)


def _collect(held: list[Example], clips: Sequence[LabelledClip], wanted: int, spec: InputSpec, settings: LabelledSettings) -> Iterator[str]:
    """`wanted` examples, evenly of all `clips`; what a clip could not give, those behind it do."""
    for turn, clip in enumerate(clips):
        made = examples_of(clip, spec, settings, -(-(wanted - len(held)) // (len(clips) - turn)))
        if isinstance(made, str):
            yield f"row {clip.row}: passed over ({made})"
            continue
        held += made
        yield f"row {clip.row}: {len(made)} examples"


def _of(clips: Sequence[LabelledClip], label: Label) -> list[LabelledClip]:
    return [clip for clip in clips if clip.label is label]


def examples_of(clip: LabelledClip, spec: InputSpec, settings: LabelledSettings, num: int) -> list[Example] | str:
    """At most `num` examples drawn from one clip labelled present or absent, or why there is none."""
    try:
        source = read_labelled(clip, spec, settings.windows_per_clip)
    except RequestError as error:
        return error.code
    if isinstance(source, str):
        return source
    slides = clip.label is Label.PRESENT
    origin = Origin(float(slides), clip.patient, f"row-{clip.row}", str(clip.label), "", settings.seed)
    rng = np.random.default_rng([settings.seed, clip.row])
    found = [patch for window in source.windows for patch in _patches(window, source, spec, slides, rng)]
    return [(found[n], origin) for n in sorted(rng.permutation(len(found))[:num])]


def read_labelled(labelled: LabelledClip, spec: InputSpec, max_windows: int) -> Source | str:
    """The clip on its strip, inside the region drawn by hand where there is one; or why the label cannot be held against it.

    A line that may not be the pleura gives nothing: the label is of the lung. Raises: RequestError.
    """
    source = read_source(open_clip(labelled.file, DEFAULT_LIMITS), spec, max_windows, labelled.region)
    if source is None:
        return NO_PLEURA
    return source if source.is_plain else DOUBTED


def _patches(window: StripWindow, source: Source, spec: InputSpec, slides: bool, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """The lung patches of one window that the label holds of, each (C, T, h, w)."""
    finished = draw_finish(window.strip.shape, rng)(window)
    prepared = prepare_window(finished, source.grid, source.plan, spec)
    # Measured on what the network is shown: a slide that the frame rate or the coding has swallowed is none.
    moves = moving_columns(prepared.motion)
    for n, patch in enumerate(source.plan.patches):
        if patch.row >= 0 and (moves[patch.column] or not slides):
            yield prepared.patches[n]


def moving_columns(motion: Motion) -> NDArray[np.bool_]:
    """Columns whose lung is measured to slide in this window: far enough to be seen, and past the clip's own noise, (K,)."""
    slide_px = np.sqrt(mean_square(motion.relative_px, MIN_PAIRS))
    wall_sq = mean_square(motion.wall_reference_px, MIN_PAIRS)
    wall_px = float(np.sqrt(np.median(wall_sq[np.isfinite(wall_sq)]))) if np.isfinite(wall_sq).any() else 0.0
    moves: NDArray[np.bool_] = np.nan_to_num(slide_px) >= max(MIN_SLIDE_RMS_PX, MIN_PAST_WALL * wall_px)
    return moves


def counted(clips: Sequence[LabelledClip]) -> Mapping[str, int]:
    """How many clips have each label, those that none has left out."""
    return {str(label): len(_of(clips, label)) for label in Label if _of(clips, label)}
