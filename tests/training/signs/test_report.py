"""The report of a preset: published figures beside ours, every table of simulated data saying so, and what went wrong by its key."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.report.document import Document, Figure, Heading, Paragraph, Table, write_report
from tests.fakes.sign_answers import frame_answers, of_one_sign, sign_answers
from training.signs.answers import SignAnswers
from training.signs.mistakes import mistakes
from training.signs.report import Finished, build_report
from training.signs.tables import binary_table


def b_lines() -> SignAnswers:
    """Six runs of six patients in two folds: three show B-lines, one of which is missed; one is said to show them and does not."""
    return of_one_sign(
        [1, 1, 1, 0, 0, 0],
        [0.9, 0.8, 0.05, 0.7, 0.2, 0.1],
        fold=[0, 1, 0, 1, 0, 1],
        attention=[[0.7, 0.1, 0.1, 0.1]] * 6,
        frame_label=[[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 1], *[[0, 0, 0, 0]] * 3],
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    curve = tmp_path_factory.mktemp("fit") / "curve.csv"
    curve.write_text("epoch,train_loss,val_loss\n0,0.7,0.6\n1,0.5,0.65\n")
    settings = {"epochs": 60, "augment": {"mirror": 0.5}}
    return Finished("blines-c2d-lstm-a", False, b_lines(), settings, (curve, curve))


@pytest.fixture(scope="module")
def labelled(finished: Finished) -> Document:
    return build_report(finished)


def tables(document: Document) -> list[Table]:
    return [block for block in document.blocks if isinstance(block, Table)]


def table_with(document: Document, first: str) -> Table:
    """The table one of whose rows begins so."""
    return next(table for table in tables(document) if any(row[0] == first for row in table.rows))


def row_of(document: Document, first: str) -> tuple[str, ...]:
    return next(tuple(row) for row in table_with(document, first).rows if row[0] == first)


def words(document: Document) -> str:
    return "\n".join(block.text for block in document.blocks if isinstance(block, Paragraph | Heading))


def value(cell: str) -> str:
    """Without its interval."""
    return cell.split(" ")[0]


def test_simulated_data_is_said_in_the_title_and_at_every_table_and_picture(finished: Finished) -> None:
    document = build_report(replace(finished, simulated=True))
    captions = [block.caption for block in document.blocks if isinstance(block, Table | Figure)]

    assert document.title == "C2D+LSTM+A: B-lines by a 2-D CNN with LSTM and attention (blines-c2d-lstm-a), on simulated data"
    assert len(captions) >= 10
    assert all(caption.endswith("(simulated data).") for caption in captions)
    assert "nothing of patients" in words(document)


def test_of_labelled_clips_it_says_no_such_thing(labelled: Document, tmp_path: Path) -> None:
    write_report(labelled, tmp_path / "report")

    assert "simulated" not in (tmp_path / "report" / "report.md").read_text()


def test_what_was_fitted_and_the_folds_are_there(labelled: Document) -> None:
    assert row_of(labelled, "augment.mirror") == ("augment.mirror", "0.5")
    assert list(table_with(labelled, "all").rows) == [
        ("0", "3", "3", "3", "2", "1", "0"),
        ("1", "3", "3", "3", "1", "2", "0"),
        ("all", "6", "6", "6", "3", "3", "0"),
    ]


def test_the_variants_stand_in_the_published_table_with_those_that_are_given(finished: Finished) -> None:
    document = build_report(replace(finished, beside={"blines-c2d-a": of_one_sign([1, 0], [0.9, 0.1])}))
    found = [(row[0], row[1], value(row[2])) for row in table_with(document, "C2D+A").rows]

    # 2 of 3 found, 1 called so wrongly: F1 of 4/6.
    assert found == [
        ("C2D+A", "0.58", "1.000"),
        ("C3D+A", "0.77", "not"),
        ("C2D+LSTM", "0.79", "not"),
        ("C2D+LSTM+A", "0.81", "0.667"),
    ]


def test_figures_and_places_in_time_stand_beside_the_published_ones(labelled: Document) -> None:
    assert [value(cell) for cell in row_of(labelled, "recall")] == ["recall", "not", "0.667", "0.667"]
    # Overlaps of the first frame with what is shown: 1, 1/2, 0.
    assert [value(cell) for cell in row_of(labelled, "IoU of 0.4 or more")[1:]] == ["0.495", "0.667", "0.667", "0.667"]
    # It shows the sign in two of three; any frame does in a quarter, a half, three quarters: a half in the mean.
    assert [value(cell) for cell in row_of(labelled, "representative frame")[1:]] == ["0.875", "0.667", "0.667", "0.500"]


def test_without_attention_nothing_is_said_of_time(finished: Finished) -> None:
    answers = replace(finished.answers, attention=None)

    assert "When the sign is there" not in words(build_report(replace(finished, answers=answers)))


def test_the_learning_curves_are_there_fold_by_fold(labelled: Document) -> None:
    (chosen,) = [block for block in labelled.blocks if isinstance(block, Figure) and "set aside" in block.caption]

    assert chosen.alt == "fold 0: lowest after epoch 1, 0.6; fold 1: lowest after epoch 1, 0.6"


def test_clips_called_wrong_are_named_by_their_keys_the_most_confident_first(labelled: Document) -> None:
    wrong = tables(labelled)[-2]

    assert list(wrong.rows) == [("c2", "B-lines", "no B-lines", "0.95"), ("c3", "no B-lines", "B-lines", "0.70")]
    assert wrong.caption == "2 of the 2 clips called wrong."


def test_without_a_mistake_and_without_learning_curves_that_is_said(finished: Finished) -> None:
    text = words(build_report(replace(finished, answers=of_one_sign([1, 0], [0.9, 0.1]), curves=())))

    assert "No clip was called wrong." in text
    assert "No learning curve is at hand." in text


def test_a_clip_of_several_signs_is_no_mistake_and_one_sign_taken_for_another_is() -> None:
    given = sign_answers([[1, 1], [1, 0], [0, 1]], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], signs=("a_lines", "b_lines"))

    assert [(m.clip, m.truth, m.said, m.probability) for m in mistakes(given)] == [("c1", "A-lines", "B-lines", 0.8)]


@pytest.fixture(scope="module")
def four(finished: Finished) -> Document:
    """Ten frames as in test_confusion.py."""
    answers = frame_answers("AA AA AA AB BB BB EE EC CC CC")
    return build_report(replace(finished, preset="four-signs", simulated=True, answers=answers, curves=()))


def test_four_signs_stand_in_the_published_table_with_both_totals_and_both_readings(four: Document) -> None:
    assert [value(cell) for cell in row_of(four, "ours: B-lines")[1:]] == ["0.667", "0.875", "1.000", "0.800", "0.900", "0.737"]
    assert [value(cell) for cell in row_of(four, "ours: total, macro")[1:]] == ["0.833", "0.938", "0.812", "0.781", "0.800", "0.730"]
    assert [value(cell) for cell in row_of(four, "ours: total, weighted")[1:]][2] == "0.800"
    assert row_of(four, "published: B-lines")[1:4] == ("0.8731", "not at hand", "0.8697")
    assert row_of(four, "published: total")[1:] == ("0.9099*", "0.9685", "0.907", "0.905*", "0.907*", "0.8737")
    assert row_of(four, "published: total, the other reading")[1:] == ("0.907*", "0.9685", "0.907", "0.905*", "0.9099*", "0.8737")


def test_of_a_preset_of_ones_own_no_published_figure_is_shown(finished: Finished) -> None:
    answers = frame_answers("AA AB BB EE CC")

    for preset, is_shown in (("four-signs", True), ("mine", False)):
        shown = tables(build_report(replace(finished, preset=preset, answers=answers, curves=())))
        assert any(row[0].startswith("published: ") for table in shown for row in table.rows) == is_shown


def test_the_confusion_matrix_is_drawn_and_said_in_words(four: Document) -> None:
    drawn = [block for block in four.blocks if isinstance(block, Figure) and block.caption.startswith("Which sign was taken for which")]

    assert len(drawn) == 2
    assert drawn[0].alt == (
        "A-lines: 3 called A-lines, 1 called B-lines; B-lines: 2 called B-lines; "
        "effusion: 1 called effusion, 1 called consolidation; consolidation: 2 called consolidation"
    )


def test_the_source_that_contradicts_itself_is_quoted(four: Document) -> None:
    assert "the other way round. Taken here: 0.9099 as precision" in words(four)


def test_what_the_figures_of_cmwru_say_of_their_data_is_noted(finished: Finished) -> None:
    given = replace(finished, preset="cmwru", answers=of_one_sign([1, 0], [0.9, 0.1], signs=("absent",)))
    document = build_report(given)

    assert "one run in five does not slide" in words(document)
    assert row_of(document, "specificity")[1] == "0.6375"


@pytest.mark.parametrize("preset", ["rcm2d-small", "cmwra"])
def test_a_preset_of_which_nothing_is_at_hand_says_so_in_every_row(preset: str, finished: Finished) -> None:
    table = binary_table(preset, finished.answers, finished.answers.by_clip())

    assert {row[1] for row in table.rows} == {"not at hand"}
