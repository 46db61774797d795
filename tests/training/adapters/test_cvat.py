"""CVAT polygons: both kinds of export, the frame that is taken, and files that are refused."""

import math
from pathlib import Path

import pytest

from service.manifest import Label, LabelledClip
from service.options import parse_region
from tests.fakes.media import mp4, texture
from training.adapters.cvat import read_cvat, region_of
from training.adapters.table import AdapterError

CLIP = mp4(texture(2, 64, 64))
SQUARE = "10.00,20.00;30.00,20.00;30.00,40.00;10.00,40.00"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("one.mp4", "two.mp4"):
        (folder / name).write_bytes(CLIP)
    return folder


def moved(x: int) -> str:
    return f"{x},0;{x + 9},0;{x + 9},9"


def exported(clips: Path, body: str, meta: str = "<task><source>one.mp4</source></task>") -> Path:
    xml = clips.parent / "annotations.xml"
    xml.write_text(f"<annotations><version>1.1</version><meta>{meta}</meta>{body}</annotations>")
    return xml


def track(label: str, *frames: tuple[int, str], outside: int | None = None) -> str:
    shapes = "".join(
        f'<polygon frame="{k}" outside="{int(k == outside)}" occluded="0" keyframe="1" points="{points}" z_order="0"></polygon>'
        for k, points in frames
    )
    return f'<track id="0" label="{label}" source="manual">{shapes}</track>'


def regions(found: list[LabelledClip]) -> list[tuple[str, str, str]]:
    return [(clip.file.name, clip.label.value, clip.region) for clip in found]


def refusal(xml: Path, clips: Path) -> str:
    with pytest.raises(AdapterError) as caught:
        read_cvat(xml, clips)
    return str(caught.value)


def test_a_track_is_a_region_that_seashore_predict_takes(clips: Path) -> None:
    (found,) = read_cvat(exported(clips, track("present", (0, SQUARE))), clips)

    assert regions([found]) == [("one.mp4", "present", "10.0,20.0 30.0,20.0 30.0,40.0 10.0,40.0")]
    assert parse_region(found.region) == ((10, 20), (30, 20), (30, 40), (10, 40))


def test_of_a_polygon_that_moves_the_frame_in_the_middle_is_taken(clips: Path) -> None:
    (found,) = read_cvat(exported(clips, track("absent", (0, moved(0)), (5, moved(50)), (10, moved(100)))), clips)

    assert found.region.startswith("50.0,0.0")


def test_a_frame_on_which_the_polygon_is_outside_is_never_taken(clips: Path) -> None:
    (found,) = read_cvat(exported(clips, track("absent", (0, moved(0)), (5, moved(50)), (9, moved(90)), outside=5)), clips)

    assert found.region.startswith("0.0,0.0")


def test_two_labels_are_two_rows_of_one_clip(clips: Path) -> None:
    """A lung point."""
    found = read_cvat(exported(clips, track("present", (0, moved(0))) + track("absent", (0, moved(50)))), clips)

    assert [clip.label.value for clip in found] == ["present", "absent"]


def test_the_source_stands_where_older_exports_write_it(clips: Path) -> None:
    found = read_cvat(exported(clips, track("present", (0, SQUARE)), meta="<task/><source>two.mp4</source>"), clips)

    assert found[0].file.name == "two.mp4"


@pytest.mark.parametrize("name", ["one/frame_000012.png", "one_frame_000012.png", "one-12.png"])
def test_images_belong_to_the_clip_of_their_folder_or_their_name(clips: Path, name: str) -> None:
    body = f'<image id="0" name="{name}" width="64" height="64"><polygon label="healthy" points="{SQUARE}"></polygon></image>'
    found = read_cvat(exported(clips, body, meta="<task/>"), clips)

    assert [(clip.file.name, clip.label.value) for clip in found] == [("one.mp4", "healthy")]


def test_two_interspaces_on_one_image_are_two_regions(clips: Path) -> None:
    first = f'<image id="0" name="one_0.png"><polygon label="present" points="{moved(0)}"/></image>'
    two = "".join(f'<polygon label="present" points="{moved(x)}"/>' for x in (20, 40))
    both = f'<image id="1" name="one_1.png">{two}</image>'
    found = read_cvat(exported(clips, first + both, meta="<task/>"), clips)

    assert [clip.region[:4] for clip in found] == ["20.0", "40.0"]


def test_what_the_projects_labels_mean_can_be_said(clips: Path) -> None:
    xml = exported(clips, track("Pleura", (0, SQUARE)))

    assert refusal(xml, clips) == (
        "1 of 1 polygons have a label that is not present, absent, lung_point, unknown or healthy; "
        "say what it means, for instance with --means pleura=unknown."
    )
    assert read_cvat(xml, clips, meanings={"pleura": Label.UNKNOWN})[0].label is Label.UNKNOWN


