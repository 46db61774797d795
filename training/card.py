"""The model card: what a bundle was made from and how, what it is worth, what it must not be used for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from service.cine.pooling import Calibration
from service.cine.reference import FEWEST_CLIPS
from service.manifest import LabelledClip
from training.calibrate import MAX_FALSE_ABSENT, MAX_FALSE_PRESENT
from training.experiment import Experiment

INTENDED = """Decision support for trained clinicians looking at a lung-ultrasound clip of one interspace or a few. It says whether the
lung slides past the chest wall in this clip, how sure that is, and where. It is not a medical device and not for diagnosis."""

LIMITS = """* **No clip with known absent sliding was used to train it or to measure it.** No public one is known to us. "Nothing
  slides" was made from real video (controls below) and from phantoms. Its sensitivity for real absence is therefore unknown; we state none.
* Absent sliding is not pneumothorax (one-lung intubation, pleurodesis, adhesions, apnoea, consolidation), and sliding here
  does not exclude a pneumothorax elsewhere.
* Healthy clips are weak positives: the lung was called healthy, nobody looked at sliding. A breath held in a short clip looks like
  absence.
* Few patients, mostly convex probes, three hospitals and web collections; children, very obese patients and subcutaneous emphysema
  hardly at all.
* The pleura finder errs where a fascia runs parallel above the pleura, on effusions and consolidations, and may take gas under the
  skin for pleura. Look at the line drawn.
* The six numbers of the probability were fitted on the clips the network was trained on and their controls: they flatter the network."""

COLLECTION_NAME = "jannisborn/covid19_ultrasound"
COLLECTION = [
    "",
    f"{COLLECTION_NAME} is a public collection on GitHub (Born et al. 2021, doi:10.3390/app11020672). The clips taken from it, all of",
    "them CC BY, are listed with their origin and checksums in `training/experiments/clips.csv`; docs/data.md names the",
    "authors.",
]


def write_card(
    experiment: Experiment, calibration: Calibration, figures: Mapping[str, Any], trained_on: list[LabelledClip], command: str
) -> str:
    """The text of MODEL_CARD.md."""
    sections = {
        "What it is for": [INTENDED],
        "What it is": _what_it_is(experiment, calibration),
        "How it was made": _how_it_was_made(experiment, command, len(trained_on)),
        "What it is worth": [*_controls(figures["controls"]), "", *_verdicts(figures["verdicts"]), "", *_others(figures)],
        "What it does not know": [LIMITS],
        "Data and attribution": _data(trained_on),
    }
    lines = [line for heading, text in sections.items() for line in ("", f"## {heading}", *text)]
    return "\n".join([f"# {experiment.name} {experiment.version}", *lines, ""])


def _what_it_is(experiment: Experiment, calibration: Calibration) -> list[str]:
    fit, spec = experiment.fit, experiment.spec
    return [
        f"{fit.model}, width {fit.width}, on patches {spec.patch_shape} (C T h w; bands {', '.join(spec.bands)}) at {spec.fps:g} fps, "
        f"stabilised by the wall's own motion: {spec.stabilised}. The clip's probability is a logistic",
        "regression on the network's pooled logit, that logit minus the wall's, the measured slide of lung past wall, and that slide",
        "over wall past wall:",
        "",
        f"    logit = {calibration.intercept:+.2f} {calibration.model_logit:+.2f} model "
        f"{calibration.model_past_wall:+.2f} model past wall {calibration.log_slide:+.2f} log slide "
        f"{calibration.log_slide_past_wall:+.2f} log slide past wall",
        "",
        f"Present above {calibration.present_above:.2f}, absent below {calibration.absent_below:.2f}; no verdict when the clip's "
        f"own wall scores above {calibration.wall_control_above:.2f} or a lung point is suspected. The limits are conformal: one more",
        f"clip of a kind of control it was set on is called present with a chance of at most {MAX_FALSE_PRESENT:.0%}, one more healthy "
        f"clip absent with at most {MAX_FALSE_ABSENT:.0%},",
        'as far as such clips are like those (few patients, and the network was trained on them). The control "wall" sets no limit.',
    ]


def _how_it_was_made(experiment: Experiment, command: str, num_clips: int) -> list[str]:
    return [
        "    " + command,
        "",
        f"Seed {experiment.fit.seed}, recipe {dict(experiment.recipe)}. Twins of real video that differ in an added slide alone "
        "(locked, mirror, wall), the clips' own chest walls, and pairs of phantoms; see `training/counterfactual.py`.",
        *input_lines(num_clips),
    ]


def _data(trained_on: Sequence[LabelledClip]) -> list[str]:
    return [
        *attribution(trained_on),
        *(["They were cut into strips, and slides were added to some."] if trained_on else []),
        "",
        "Phantoms are made by `training/phantom`; the golden clip is one.",
    ]


def input_lines(num_clips: int) -> list[str]:
    """A paragraph on how the manifest's `input_statistics` were made, below another; nothing of too few clips for them."""
    if num_clips < FEWEST_CLIPS:
        return []
    return [
        "",
        f"What the {num_clips} clips it learned from were like is in `manifest.json` (`input_statistics`): grey level and contrast of the",
        "lung, grey level of the wall, frame rate, scale, depth of the pleura, motion of wall and lung, quality. Each clip was read as the",
        "service reads one that comes in; of each figure the quintiles are kept, and how many clips lie between them. The service holds",
        "what comes in against them (`seashore_input_drift`).",
    ]


