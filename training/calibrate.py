"""How much each witness counts, and where the verdicts begin: the last step of training, on clips and their controls."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from service.cine.pooling import Calibration, Evidence, Summary, contrasts, decide, logit_of, pool, sigmoid, summarise
from service.findings import Verdict
from training.controls import Control, Seen

Floats = NDArray[np.float64]

MAX_FALSE_PRESENT = 0.05
"""Share of each kind of control, in which nothing slides, that may be called present."""
MAX_FALSE_ABSENT = 0.05
"""Share of healthy clips that may be called absent."""
SETS_NO_LIMIT = frozenset({Control.WALL})
"""Wall from further along the clip does move past the wall it is put under, wherever walls bend; a lung that is not there shows the
wall right above it (the mirror). It counts in the weights and is reported; held to it, two healthy clips of three got no verdict."""
WIDEST_BAND = (0.1, 0.9)
NARROWEST_BAND = (0.35, 0.65)
"""The abstention band is at least this wide, however well the few clips at hand are told apart."""
PENALTY = 0.02
LEAST_CONTRAST = 2.0
"""Of a lung point, in logits: one side seven times as likely to slide as the other."""


class CalibrationError(ValueError):
    """There is nothing to calibrate on."""


@dataclass(frozen=True, slots=True)
class CalibrationClip:
    """One clip, as it is or made into a control."""

    seen: Seen
    slides: bool
    patient: str
    kind: str
    """"as_is" or the control's name."""
    duration_s: float

    @property
    def evidence(self) -> Evidence:
        return self.seen.evidence


