"""All results of an analysis as files: named, whole, and the same when they are made again."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from service.cine.clip import Clip
from service.errors import UnreadableClip
from service.evidence.rendition import render
from service.findings import Analysis
from service.pacs.objects.results import write_results
from service.pacs.objects.sc import Draw
from service.pacs.objects.uids import result_uid, series_uid
from service.pacs.site import ResultKind
from tests.fakes.analysis import example_analysis
from tests.fakes.clip import MemoryClip
from tests.fakes.sources import full_file

WRITTEN_AT = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
CLIP = MemoryClip([np.full((120, 160), 90, np.uint8)] * 3)


def drawing(clip: Clip) -> Draw:
    return lambda out, marks: render(clip, out, marks=marks)


def example() -> Analysis:
    return example_analysis(160, 120, num_windows=1)[0]


def report_pdf() -> bytes:
    return b"%PDF-1.4\n%%EOF\n"


def write(folder: Path, *kinds: ResultKind, clip: MemoryClip = CLIP, **elements: Any) -> dict[ResultKind, Path]:
    source = full_file(folder / "source.dcm", **elements)
    return write_results(source, drawing(clip), example(), kinds or tuple(ResultKind), folder, report_pdf=report_pdf, written_at=WRITTEN_AT)


def test_each_kind_is_a_file_under_its_name(tmp_path: Path) -> None:
    paths = write(tmp_path)

    assert paths == {kind: tmp_path / f"{kind.value}.dcm" for kind in ResultKind}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pdf.dcm", "sc.dcm", "source.dcm", "sr.dcm"]
    modalities = [dcmread(path, stop_before_pixels=True).Modality for path in paths.values()]
    assert modalities == ["SR", "OT", "DOC"]


@pytest.mark.parametrize("kinds", [*combinations(ResultKind, 1)], ids=lambda kinds: kinds[0].value)
def test_only_what_is_wanted_is_made(tmp_path: Path, kinds: tuple[ResultKind, ...]) -> None:
    assert set(write(tmp_path, *kinds)) == set(kinds)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".dcm", ".dcm"]


def test_the_report_is_drawn_only_for_a_pdf(tmp_path: Path) -> None:
    def never() -> bytes:
        raise AssertionError

    write_results(full_file(tmp_path / "source.dcm"), drawing(CLIP), example(), {ResultKind.SR}, tmp_path, report_pdf=never)


def test_made_again_they_are_the_same_objects(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first, again = write(tmp_path / "one"), write(tmp_path / "two")

    assert [path.read_bytes() for path in first.values()] == [path.read_bytes() for path in again.values()]


def test_their_uids_can_be_told_before_they_are_made(tmp_path: Path) -> None:
    digest = example().model.sha256

    for kind, path in write(tmp_path).items():
        made = dcmread(path, stop_before_pixels=True)
        assert made.SOPInstanceUID == result_uid("1.2.3.4", digest, kind)
        assert made.SeriesInstanceUID == series_uid("1.2.3.4", digest, kind)


def test_made_later_they_keep_their_uids(tmp_path: Path) -> None:
    source = full_file(tmp_path / "source.dcm")
    now = write_results(source, drawing(CLIP), example(), {ResultKind.SR}, tmp_path, report_pdf=report_pdf)

    assert dcmread(now[ResultKind.SR]).SOPInstanceUID == result_uid("1.2.3.4", example().model.sha256, ResultKind.SR)


class BreakingClip(MemoryClip):
    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        raise OSError("the disk is gone")


def test_when_one_breaks_off_the_earlier_one_is_left_as_it_was(tmp_path: Path) -> None:
    before = write(tmp_path, ResultKind.SC)[ResultKind.SC].read_bytes()

    with pytest.raises(OSError, match="the disk is gone"):
        write(tmp_path, ResultKind.SC, clip=BreakingClip([np.zeros((120, 160), np.uint8)]))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["sc.dcm", "source.dcm"]
    assert (tmp_path / "sc.dcm").read_bytes() == before


def test_a_source_that_can_no_longer_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source.dcm").write_bytes(b"")

    with pytest.raises(UnreadableClip):
        write_results(tmp_path / "source.dcm", drawing(CLIP), example(), {ResultKind.SR}, tmp_path, report_pdf=report_pdf)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        (None, "Doe^Jane"),
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 144", "Люкceмбypг"),
    ],
)
def test_names_keep_their_characters(tmp_path: Path, character_set: str | list[str] | None, name: str) -> None:
    for path in write(tmp_path, SpecificCharacterSet=character_set, PatientName=name).values():
        assert str(dcmread(path, stop_before_pixels=True).PatientName) == name
