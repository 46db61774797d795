"""`seashore train fit MANIFEST --from BUNDLE`: fine-tune on a site's clips, write a bundle of its own, and report before and after."""

import json
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import track
from typer.main import get_command

from service.bundle import Bundle, resolve
from service.bundle_files import MANIFEST, MODEL
from service.manifest import Label, read_manifest

if TYPE_CHECKING:  # torch comes with them: `--help` does without
    from torch import nn

    from service.cine.pooling import Calibration
    from training.finetune import Chosen, FineTuning

EPILOG = """
Example: seashore train fit training/experiments/default.toml --device auto

Example: seashore train fit ward.csv --from pleura-resnet3d-18 --version 1.1.2+ward

Example: seashore train fit ward.parquet --clips /data/clips --from /data/store/our-model/0.1.0 --store /data/store

The manifest is a table with the columns file, patient and label (present, absent, lung_point, healthy or unknown) and, where
wanted, split (train, validation, test) and region. At least 10 patients are needed. Every clip is learned from by way of twins
that need no label; the labels present and absent only where both are there, of two patients each or more.

Where the fine-tuned weights are no better on patients not fitted to, the bundle's own stay. The report is in
WORK/report/report.html: both bundles on the clips held out. Serve the new one with SEASHORE_MODEL_STORE=runs/model_store.
"""
DEFAULT_STORE = Path("runs/model_store")
CALIBRATION, FIGURES, GRAPHS, REPORT = "calibration.json", "figures.json", "graphs", "report"
_TABLES = (".csv", ".parquet")

err = Console(stderr=True, highlight=False, soft_wrap=True)


class AskedWrongly(ValueError):
    """What was asked for does not go together."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's arguments; None was not given."""

    what: Path
    parent: str | None = None
    clips: Path | None = None
    version: str | None = None
    store: Path | None = None
    settings: Path | None = None
    work: Path | None = None
    device: str | None = None
    threads: int | None = None

    @property
    def begins_from_a_bundle(self) -> bool:
        """False for an experiment, which begins from nothing. Raises: AskedWrongly."""
        is_table = self.what.suffix.lower() in _TABLES
        if is_table and self.parent is None:
            raise AskedWrongly("A manifest is learned from by a bundle: --from NAME[:VERSION] or a bundle's folder says which.")
        if not is_table and self.what.suffix.lower() != ".toml":
            raise AskedWrongly(
                "What is fitted is an experiment (.toml), or with --from a manifest of clips (.csv or .parquet); the file named is neither."
            )
        if not is_table and self._for_a_manifest:
            raise AskedWrongly(
                f"{self._for_a_manifest[0]} goes with a manifest (.csv or .parquet) that a bundle is fine-tuned on; "
                "an experiment says itself what is fitted, and begins from nothing."
            )
        return is_table

    @property
    def _for_a_manifest(self) -> list[str]:
        given = {
            "--from": self.parent,
            "--clips": self.clips,
            "--version": self.version,
            "--store": self.store,
            "--settings": self.settings,
        }
        return [name for name, value in given.items() if value is not None]


def fine_tune(asked: Asked) -> None:
    """Every step that is not done yet. Raises: what the steps raise, each with a sentence."""
    from training.finetune import FineTuning, deal, experiment_of, open_work, read_settings
    from training.restore import restore

    _require_report()
    manifest = read_manifest(asked.what, asked.clips)
    parent = find_parent(asked.parent or "")
    settings = read_settings(asked.settings)
    experiment = experiment_of(parent, settings, asked.version, device=asked.device, num_threads=asked.threads)
    store = asked.store or DEFAULT_STORE
    folder = asked.work or Path("runs") / f"{experiment.name}-{experiment.version}"
    _check_free(store / experiment.name / experiment.version, folder)
    tuning = FineTuning(parent, experiment, settings, deal(manifest, experiment.fit.seed))
    with err.status(f"Restoring {parent} and holding it against its own graphs ..."):
        model = restore(parent)
    open_work(folder, tuning)
    _tell_parts(tuning)
    _learn(tuning, model, folder)
    bundle = _write(tuning, model, folder, store)
    _report(bundle, parent, tuning, folder)


def _require_report() -> None:
    """Before anything is fitted: whoever lacks these must not learn it after a night."""
    if not all(map(find_spec, ("matplotlib", "jinja2"))):
        raise AskedWrongly('The report needs matplotlib and jinja2, which are not installed: pip install "seashore[report]"')


def find_parent(name: str) -> Bundle:
    """A bundle by its folder, or by name from the store that is served; it must answer its golden clip. Raises: SeashoreError."""
    from service.loading import load_model
    from service.settings import Settings

    folder = Path(name)
    directory = folder if (folder / MANIFEST).is_file() else resolve(Settings().model_store, name)
    with err.status("Loading the bundle to begin from ..."):
        return load_model(directory.absolute(), "cpu").bundle


def _check_free(target: Path, folder: Path) -> None:
    """Before anything is fitted: a bundle is never overwritten. One that this very work folder wrote is reported on again."""
    graph = folder / GRAPHS / MODEL
    is_ours = graph.exists() and (target / MODEL).exists() and graph.read_bytes() == (target / MODEL).read_bytes()
    if target.exists() and not is_ours:
        raise AskedWrongly(
            f"There is a bundle {target.parent.name}:{target.name} in that store already, and one is never overwritten; "
            "--version gives the new one a number of its own."
        )


