"""Clips cut into patches: as serving cuts them, once, and again when anything changed that they depend on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.cine.clip import DEFAULT_LIMITS
from service.cine.decode import open_clip
from service.cine.prepare import prepare_window, strip_windows
from service.manifest import Manifest
from training.examples import read_examples
from training.study import patches as module
from training.study.clips import StudyClip, labelled_clips
from training.study.grid import MMODE, PATCH_SETS
from training.study.patches import ClipPatches, cut_clips, locate_clip

TWO_ROWS = PATCH_SETS[0]


@pytest.fixture(scope="module")
def cut(clips: tuple[StudyClip, ...], tmp_path_factory: pytest.TempPathFactory) -> list[ClipPatches]:
    """Both clips, cut in two rows of 30x30 and for M-mode."""
    return [piece for of_clip in cut_clips(clips, [TWO_ROWS, MMODE], tmp_path_factory.mktemp("cache")) for piece in of_clip]


def test_every_clip_gives_patches_of_every_set_under_its_own_label_and_patient(cut: list[ClipPatches]) -> None:
    examples = [read_examples(piece.folder) for piece in cut]

    assert [len(read) for read in examples] == [piece.num_patches for piece in cut]
    assert min(piece.num_patches for piece in cut) > 0
    assert [set(read.label.tolist()) for read in examples] == [{1.0}, {1.0}, {0.0}, {0.0}]
    assert [set(read.patient.tolist()) for read in examples] == [{"P0"}, {"P0"}, {"P1"}, {"P1"}]
    assert [read.spec.patch_shape for read in examples[:2]] == [(1, 60, 30, 30), (1, 64, 48, 48)]


def test_the_patches_are_those_that_serving_would_make(cut: list[ClipPatches]) -> None:
    piece = cut[0]
    opened = open_clip(piece.clip.file, DEFAULT_LIMITS)
    located = locate_clip(piece.clip, opened, TWO_ROWS)
    assert located.grid is not None
    assert located.plan is not None
    lung = [n for n, patch in enumerate(located.plan.patches) if patch.row >= 0]
    served = [
        prepare_window(window, located.grid, located.plan, TWO_ROWS.spec).patches[lung]
        for window in strip_windows(opened, located.grid, TWO_ROWS.spec)
    ]

    assert np.array_equal(np.concatenate(served), read_examples(piece.folder).take(np.arange(piece.num_patches)))


def test_what_has_been_cut_is_not_decoded_again(cut: list[ClipPatches], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_clip", lambda *_: pytest.fail("decoded again"))
    again = [piece for of_clip in cut_clips([cut[0].clip], [TWO_ROWS, MMODE], cut[0].folder.parent) for piece in of_clip]

    assert again == cut[:2]


def test_a_changed_label_patient_or_region_makes_new_patches(cut: list[ClipPatches]) -> None:
    clip = cut[0].clip
    changed = [replace(clip, slides=False), replace(clip, patient="Q"), replace(clip, region="0,0 9,0 9,9"), replace(clip, sha256="0")]

    assert len({module._key(c, TWO_ROWS) for c in [clip, *changed]}) == 5
    assert module._key(clip, TWO_ROWS) != module._key(clip, replace(TWO_ROWS, num_rows=3))


def test_changed_code_makes_new_patches_that_no_fit_takes_for_the_old(
    cut: list[ClipPatches], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_code_digest", lambda: "f" * 64)
    ((piece,),) = cut_clips([cut[0].clip], [TWO_ROWS], tmp_path)

    assert piece.folder.name != cut[0].folder.name
    assert read_examples(piece.folder).fingerprint != read_examples(cut[0].folder).fingerprint


def test_a_row_of_the_manifest_does_not_change_the_patches(cut: list[ClipPatches]) -> None:
    assert module._key(replace(cut[0].clip, title="row 99"), TWO_ROWS) == module._key(cut[0].clip, TWO_ROWS)


def test_a_region_drawn_by_hand_bounds_the_patches(cut: list[ClipPatches]) -> None:
    left = replace(cut[0].clip, region="0,0 160,0 160,240 0,240")
    grid = locate_clip(left, open_clip(left.file, DEFAULT_LIMITS), TWO_ROWS).grid

    assert grid is not None
    assert [grid.to_frame(last - 1, 0.0)[0] <= 162 for _, last in grid.interspaces] == [True]


def test_what_is_no_clip_gives_no_patch_and_says_why_also_the_second_time(manifest: Manifest, tmp_path: Path) -> None:
    broken = labelled_clips(manifest, healthy_is_present=True)[2]
    for _ in range(2):
        ((piece,),) = cut_clips([broken], [TWO_ROWS], tmp_path)
        assert (piece.num_patches, piece.reasons) == (0, ("unsupported_format",))


def test_a_clip_shorter_than_a_window_gives_no_patch(clips: tuple[StudyClip, ...], tmp_path: Path) -> None:
    longer = replace(TWO_ROWS, spec=replace(TWO_ROWS.spec, window_frames=90))
    ((piece,),) = cut_clips(clips[:1], [longer], tmp_path)

    assert (piece.num_patches, piece.reasons) == (0, ("too_short",))


def test_a_run_killed_while_it_wrote_begins_that_clip_again(cut: list[ClipPatches], tmp_path: Path) -> None:
    clip = cut[0].clip
    left = tmp_path / f"{module._key(clip, TWO_ROWS)}.partial"
    left.mkdir()
    (left / "patches-00000.npy").write_bytes(b"half")
    ((piece,),) = cut_clips([clip], [TWO_ROWS], tmp_path)

    assert piece.num_patches == cut[0].num_patches
    assert not left.exists()
