"""What was published of each preset, as far as it is at hand, and where the sources disagree with themselves.

As in `training.study.published`: a figure that is not here is not at hand, and its place stays empty. Every figure is of runs (a
second of clip, a frame, 40 frames), none of whole clips.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from training.signs.confusion import MACRO
from training.study.published import Slip

KERDEGARI = "Kerdegari et al. 2021, arXiv 2102.01059"
DUAN = "Duan et al. 2022, Acad J Naval Med Univ 43(8):901"
CMWRU = "the paper of CMWRU"
"""Its table is at hand and not its title."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the reports call it."""

    words: str
    whose: str
    family: str = ""
    """Models of one family stand in one published table."""
    figures_of: str = ""
    """The preset whose published figures stand beside its own; "" for its own."""


_B_LINES, _LUNG_SLIDING = "B-lines, weakly supervised", "absent sliding"
MODELS: Mapping[str, Model] = {
    "blines-c2d-a": Model("C2D+A: B-lines by a 2-D CNN with attention", KERDEGARI, _B_LINES),
    "blines-c3d-a": Model("C3D+A: B-lines by a 3-D CNN with attention", KERDEGARI, _B_LINES),
    "blines-c2d-lstm": Model("C2D+LSTM: B-lines by a 2-D CNN with LSTM", KERDEGARI, _B_LINES),
    "blines-c2d-lstm-a": Model("C2D+LSTM+A: B-lines by a 2-D CNN with LSTM and attention", KERDEGARI, _B_LINES),
    "blines-small": Model("C2D+LSTM+A, narrower: B-lines, small enough to be served", KERDEGARI, figures_of="blines-c2d-lstm-a"),
    "four-signs": Model("ResNet-152: four signs in a frame", DUAN, "four signs"),
    "four-signs-small": Model("ResNet-18: four signs in a frame, beside the published ResNet-152", DUAN, figures_of="four-signs"),
    "signs-small": Model("ResNet-18: any of four signs in a frame, small enough to be served", "nothing published"),
    "rcm2d-small": Model("RCM2d_Small: a 2-D residual CNN with GRU", "a paper that is not at hand", _LUNG_SLIDING),
    "cmwru": Model("CMWRU: absent sliding by 3-D residual convolutions", CMWRU, _LUNG_SLIDING),
    "cmwra": Model("CMWRA: absent sliding by 3-D convolutions of the optical flow", "a paper that is not at hand", _LUNG_SLIDING),
}


@dataclass(frozen=True, slots=True)
class Published:
    """One figure of one preset."""

    preset: str
    figure: str
    """A name of `training.signs.figures.BINARY`, of `confusion.FIGURES`, or of `localisation.FIGURES`."""
    value: float
    where: str
    row: str = ""
    """Of a table of several signs: the sign, or how the total is made; "" otherwise."""
    is_doubtful: bool = False
    """The source says otherwise elsewhere: see `SLIPS`."""


def _of_signs(figure: str, *percents: float) -> tuple[Published, ...]:
    signs = ("a_lines", "b_lines", "effusion", "consolidation")
    rounded = [round(percent / 100, 4) for percent in percents]
    return tuple(Published("four-signs", figure, value, f"{DUAN}, abstract", sign) for sign, value in zip(signs, rounded, strict=True))


PUBLISHED: tuple[Published, ...] = (
    Published("blines-c2d-a", "f1", 0.58, KERDEGARI),
    Published("blines-c3d-a", "f1", 0.77, KERDEGARI),
    Published("blines-c2d-lstm", "f1", 0.79, KERDEGARI),
    Published("blines-c2d-lstm-a", "f1", 0.81, f"{KERDEGARI}, abstract"),
    Published("blines-c2d-lstm-a", "iou_0.1", 0.671, f"{KERDEGARI}, temporal localisation"),
    Published("blines-c2d-lstm-a", "iou_0.2", 0.653, f"{KERDEGARI}, temporal localisation"),
    Published("blines-c2d-lstm-a", "iou_0.3", 0.545, f"{KERDEGARI}, temporal localisation"),
    Published("blines-c2d-lstm-a", "iou_0.4", 0.495, f"{KERDEGARI}, temporal localisation"),
    Published("blines-c2d-lstm-a", "representative", 0.875, f"{KERDEGARI}, abstract"),
    *_of_signs("precision", 97.51, 87.31, 85.42, 93.70),
    *_of_signs("recall", 90.38, 86.97, 94.25, 91.18),
    # The means of the four precisions and of the four recalls are 0.9099 and 0.9070: the total is a macro mean.
    Published("four-signs", "precision", 0.9099, f"{DUAN}, total", MACRO, is_doubtful=True),
    Published("four-signs", "specificity", 0.9685, f"{DUAN}, total", MACRO),
    Published("four-signs", "f1", 0.9050, f"{DUAN}, total", MACRO, is_doubtful=True),
    Published("four-signs", "recall", 0.9070, f"{DUAN}, total", MACRO),
    Published("four-signs", "accuracy", 0.9070, f"{DUAN}, total", MACRO, is_doubtful=True),
    Published("four-signs", "kappa", 0.8737, f"{DUAN}, total", MACRO),
    Published("cmwru", "accuracy", 0.67, f"{CMWRU}, Table V"),
    Published("cmwru", "recall", 0.80, f"{CMWRU}, Table V"),
    Published("cmwru", "specificity", 0.6375, f"{CMWRU}, Table V"),
)

OTHER_READING: Mapping[str, float] = {"precision": 0.9070, "accuracy": 0.9099}
"""Of the total of the four signs, as the English abstract has it; all else stays."""

SLIPS: tuple[Slip, ...] = (
    Slip(
        DUAN,
        "In the Chinese abstract 90.99 % is the precision and 90.70 % the accuracy, in the English one they are the other way round.",
        "0.9099 as precision: it is the mean of the four precisions given, as 0.9070 is that of the four recalls. Both readings are shown.",
    ),
    Slip(
        DUAN,
        "The total F1 is 90.50 %; the precisions and recalls given of the four signs make F1 of 90.75 % in the mean.",
        "0.9050, as printed",
    ),
)

NOTES: Mapping[str, str] = {
    "cmwru": (
        "The three published figures go together where about one run in five does not slide: as where of 20 such runs 16 are found and "
        "of 80 that slide 51 are left alone, 67 of 100 right. Then 16 of 45 alarms are right, a precision of 0.36: reckoned here, not "
        "published."
    ),
}
"""What a reader should know of a preset's published figures."""


def model_of(preset: str) -> Model:
    """A preset of one's own is called what its file calls it."""
    return MODELS.get(preset, Model(preset, "nothing published"))


def published(preset: str, figure: str, row: str = "") -> Published | None:
    """None: not at hand."""
    wanted = (model_of(preset).figures_of or preset, figure, row)
    return next((p for p in PUBLISHED if (p.preset, p.figure, p.row) == wanted), None)
