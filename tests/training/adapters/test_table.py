"""Writing a manifest, and telling clips and patients by what files are and how they are called."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.manifest import Label, LabelledClip, ManifestError, read_manifest
from tests.fakes.media import mp4, png, texture
from training.adapters.table import AdapterError, clip_files, patient_in, patient_pattern, require_patients, with_columns, write_manifest


def clip_in(folder: Path, name: str, patient: str = "A", **columns: str) -> LabelledClip:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return LabelledClip(file, patient, Label.PRESENT, **columns)


def test_what_is_written_is_read_back_with_only_the_columns_that_say_something(tmp_path: Path) -> None:
    clips = [clip_in(tmp_path, "ward/a.mp4", site="ward, north"), clip_in(tmp_path, "b.mp4", "B", region="1,2 3,4 5,6")]
    manifest = write_manifest(tmp_path / "manifest.csv", clips)

    assert (tmp_path / "manifest.csv").read_text().splitlines() == [
        "file,patient,label,site,region",
        'ward/a.mp4,A,present,"ward, north",',
        'b.mp4,B,present,,"1,2 3,4 5,6"',
    ]
    assert [(clip.file, clip.site, clip.region) for clip in manifest] == [(clip.file, clip.site, clip.region) for clip in clips]


def test_a_clip_outside_the_manifests_folder_is_named_by_its_whole_path(tmp_path: Path) -> None:
    write_manifest(tmp_path / "tables" / "manifest.csv", [clip_in(tmp_path, "a.mp4")])

    assert [clip.file for clip in read_manifest(tmp_path / "tables" / "manifest.csv")] == [(tmp_path / "a.mp4").resolve()]


def test_columns_this_version_does_not_know_are_kept(tmp_path: Path) -> None:
    one, other = clip_in(tmp_path, "a.mp4"), LabelledClip(clip_in(tmp_path, "b.mp4").file, "B", Label.ABSENT, other={"depth_cm": "15"})

    assert [dict(clip.other) for clip in write_manifest(tmp_path / "m.csv", [one, other])] == [{"depth_cm": ""}, {"depth_cm": "15"}]


def test_signs_are_written_as_they_are_read_and_no_signs_are_told_from_none_stated(tmp_path: Path) -> None:
    stated = [None, frozenset[str](), frozenset({"b_lines", "a_lines"}), frozenset({"effusion"})]
    clips = [replace(clip_in(tmp_path, f"{k}.mp4", f"P{k}"), signs=signs) for k, signs in enumerate(stated)]
    clips[3] = replace(clips[3], other_signs=frozenset({"lung_pulse"}))
    manifest = write_manifest(tmp_path / "m.csv", clips)

    assert [line.split(",")[3] for line in (tmp_path / "m.csv").read_text().splitlines()] == [
        "signs", "", "none", "a_lines;b_lines", "effusion;lung_pulse",
    ]  # fmt: skip
    assert [(clip.signs, clip.other_signs) for clip in manifest] == [(clip.signs, clip.other_signs) for clip in clips]


def test_a_manifest_that_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.csv", [clip_in(tmp_path, "a.mp4")])
    with pytest.raises(AdapterError, match="That manifest is there already, perhaps corrected by hand; name another, or say --replace."):
        write_manifest(tmp_path / "m.csv", [clip_in(tmp_path, "b.mp4", "B")])

    assert write_manifest(tmp_path / "m.csv", [clip_in(tmp_path, "b.mp4", "B")], replace_it=True).patients == ("B",)


def test_rows_that_contradict_each_other_leave_nothing_behind(tmp_path: Path) -> None:
    clip = clip_in(tmp_path, "a.mp4")
    with pytest.raises(ManifestError, match="Row 3: the same file as in row 2;"):
        write_manifest(tmp_path / "m.csv", [clip, clip])

    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_no_clips_are_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="No clips were found there, so that there is nothing to write."):
        write_manifest(tmp_path / "m.csv", [])


def test_clips_are_told_by_their_content_and_hidden_ones_left_out(tmp_path: Path) -> None:
    clip = mp4(texture(2))
    for name, content in {"b.dat": clip, "a/c.mp4": clip, ".hidden.mp4": clip, ".cache/d.mp4": clip, "e.mp4": png(), "f.mp4": b""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)

    assert [file.relative_to(tmp_path).as_posix() for file in clip_files(tmp_path)] == ["a/c.mp4", "b.dat"]
    with pytest.raises(AdapterError, match="The folder named there does not exist."):
        clip_files(tmp_path / "missing")


def test_the_patient_is_the_patterns_first_group_or_all_it_matches() -> None:
    assert patient_in(patient_pattern("^(P[0-9]+)_"), "P12_left.mp4") == "P12"
    assert patient_in(patient_pattern("P[0-9]+"), "ward/P12_left.mp4") == "P12"
    assert patient_in(patient_pattern("^(P[0-9]+)_"), "left.mp4") == ""
    with pytest.raises(AdapterError, match="--patient-from is not a regular expression; for instance"):
        patient_pattern("(P[0-9]+")


def test_clips_without_a_patient_are_counted_and_told_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="1 of 2 clips have no patient; say --patient-from."):
        require_patients([clip_in(tmp_path, "a.mp4"), clip_in(tmp_path, "Mustermann.mp4", "")], "say --patient-from.")


def test_what_holds_of_all_clips_does_not_overrule_what_one_says_itself(tmp_path: Path) -> None:
    clips = with_columns([clip_in(tmp_path, "a.mp4"), clip_in(tmp_path, "b.mp4", site="ward 2")], site="ward 1", device="")

    assert [(clip.site, clip.device) for clip in clips] == [("ward 1", ""), ("ward 2", "")]
