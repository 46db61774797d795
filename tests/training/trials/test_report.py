"""The page says what was wanted and what came out."""

from service.report.blocks import Figure
from service.report.markdown import markdown_of
from tests.training.trials.rows import pair, row
from training.trials.answers import Kind
from training.trials.figures import figures_of
from training.trials.report import document_of, without_pictures

ROWS = [
    *pair(0.1, 0.9, 0),
    *pair(0.2, 0.9, 1),
    *[r for n in (0, 1) for fps in (9, 15) for r in pair(0.1, 0.9, n, condition=f"{fps} fps")],
    *pair(0.3, 0.7, 0, condition="reversed"),
    row(0.85, slides=False, kind=Kind.CONTROL, condition="own_wall"),
    row(0.5, kind=Kind.COMPOSITE, found=0.5, true=0.52),
    row(0.9, kind=Kind.AS_IS),
    row(0.9, kind=Kind.AS_IS, condition="half speed"),
]
FIGURES = {"bundle": "net:1.0.0", "clips": 1, "clips_given": 3, "seed": 7, **figures_of(ROWS)}


def test_the_targets_come_first_each_met_or_not() -> None:
    text = markdown_of(document_of(FIGURES))

    assert text.index("## Targets") < text.index("## Calibration") < text.index("## Lung points")
    assert "| AUROC of twins at every frame rate, the least | at least 0.97 | 1.000 | met |" in text
    assert "| twins | at least 1000 | 14 | NOT met |" in text
    assert "| lung points of phantoms found | at least 0.9 |  | not tried |" in text


def test_the_page_says_of_what_it_speaks_and_how_many_clips_could_not_be_read() -> None:
    text = markdown_of(document_of(FIGURES))

    assert "18 readings by net:1.0.0; 1 of 3 real clips could be read; seed 7. Written by seashore train trials." in text


def test_every_kind_of_trial_has_its_table() -> None:
    text = markdown_of(document_of(FIGURES))

    assert "| own wall | 1 |" in text
    assert "| made of real clips, still | reversed | 1 | 0.200 |" in text
    assert "| real clips as they are | half speed | 1 | 0.000 | 0.000 | 1.000 |" in text
    assert "| two real clips | 1 | 1.000 |" in text


def test_the_reliability_and_the_frame_rates_are_drawn() -> None:
    drawn = [block for block in document_of(FIGURES).blocks if isinstance(block, Figure)]

    assert [figure.caption for figure in drawn] == ["Reliability over all twins", "AUROC of twins by frame rate"]


def test_the_page_alone_has_no_pictures() -> None:
    assert "pictures/" not in markdown_of(without_pictures(document_of(FIGURES)))


def test_trials_of_nothing_are_a_page_all_the_same() -> None:
    text = markdown_of(document_of({"bundle": "net:1.0.0", "clips": 0, "clips_given": 0, "seed": 7, **figures_of([])}))

    assert "not tried" in text
    assert "NaN" not in text