def _tell_parts(tuning: "FineTuning") -> None:
    from training.labelled import MIN_PATIENTS_OF_EACH, both_labels

    words = {"train": "to learn from", "validation": "to calibrate on", "test": "held out"}
    counts = [f"{len(clips)} of {len({clip.patient for clip in clips})} {words[part]}" for part, clips in tuning.parts.items()]
    err.print(f"Clips of patients: {', '.join(counts)}.", markup=False)
    if not both_labels(tuning.parts["train"]):
        err.print(
            f"Labels are not learned from: that needs clips of {MIN_PATIENTS_OF_EACH} patients labelled present and of "
            f"{MIN_PATIENTS_OF_EACH} labelled absent among those to learn from. Twins of all clips are."
        )
    held_out = {clip.label for clip in tuning.parts["test"]}
    missing = [str(label) for label in (Label.PRESENT, Label.ABSENT) if label not in held_out]
    if missing:
        err.print(f"No clip held out is labelled {' and none '.join(missing)}: the report cannot say how well that is told.")


def _learn(tuning: "FineTuning", model: "nn.Module", folder: Path) -> None:
    """The examples and the fit."""
    from training.examples import read_examples
    from training.finetune import make_examples, num_pieces
    from training.fit import fit

    if not (folder / "examples").exists():
        for line in track(make_examples(tuning, folder / "examples"), "Examples", total=num_pieces(tuning), console=err):
            if "passed over" in line:
                err.print(line, markup=False)
    examples = read_examples(folder / "examples")
    err.print(f"{examples}", markup=False)
    fit(examples, tuning.experiment.fit, folder / "fit", start=model.state_dict(), progress=err.is_terminal)


def _write(tuning: "FineTuning", model: "nn.Module", folder: Path, store: Path) -> Bundle:
    """Choose the weights, export, calibrate, judge and write the bundle, or read the one that was written."""
    from service.bundle import read_bundle
    from service.cine.pooling import Calibration
    from training.assemble import export_graphs
    from training.examples import read_examples
    from training.finetune import choose
    from training.finetune_bundle import write_site_bundle
    from training.fit import BEST, load_fitted, read_validation

    experiment = tuning.experiment
    target = store / experiment.name / experiment.version
    if target.exists():
        return read_bundle(target)
    examples, validation = read_examples(folder / "examples"), read_validation(folder / "fit")
    chosen = choose(model, load_fitted(folder / "fit" / BEST), examples, validation)
    err.print(chosen.sentence, markup=False)
    if not (folder / CALIBRATION).exists():
        with err.status("Exporting the graphs and checking them against torch ..."):
            export_graphs(chosen.fitted, folder / GRAPHS)
    calibration = Calibration.from_json(_kept(folder / CALIBRATION, lambda: _calibrate(tuning, chosen, folder).to_json()))
    figures = _kept(folder / FIGURES, lambda: _judge(tuning, chosen, calibration, folder))
    command = shlex.join(["seashore", *sys.argv[1:]])
    with err.status("Writing the bundle ..."):
        bundle = write_site_bundle(store, tuning, folder / GRAPHS, calibration, figures, chosen, command, len(examples))
    err.print(f"The bundle is in {bundle.directory}", markup=False)
    return bundle


def _calibrate(tuning: "FineTuning", chosen: "Chosen", folder: Path) -> "Calibration":
    from training.assemble import CALIBRATION_SEED, calibrate_on, open_exported, read_all
    from training.evaluate import for_calibration
    from training.examples import read_examples
    from training.finetune_limits import cautious
    from training.fit import read_validation

    # On every clip that is not held out, as `seashore train calibrate` does: six numbers need more clips than one part has.
    clips = [clip for part in ("train", "validation") for clip in tuning.parts[part]]
    with err.status(f"Reading {len(clips)} clips and their controls ..."):
        read = read_all(clips, open_exported(folder / GRAPHS), chosen.fitted, CALIBRATION_SEED)
    found = calibrate_on(read, chosen.fitted, read_examples(folder / "examples"), read_validation(folder / "fit"))
    return cautious(found, tuning.parent.calibration, for_calibration(read))


def _judge(tuning: "FineTuning", chosen: "Chosen", calibration: "Calibration", folder: Path) -> dict[str, Any]:
    from training.assemble import EVALUATION_SEED, evaluate_on, open_exported, read_all

    engine, clips = open_exported(folder / GRAPHS), list(tuning.parts["test"])
    with err.status(f"Reading {len(clips)} held-out clips, their controls and phantoms ..."):
        read = read_all(clips, engine, chosen.fitted, EVALUATION_SEED)
        return evaluate_on(read, engine, chosen.fitted, calibration, phantom_pairs=tuning.settings.phantom_pairs)


def _report(bundle: Bundle, parent: Bundle, tuning: "FineTuning", folder: Path) -> None:
    """`seashore validate` on the clips held out, the new bundle against the one it began from. Raises: typer.Exit as it does."""
    from service.cli import build_app
    from service.reader import ClipReader
    from training.finetune import CLIPS

    arguments = ["validate", f"{folder / CLIPS}", "--split", "test", "--out", f"{folder / REPORT}"]
    arguments += ["--store", f"{bundle.directory.parent.parent}", "--model", str(bundle), "--against", f"{parent.directory}"]
    arguments += ["--jobs", str(tuning.experiment.fit.num_threads), "--device", "cpu"]
    err.print(f"The same again, whenever it is wanted: {shlex.join(['seashore', *arguments])}", markup=False)
    status = get_command(build_app(ClipReader)).main(arguments, prog_name="seashore", standalone_mode=False)
    if status:
        raise typer.Exit(status)


def _kept(path: Path, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What a step left, or what it leaves now."""
    if not path.exists():
        _write_json(path, make())
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Whole or not at all: a step may be stopped at any moment."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
