"""The report: what was run on what, published figures beside ours, doubts said, and every row in pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.report.document import Block, Figure, Heading, Paragraph, Table
from training.study.clips import FITTED, JUDGED, StudyClip
from training.study.figures import Answers
from training.study.grid import BASELINE, ROWS, Row, Study
from training.study.patches import ClipPatches
from training.study.report import Finished, build_report
from training.study.row_report import row_blocks
from training.study.run import RowInput, run_row


def clip(number: int, **changes: object) -> StudyClip:
    made = StudyClip(f"row {number}", Path("nowhere"), f"{number}", f"P{number}", number % 2 == 0)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def finished(study: Study, tmp_path: Path) -> Finished:
    """Four clips, one of which gave no patch; two rows chosen, none run."""
    clips = tuple(clip(number) for number in range(4))
    cut = [ClipPatches(c, ROWS[0].patches, Path("nowhere"), 10 * (k < 3), () if k < 3 else ("no_pleura",)) for k, c in enumerate(clips)]
    patients = {FITTED: frozenset({"P0", "P1"}), JUDGED: frozenset({"P2", "P3"})}
    return Finished(study, clips, patients, cut, (ROWS[0], BASELINE), {}, tmp_path, simulated=False)


def words(blocks: tuple[Block, ...]) -> str:
    return "\n".join(block.text for block in blocks if isinstance(block, Paragraph | Heading))


def blocks_of(finished: Finished) -> tuple[Block, ...]:
    return tuple(build_report(finished).blocks)


def test_it_says_how_many_rows_were_run_on_how_many_clips_and_with_what(finished: Finished) -> None:
    text = words(blocks_of(finished))

    assert "0 of 2 rows are finished, on 4 labelled clips." in text
    assert "Width 2 (64 is the published one), 3 epochs of batches of 16, adam at 0.001, constant, binary cross-entropy" in text
    assert "so every figure here is a little too good" in text


def test_simulated_clips_say_nothing_of_patients(finished: Finished) -> None:
    assert "its figures say that the code runs, and nothing of patients" in words(blocks_of(replace(finished, simulated=True)))


def test_the_sizes_are_by_part_and_class(finished: Finished) -> None:
    parts, sets = (block for block in blocks_of(finished)[:5] if isinstance(block, Table))

    assert list(parts.rows) == [("fitted to", "2", "1", "1"), ("judged on", "2", "1", "1")]
    assert list(sets.rows) == [("2_30x30", "3", "10", "10", "10", "0", "not at hand")]


def test_clips_that_gave_nothing_are_counted_with_the_reason(finished: Finished) -> None:
    assert "Clips that gave no patch at all: 1 (no_pleura 1)." in words(blocks_of(finished))


def test_healthy_clips_counted_as_present_are_called_weak(finished: Finished) -> None:
    weak = replace(finished, clips=(clip(0, is_weak=True), clip(1)))

    assert "Clips labelled healthy and counted as present: 1. A weak label" in words(blocks_of(weak))


@pytest.mark.parametrize(("sources", "is_told"), [(("a", "b"), True), (("a", "a"), False), (("", ""), False), (("a", ""), True)])
def test_classes_of_different_sources_are_doubted(finished: Finished, sources: tuple[str, str], is_told: bool) -> None:
    told = replace(finished, clips=tuple(clip(number, source=source) for number, source in enumerate(sources)))

    assert ("No source has both clips that slide and clips that do not." in words(blocks_of(told))) == is_told


def test_the_published_figures_stand_beside_ours_and_doubtful_ones_are_marked(finished: Finished) -> None:
    tables = {block.caption: block for block in blocks_of(finished) if isinstance(block, Table)}
    baseline = tables["6. Patches mmode_64, beside Jascur et al. 2021, doi 10.3390/app11156976."]

    assert ("mmode-resnet-18", "balanced accuracy", "0.89", "not run", "not run") in baseline.rows
    assert ("mmode-resnet-18", "sensitivity", "0.86*", "not run", "not run") in baseline.rows
    assert {row[2] for row in tables["1. Patches 2_30x30, beside Kolarik, Sarnovsky, Paralic 2023."].rows} == {"not at hand"}
    assert any("0.9193" in row[1] for row in tables["Where the sources contradict themselves."].rows)


def test_rows_that_cannot_be_run_and_those_not_asked_for_are_named(finished: Finished) -> None:
    text = words(blocks_of(replace(finished, impossible={BASELINE.name: "No clip gave a patch."})))

    assert "mmode-resnet-18_mmode_64 cannot be run on these clips. No clip gave a patch." in text
    assert "Not asked for this time: resnet3d-34_2_30x30, " in text


def test_a_finished_row_has_its_curves_confusion_reliability_learning_and_failures(
    finished: Finished, row: Row, given: RowInput, study: Study
) -> None:
    run_row(row, given, study, finished.folder / "rows" / row.name, progress=False)
    blocks = blocks_of(replace(finished, rows=(row,), clips=_clips_of(given)))
    captions = [block.caption.partition(": ")[2] for block in blocks if isinstance(block, Figure)]

    assert captions == [
        *("ROC", "precision and recall", "answers by patch", "reliability by patch; n counts patches"),
        *("answers by clip", "reliability by clip; n counts clips", "learning curves"),
    ]


def answers(probability: float) -> Answers:
    """One clip that slides, and one that does not and is told so."""
    keys = np.array([clip(0).key, clip(1).key])
    return Answers(np.array([1, 0]), np.array([probability, 0.1]), np.array(["P0", "P1"]), keys)


def curve(folder: Path) -> Path:
    (folder / "fit").mkdir()
    (folder / "fit" / "curve.csv").write_text("epoch,train_loss,val_loss\n0,0.7,0.6\n1,0.5,0.65\n")
    return folder


def test_a_clip_called_wrong_whose_file_is_gone_is_said_and_not_shown(tmp_path: Path) -> None:
    blocks = tuple(row_blocks(ROWS[0], answers(0.2), (clip(0), clip(1)), curve(tmp_path), 3))

    assert (
        "Row 0: slides, called “does not slide” (probability of sliding 0.20). It cannot be shown: the file is gone or has changed "
        "since its patches were cut."
    ) in words(blocks)


def test_without_a_mistake_that_is_said_and_the_lowest_loss_is_named(tmp_path: Path) -> None:
    blocks = tuple(row_blocks(ROWS[0], answers(0.8), (clip(0), clip(1)), curve(tmp_path), 3))
    learning = next(block for block in blocks if isinstance(block, Figure) and block.caption.endswith("learning curves"))

    assert "No clip was called wrong." in words(blocks)
    assert learning.alt == "Binary cross-entropy by epoch; lowest on the judged part after epoch 1: 0.6."


def _clips_of(given: RowInput) -> tuple[StudyClip, ...]:
    """Clips under the names that the squares go by."""

    class Named(StudyClip):
        @property
        def key(self) -> str:
            return self.title

    label = dict(zip(given.examples.clip.tolist(), given.examples.label.tolist(), strict=True))
    return tuple(Named(name, Path("nowhere.mp4"), "0", "P", bool(slides)) for name, slides in label.items())
