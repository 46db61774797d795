"""COVID-BLUES as published: names, severities, and labels that claim no more than is known."""

from pathlib import Path

import pytest

from service.manifest import ManifestError
from tests.fakes.media import mp4, texture
from training.adapters.blues import read_blues
from training.adapters.table import AdapterError

CLIP = mp4(texture(2, 64, 64))
SEVERITY = """video_file,Severity Score,A-lines,B-lines,comments
patient_62_R1,2.0,yes,yes,"broken pleura line, very small consolidated areas, B-lines"
patient_2_L2,0.0,yes,no,pleura line intact
patient_15_L2_2,0.0,no,no,
patient_15_L2,0.0,yes,yes,
patient_42_R1,2.0,yes,yes ,broken pleura line
"""
"""In the shape of the published table, one line with its stray space."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lus_videos").mkdir()
    for name in ("patient_62_R1", "patient_2_L2", "patient_15_L2", "patient_15_L2_2"):
        (tmp_path / "lus_videos" / f"{name}.mp4").write_bytes(CLIP)
    (tmp_path / "sample_video.gif").write_bytes(CLIP)
    return tmp_path


def test_clips_are_told_by_their_names_and_nothing_else_is_taken(folder: Path) -> None:
    clips = {clip.file.stem: clip for clip in read_blues(folder)}

    assert sorted(clips) == ["patient_15_L2", "patient_15_L2_2", "patient_2_L2", "patient_62_R1"]
    assert clips["patient_15_L2_2"].patient == clips["patient_15_L2"].patient == "blues-15"
    one = clips["patient_62_R1"]
    assert (one.probe, one.device, one.site, one.notes) == ("convex", "Philips Lumify", "Maastricht UMC+", "BLUE point R1")
    assert one.licence.startswith("CC BY-NC-ND 4.0 ")


def test_healthy_is_severity_0_with_a_lines_and_without_b_lines(folder: Path) -> None:
    (folder / "severity.csv").write_text(SEVERITY)
    labels = {clip.file.stem: clip.label.value for clip in read_blues(folder)}

    assert labels == {"patient_62_R1": "unknown", "patient_2_L2": "healthy", "patient_15_L2": "unknown", "patient_15_L2_2": "unknown"}


def test_the_signs_are_those_that_the_experts_saw_and_neither_is_none_at_severity_0_only(folder: Path) -> None:
    (folder / "severity.csv").write_text(SEVERITY.replace("patient_62_R1,2.0,yes,yes", "patient_62_R1,3.0,no,no"))
    signs = {clip.file.stem: clip.signs for clip in read_blues(folder)}

    assert signs == {"patient_62_R1": None, "patient_2_L2": {"a_lines"}, "patient_15_L2": {"a_lines", "b_lines"}, "patient_15_L2_2": set()}


def test_a_cell_that_is_neither_yes_nor_no_leaves_the_signs_open(folder: Path) -> None:
    (folder / "severity.csv").write_text(SEVERITY.replace("patient_2_L2,0.0,yes,no", "patient_2_L2,0.0,yes,"))

    assert {clip.file.stem: clip.signs for clip in read_blues(folder)}["patient_2_L2"] is None


def test_without_the_table_nothing_is_known(folder: Path) -> None:
    assert {(clip.label.value, clip.signs) for clip in read_blues(folder)} == {("unknown", None)}


def test_a_table_that_is_not_the_published_one_is_refused(folder: Path) -> None:
    (folder / "severity.csv").write_text("video_file,score\npatient_2_L2,0\n")
    with pytest.raises(ManifestError, match="The severity table's first row lacks severity score, a-lines, b-lines;"):
        read_blues(folder)
    (folder / "severity.csv").write_text(SEVERITY + "patient_1_R1,0.0,yes\n")
    with pytest.raises(ManifestError, match="The severity table: Row 7: it has 3 cells and the header 5;"):
        read_blues(folder)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(CLIP)
    with pytest.raises(AdapterError, match="No clip there is named as COVID-BLUES publishes them, such as patient_15_L2.mp4."):
        read_blues(tmp_path)