def _controls(table: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = [
        "By clip, on patients and sources held out of training: healthy lungs as they are against each control made of the same clips.",
        "",
        "| control | clips | AUROC (95 %, by patient) | network alone | slide alone | controls called present |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in table.items():
        low, high = row["interval"]
        rows.append(
            f"| {name} | {row['clips']} | {row['auroc']:.2f} ({low:.2f}-{high:.2f}) | {row['model_alone']:.2f} | {row['slide_alone']:.2f} "
            f"| {row['called_present']:.0%} |"
        )
    return rows


def _verdicts(table: Mapping[str, Mapping[str, int]]) -> list[str]:
    said = ("present", "indeterminate", "absent", "not_assessable")
    rows = [
        "Verdicts on the same clips, as the service gives them (open where the pleural line is doubtful, the probe moves, the windows",
        "disagree, or a lung point is suspected):",
        "",
        "| clip | " + " | ".join(said) + " |",
        "|---|" + "---|" * len(said),
    ]
    return rows + [f"| {kind} | " + " | ".join(str(counts.get(s, 0)) for s in said) + " |" for kind, counts in table.items()]


def _others(figures: Mapping[str, Any]) -> list[str]:
    points, phantoms = figures["lung_point_composites"], figures["phantoms"]
    return [
        f"Lung-point composites of two real clips: {points['found']} of {points['composites']} found, median error "
        f"{_percent(points['median_error_share_of_width'])} of the pleura's width.",
        "",
        f"Phantoms ({phantoms['phantoms']}): pleura within {_number(phantoms['pleura_median_error_px'])} px (median), sliding AUROC "
        f"{phantoms['sliding_auroc']:.3f} ({phantoms['sliding_clips']} clips), lung point found in {phantoms['lung_points_found']} of "
        f"{phantoms['lung_points']}, median error {_percent(phantoms['lung_point_median_error_share_of_width'])} of the width.",
    ]


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.0%}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f}"


def attribution(clips: Sequence[LabelledClip]) -> list[str]:
    """Of the clips that were learnt from, as their licences ask."""
    if not clips:
        return ["No real clips."]
    counted = Counter((clip.source, clip.licence) for clip in clips)
    rows = [
        f"* {count} clips from {source or 'a source not stated'} under {licence or 'a licence not stated'}"
        for (source, licence), count in sorted(counted.items())
    ]
    return ["Real clips:", "", *rows, *(COLLECTION if any(clip.source == COLLECTION_NAME for clip in clips) else [])]
