"""The POCUS set as published: class and probe from names, patients and licences from its table."""

from pathlib import Path

import pytest

from service.manifest import LabelledClip, ManifestError
from tests.fakes.media import mp4, texture
from training.adapters.pocus import read_pocus
from training.adapters.table import AdapterError

CLIP = mp4(texture(2, 64, 64))
TABLE = """Date added,Current location,Filename,Label,License,LinkToLicense,Probe,Source ID,Patient ID / Name,Other
20.04.20,data/pocus_videos/Convex,Cov-Atlas+(44),COVID-19,CC BY-NC 4.0,https://creativecommons.org/licenses/by-nc/4.0/#,convex,2,36,
20.04.20,data/pocus_videos/Convex,Reg-Atlas,regular,CC BY-NC 4.0,https://creativecommons.org/licenses/by-nc/4.0/#,convex,2,38,,
26.09.20,pocus_videos/convex,Pneu_northumbria_0409_set5_vid1,Bacterial pneumonia,CC BY-NC 4.0,x,convex,18,196,,
26.09.20,pocus_videos/convex,Pneu_northumbria_0409_set5_vid2,Bacterial pneumonia,CC BY-NC 4.0,x,convex,18,197,,
20.04.20,not used,Cov-clarius,COVID-19,None,N.A.,convex,3,44
"""
"""In the shape of the published table, whose lines end in too many or too few cells."""


def published(folder: Path, *names: str, table: str | None = TABLE) -> dict[str, LabelledClip]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(CLIP)
    if table is not None:
        (folder / "data" / "dataset_metadata.csv").write_text(table)
    return {clip.file.stem: clip for clip in read_pocus(folder)}


def test_the_class_is_in_the_name_the_probe_in_the_folder_and_the_rest_in_the_table(tmp_path: Path) -> None:
    clips = published(tmp_path, "data/pocus_videos/convex/Cov-Atlas+(44).gif", "data/pocus_videos/Linear/Reg-Atlas.gif")

    covid, regular = clips["Cov-Atlas+(44)"], clips["Reg-Atlas"]
    assert (covid.label.value, covid.probe, covid.patient, covid.site) == ("unknown", "convex", "P36", "pocus source 2")
    assert covid.licence == "CC BY-NC 4.0 https://creativecommons.org/licenses/by-nc/4.0/#"
    assert (regular.label.value, regular.probe, regular.patient) == ("healthy", "linear", "P38")


def test_no_licence_is_an_empty_one(tmp_path: Path) -> None:
    (clip,) = published(tmp_path, "data/pocus_videos/convex/Cov-clarius.gif").values()

    assert clip.licence == ""


SIGNED = """Filename,License,LinkToLicense,Patient ID / Name,,Effusion,Consolidations,B-lines,A-lines,Air bronchogram,Healthy,Other
Cov-one,x,x,1,,1,0,1,0,1,0,
Reg-two,x,x,2,,0,0,0,1,0,1,
Reg-three,x,x,3,,0,0,0,0,0,1,,
Pneu-four,x,x,4,,0,0,0,0,0,0,
Cov-five,x,x,5,,0,0
"""
"""In the shape of the published table: a column without a name, and lines that end early."""


def test_signs_are_those_marked_and_none_only_where_the_lung_is_called_healthy(tmp_path: Path) -> None:
    names = ("Cov-one", "Reg-two", "Reg-three", "Pneu-four", "Cov-five", "Reg-six")
    clips = published(tmp_path, *(f"data/pocus_videos/convex/{name}.gif" for name in names), table=SIGNED)

    assert [clips[name].signs for name in names] == [{"effusion", "b_lines"}, {"a_lines"}, set(), None, None, None]


@pytest.mark.parametrize("column", ["Pleural Effusion", "effusion", "EFFUSION"])
def test_the_sign_columns_may_be_called_otherwise(tmp_path: Path, column: str) -> None:
    clips = published(tmp_path, "Cov-one.gif", table=None)
    (tmp_path / "dataset_metadata.csv").write_text(f"Filename,License,LinkToLicense,Patient ID / Name,{column}\nCov-one,x,x,1,1\n")

    assert clips["Cov-one"].signs is None
    assert [clip.signs for clip in read_pocus(tmp_path)] == [{"effusion"}]


def test_clips_of_one_session_are_one_patient_whatever_the_table_says(tmp_path: Path) -> None:
    """Two of its patients show the same pictures."""
    names = ("Pneu_northumbria_0409_set5_vid1", "Pneu_northumbria_0409_set5_vid2", "Reg_northumbria_0409_set5_vid1")
    clips = published(tmp_path, *(f"data/pocus_videos/convex/{name}.gif" for name in names))

    assert {clip.patient for clip in clips.values()} == {"northumbria_0409_set5"}


def test_without_the_table_the_clips_of_a_source_are_one_patient(tmp_path: Path) -> None:
    names = ("Reg_Avi_Image002", "Pneu_Avi_Video_001", "Reg_pat1Image_132943", "Reg_pat2Image_133824", "Vir_or_Pneu_prospective_file4")
    clips = published(tmp_path, *(f"{name}.gif" for name in names), table=None)

    assert [clips[name].patient for name in names] == ["avi", "avi", "pat1", "pat2", "prospective"]
    assert {clip.probe for clip in clips.values()} == {""}


def test_only_the_published_clips_are_taken(tmp_path: Path) -> None:
    clips = published(tmp_path, "data/pocus_videos/convex/Cov-Atlas+(44).gif", "data/data_with_artifacts/Reg_artifacts.gif", "Cov-x.gif")

    assert list(clips) == ["Cov-Atlas+(44)"]


def test_what_is_not_the_published_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="No clip there is named as the POCUS set publishes them, such as Reg_Avi_Image008.mp4."):
        published(tmp_path, "a.gif", table=None)
    (tmp_path / "data").mkdir()
    with pytest.raises(ManifestError, match="The set's table's first row lacks license, linktolicense, patient id / name;"):
        published(tmp_path, "Reg_a.gif", table="Filename\nReg_a\n")
