"""Where runs of frames come from: simulated clips whose truth is exact, and labelled clips of a manifest."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.cine.clip import DEFAULT_LIMITS, Clip
from service.cine.decode import open_clip
from service.findings import LABELLED_SIGNS
from service.manifest import Label, LabelledClip, Manifest
from training import population, recipe
from training.code_digest import code_digest
from training.phantom.simulate import recorded, simulate
from training.recipe import random_phantom
from training.signs import mixtures
from training.signs import population as signs_population
from training.signs.answers import NOT_KNOWN
from training.signs.mixtures import mixed_spec
from training.signs.population import b_line_spec, sign_spec
from training.signs.preset import Preset

DISEASE = ("b_lines", "effusion", "consolidation")
"""Signs that whoever calls a lung healthy has not seen, but for a B-line or two; a healthy lung has A-lines or has none in view."""


class Source(Protocol):
    """A clip and what is known of it."""

    @property
    def patient(self) -> str: ...

    @property
    def part(self) -> str:
        """Where the manifest itself deals its patients: "train", "validation" or "test"; BESIDE of phantoms beside them; else ""."""
        ...

    def identity(self) -> str:
        """Of all that its frames and labels depend on."""
        ...

    def open(self) -> tuple[Clip, "Truths"]:
        """Raises: RequestError."""
        ...


class Contradiction(ValueError):
    """The manifest says two things of one clip."""


@dataclass(frozen=True, slots=True)
class Truths:
    """What is known of a clip. One row for all of it, or the frames that show the sign."""

    label: tuple[int, ...]
    """(K,)"""
    shown: NDArray[np.bool_] | None = None
    """(F,) of the frames that were simulated, at `fps`; None: nobody knows in which frames it is."""
    fps: float = 0.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """Clip `index` of the simulated ones: a patient of its own."""

    preset: Preset
    index: int
    part: str = ""

    @property
    def patient(self) -> str:
        return f"phantom-{self.index}"

    def identity(self) -> str:
        preset, code = self.preset, code_digest("training.phantom", "training.recording")
        drawn = f"{preset.learns} {preset.signs} {preset.population} {preset.fit.seed} {self.index} {preset.phantom_s}"
        return f"{drawn} {self.part} {code} {_choosing()}"

    def open(self) -> tuple[Clip, Truths]:
        preset, seed, fixed = self.preset, self.preset.fit.seed, {"duration_s": self.preset.phantom_s}
        number = seed * 100_003 + self.index
        if preset.learns == "sliding":
            slides = self.index % 2 == 0
            return recorded(random_phantom(seed, self.index, slides=slides, **fixed)), Truths((int(not slides),))
        if preset.population == "mixed":
            return self._mixed(number, fixed)
        if preset.learns == "four_signs":
            sign = LABELLED_SIGNS[self.index % len(LABELLED_SIGNS)]
            phantom = simulate(sign_spec(seed, self.index, sign, **fixed), seed=number)
            return recorded(phantom), Truths(tuple(int(sign == one) for one in preset.signs))
        spec = b_line_spec(seed, self.index, shown=self.index % 2 == 0, **fixed)
        phantom = simulate(spec, seed=number)
        return recorded(phantom), Truths((int(self.index % 2 == 0),), phantom.truth.b_line_frames, spec.fps)

    def _mixed(self, number: int, fixed: dict[str, float]) -> tuple[Clip, Truths]:
        preset, seed = self.preset, self.preset.fit.seed
        is_timed = preset.learns == "b_lines"
        phantom = simulate(mixed_spec(seed, self.index, comes_and_goes=is_timed, **fixed), seed=number)
        label = tuple(int(sign in phantom.truth.signs) for sign in preset.signs)
        told = Truths(label, phantom.truth.b_line_frames, phantom.spec.fps) if is_timed else Truths(label)
        return recorded(phantom), told


@dataclass(frozen=True, slots=True, repr=False)
class Labelled:
    """A clip of a manifest."""

    clip: LabelledClip
    label: tuple[int, ...]
    sha256: str
    """Of the file."""

    @property
    def patient(self) -> str:
        return self.clip.patient

    @property
    def part(self) -> str:
        return self.clip.split

    def identity(self) -> str:
        return f"{self.sha256} {self.clip.patient} {self.clip.split} {self.label}"

    def open(self) -> tuple[Clip, Truths]:
        return open_clip(self.clip.file, DEFAULT_LIMITS), Truths(self.label)


def simulated(preset: Preset, part: str = "") -> tuple[Simulated, ...]:
    return tuple(Simulated(preset, index, part) for index in range(preset.phantoms))


def labelled(preset: Preset, manifest: Manifest) -> tuple[Labelled, ...]:
    """The clips whose labels this preset can learn from: sliding said present or absent; signs stated; of "four_signs" just one. Where
    phantoms stand beside them, also lung that is said to be healthy, which is taken to show none of `DISEASE`.

    A label of sliding in a region drawn by hand says nothing of the whole frame. In folds, clips that the manifest keeps for "test"
    are learnt from in none, as their licence or their purpose may forbid it. A file that is there twice counts once.
    Raises: Contradiction.
    """
    chosen: dict[str, Labelled] = {}
    for clip in manifest:
        label = _label_of(preset, clip)
        if label is None or (preset.folds > 1 and clip.split == "test" and not preset.real_share):
            continue
        one = Labelled(clip, label, digest_of(clip.file))
        first = chosen.setdefault(one.sha256, one)
        if first.label != label:
            raise Contradiction(f"Rows {first.clip.row} and {clip.row} name the same file, and do not say the same of it.")
    return tuple(chosen.values())


def _label_of(preset: Preset, clip: LabelledClip) -> tuple[int, ...] | None:
    if preset.learns == "sliding":
        if clip.region:
            return None
        return {Label.PRESENT: (0,), Label.ABSENT: (1,)}.get(clip.label)
    if clip.signs is None:
        return _of_healthy(preset.signs) if preset.real_share and clip.label is Label.HEALTHY else None
    label = tuple(int(sign in clip.signs) for sign in preset.signs)
    return label if preset.learns != "four_signs" or sum(label) == 1 else None


def _of_healthy(signs: Sequence[str]) -> tuple[int, ...]:
    return tuple(0 if sign in DISEASE else NOT_KNOWN for sign in signs)


def digest_of(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@cache
def _choosing() -> str:
    """Of the code that chooses phantoms."""
    files = (Path(__file__), Path(signs_population.__file__), Path(mixtures.__file__), Path(population.__file__), Path(recipe.__file__))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