def test_who_the_clip_is_of_comes_from_the_row_it_has(clips: Path) -> None:
    row = LabelledClip(clips / "one.mp4", "P7", Label.UNKNOWN, site="our ward", split="train", sha256="ab", row=9)
    (found,) = read_cvat(exported(clips, track("absent", (0, SQUARE))), clips, known=[row])

    assert (found.patient, found.site, found.split, found.label) == ("P7", "our ward", "train", Label.ABSENT)


def test_a_polygon_of_many_corners_is_thinned_to_what_predict_takes() -> None:
    """A circle of 1000 corners, 100 px across: every fifth is kept."""
    angles = [2 * math.pi * k / 1000 for k in range(1000)]
    thinned = parse_region(region_of(tuple((50 + 50 * math.cos(a), 50 + 50 * math.sin(a)) for a in angles)))

    assert len(thinned) == 200
    assert min(x for x, _ in thinned) == 0.0
    assert max(x for x, _ in thinned) == 100.0


def test_a_polygon_without_an_area_is_refused() -> None:
    with pytest.raises(
        AdapterError, match="A polygon in the CVAT file encloses no area: its corners lie on one line, or outside the picture."
    ):
        region_of(((0.0, 0.0), (5.0, 5.0), (9.0, 9.0)))


def test_corners_left_of_the_picture_are_pulled_to_its_edge() -> None:
    assert region_of(((-3.0, 5.0), (10.0, -1.0), (10.0, 9.0))) == "0.0,5.0 10.0,0.0 10.0,9.0"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_file_that_declares_a_document_type_is_not_read(clips: Path, encoding: str) -> None:
    """Entities could expand to any size, or fetch a file."""
    xml = clips.parent / "bomb.xml"
    xml.write_text(
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b "xxxx"><!ENTITY c "&b;&b;">]><annotations>&c;</annotations>',
        encoding=encoding,
    )

    assert refusal(xml, clips) == "The CVAT file declares a document type, which CVAT never writes; it is not read."


def test_what_is_not_a_cvat_file_is_refused(clips: Path) -> None:
    folder = clips.parent
    (folder / "cut.xml").write_text("<annotations><track")
    (folder / "other.xml").write_text("<svg/>")

    assert refusal(folder / "cut.xml", clips) == (
        "The CVAT file is not XML, or is cut off. Export the task as CVAT 1.1, and unpack the archive."
    )
    assert refusal(folder / "other.xml", clips) == "The file is not a CVAT one: its outermost element is not <annotations>."
    assert refusal(folder / "missing.xml", clips) == "The CVAT file cannot be read: No such file or directory."
    assert refusal(exported(clips, "<track label='present'><box frame='0'/></track>"), clips) == (
        "The CVAT file has no polygons; boxes, lines and masks are not read."
    )
    assert refusal(exported(clips, "", meta="<project/>"), clips).startswith(
        "The CVAT file is of a whole project; export its tasks one by one"
    )


def test_a_huge_file_is_not_read(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.adapters.cvat.MAX_BYTES", 2**20)
    xml = clips.parent / "huge.xml"
    xml.write_bytes(b" " * (2**20 + 1))

    assert refusal(xml, clips) == "The CVAT file has more than 1 MB; export one task at a time."


@pytest.mark.parametrize("points", ["1,2;3,4", "1,2;3,4;5", "1,2;3,4;a,b", "1,2;3,4;nan,1", ""])
def test_a_polygon_that_is_none_is_refused(clips: Path, points: str) -> None:
    assert refusal(exported(clips, track("present", (0, points))), clips) == (
        "The CVAT file is damaged: a polygon has fewer than three corners, or one that is not two numbers."
    )


def test_a_frame_without_a_number_is_refused(clips: Path) -> None:
    body = f'<track label="present"><polygon frame="x" points="{SQUARE}"/></track>'

    assert refusal(exported(clips, body), clips) == "The CVAT file is damaged: a polygon is on a frame that has no number."


def test_a_polygon_of_no_clip_or_of_two_is_refused(clips: Path) -> None:
    body = track("present", (0, SQUARE))
    assert "there is no clip of the name" in refusal(exported(clips, body, meta="<task><source>Mustermann.mp4</source></task>"), clips)

    (clips / "again").mkdir()
    (clips / "again" / "one.mp4").write_bytes(CLIP)
    assert refusal(exported(clips, body), clips) == (
        "In the folder of clips there is more than one clip of the name that a polygon belongs to; exactly one is needed."
    )
