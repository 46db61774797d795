"""A fitted network and what its folds were worth -> a bundle of signs, with its golden clip and card."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.manifest import LabelledClip
from service.sign_bundle import Domain, SignBundle, Told, write_sign_bundle
from service.sign_loading import golden_of
from training.card import attribution
from training.golden import write_golden_clip
from training.signs.answers import SignAnswers
from training.signs.fit import FittedSign
from training.signs.limits import MAX_WRONG, MIN_PATIENTS, MIN_RIGHT, MIN_SAID, Worth, told_of
from training.signs.networks import build_network, num_parameters
from training.signs.packed import export_packed, outputs_of
from training.signs.preset import Preset
from training.signs.tellings import TOGETHER, as_served, tellings

INTENDED = """A research finding beside lung sliding, for people who are trained in lung ultrasound and look at the clip themselves.
It stands for itself: nothing is concluded from it, nor from several together. It is not a medical device and not for diagnosis."""

OF_SIGNS = """* Few patients, of web collections and two hospitals; what is called A-lines, B-lines, effusion or consolidation is what the
  collection's readers wrote of a whole clip, and clips called healthy are taken to show no B-lines, effusion or consolidation."""
OF_SLIDING = """* It reads sliding a second time, on whole frames. It is not the answer on sliding; where it contradicts that one, only the
  clip can say which is right.
* What is called present or absent sliding is what the manifest says of a whole clip."""
CAVEATS = """\
* The limits of "present" and "absent" were set on the same clips that say what they are worth, though never on the same patient; and
  where network or domain were chosen with these clips in view, the figures flatter a little.
* What it sees (attention, maps) shows where a number came from, not that it is right.
* Another hospital's scanner may be read worse. Between the limits it says nothing."""


class NothingToTell(ValueError):
    """No sign is told better than a coin would, so there is nothing to ship."""


class NotServable(ValueError):
    """The service cannot make what the network is given."""


@dataclass(frozen=True, slots=True)
class Made:
    """From what, and how."""

    name: str
    version: str
    clips_words: str
    """What the clips are that it was judged on, such as "public POCUS clips"."""
    domain: Domain
    commands: Sequence[str]
    learnt_from: Sequence[LabelledClip]


def write_bundle_of(store: Path, fitted: FittedSign, judged: SignAnswers, served: SignAnswers, made: Made) -> SignBundle:
    """`judged`: by networks fitted alike, each on clips of patients that it did not learn from; `served`: by `fitted` itself. Clips outside
    the domain, which the service does not answer, say nothing of what it is worth. Signs whose AUROC may be that of a coin are left out.

    Raises: NothingToTell; NotServable; NoDomain; ExportDisagrees; TooLarge; BadBundle.
    """
    if fitted.preset.raft:
        raise NotServable("This network was fitted to flow by RAFT, and the service makes flow by DIS alone. Fit it without --raft.")
    judged, served = (as_served(answers.of(made.domain)) for answers in (judged, served))
    found = {sign: told_of(judged, served, sign, made.clips_words) for sign in tellings(judged.signs)}
    tells = tuple(told for told, worth in found.values() if worth.is_offered)
    if not tells:
        raise NothingToTell("No sign is surely told better than by a coin, on patients enough: there is nothing that may be served.")
    with tempfile.TemporaryDirectory() as scratch:
        graph = export_packed(fitted.model, fitted.preset, Path(scratch) / "model.onnx")
        return write_sign_bundle(
            store,
            name=made.name,
            version=made.version,
            model_onnx=graph,
            golden_clip=write_golden_clip(Path(scratch)),
            golden_answer=golden_of,
            model_card=card_of(fitted, found, made),
            frames=fitted.preset.frames,
            outputs=outputs_of(fitted.model, fitted.preset),
            tells=tells,
            domain=made.domain,
            training={"preset": fitted.preset.name, "seed": fitted.preset.fit.seed, "commands": list(made.commands)},
        )


