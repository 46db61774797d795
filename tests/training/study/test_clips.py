"""Which clips are in the study, what they are called, and who is fitted to and who is judged on."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.manifest import Manifest
from training.regions import BadRegion
from training.study.clips import FITTED, JUDGED, StudyClip, StudyError, deal_patients, labelled_clips, phantom_clips
from training.study.grid import Study


def clip(number: int, *, slides: bool, part: str = "") -> StudyClip:
    return StudyClip(f"row {number}", Path("nowhere"), f"{number}", f"P{number}", slides, part=part)


def with_split(manifest: Manifest, *splits: str) -> Manifest:
    return Manifest(tuple(replace(row, split=split) for row, split in zip(manifest, splits, strict=False)))


def test_a_healthy_clip_is_in_only_when_asked_for(manifest: Manifest) -> None:
    assert [c.slides for c in labelled_clips(manifest, healthy_is_present=False)] == [True, False]
    assert [c.slides for c in labelled_clips(manifest, healthy_is_present=True)] == [True, False, True]


def test_a_clip_is_called_by_its_row_and_shows_no_file_and_no_patient(clips: tuple[StudyClip, ...]) -> None:
    assert [repr(c) for c in clips] == ["StudyClip(row 2, slides)", "StudyClip(row 3, does not slide)"]
    assert "P0" not in clips[0].key


def test_two_regions_of_one_file_are_two_clips(clips: tuple[StudyClip, ...]) -> None:
    assert clips[0].key != replace(clips[0], region="0,0 9,0 9,9").key


def test_a_region_that_is_none_is_told_with_its_row(manifest: Manifest) -> None:
    wrong = Manifest((replace(manifest.clips[0], region="here"),))

    with pytest.raises(BadRegion, match=r"^Row 2: region is 'here', which is not a polygon. Write it as three or more corners"):
        labelled_clips(wrong, healthy_is_present=False)


def test_seventy_to_thirty_by_patient_with_both_classes_in_both(study: Study) -> None:
    clips = [clip(number, slides=number % 2 == 0) for number in range(10)]
    parts = deal_patients(clips, study)

    assert (len(parts[FITTED]), len(parts[JUDGED])) == (7, 3)
    assert not parts[FITTED] & parts[JUDGED]
    assert {c.slides for c in clips if c.patient in parts[JUDGED]} == {True, False}


def test_the_manifests_own_split_is_kept_and_test_is_judged_on(manifest: Manifest, study: Study) -> None:
    clips = labelled_clips(with_split(manifest, "train", "test"), healthy_is_present=False)

    assert deal_patients(clips, study) == {FITTED: frozenset({"P0"}), JUDGED: frozenset({"P1"})}


def test_a_split_that_is_half_stated_is_refused(manifest: Manifest) -> None:
    with pytest.raises(
        StudyError, match="The split column must be train, validation or test in every row that is used, or empty in all of them."
    ):
        labelled_clips(with_split(manifest, "train", ""), healthy_is_present=False)


def test_clips_of_one_class_are_refused_with_a_way_out(study: Study) -> None:
    with pytest.raises(
        StudyError, match="The manifest has 2 clips labelled present and 0 labelled absent; the study needs both. --healthy"
    ):
        deal_patients([clip(0, slides=True), clip(1, slides=True)], study)


def test_simulated_clips_are_made_once_and_every_other_one_slides(study: Study, tmp_path: Path) -> None:
    files = [tmp_path / f"phantom-{study.seed}-{index}-{study.phantom_s:g}s.mp4" for index in range(4)]
    for file in files:
        file.write_text(file.name)  # as if made before: making one takes a second
    made = list(phantom_clips(replace(study, phantoms=4), tmp_path))

    assert [c.file for c in made] == files
    assert [c.slides for c in made] == [True, False, True, False]
    assert [c.title for c in made] == ["phantom 1", "phantom 2", "phantom 3", "phantom 4"]
    assert len({c.patient for c in made}) == 4
