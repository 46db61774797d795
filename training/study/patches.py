"""Labelled clips -> patches on disk, once: a folder of examples for each clip and set of patches.

    cache/<key>/            examples of one clip, cut one way (training.examples)
    cache/<key>.json        why a clip gave none

The key is of all that the patches and their labels depend on: the file, region, label and patient, the spec, the rows,
and the code that cuts. A changed label, or a changed line in service.cine, makes new patches and never finds old ones.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.cine.clip import DEFAULT_LIMITS, Clip
from service.cine.decode import open_clip
from service.cine.locate import Located, locate
from service.cine.prepare import strip_windows
from service.cine.quality import judge_clip, judge_location
from service.cine.strip import StripGrid
from service.cine.tiling import Plan, cut
from service.errors import RequestError
from training.code_digest import code_digest
from training.examples import INDEX, ExampleWriter, Origin
from training.regions import pleura_finder
from training.study.clips import StudyClip
from training.study.grid import PatchSet

KIND = "labelled"


@dataclass(frozen=True, slots=True)
class ClipPatches:
    """What one clip gave, cut one way."""

    clip: StudyClip
    patches: PatchSet
    folder: Path
    """Of its examples; there is none where it gave none."""
    num_patches: int
    reasons: tuple[str, ...]
    """Codes that say why there are none."""


def cut_clips(clips: Sequence[StudyClip], patch_sets: Sequence[PatchSet], cache: Path) -> Iterator[tuple[ClipPatches, ...]]:
    """Clip by clip, its patches of every set; a clip that has been cut before is not decoded again."""
    for clip in clips:
        yield tuple(_cut_clip(clip, patch_sets, cache))


def _cut_clip(clip: StudyClip, patch_sets: Sequence[PatchSet], cache: Path) -> Iterator[ClipPatches]:
    opened: Clip | RequestError | None = None
    for patches in patch_sets:
        folder = cache / _key(clip, patches)
        known = _known(clip, patches, folder)
        if known is None:
            opened = opened if opened is not None else _open(clip)
            _write(clip, opened, patches, folder)
            known = _known(clip, patches, folder)
        assert known is not None
        yield known


def _open(clip: StudyClip) -> Clip | RequestError:
    try:
        return open_clip(clip.file, DEFAULT_LIMITS)
    except RequestError as error:
        return error


def _known(clip: StudyClip, patches: PatchSet, folder: Path) -> ClipPatches | None:
    """What is on disk of it; None when nothing is."""
    if folder.exists():
        num_patches = json.loads((folder / INDEX).read_text(encoding="utf-8"))["num_examples"]
        return ClipPatches(clip, patches, folder, num_patches, ())
    why = folder.with_suffix(".json")
    return ClipPatches(clip, patches, folder, 0, tuple(json.loads(why.read_text(encoding="utf-8")))) if why.exists() else None


def _write(clip: StudyClip, opened: Clip | RequestError, patches: PatchSet, folder: Path) -> None:
    reasons = [opened.code] if isinstance(opened, RequestError) else _write_patches(clip, opened, patches, folder)
    if reasons:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial_file = folder.with_suffix(".partial.json")
        partial_file.write_text(json.dumps(reasons), encoding="utf-8")
        partial_file.replace(folder.with_suffix(".json"))


def _write_patches(clip: StudyClip, opened: Clip, patches: PatchSet, folder: Path) -> list[str]:
    """Write the examples; or the codes of the reasons against it, which are those that serving gives."""
    located = locate_clip(clip, opened, patches)
    reasons = judge_clip(opened, located.overview, patches.spec) or judge_location(located)
    if reasons or located.grid is None or located.plan is None:
        return [str(reason.code) for reason in reasons]
    plan = lung_plan(located.plan)
    # In the place of a seed the code that cut them, so that a fit on patches of other code is told from this one.
    origin = Origin(float(clip.slides), clip.patient, clip.key, KIND, "", int(_code_digest()[:12], 16))
    try:
        with ExampleWriter(folder, patches.spec) as writer:
            _add_windows(writer, opened, located.grid, plan, patches, origin)
    except RequestError as error:  # damaged further in than the first pass looked
        return [error.code]
    return []


def _add_windows(writer: ExampleWriter, opened: Clip, grid: StripGrid, plan: Plan, patches: PatchSet, origin: Origin) -> None:
    still = np.zeros((patches.spec.window_frames, len(plan.columns), 2), np.float32)  # not stabilised: no path is followed
    for window in strip_windows(opened, grid, patches.spec):
        for patch in cut(window.strip, grid.zero_row, plan, still, patches.spec):
            writer.add(patch, origin)


def locate_clip(clip: StudyClip, opened: Clip, patches: PatchSet) -> Located:
    """As serving locates it, inside the region drawn by hand where there is one."""
    return locate(opened, patches.spec, num_rows=patches.num_rows, find=pleura_finder(clip.region))


def lung_plan(plan: Plan) -> Plan:
    """Without the chest wall's patches: the published study has none. In the order in which they are written."""
    return Plan(plan.columns, tuple(patch for patch in plan.patches if patch.row >= 0), plan.patch_px)


def _key(clip: StudyClip, patches: PatchSet) -> str:
    parts = (clip.key, clip.patient, clip.slides, patches.spec.to_json(), patches.num_rows, _code_digest())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _code_digest() -> str:
    return hashlib.sha256(Path(__file__).read_bytes() + code_digest("service.cine").encode()).hexdigest()
