"""What was answered survives an interruption, and says nothing of anybody."""

from pathlib import Path

from service.findings import ReasonCode, Verdict
from service.validation.answers import Answer, Ledger
from tests.fakes.analysis import PROBE_MOVING, example_analysis

READ = Answer.of(example_analysis(num_windows=1, reasons=(PROBE_MOVING,))[0], "key 2", 2)
FAILED = Answer("key 3", 3, "unreadable_clip", "Nothing of the clip could be decoded.")


def test_an_answer_is_what_the_service_says_of_the_clip() -> None:
    assert (READ.verdict, READ.probability, READ.interval, READ.lung_point) == (Verdict.PRESENT, 0.93, (0.85, 0.97), False)
    assert READ.reasons == (ReasonCode.PROBE_MOVING,)
    assert READ.total_ms == 1150.0
    assert (READ.is_read, FAILED.is_read) == (True, False)


def test_answers_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "answers.jsonl")
    ledger.add(READ)
    ledger.add(FAILED)

    assert ledger.read() == {"key 2": READ, "key 3": FAILED}


def test_no_file_is_no_answers(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "answers.jsonl").read() == {}


def test_a_line_cut_off_costs_that_answer_only(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    ledger = Ledger(path)
    ledger.add(READ)
    path.write_bytes(path.read_bytes()[:-20])
    ledger.add(FAILED)

    assert ledger.read() == {"key 3": FAILED}


def test_a_line_of_another_version_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"key": "k", "row": 2}\n[]\n{"verdict": "maybe", "interval": null, "reasons": []}\n')

    assert Ledger(path).read() == {}
