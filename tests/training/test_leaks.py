"""What a model could learn by heart or by a shortcut: copies, patients, classes; and the page that says so."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.manifest import Label, LabelledClip, Manifest
from tests.fakes.media import EVERY_KIND, Frames, encode, mp4, texture
from training.leak_report import balance, write_report
from training.leaks import Copy, Finding, Gravity, find_copies, find_leaks, look_at
from training.likeness import LIMIT, distance, look

FRAMES = texture(24, 320, 240, seed=1)
OTHER = texture(24, 320, 240, seed=2)


def row(number: int, label: Label = Label.PRESENT, **columns: str) -> LabelledClip:
    clip = LabelledClip(Path(f"{number}.mp4"), columns.pop("patient", f"P{number}"), label, row=number)
    return replace(clip, **columns)  # type: ignore[arg-type]


def told(clips: Sequence[LabelledClip], gravity: Gravity | None = None, copies: Sequence[Copy] = ()) -> list[str]:
    found = find_leaks(Manifest(tuple(clips)), copies)
    return [finding.text for finding in found if gravity in (None, finding.gravity)]


BOTH = [row(2), row(3, Label.ABSENT)]
"""Nothing is wrong with them."""


def test_nothing_is_said_of_a_table_that_has_both_classes() -> None:
    assert told(BOTH) == []


# Copies


def saved(folder: Path, name: str, frames: Frames, kind: str = "mp4 h264") -> Path:
    (folder / name).write_bytes(encode(frames, **EVERY_KIND[kind]))
    return folder / name


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return saved(tmp_path, "original.mp4", FRAMES)


@pytest.mark.parametrize(
    "frames",
    [FRAMES[6:18], FRAMES[::2], FRAMES[:, 12:-12, 16:-16], np.pad(FRAMES, ((0, 0), (20, 40), (30, 10))), FRAMES // 2 + 20],
    ids=["trimmed", "every other frame", "cropped by 0.05", "padded", "paler"],
)
def test_a_copy_is_found_whatever_was_done_to_it(tmp_path: Path, original: Path, frames: Frames) -> None:
    assert distance(look(original), look(saved(tmp_path, "copy.mpg", frames, "mpeg transport stream"))) <= LIMIT


def test_another_clip_is_not_a_copy(tmp_path: Path, original: Path) -> None:
    assert distance(look(original), look(saved(tmp_path, "other.mp4", OTHER))) > 1.5 * LIMIT


def test_clips_without_contrast_are_not_copies_of_each_other(tmp_path: Path) -> None:
    dark = look(saved(tmp_path, "dark.mp4", np.zeros_like(FRAMES)))

    assert dark.whole.shape == (0, 256)
    assert distance(dark, dark) == 1.0


def test_copies_are_looked_for_across_patients_and_each_file_is_opened_once(tmp_path: Path, original: Path) -> None:
    copy, other, text = saved(tmp_path, "copy.mp4", FRAMES), saved(tmp_path, "other.mp4", OTHER), tmp_path / "text.mp4"
    text.write_text("not a clip")
    files = [(original, "A"), (original, "A"), (copy, "A"), (copy, "B"), (other, "C"), (text, "D")]
    table = Manifest(tuple(LabelledClip(file, patient, Label.PRESENT, row=k) for k, (file, patient) in enumerate(files, start=2)))
    looks = list(look_at(table))
    assert [(clip.row, like is None) for clip, like in looks] == [(2, False), (4, False), (6, False), (7, True)]

    # The copy is A's in this table, and nobody else's: nothing leaks. As B's it is found.
    seen = [(clip, like) for clip, like in looks if like is not None]
    assert find_copies(seen) == []
    (found,) = find_copies([(replace(clip, patient="B") if clip.row == 4 else clip, like) for clip, like in seen])
    assert (found.one.row, found.other.row) == (2, 4)
    assert found.distance <= LIMIT


def test_a_copy_in_another_split_is_an_error_and_in_the_same_a_warning() -> None:
    one, other = row(2, split="train"), row(3, split="test")
    errors = told([one, other], Gravity.ERROR, [Copy(one, other, 0.05)])

    assert errors == [
        "Rows 2 and 3 show the same pictures (0.05 of their hashes differs), of two patients in two splits: train and test. "
        "Keep one of them, or one patient."
    ]
    assert told(BOTH, copies=[Copy(row(2), row(3), 0.05)]) == [
        "Rows 2 and 3 show the same pictures (0.05 of their hashes differs), of two patients. "
        "Give them one patient, or a split will part them."
    ]


def test_copies_with_two_labels_are_told() -> None:
    assert told(BOTH, copies=[Copy(*BOTH, 0.05)])[1] == "Rows 2 and 3 show the same pictures and are labelled present and absent."


# Patients


def test_a_patient_in_two_splits_is_an_error() -> None:
    clips = [row(2, patient="Mustermann", split="train"), row(3, patient="Mustermann", split="test")]

    assert told(clips, Gravity.ERROR) == ["Rows 2, 3 are of one patient, in more than one split."]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("P 07", "p7", True), ("P-7", "P7", True), ("P7", "P70", False), ("P1_2", "P12", False), ("P1_2", "p1-02", True)],
)
def test_patients_that_differ_only_in_spelling_are_told(one: str, other: str, same: bool) -> None:
    found = told([row(2, patient=one), row(3, patient=one), row(4, Label.ABSENT, patient=other)])

    assert found == (["Rows 2, 4 have patients that differ only in case, spaces, marks or leading zeros. One patient?"] if same else [])


# Classes and shortcuts


def test_a_class_that_is_missing_is_told_for_each_split() -> None:
    found = told([row(2, Label.HEALTHY, split="train"), row(3, Label.ABSENT, split="train"), row(4, Label.LUNG_POINT, split="test")])

    assert found == ["No clip of the split test is labelled as one that slides (present, healthy); nothing can be measured on them there."]
    assert told([row(2)]) == [
        "No clip of the table is labelled as one that does not slide (absent, lung_point); nothing can be measured on them there."
    ]


@pytest.mark.parametrize("group", ["site", "device", "probe", "source"])
def test_a_group_all_of_one_class_is_a_shortcut(group: str) -> None:
    clips = [row(k, Label.ABSENT, **{group: "north"}) for k in (2, 3, 4)] + [row(5, **{group: "south"}), row(6, Label.UNKNOWN)]

    assert told(clips) == [f'All 3 labelled clips of the {group} "north" do not slide: a model may learn the {group} instead.']
    assert told([*clips, row(7, **{group: "north"})]) == []


def test_where_there_is_one_class_only_no_group_is_a_shortcut() -> None:
    assert not any("may learn" in text for text in told([row(k, site="north") for k in (2, 3, 4)]))


# The page


def test_the_balance_counts_clips_and_patients_with_a_total() -> None:
    clips = [row(2, site="north"), row(3, Label.ABSENT, site="north", patient="P2"), row(4, Label.UNKNOWN)]

    assert balance(Manifest(tuple(clips)), "site") == [
        ["site", "present", "absent", "lung_point", "unknown", "healthy", "clips", "patients"],
        ["north", "1", "1", "0", "0", "0", "2", "1"],
        ["not stated", "0", "0", "0", "1", "0", "1", "1"],
        ["all", "1", "1", "0", "1", "0", "3", "2"],
    ]


def test_the_page_names_no_patient_and_no_file_and_keeps_a_sites_marks_out_of_its_tables() -> None:
    clips = [replace(row(2, patient="Mustermann", site="a|b <i>"), file=Path("Mustermann.mp4"))]
    page = write_report(Manifest(tuple(clips)), [Finding(Gravity.WARNING, "Something.")], looked=1)

    assert "Mustermann" not in page
    assert "| a\\|b \\<i> | 1 | 0 |" in page
    assert "* **Warning.** Something." in page
    assert page.startswith("# Leak report\n\n1 rows, 1 files, 1 patients; no splits stated; patients are dealt when training.")


def test_the_page_says_when_nothing_was_found_and_when_pictures_were_not_compared() -> None:
    page = write_report(Manifest((row(2, split="train"),)), [], looked=None)

    assert "## Findings\n\nNone." in page
    assert "The pictures were not compared." in page
    assert "1 splits, and no patient in two of them." in page


def test_clips_that_cannot_be_read_are_told() -> None:
    assert [str(finding) for finding in find_leaks(Manifest(tuple(BOTH)), (), BOTH[1:])] == [
        "Warning: Rows 3 cannot be read as clips; they were not compared with the others."
    ]


def test_a_still_clip_is_compared_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "still.mp4").write_bytes(mp4(FRAMES[:1].repeat(8, axis=0)))

    assert distance(look(tmp_path / "still.mp4"), look(saved(tmp_path, "moving.mp4", FRAMES[:3]))) <= LIMIT
