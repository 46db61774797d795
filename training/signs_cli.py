"""`seashore train signs`: the published models of B-lines, of four signs and of sliding, each from one preset."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.manifest import read_manifest
from training.experiment import with_changes
from training.terminal import Told, err, said

if TYPE_CHECKING:
    from training.signs.answers import SignAnswers
    from training.signs.preset import Preset
    from training.signs.run import Ran

WORK = Path("runs/signs")
MODEL = "model.onnx"


class NothingToRun(ValueError):
    """What was asked for leaves nothing to do."""


def signs(
    preset: Annotated[
        str | None,
        typer.Argument(metavar="PRESET", help="Such as blines-c2d-lstm-a, or a file of your own; the names of all unless given."),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(metavar="CLIPS.csv", help="Labelled clips: file,patient,label,signs,...; simulated clips unless given.")
    ] = None,
    clips: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the manifest's clips lie; the manifest's own folder unless given.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A reduced form: small pictures, few clips, minutes on 2 cores.")] = False,
    grid: Annotated[
        str | None, typer.Option(metavar="SETTING", help="Once for each value of a setting of the preset's grid, such as dropout.")
    ] = None,
    export: Annotated[bool, typer.Option("--export", help=f"Write the first fold's network as {MODEL}, held against torch.")] = False,
    work: Annotated[Path, typer.Option(metavar="FOLDER", help="Where everything is left; the same folder goes on.")] = WORK,
    phantoms: Annotated[int | None, typer.Option(min=6, help="Simulated clips; as the preset says unless given.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs; as the preset says unless given.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or auto; as the preset says unless given.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute with; as the preset says unless given.")] = None,
) -> None:
    """Train a published model of the signs around sliding, judge it on patients it has not seen, and report beside what was published.

    What was stopped goes on where it was; what is finished is not run again.
    """
    from training.signs.preset import preset_names, read_preset

    with said():
        if preset is None:
            typer.echo("\n".join(preset_names()))
            return
        if manifest is None and clips is not None:
            raise NothingToRun("--clips says where a manifest's clips lie; the manifest itself must be named too.")
        asked = read_preset(preset, quick=quick)
        fit = with_changes(asked.fit, "fit", epochs=epochs, device=device, num_threads=threads)
        plan = replace(asked, fit=fit, phantoms=phantoms or asked.phantoms)
        folder = work / (f"{plan.name}-quick" if quick else plan.name)
        _run(plan, manifest, clips, folder, export) if grid is None else _run_grid(plan, grid, manifest, clips, folder)


def _run(plan: "Preset", manifest: Path | None, clips: Path | None, folder: Path, export: bool) -> None:
    from service.report.document import write_report
    from training.signs.export import export_sign
    from training.signs.fit import load_sign
    from training.signs.report import Finished, build_report
    from training.signs.run import best_of
    from training.trainer import CURVE

    ran = _ran(plan, manifest, clips, folder)
    finished = Finished(
        preset=plan.name,
        simulated=manifest is None,
        answers=ran.answers,
        settings=plan.to_json(),
        curves=[fold / CURVE for fold in ran.folds],
        beside=_beside(plan, folder, ran.answers),
    )
    page = write_report(build_report(finished), folder)
    err.print(f"Written: {page}", markup=False)
    if export:
        fitted = load_sign(best_of(ran))
        err.print(f"Written: {export_sign(fitted.model, fitted.preset, folder / MODEL)}", markup=False)


def _run_grid(plan: "Preset", setting: str, manifest: Path | None, clips: Path | None, folder: Path) -> None:
    from service.report.document import write_report
    from training.signs.grid_report import Grid, build_grid_report

    values: Sequence[float] = (plan.grid or {}).get(setting, ())
    if not values:
        raise NothingToRun(f"{plan.name} has no grid of {setting}; it has {', '.join(plan.grid or {}) or 'none'}.")
    ran = []
    for value in values:
        err.print(f"{setting} {value:g}", markup=False)
        ran.append((float(value), _ran(plan.with_value(setting, value), manifest, clips, folder, f"{setting}-{value:g}").answers))
    table = {"dropout": "Table II", "gradient_clip": "Table III"}.get(setting, "The grid")
    page = write_report(build_grid_report(Grid(plan.name, setting, table, manifest is None, ran)), folder / f"grid-{setting}")
    err.print(f"Written: {page}", markup=False)


def _beside(plan: "Preset", folder: Path, answers: "SignAnswers") -> dict[str, "SignAnswers"]:
    """What other presets of the family, run in the same place in the same form, said of the same runs."""
    from training.signs.answers import SignAnswers
    from training.signs.preset import preset_names
    from training.signs.run import ANSWERS

    form = folder.name.removeprefix(plan.name)
    paths = {name: folder.with_name(f"{name}{form}") / ANSWERS for name in preset_names() if name != plan.name}
    others = {name: SignAnswers.read(path) for name, path in paths.items() if path.exists()}
    return {name: other for name, other in others.items() if _runs_of(other) == _runs_of(answers)}


def _runs_of(answers: "SignAnswers") -> set[tuple[str, float]]:
    return set(zip(answers.clip.tolist(), answers.start_s.tolist(), strict=True))


def _ran(plan: "Preset", manifest: Path | None, clips: Path | None, folder: Path, fits: str = "") -> "Ran":
    from training.signs.make import labelled, simulated
    from training.signs.run import run_preset

    told = Told(err.is_terminal)
    sources = simulated(plan) if manifest is None else labelled(plan, read_manifest(manifest, clips))
    if not sources:
        raise NothingToRun(f"No clip of the manifest says what {plan.name} learns ({plan.learns}).")
    return run_preset(plan, sources, folder, told.count, fits=fits, num_processes=os.cpu_count() or 1, progress=told.has_bar)
