"""The rows of the study as data: three networks on five sets of patches, and the M-mode net they are compared with.

             2_30x30   all_30x30   2_60x60   all_60x60   all_90x90       mmode_64
ResNet3D-18     x          x          x          x           x         ResNet-18   x
ResNet3D-34     x          x          x          x           x
ResNet3D-50     x          x          x          x           x

"2" is the two rows of patches below the pleural line, "all" every row down to where the echoes end.
"""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from service.cine.locate import ALL_ROWS, PLEURA_ROWS
from service.cine.spec import InputSpec
from training.experiment import ExperimentError, FitSettings, from_table, read_toml

FPS = 30.0
PICTURE_DEPTH_PX = 480
"""Frames of 640x480."""


@dataclass(frozen=True, slots=True)
class PatchSet:
    """One way of cutting clips into patches."""

    name: str
    spec: InputSpec
    num_rows: int


@dataclass(frozen=True, slots=True)
class Row:
    """One network on one set of patches: a row of the published tables."""

    model: str
    """A name of `training.models`."""
    patches: PatchSet

    @property
    def name(self) -> str:
        return f"{self.model}_{self.patches.name}"


def _spec(patch_px: int, *, window_frames: int = 60, column_stride_px: int | None = None, row_offset_px: int = 0) -> InputSpec:
    return InputSpec(
        fps=FPS,
        window_frames=window_frames,
        window_stride_frames=window_frames,
        picture_depth_px=PICTURE_DEPTH_PX,
        patch_px=patch_px,
        column_stride_px=patch_px if column_stride_px is None else column_stride_px,
        row_offset_px=row_offset_px,
        bands=("lung",),
        wall_gap_px=4,
        stabilised=False,
        dtype="uint8",
    )


def _square(rows: str, patch_px: int) -> PatchSet:
    num_rows = PLEURA_ROWS if rows == "2" else min(ALL_ROWS, PICTURE_DEPTH_PX // patch_px)
    return PatchSet(f"{rows}_{patch_px}x{patch_px}", _spec(patch_px), num_rows)


PATCH_SETS = (_square("2", 30), _square("all", 30), _square("2", 60), _square("all", 60), _square("all", 90))
MODELS = ("resnet3d-18", "resnet3d-34", "resnet3d-50")
ROWS = tuple(Row(model, patches) for patches, model in product(PATCH_SETS, MODELS))

# 24 px of chest wall above the line and 24 px of lung below it: the seashore is told from the barcode by the two together.
# Which rows of the strip the paper's M-mode has is not at hand. Square as every patch is, 64 px would leave out the
# interspaces narrower than that (half of 8 phantoms). The net reads the middle column of each, so half a patch from one to
# the next gives a picture every 24 px of pleura.
MMODE = PatchSet("mmode_64", _spec(48, window_frames=64, column_stride_px=24, row_offset_px=-24), 1)
BASELINE = Row("mmode-resnet-18", MMODE)

EVERY_ROW = (*ROWS, BASELINE)


@dataclass(frozen=True, slots=True)
class Study:
    """What is run, and how. study.toml is the published study, study_quick.toml a reduced form of minutes."""

    rows: tuple[str, ...]
    """Names of rows, in the order they are run; empty is every row."""
    held_out_share: float
    """Of the patients: judged on, and the lowest validation loss is taken on them, as in the paper's 70:30."""
    seed: int
    phantoms: int
    """Simulated clips, every other one of which slides, where no manifest is given."""
    phantom_s: float
    failures: int
    """Clips shown of each row: those called wrong with the most confidence."""
    fit: FitSettings
    """Of every row; each puts its own network in the place of `model`."""

    def __post_init__(self) -> None:
        if not 0 < self.held_out_share < 1 or self.seed < 0 or self.failures < 0:
            raise ValueError("A study needs a held-out share between 0 and 1, and a seed and failures of at least 0.")
        if self.phantoms < 4 or self.phantom_s < MMODE.spec.window_s:
            raise ValueError(f"A study needs at least 4 phantoms, each of at least {MMODE.spec.window_s:.2f} s.")
        for name in self.rows:
            if name not in {row.name for row in EVERY_ROW}:
                raise ValueError(f"There is no row called {name!r}; there are {', '.join(row.name for row in EVERY_ROW)}.")

    def chosen(self) -> tuple[Row, ...]:
        return tuple(row for name in self.rows for row in EVERY_ROW if row.name == name) or EVERY_ROW


def read_study(path: Path) -> Study:
    """Raises: ExperimentError, naming the key."""
    return from_table(Study, read_toml(path), "")


def with_rows(study: Study, names: tuple[str, ...]) -> Study:
    """The study with these rows alone; without names as it is. Raises: ExperimentError."""
    try:
        return replace(study, rows=names) if names else study
    except ValueError as error:
        raise ExperimentError(str(error)) from None
