"""The command `seashore train`: one step a sub-command, each leaving its result in a folder for the next.

    work/  examples/  -fit->  fit/  -calibrate->  graphs/ calibration.json  -evaluate->  figures.json  -export->  model_store/NAME/VERSION/

Every step reads the same experiment and the same manifest, so that each sees its own part of the patients.
"""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from service.errors import SeashoreError
from service.manifest import Label, LabelledClip, Manifest, read_manifest
from training import data_cli, sign_bundle_cli
from training.experiment import Experiment, from_table, read_experiment, with_changes
from training.finetune_cli import EPILOG as FIT_EPILOG
from training.finetune_cli import Asked, fine_tune
from training.grid_cli import grid
from training.signs_cli import signs
from training.trials_cli import trials

T = TypeVar("T")

EXIT_FAILED = 1
PHANTOM_CLIPS, PHANTOM_CLIP_SEED = 12, 7
"""Encoded and read as clips, where there is no manifest: to calibrate on, and as many to judge on."""
PHANTOM_PAIRS_TO_JUDGE_ON = 20
EPILOG = """
Examples:

  seashore train all training/experiments/quick.toml          a small model from phantoms, in minutes

  seashore train all training/experiments/default.toml --manifest clips.csv

  seashore train all training/experiments/default.toml --manifest training/experiments/clips.csv --clips clips

  seashore train fit training/experiments/default.toml        one step; what was stopped goes on

  seashore train fit ward.csv --from pleura-resnet3d-18       fine-tune a bundle on your clips, with a report

  seashore train data check clips.csv --report leaks.md       what a model could learn by heart

  seashore train grid clips.csv                               the published study on your clips, with a report

  seashore train signs blines-c2d-lstm-a --quick              a published model of the signs around sliding, in minutes

  seashore train reexport pleura-resnet3d-18 --version 1.1.3   the same answers, its saliency graph written anew

  seashore train curves --out runs/curves                     how answers change as clips get worse

  seashore train trials --manifest clips.csv --out trials     does motion against the wall decide?

  seashore train pleura training/experiments/pleura_annotations.json --clips clips --out pleura.onnx
"""

err = Console(stderr=True, highlight=False, soft_wrap=True)
app = typer.Typer(
    name="train",
    help="Train a model on simulated clips and on your own, and put it into the model store.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ExperimentFile = Annotated[Path, typer.Argument(metavar="EXPERIMENT.toml", help="What is trained, as in training/experiments/.")]
Work = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the steps leave their results; runs/NAME-VERSION unless given.")]
ManifestFile = Annotated[Path | None, typer.Option("--manifest", metavar="CLIPS.csv", help="Table of clips: file,patient,label,...")]
ClipsFolder = Annotated[
    Path | None, typer.Option("--clips", metavar="FOLDER", help="Where the manifest's clips lie; the manifest's own folder unless given.")
]
Store = Annotated[Path, typer.Option(metavar="FOLDER", help="The model store the bundle goes to.")]
Device = Annotated[str | None, typer.Option(help="cpu or auto; as the experiment says unless given.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads to compute with; as the experiment says unless given.")]
DEFAULT_STORE = Path("model_store")


class TrainingStepMissing(ValueError):
    """A step was asked for before one that it needs."""


class ManifestMissing(ValueError):
    """A folder of clips was named, and no table that says what they are."""


@app.command(epilog="Example: seashore train examples training/experiments/default.toml --manifest clips.csv")
def examples(experiment: ExperimentFile, manifest: ManifestFile = None, clips: ClipsFolder = None, work: Work = None) -> None:
    """Make the examples: phantoms, and both classes out of each real clip of the manifest."""
    with _told():
        _make_examples(read_experiment(experiment), _read(manifest, clips), work)


@app.command(epilog=FIT_EPILOG)
def fit(
    what: Annotated[
        Path, typer.Argument(metavar="EXPERIMENT.toml|MANIFEST", help="What is fitted; or with --from, labelled clips (.csv, .parquet).")
    ],
    parent: Annotated[
        str | None, typer.Option("--from", metavar="NAME[:VERSION]|FOLDER", help="Fine-tune this bundle, of the store served or a folder.")
    ] = None,
    clips: ClipsFolder = None,
    version: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Of the new bundle; that of --from with +site unless given.")
    ] = None,
    store: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the new bundle goes; runs/model_store unless given.")] = None,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="How it is fine-tuned; training/finetune.toml unless given.")
    ] = None,
    work: Work = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Fit the network; goes on where a stopped fit was. The weights of lowest validation loss are kept.

    With --from, a bundle learns on from labelled clips: a new bundle in a store of your own, calibrated and with its card, and a
    report of both on the patients held out.
    """
    with _told():
        asked = Asked(what, parent, clips, version, store, settings, work, device, threads)
        if asked.begins_from_a_bundle:
            fine_tune(asked)
        else:
            _fit(read_experiment(what), work, device, threads)


@app.command(epilog="Example: seashore train calibrate training/experiments/default.toml --manifest clips.csv")
def calibrate(experiment: ExperimentFile, manifest: ManifestFile = None, clips: ClipsFolder = None, work: Work = None) -> None:
    """Turn logits into probabilities, and set the band in which the answer is "cannot tell"."""
    with _told():
        _calibrate(read_experiment(experiment), _read(manifest, clips), work)


@app.command(epilog="Example: seashore train evaluate training/experiments/default.toml --manifest clips.csv")
def evaluate(experiment: ExperimentFile, manifest: ManifestFile = None, clips: ClipsFolder = None, work: Work = None) -> None:
    """Judge on clips of patients held out of training against hard controls made of them, and on phantoms."""
    with _told():
        _evaluate(read_experiment(experiment), _read(manifest, clips), work)


@app.command(epilog="Example: seashore train export training/experiments/default.toml --store model_store")
def export(
    experiment: ExperimentFile,
    manifest: ManifestFile = None,
    clips: ClipsFolder = None,
    work: Work = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Write the bundle: graphs checked against torch, calibration, golden clip, model card with the figures."""
    with _told():
        _export(read_experiment(experiment), _read(manifest, clips), work, store)


