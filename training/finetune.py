"""A bundle goes on learning on a site's own labelled clips: what is asked, whether the clips suffice, and each step of it.

    work/
      finetune.json      what is fine-tuned on what
      clips.csv          the manifest, every clip given to its part: train, validation (calibrated on) or test (held out)
      examples/ fit/ graphs/ calibration.json figures.json
      report/            both bundles on the held-out clips

Each step is done once: the same command goes on where it was stopped.
"""

import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from service.bundle import Bundle
from service.manifest import NEEDED, OPTIONAL, Label, LabelledClip, Manifest
from service.manifest_writing import cell
from training.batches import Indices
from training.examples import ExampleSet, ExampleWriter
from training.experiment import Experiment, FitSettings, from_table, read_toml, with_changes
from training.fit import Fitted, predict_logits
from training.labelled import LabelledSettings, add_labelled, labelled_clips
from training.recipe import RecipeSettings, add_clips, add_phantoms
from training.regions import check_regions
from training.restore import net_of
from training.splits import CLIP_PARTS, deal_clips

SETTINGS = Path(__file__).with_name("finetune.toml")
RECORD, CLIPS = "finetune.json", "clips.csv"
FEWEST_PATIENTS = 10
_VERSION = re.compile(r"\d+(\.\d+)*([+-][0-9A-Za-z][0-9A-Za-z.+-]*)?")
_LONGEST_VERSION = 32
_SPEED = {"device": "cpu", "num_threads": 1, "num_workers": 0}
"""What changes where and how fast, and not what is fitted."""


class FineTuneError(ValueError):
    """This bundle cannot be fine-tuned on these clips, or not as asked."""


@dataclass(frozen=True, slots=True)
class FineTuneSettings:
    """finetune.toml. No defaults."""

    recipe: RecipeSettings
    labelled: LabelledSettings
    fit: Mapping[str, Any]
    """`FitSettings` without the model and its width, which are the bundle's."""
    phantom_pairs: int


@dataclass(frozen=True, slots=True)
class SiteExperiment(Experiment):
    """An experiment that begins from a bundle; its version may carry a site's name behind the parent's: 1.1.0+site."""

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version) or len(self.version) > _LONGEST_VERSION:
            raise FineTuneError(
                f"The version asked for is not one: needed are digits and dots and, where wanted, a plus sign and a word, "
                f"at most {_LONGEST_VERSION} characters, such as 1.1.0+site."
            )


def read_settings(path: Path | None) -> FineTuneSettings:
    """Raises: ExperimentError, naming the key."""
    return from_table(FineTuneSettings, read_toml(path or SETTINGS), "")


def experiment_of(parent: Bundle, settings: FineTuneSettings, version: str | None, **given: object) -> SiteExperiment:
    """What the new bundle is made with: the parent's name, patches and network; `given` (not None) goes before the settings' fit.

    Raises: RestoreError, ExperimentError, FineTuneError.
    """
    model, width = net_of(parent)
    fit = with_changes(from_table(FitSettings, {**settings.fit, "model": model, "width": width}, "fit"), "fit", **given)
    recipe = {name: getattr(settings.recipe, name) for name in RecipeSettings.__slots__}
    return SiteExperiment(parent.name, version or f"{parent.version}+site", parent.input_spec, recipe, fit)


@dataclass(frozen=True, slots=True, repr=False)
class FineTuning:
    """Everything one fine-tuning depends on."""

    parent: Bundle
    experiment: SiteExperiment
    settings: FineTuneSettings
    parts: Mapping[str, tuple[LabelledClip, ...]]
    """Clips of "train", "validation" and "test"; no patient is in two."""

    def identity(self) -> dict[str, str]:
        """Hashes that change with what is begun from, with what is fitted how, and with the clips."""
        fit = replace(self.experiment.fit, **_SPEED)  # type: ignore[arg-type]
        how = (self.experiment.name, self.experiment.version, fit.to_json(), asdict(self.settings.recipe), asdict(self.settings.labelled))
        clips = [(part, *_identity_of(clip)) for part, members in self.parts.items() for clip in members]
        named = {"bundle it begins from": [str(self.parent), self.parent.sha256], "settings": how, "clips": clips}
        return {name: hashlib.sha256(json.dumps(value).encode()).hexdigest() for name, value in named.items()}


def _identity_of(clip: LabelledClip) -> tuple[str, str, str, str, int]:
    return str(clip.file.resolve()), clip.patient, str(clip.label), clip.region, clip.file.stat().st_size