def fit_weights(clips: Sequence[CalibrationClip]) -> tuple[float, Floats]:
    """Logistic regression with weights that cannot be negative: (intercept, weights (4,)).

    No witness may speak against itself: with a few dozen clips a free fit would use the noise of one to correct another.
    Both classes count alike, and each kind of control as much as every other.
    """
    features = torch.tensor(np.stack([summarise(clip.evidence).features() for clip in clips]))
    truth = torch.tensor([float(clip.slides) for clip in clips], dtype=torch.float64)
    weight = torch.tensor(_balance([clip.kind for clip in clips], [clip.slides for clip in clips]))
    raw = torch.full((features.shape[1],), -1.0, dtype=torch.float64, requires_grad=True)
    intercept = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([raw, intercept], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        weights = functional.softplus(raw)
        logits = features @ weights + intercept
        value = (functional.binary_cross_entropy_with_logits(logits, truth, reduction="none") * weight).sum()
        value = value + PENALTY * (weights**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return float(intercept.detach()), functional.softplus(raw).detach().numpy()


def _balance(kinds: Sequence[str], slides: Sequence[bool]) -> Floats:
    """Weights that sum to 1: half for each class, within a class the same for each kind."""
    weight = np.zeros(len(kinds))
    for truth in (True, False):
        names = {kind for kind, s in zip(kinds, slides, strict=True) if s is truth}
        for name in names:
            chosen = np.array([k == name and s is truth for k, s in zip(kinds, slides, strict=True)])
            weight[chosen] = 0.5 / len(names) / chosen.sum()
    return weight


def calibrate(clips: Sequence[CalibrationClip], patch_logits: Floats, patch_labels: Floats) -> Calibration:
    """Weights, abstention band and limits from clips (controls among them) and from held-out patches.

    `patch_logits`, `patch_labels` (n,) scale the probability of single patches. Raises: CalibrationError.
    """
    usable = [clip for clip in clips if summarise(clip.evidence).is_complete]
    sliding = sum(clip.slides for clip in usable)
    if not 0 < sliding < len(usable):
        raise CalibrationError(
            f"Of the validation clips and their controls that can be read, {sliding} slide and {len(usable) - sliding} do not; "
            "calibration needs both: clips labelled present or healthy."
        )
    intercept, weights = fit_weights(usable)
    scale, offset = _platt(patch_logits, patch_labels)
    model_logit, model_past_wall, log_slide, log_slide_past_wall = (float(weight) for weight in weights)
    draft = Calibration(
        intercept, model_logit, model_past_wall, log_slide, log_slide_past_wall, scale, offset, 0.0, 1.0, 1.0, lung_point_contrast=1e9
    )
    healthy = [clip.evidence for clip in usable if clip.slides]
    draft = replace(
        draft,
        wall_control_above=_wall_limit([summarise(evidence) for evidence in healthy], draft),
        lung_point_contrast=_contrast_limit([clip.evidence for clip in usable], draft),
    )
    return replace(
        draft,
        absent_below=float(np.clip(_absent_limit(usable, draft), WIDEST_BAND[0], NARROWEST_BAND[0])),
        present_above=float(np.clip(_present_limit(usable, draft), NARROWEST_BAND[1], WIDEST_BAND[1])),
    )


def _present_limit(clips: Sequence[CalibrationClip], draft: Calibration) -> float:
    """Above it, of every kind of control but those that set no limit, at most MAX_FALSE_PRESENT are called present."""
    anything = replace(draft, absent_below=0.0, present_above=0.0)
    kinds = {clip.kind for clip in clips if not clip.slides and clip.kind not in SETS_NO_LIMIT}
    limits = [0.0]
    for kind in kinds:
        called = [_called(clip, anything, Verdict.PRESENT, otherwise=0.0) for clip in clips if clip.kind == kind]
        limits.append(conformal_limit(np.array(called), MAX_FALSE_PRESENT))
    return max(limits)


def _absent_limit(clips: Sequence[CalibrationClip], draft: Calibration) -> float:
    """Below it at most MAX_FALSE_ABSENT of the healthy clips are called absent."""
    anything = replace(draft, absent_below=1.0, present_above=1.0)
    called = [_called(clip, anything, Verdict.ABSENT, otherwise=1.0) for clip in clips if clip.slides]
    return -conformal_limit(-np.array(called), MAX_FALSE_ABSENT)


def _called(clip: CalibrationClip, calibration: Calibration, verdict: Verdict, *, otherwise: float) -> float:
    """The clip's probability where every rule but the limit itself lets it have this verdict."""
    pooled = pool(clip.evidence, calibration)
    if pooled is None or decide(pooled, calibration, clip.duration_s, is_doubted=clip.seen.is_doubted) is not verdict:
        return otherwise
    return pooled.probability


def conformal_limit(values: Floats, share: float) -> float:
    """A value that one more clip of the same kind exceeds with a chance of at most `share` (split conformal prediction,
    Vovk 2005): the ceil((n + 1)(1 - share))-th smallest, and the largest where n is too small to promise that."""
    rank = int(np.ceil((len(values) + 1) * (1 - share)))
    return float(np.sort(values)[min(rank, len(values)) - 1])


def _platt(logits: Floats, labels: Floats) -> tuple[float, float]:
    """Scale and offset of a patch's logit, by logistic regression."""
    x, y = torch.tensor(logits, dtype=torch.float64), torch.tensor(labels, dtype=torch.float64)
    parameters = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = functional.binary_cross_entropy_with_logits(parameters[0] * x + parameters[1], y)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    scale, offset = parameters.detach().tolist()
    return float(scale), float(offset)


def _wall_limit(summaries: Sequence[Summary], calibration: Calibration) -> float:
    """Nineteen of twenty healthy clips' walls lie below; never under 0.5."""
    walls = [sigmoid(logit_of(summary.of_wall(), calibration)) for summary in summaries if summary.of_wall().is_complete]
    return float(np.clip(np.quantile(walls, 0.95), 0.5, 0.9)) if walls else 0.5


def _contrast_limit(evidences: Sequence[Evidence], calibration: Calibration) -> float:
    """Nineteen of twenty clips without a lung point show less contrast between two sides of the pleura."""
    found = [contrasts(evidence, calibration).max(initial=0.0) for evidence in evidences]
    return float(max(np.quantile(found, 0.95), LEAST_CONTRAST))