@app.command("all", epilog="Example: seashore train all training/experiments/quick.toml")
def run_all(
    experiment: ExperimentFile,
    manifest: ManifestFile = None,
    clips: ClipsFolder = None,
    work: Work = None,
    store: Store = DEFAULT_STORE,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Every step in turn. Examples that are there already are used, a fit that was stopped goes on."""
    with _told():
        plan, table = read_experiment(experiment), _read(manifest, clips)
        if not (_work(plan, work) / "examples").exists():
            _make_examples(plan, table, work)
        _fit(plan, work, device, threads)
        _calibrate(plan, table, work)
        _evaluate(plan, table, work)
        _export(plan, table, work, store)


@app.command(epilog="Example: seashore train pleura training/experiments/pleura_annotations.json --clips clips --out pleura.onnx")
def pleura(
    annotations: Annotated[Path, typer.Argument(metavar="ANNOTATIONS.json", help="Pleural lines, as in training/experiments/.")],
    clips: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the annotated clips lie.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE.onnx", help="What is written; service/cine/weights/pleura.onnx is what serving reads.")
    ],
    steps: Annotated[int, typer.Option(min=1)] = 2400,
    phantoms: Annotated[int, typer.Option(min=0, help="How many simulated pictures are learned from as well.")] = 280,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute with; as torch likes unless given.")] = None,
) -> None:
    """Fit the net that finds the pleural line. Every bundle is read with it: train the bundles again afterwards."""
    with _told():
        _pleura(annotations, clips, out, steps=steps, phantoms=phantoms, seed=seed, threads=threads)


@app.command(epilog="Example: seashore train reexport pleura-resnet3d-18 --version 1.1.3 --manifest clips.csv")
def reexport(
    bundle: Annotated[str, typer.Argument(metavar="NAME[:VERSION]", help="A bundle of the store.")],
    version: Annotated[str, typer.Option(metavar="VERSION", help="Of the new bundle.")],
    manifest: ManifestFile = None,
    clips: ClipsFolder = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Write a bundle again with the saliency graph of this version of Seashore; whatever decides an answer is copied.

    With the manifest it was trained with, the bundle also says what the clips were like that it learned from.
    """
    with _told():
        from training.reexport import reexport

        with err.status("Restoring the network, exporting it and checking it against torch ..."):
            written = reexport(store, bundle, version, _read(manifest, clips))
        err.print(f"The bundle is in {written.directory}", markup=False)


@app.command(epilog="Example: seashore train curves --bundle pleura-resnet3d-18 --out runs/curves --quick")
def curves(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where curves.json and the report go.")],
    bundle: Annotated[str | None, typer.Option(metavar="NAME[:VERSION]", help="The only one of the store unless given.")] = None,
    store: Store = DEFAULT_STORE,
    quick: Annotated[bool, typer.Option("--quick", help="One pair of phantoms and few settings.")] = False,
) -> None:
    """How the answers change as clips get worse, and the smallest slide that is seen, on phantoms."""
    with _told():
        from training.sensitivity_cli import SEED, draw_curves

        err.print(f"Written: {draw_curves(store, bundle, out, quick=quick, seed=SEED, counted=_counted)}", markup=False)


app.add_typer(data_cli.app, name="data")
app.command(epilog="Example: seashore train grid training/experiments/clips.csv --clips clips --healthy-is-present")(grid)
app.command(epilog="Example: seashore train signs cmwru --manifest ward.csv --work runs/signs")(signs)
app.command("sign-bundle", epilog=sign_bundle_cli.EPILOG)(sign_bundle_cli.sign_bundle)
app.command(epilog="Example: seashore train trials --manifest clips.csv --clips clips --split test --out runs/trials")(trials)


def _pleura(annotations: Path, clips: Path, out: Path, *, steps: int, phantoms: int, seed: int, threads: int | None) -> None:
    import torch

    from training.pleura_net import annotated_samples, export, fit, phantom_samples, read_annotations, require_clips

    table = read_annotations(annotations)
    require_clips(table, clips)
    if threads is not None:
        torch.set_num_threads(threads)
    samples = list(_counted("Annotated clips", annotated_samples(table, clips), len(table)))
    simulated = list(_counted("Phantoms", phantom_samples(phantoms, seed + 1), phantoms))
    with _progress("Steps", steps) as (progress, task):
        net = fit(
            samples, simulated, steps=steps, seed=seed, on_step=lambda loss: progress.update(task, advance=1, loss=f"loss {loss:.2f}")
        )
    export(net, out)
    err.print(f"Fitted to {len(samples)} clips and {len(simulated)} phantoms. Written: {out}", markup=False)


def _make_examples(experiment: Experiment, manifest: Manifest | None, work: Path | None) -> None:
    from training.examples import ExampleWriter, read_examples
    from training.recipe import RecipeSettings, add_clips, add_phantoms

    out = _work(experiment, work) / "examples"
    recipe = from_table(RecipeSettings, experiment.recipe, "recipe")
    clips, jobs = _part(experiment, manifest, "train"), experiment.fit.num_threads
    with ExampleWriter(out, experiment.spec) as writer:
        _follow("Twins of clips", add_clips(writer, clips, experiment.spec, recipe, jobs=jobs), len(clips))
        _follow("Phantoms", add_phantoms(writer, experiment.spec, recipe, jobs=jobs), recipe.phantoms)
    err.print(f"{read_examples(out)} in {out}", markup=False)


def _fit(experiment: Experiment, work: Path | None, device: str | None, threads: int | None) -> None:
    from training.curve import read_curve
    from training.examples import read_examples
    from training.fit import CURVE, fit, load_fitted

    folder = _work(experiment, work)
    settings = with_changes(experiment.fit, "fit", device=device, num_threads=threads)
    best = fit(read_examples(folder / "examples"), settings, folder / "fit", progress=err.is_terminal)
    epoch = load_fitted(best).epoch
    row = read_curve(folder / "fit" / CURVE)[epoch]
    twins = row["val_twins"] or "not defined"
    err.print(f"Lowest validation loss {row['val_loss']} after epoch {epoch}, AUROC {row['val_auroc']}, twins in order {twins}")
    for name, value in row.items():
        if name.startswith("val_auroc/"):
            err.print(f"  {name.removeprefix('val_auroc/')}: AUROC {value or 'not defined'}", markup=False)


def _calibrate(experiment: Experiment, manifest: Manifest | None, work: Path | None) -> None:
    from training.assemble import CALIBRATION_SEED, calibrate_on, export_graphs, open_exported, read_all
    from training.examples import read_examples
    from training.fit import BEST, load_fitted, read_validation

    folder = _work(experiment, work)
    fitted = load_fitted(folder / "fit" / BEST)
    with err.status("Exporting the graphs and checking them against torch ..."):
        export_graphs(fitted, folder / "graphs")
    # Six numbers, fitted on every clip that is not judged on: the few clips held out of the fit could not carry them.
    parts = ("validation",) if manifest is None else ("train", "validation")
    clips = [clip for part in parts for clip in _clips(experiment, manifest, folder, part)]
    with err.status(f"Reading {len(clips)} clips and their controls ..."):
        read = read_all(clips, open_exported(folder / "graphs"), fitted, CALIBRATION_SEED)
    calibration = calibrate_on(read, fitted, read_examples(folder / "examples"), read_validation(folder / "fit"))
    _write_json(folder / "calibration.json", calibration.to_json())


def _evaluate(experiment: Experiment, manifest: Manifest | None, work: Path | None) -> None:
    from service.cine.pooling import Calibration
    from training.assemble import EVALUATION_SEED, evaluate_on, open_exported, read_all
    from training.fit import BEST, load_fitted

    folder = _work(experiment, work)
    fitted, engine = load_fitted(folder / "fit" / BEST), open_exported(folder / "graphs")
    calibration = Calibration.from_json(_read_json(folder / "calibration.json", "calibrate"))
    clips = _clips(experiment, manifest, folder, "test")
    with err.status(f"Reading {len(clips)} clips, their controls and phantoms ..."):
        read = read_all(clips, engine, fitted, EVALUATION_SEED)
        figures = evaluate_on(read, engine, fitted, calibration, phantom_pairs=PHANTOM_PAIRS_TO_JUDGE_ON)
    _write_json(folder / "figures.json", figures)


def _export(experiment: Experiment, manifest: Manifest | None, work: Path | None, store: Path) -> None:
    from service.cine.pooling import Calibration
    from training.assemble import write
    from training.examples import read_examples

    folder = _work(experiment, work)
    calibration = Calibration.from_json(_read_json(folder / "calibration.json", "calibrate"))
    figures = _read_json(folder / "figures.json", "evaluate")
    trained_on = list(_part(experiment, manifest, "train"))
    summary = {"examples": len(read_examples(folder / "examples")), "clips": len(trained_on)}
    command = shlex.join(["seashore", *sys.argv[1:]])
    with err.status("Writing the bundle ..."):
        bundle = write(store, experiment, folder / "graphs", calibration, figures, trained_on, command, summary)
    err.print(f"The bundle is in {bundle.directory}", markup=False)


def _part(experiment: Experiment, manifest: Manifest | None, part: str) -> tuple[LabelledClip, ...]:
    from training.splits import deal_clips

    return () if manifest is None else deal_clips(manifest, seed=experiment.fit.seed)[part]


def _clips(experiment: Experiment, manifest: Manifest | None, folder: Path, part: str) -> list[LabelledClip]:
    """The manifest's clips of one part; without a manifest, phantoms encoded as clips, so that every step has something to read."""
    if manifest is not None:
        return list(_part(experiment, manifest, part))
    from training.recipe import random_phantom

    (folder / "phantoms").mkdir(parents=True, exist_ok=True)
    clips = []
    first = {"validation": 0, "test": PHANTOM_CLIPS}[part]
    for index in _counted("Phantom clips", range(first, first + PHANTOM_CLIPS), PHANTOM_CLIPS):
        file = folder / "phantoms" / f"{index}.mp4"
        if not file.exists():
            random_phantom(PHANTOM_CLIP_SEED, index, slides=True, duration_s=4.0).write(file)
        clips.append(LabelledClip(file, f"phantom-clip-{index}", Label.PRESENT, source="phantom"))
    return clips


def _work(experiment: Experiment, given: Path | None) -> Path:
    return given if given is not None else Path("runs") / f"{experiment.name}-{experiment.version}"


def _read(manifest: Path | None, clips: Path | None) -> Manifest | None:
    if manifest is None and clips is not None:
        raise ManifestMissing("--clips says where a manifest's clips lie; --manifest must say which table that is.")
    if manifest is None:
        return None
    from training.regions import check_regions

    table = read_manifest(manifest, clips)
    check_regions(table)
    return table


def _read_json(path: Path, step: str) -> dict[str, Any]:
    if not path.exists():
        raise TrainingStepMissing(f"{path.name} is not there yet; `seashore train {step}` makes it.")
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    err.print(f"Written: {path}", markup=False)


@contextmanager
def _told() -> Iterator[None]:
    """What a person can mend is a sentence and an exit status, not a trace."""
    try:
        yield
    except (SeashoreError, ValueError, AssertionError) as error:
        if type(error) in (ValueError, AssertionError):  # a library's or a bug: not written for a reader
            raise
        err.print(f"{error}", markup=False)
        raise typer.Exit(EXIT_FAILED) from None


def _follow(words: str, lines: Iterable[str], total: int) -> None:
    """A step that does its work while it is walked through and says a line on each piece; those passed over are shown."""
    for line in _counted(words, lines, total):
        if "passed over" in line:
            err.print(line, markup=False)


def _counted(words: str, pieces: Iterable[T], total: int) -> Iterator[T]:
    with _progress(words, total) as (progress, task):
        for piece in pieces:
            yield piece
            progress.advance(task)


@contextmanager
def _progress(words: str, total: int) -> Iterator[tuple[Progress, TaskID]]:
    """A bar with one task; its field `loss` is shown behind."""
    columns = TextColumn(words), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[loss]}")
    with Progress(*columns, console=err, disable=total == 0) as progress:
        yield progress, progress.add_task(words, total=total, loss="")
