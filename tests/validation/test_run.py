"""No clip ends a run, and nothing is asked twice."""

from pathlib import Path

import pytest

from service.manifest import Label, LabelledClip
from service.reading import Saliency
from service.validation.answers import Answer, Ledger
from service.validation.run import Model, answer_all, options_of
from tests.fakes.service import MODEL, PATIENT, WordReader


def written(folder: Path, *words: str) -> list[LabelledClip]:
    for row, word in enumerate(words, start=2):
        (folder / f"{row}.mp4").write_text(word)
    return [LabelledClip(folder / f"{row}.mp4", PATIENT, Label.UNKNOWN, row=row) for row, _ in enumerate(words, start=2)]


def answered(
    clips: list[LabelledClip], folder: Path, reader: WordReader, *, identity: str = "one", jobs: int = 1
) -> tuple[list[Answer], list[None]]:
    told: list[None] = []
    answers = answer_all(
        clips, Model(reader, MODEL, identity), Ledger(folder / "answers.jsonl"), jobs=jobs, on_answer=lambda: told.append(None)
    )
    return answers, told


@pytest.mark.parametrize("jobs", [1, 4])
def test_answers_come_in_the_order_of_the_clips(tmp_path: Path, jobs: int) -> None:
    answers, told = answered(written(tmp_path, "present", "absent", "not assessable"), tmp_path, WordReader(), jobs=jobs)

    assert [(answer.row, answer.verdict) for answer in answers] == [(2, "present"), (3, "absent"), (4, "not_assessable")]
    assert len(told) == 3


def test_a_clip_that_cannot_be_read_is_an_answer_with_its_code(tmp_path: Path) -> None:
    answers, _ = answered(written(tmp_path, "unsupported_format", "present"), tmp_path, WordReader())

    assert (answers[0].error, answers[0].detail) == ("unsupported_format", "This is the sentence of unsupported_format.")
    assert answers[1].is_read


def test_a_defect_costs_one_clip_and_its_text_is_not_kept(tmp_path: Path) -> None:
    answers, _ = answered(written(tmp_path, "bug", "present"), tmp_path, WordReader())

    assert answers[0].error == "internal_error"
    assert answers[0].detail == "A defect of this software (ZeroDivisionError); please report it."
    assert answers[1].is_read


def test_a_file_that_went_away_is_an_answer(tmp_path: Path) -> None:
    clips = written(tmp_path, "present", "absent")
    clips[0].file.unlink()
    answers, _ = answered(clips, tmp_path, WordReader())

    assert (answers[0].error, answers[0].detail) == ("unreadable_file", "No such file or directory.")
    assert answers[1].is_read


def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    clips, first, second = written(tmp_path, "present", "absent", "clip_too_long"), WordReader(), WordReader()
    before, _ = answered(clips[:2], tmp_path, first)
    after, told = answered(clips, tmp_path, second)

    assert after[:2] == before
    assert len(second.read_options) == 1
    assert len(told) == 3


def test_what_may_be_otherwise_next_time_is_asked_again(tmp_path: Path) -> None:
    clips, reader = written(tmp_path, "bug", "engine_failed", "unsupported_format"), WordReader()
    answered(clips, tmp_path, WordReader())
    answered(clips, tmp_path, reader)

    assert len(reader.read_options) == 2


def test_another_bundle_is_another_question(tmp_path: Path) -> None:
    clips, reader = written(tmp_path, "present"), WordReader()
    answered(clips, tmp_path, reader)
    answered(clips, tmp_path, reader, identity="calibrated again")

    assert len(reader.read_options) == 2


def test_an_answer_kept_has_the_row_of_the_manifest_at_hand(tmp_path: Path) -> None:
    clips = written(tmp_path, "present")
    answered(clips, tmp_path, WordReader())
    moved = [LabelledClip(clips[0].file, PATIENT, Label.UNKNOWN, row=7)]

    assert answered(moved, tmp_path, WordReader())[0][0].row == 7


def test_the_region_of_the_manifest_is_read_and_no_saliency_is_made(tmp_path: Path) -> None:
    reader, file = WordReader(), written(tmp_path, "present")[0].file
    answered([LabelledClip(file, PATIENT, Label.UNKNOWN, region="0,0 9,0 9,9", row=2)], tmp_path, reader)

    assert reader.read_options[0].region == ((0, 0), (9, 0), (9, 9))
    assert reader.read_options[0].saliency is Saliency.NONE
    assert options_of(LabelledClip(file, PATIENT, Label.UNKNOWN), Saliency.VANILLA).region is None


def test_a_region_that_is_none_is_an_answer_with_its_code(tmp_path: Path) -> None:
    file = written(tmp_path, "present")[0].file
    answers, _ = answered([LabelledClip(file, PATIENT, Label.UNKNOWN, region="left lung", row=2)], tmp_path, WordReader())

    assert answers[0].error == "bad_option"


def test_nothing_that_is_kept_names_a_patient_or_a_file(tmp_path: Path) -> None:
    answered(written(tmp_path, "present", "bug", "engine_failed", "unsupported_format"), tmp_path, WordReader())
    kept = (tmp_path / "answers.jsonl").read_text()

    assert PATIENT not in kept
    assert ".mp4" not in kept
    assert str(tmp_path) not in kept