def deal(manifest: Manifest, seed: int) -> dict[str, tuple[LabelledClip, ...]]:
    """The clips of each part, as `deal_clips`. Raises: FineTuneError when they do not suffice, BadRegion, SplitError."""
    check_regions(manifest)
    num_patients = len(set(manifest.patients))
    if num_patients < FEWEST_PATIENTS:
        raise FineTuneError(
            f"The manifest has clips of {num_patients} patient{'s' if num_patients != 1 else ''}; fine-tuning needs at least "
            f"{FEWEST_PATIENTS}: seven of ten to learn from, and others to set the verdicts' limits on and to judge on, "
            "as nobody may be both learned from and judged on."
        )
    parts = deal_clips(manifest, seed=seed)
    empty = [name for name in CLIP_PARTS if not parts[name]]
    if empty:
        raise FineTuneError(
            f"The manifest's split column gives no clip to {' and none to '.join(empty)}; each of {', '.join(CLIP_PARTS)} needs some."
        )
    if not any(clip.label in (Label.PRESENT, Label.HEALTHY) for name in ("train", "validation") for clip in parts[name]):
        raise FineTuneError(
            "None of the clips that are not held out is labelled present or healthy; at least one is needed, "
            "as the limit below which sliding is called absent is set on lungs that slide."
        )
    return parts


def open_work(folder: Path, tuning: FineTuning) -> None:
    """Begin or go on in `folder`, where the parts are written down. Raises: FineTuneError when it holds another fine-tuning."""
    identity = tuning.identity()
    if (folder / RECORD).exists():
        begun = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        differ = [name for name, value in identity.items() if begun.get(name) != value]
        if differ:
            raise FineTuneError(
                f"The work folder holds another fine-tuning: not the same {', not the same '.join(differ)}. "
                "Remove it, or name another with --work."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    _write_parts(folder / CLIPS, tuning.parts)
    (folder / RECORD).write_text(json.dumps(identity, indent=2) + "\n", encoding="utf-8")


def _write_parts(path: Path, parts: Mapping[str, tuple[LabelledClip, ...]]) -> None:
    """The manifest again, its split column filled; a clip keeps the row it had, so that a report speaks of the site's own rows."""
    rows = {clip.row: replace(clip, file=clip.file.resolve(), split=part) for part, clips in parts.items() for clip in clips}
    columns = (*NEEDED, *OPTIONAL)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(columns)
        for number in range(2, max(rows) + 1):
            table.writerow([cell(rows[number], name) for name in columns] if number in rows else [""] * len(columns))


def make_examples(tuning: FineTuning, folder: Path) -> Iterator[str]:
    """Twins of every clip learned from, labelled patches, phantoms. Yields a line on each piece."""
    clips, spec, jobs = tuning.parts["train"], tuning.experiment.spec, tuning.experiment.fit.num_threads
    with ExampleWriter(folder, spec) as writer:
        yield from add_clips(writer, clips, spec, tuning.settings.recipe, jobs=jobs)
        yield from add_labelled(writer, clips, spec, tuning.settings.labelled)
        yield from add_phantoms(writer, spec, tuning.settings.recipe, jobs=jobs)


def num_pieces(tuning: FineTuning) -> int:
    """How many lines `make_examples` yields."""
    clips = tuning.parts["train"]
    return len(clips) + len(labelled_clips(clips)) + tuning.settings.recipe.phantoms


@dataclass(frozen=True, slots=True)
class Chosen:
    """The weights of lower validation loss: the parent's, or the fine-tuned."""

    fitted: Fitted
    loss_before: float
    loss_after: float
    epoch: int
    """Of the fine-tuned ones."""

    @property
    def is_parent(self) -> bool:
        return not self.loss_after < self.loss_before

    @property
    def sentence(self) -> str:
        kept = "the bundle's own weights stay" if self.is_parent else "the fine-tuned weights are taken"
        return f"Validation loss {self.loss_before:.3f} before, {self.loss_after:.3f} after epoch {self.epoch}: {kept}."


def choose(parent: nn.Module, fitted: Fitted, examples: ExampleSet, validation: Indices) -> Chosen:
    """What has not become better on patients it was not fitted to stays as it was: a few clips can make a network worse."""
    before, after = (validation_loss(model, examples, validation) for model in (parent, fitted.model))
    chosen = fitted if after < before else replace(fitted, model=parent)
    return Chosen(chosen, before, after, fitted.epoch)


def validation_loss(model: nn.Module, examples: ExampleSet, validation: Indices) -> float:
    logits = torch.from_numpy(predict_logits(model, examples, validation))
    return float(F.binary_cross_entropy_with_logits(logits, torch.from_numpy(examples.label[validation])))
