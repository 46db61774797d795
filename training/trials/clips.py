"""Every row of one real clip: counterfactuals of it under every condition, its controls, and itself, backwards and at other speeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import DEFAULT_LIMITS, Clip, ClipInfo
from service.cine.decode import open_clip
from service.errors import RequestError
from service.manifest import LabelledClip
from training.controls import each_control
from training.counterfactual import Base
from training.recipe import Source
from training.trials.answers import Judge, Kind, Row, answered, answered_of_wall, source_of
from training.trials.composites import side_by_side
from training.trials.conditions import AS_TRAINED, ORDERS, PLAIN, Condition, of_files, under
from training.trials.twins import ClipTwins, clip_twins, with_lung_of

SPEEDS = {"half speed": 0.5, "double speed": 2.0}
OWN_WALL = "own_wall"


@dataclass(frozen=True, slots=True)
class Subject:
    """A real clip that serving reads."""

    number: int
    """In the list of clips; with `seed`, what all chance follows from."""
    patient: str
    """Made up: the number of the patient's first clip."""
    clip: Clip
    source: Source
    region: str = ""
    """In which the pleura is looked for, as in the manifest."""

    @property
    def duration_s(self) -> float:
        return self.clip.info.duration_s


def open_subject(number: int, patient: str, labelled: LabelledClip, judge: Judge, max_windows: int) -> Subject | None:
    """None where serving would not read the clip."""
    try:
        clip = open_clip(Path(labelled.file), DEFAULT_LIMITS)
        source = source_of(clip, judge.spec, max_windows, labelled.region)
    except RequestError:
        return None
    return None if source is None else Subject(number, patient, clip, source, labelled.region)


def rows_of_clip(subject: Subject, judge: Judge, seed: int, max_windows: int) -> Iterator[Row]:
    yield from _counterfactuals(subject, judge, seed)
    yield from _controls(subject, judge, seed)
    yield from _as_is(subject, judge, seed, max_windows)


def _row(subject: Subject, kind: Kind, base: str, condition: object, slides: bool | None) -> Row:
    pair = f"{kind}-{subject.number}-{base}"
    return Row(kind, base, str(condition), subject.patient, pair, slides, None, "", subject.source.is_plain)


def _counterfactuals(subject: Subject, judge: Judge, seed: int) -> Iterator[Row]:
    """Plain and as in training with each base; each frame rate and codec with one base, in turn from clip to clip."""
    files = of_files(subject.clip.info.fps)
    for b, base in enumerate(Base):
        twins = clip_twins(subject.source, base, judge.spec.fps, np.random.default_rng([seed, subject.number, b]))
        orders = ORDERS if base is Base.LOCKED else ()
        for c, condition in enumerate((PLAIN, AS_TRAINED, *orders, *in_turn(files, subject.number, b))):
            yield from _both(subject, Kind.COUNTERFACTUAL, base, twins, condition, judge, [seed, subject.number, b, c])


def in_turn(conditions: Sequence[Condition], number: int, base: int) -> Sequence[Condition]:
    """The third of the conditions that falls to this base in clip `number`."""
    return conditions[(base - number) % len(Base) :: len(Base)]


def _both(subject: Subject, kind: Kind, base: Base, twins: ClipTwins, condition: Condition, judge: Judge, seed: list[int]) -> Iterator[Row]:
    for slides, source in ((False, twins.still), (True, twins.sliding)):
        row = _row(subject, kind, base, condition, slides)
        yield answered(row, under(source, condition, seed), judge, subject.duration_s)


def _controls(subject: Subject, judge: Judge, seed: int) -> Iterator[Row]:
    yield answered_of_wall(_row(subject, Kind.CONTROL, "", OWN_WALL, False), subject.source, judge, subject.duration_s)
    for control, made in each_control(subject.source, judge.spec.fps, seed + subject.number):
        yield answered(_row(subject, Kind.CONTROL, "", control, False), made, judge, subject.duration_s)


def _as_is(subject: Subject, judge: Judge, seed: int, max_windows: int) -> Iterator[Row]:
    for condition in (PLAIN, *ORDERS):
        row = _row(subject, Kind.AS_IS, "", condition, None)
        yield answered(row, under(subject.source, condition, [seed, subject.number]), judge, subject.duration_s)
    for words, factor in SPEEDS.items():
        clip = Played(subject.clip, factor)
        source = source_of(clip, judge.spec, max_windows, subject.region)
        if source is not None:
            yield answered(_row(subject, Kind.AS_IS, "", words, None), source, judge, clip.info.duration_s)


class Played:
    """A clip (service.cine.clip.Clip) shown faster or slower: the same frames at other times."""

    def __init__(self, clip: Clip, factor: float) -> None:
        self._clip, self._factor = clip, factor

    @property
    def info(self) -> ClipInfo:
        info = self._clip.info
        return replace(info, times_s=info.times_s / self._factor, duration_s=info.duration_s / self._factor)

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        return self._clip.frames()

    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        return self._clip.rgb_frames()


def rows_of_two(subject: Subject, other: Subject, judge: Judge, seed: int) -> Iterator[Row]:
    """Two patients: the lung of the other under this one's wall, and a lung point between the two."""
    rng = np.random.default_rng([seed, subject.number, other.number])
    swapped = with_lung_of(subject.source, other.source)
    twins = clip_twins(swapped, Base.LOCKED, judge.spec.fps, rng)
    yield from _both(subject, Kind.SWAPPED, Base.LOCKED, twins, PLAIN, judge, [seed])
    sides = [
        clip_twins(subject.source, Base.LOCKED, judge.spec.fps, rng).sliding,
        clip_twins(other.source, Base.LOCKED, judge.spec.fps, rng).still,
    ]
    left, right = sides if rng.random() < 0.5 else sides[::-1]
    made = side_by_side(left, right, judge.spec, rng)
    if made is not None:
        row = _row(subject, Kind.COMPOSITE, Base.LOCKED, PLAIN, None)
        is_plain = subject.source.is_plain and other.source.is_plain
        row = replace(row, is_plain=is_plain, true_point=made.seam_column / made.source.grid.num_columns)
        yield answered(row, made.source, judge, min(subject.duration_s, other.duration_s))
