"""When is the sign there: the frames that the attention points at against those that show it, over the runs that do.

A run is right at an overlap of 0.4 when the frames pointed at and the frames that show the sign have at least 0.4 of their union in
common (intersection over union). Judged are all runs that show the sign, whether or not the model said so.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.cine.attention import attended, representative_frame
from training.signs.answers import NOT_KNOWN, SignAnswers
from training.signs.figures import Estimate, Indices, estimates

OVERLAPS = (0.1, 0.2, 0.3, 0.4)
OVERLAP_FIGURES = tuple(f"iou_{overlap:g}" for overlap in OVERLAPS)
REPRESENTATIVE = "representative"
FIGURES = (*OVERLAP_FIGURES, REPRESENTATIVE)

ALL, COMES_AND_GOES, EVERY_FRAME = "all", "comes and goes", "every frame"


def overlap(pointed_at: NDArray[np.bool_], shows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Intersection over union of the frames, (n, T) each, of which `shows` has one or more in every run -> (n,)."""
    return np.asarray((pointed_at & shows).sum(axis=1) / (pointed_at | shows).sum(axis=1), np.float64)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Localised:
    """Runs that show the sign in at least one frame, all of whose frames are known."""

    overlap: NDArray[np.float64]
    """(m,)"""
    is_in_frame: NDArray[np.bool_]
    """The most attended frame shows the sign, (m,)."""
    share_shown: NDArray[np.float64]
    """Of the frames, those that show the sign, (m,): also the overlap of a model that points at all of them."""
    patient: NDArray[np.str_]

    @classmethod
    def of(cls, answers: SignAnswers) -> "Localised | None":
        """None: the model has no attention, it is one of several signs, or nobody knows the frames."""
        if answers.attention is None or answers.frame_label is None or len(answers.signs) != 1:
            return None
        is_known, shows = (answers.frame_label != NOT_KNOWN).all(axis=1), answers.frame_label == 1
        kept = np.flatnonzero((answers.label[:, 0] == 1) & is_known & shows.any(axis=1))
        attention, shows = answers.attention[kept], shows[kept]
        is_in_frame = shows[np.arange(len(kept)), representative_frame(attention)]
        return cls(overlap(attended(attention), shows), is_in_frame, shows.mean(axis=1), answers.patient[kept])

    def __len__(self) -> int:
        return len(self.overlap)

    @property
    def comes_and_goes(self) -> Indices:
        """The runs that show it in some of their frames and not in all: in the others any frame is right."""
        return np.flatnonzero(self.share_shown < 1)

    def figures(self) -> dict[tuple[str, str], Estimate]:
        """("all" runs, those where it "comes and goes", pointing at "every frame"; a name of `FIGURES`) -> its estimate.

        "every frame" is what a model has that knows nothing of time: it points at all frames, and takes any of them for the
        representative one. It is over the runs where the sign comes and goes.
        """
        some = self.comes_and_goes
        return (
            {(ALL, name): found for name, found in estimates(self._shares, self.patient).items()}
            | {(COMES_AND_GOES, name): found for name, found in estimates(lambda i: self._shares(some[i]), self.patient[some]).items()}
            | {(EVERY_FRAME, name): found for name, found in estimates(lambda i: self._blind_shares(some[i]), self.patient[some]).items()}
        )

    def _shares(self, chosen: Indices) -> dict[str, float]:
        return _shares(self.overlap[chosen], self.is_in_frame[chosen])

    def _blind_shares(self, chosen: Indices) -> dict[str, float]:
        return _shares(self.share_shown[chosen], self.share_shown[chosen])


def _shares(overlaps: NDArray[np.float64], is_in_frame: NDArray[np.generic]) -> dict[str, float]:
    # Rounded, so that an overlap of 2 frames in 5 is at least 0.4 whichever way it was divided.
    right = [np.round(overlaps, 9) >= least for least in OVERLAPS]
    return {name: float(hits.mean()) if len(hits) else float("nan") for name, hits in zip(FIGURES, (*right, is_in_frame), strict=True)}