def card_of(fitted: FittedSign, found: Mapping[str, tuple[Told, Worth]], made: Made) -> str:
    """The text of MODEL_CARD.md."""
    preset, frames = fitted.preset, fitted.preset.frames
    runs = f"{frames.num_frames} frames at {frames.fps:g} a second" if frames.num_frames > 1 else f"single frames, {frames.fps:g} a second"
    runs += f", as optical flow over {frames.flow_step}" if frames.is_flow else ""
    together = [told for told, worth in found.values() if worth.is_offered and told.sign in TOGETHER]
    least = f"{made.domain.least_fps:g} different frames a second"
    return "\n".join(
        [
            f"# {made.name} {made.version}",
            "",
            "## What it is for",
            INTENDED,
            "",
            "## What it is",
            f"Preset `{preset.name}` (`training/experiments/signs/{preset.name}.toml`): {runs}, {frames.side_px} px, geometry",
            f'"{frames.geometry}"; {num_parameters(fitted.model):,} parameters. A clip has the mean logit of its runs, calibrated (Platt).',
            *(f"{told.sign} has, of each run, the greatest logit of {' and '.join(TOGETHER[told.sign])}." for told in together),
            f"It answers clips of {' and '.join(made.domain.probes)} probes with at least {least}, and no others.",
            *_distilled(preset),
            "",
            "## How it was made",
            *(f"    {command}" for command in made.commands),
            "",
            f"Seed {preset.fit.seed}. {preset.source}",
            "",
            "## What it is worth",
            f"By networks fitted alike, on {made.clips_words} that it answers, of patients that they did not learn from; intervals are",
            "95 %, over patients. Limits are conformal: one more patient without the sign is called present with a chance of at most "
            f"{MAX_WRONG:.0%}, one",
            "more with it absent, as far as such patients are like those. Of patients that no limit was set on, a word must be right in",
            f"{MIN_RIGHT:.0%} of {MIN_SAID} clips or more, or it is never said; nor is it where this very network is right less often",
            "of clips that it did not learn from (behind the semicolon).",
            f"A sign of fewer than {MIN_PATIENTS} patients, or one that may be told by a coin, is not told at all.",
            "",
            "| sign | clips | patients | with the sign | AUROC | every sign stated | called present, right | absent, right | offered |",
            "|---|---|---|---|---|---|---|---|---|",
            *(_row(told, worth) for told, worth in found.values()),
            "",
            "## What it does not know",
            OF_SLIDING if preset.learns == "sliding" else OF_SIGNS,
            CAVEATS,
            "",
            "## Data and attribution",
            *attribution(made.learnt_from),
            "",
            "Phantoms are made by `training/phantom`; the golden clip is one.",
            "",
        ]
    )


def _distilled(preset: Preset) -> list[str]:
    if not preset.distil.teachers:
        return []
    teacher = preset.teacher(1)
    theirs = "as large as itself" if teacher.network == preset.network else f"of {num_parameters(build_network(teacher)):,} parameters"
    return [
        f"It is distilled: {preset.distil.share:.0%} of its loss is to the mean answer of {preset.distil.teachers} networks {theirs}, each",
        "fitted to the same clips from a seed of its own (Hinton 2015, arXiv 1503.02531); the rest is to the labels.",
    ]


def _row(told: Told, worth: Worth) -> str:
    low, high = worth.interval
    said = " | ".join(f"{word.said}, {word.right}; {word.served_said}, {word.served_right}" for word in (worth.present, worth.absent))
    stated_low, stated_high = worth.stated_interval
    figure = f"{worth.auroc:.2f} ({low:.2f}-{high:.2f}) | {worth.stated_auroc:.2f} ({stated_low:.2f}-{stated_high:.2f})"
    return f"| {told.sign} | {worth.num_clips} | {worth.num_patients} | {worth.num_there} | {figure} | {said} | {_offered(told, worth)} |"


def _offered(told: Told, worth: Worth) -> str:
    if not worth.is_offered:
        return "no"
    words = [f'"present" above {told.present_above:.2f}'] if worth.present.may_be_said else []
    words += [f'"absent" below {told.absent_below:.2f}'] if worth.absent.may_be_said else []
    return ", ".join(words) or "its probability alone"
