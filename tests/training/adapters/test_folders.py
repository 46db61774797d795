"""Folders by class."""

from pathlib import Path

import pytest

from tests.fakes.media import mp4, texture
from training.adapters.folders import read_folders
from training.adapters.table import AdapterError, patient_pattern

CLIP = mp4(texture(2, 64, 64))


def laid_out(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(CLIP)
    return folder


def test_the_folder_is_the_label_and_the_one_inside_is_the_patient(tmp_path: Path) -> None:
    clips = read_folders(laid_out(tmp_path, "present/P1/a.gif", "Absent/P2/left/b.gif", "lung_point/P2/c.gif"))

    assert sorted((clip.file.name, clip.patient, clip.label.value) for clip in clips) == [
        ("a.gif", "P1", "present"),
        ("b.gif", "P2", "absent"),
        ("c.gif", "P2", "lung_point"),
    ]


def test_a_pattern_finds_the_patient_in_the_path_within_the_class(tmp_path: Path) -> None:
    clips = read_folders(laid_out(tmp_path, "present/P1_left.gif", "absent/day2/P2_right.gif"), patient_pattern("(P[0-9]+)_"))

    assert sorted(clip.patient for clip in clips) == ["P1", "P2"]


def test_clips_that_are_nobodys_are_refused(tmp_path: Path) -> None:
    laid_out(tmp_path, "present/P1/a.gif", "present/Mustermann.gif")

    with pytest.raises(
        AdapterError, match="1 of 2 clips have no patient; put each patient's into a folder of their own, or say --patient-from."
    ):
        read_folders(tmp_path)
    with pytest.raises(AdapterError, match="2 of 2 clips have no patient; --patient-from does not match their names."):
        read_folders(tmp_path, patient_pattern("^X"))


def test_a_folder_that_is_no_label_is_answered_with_the_one_that_may_be_meant(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match='A folder is called "sliding"; call it present if that is meant.'):
        read_folders(laid_out(tmp_path / "one", "sliding/P1/a.gif"))
    with pytest.raises(AdapterError) as caught:
        read_folders(laid_out(tmp_path / "two", "Mustermann/present/a.gif"))
    assert str(caught.value) == (
        "A folder is not named for a label. Folders here can be present, absent, lung_point, unknown, healthy; "
        "patients' folders go inside them."
    )


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="The folder named there does not exist."):
        read_folders(tmp_path / "missing")
