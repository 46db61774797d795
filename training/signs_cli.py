"""`seashore train signs`: the published models of B-lines, of four signs and of sliding, each from one preset."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.machine import available_cores
from service.manifest import read_manifest
from training.experiment import with_changes
from training.terminal import Told, err, said

if TYPE_CHECKING:
    from training.signs.answers import SignAnswers
    from training.signs.preset import Preset
    from training.signs.run import Ran
    from training.signs.sources import Source

WORK = Path("runs/signs")
MODEL = "model.onnx"


class NothingToRun(ValueError):
    """What was asked for leaves nothing to do."""


class NotExported(ValueError):
    """The graph does not give what the network gives."""


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
    fitted: Annotated[
        Path | None,
        typer.Option(
            metavar="best.ckpt",
            exists=True,
            dir_okay=False,
            help="Fit nothing: judge this network on clips it does not know.",
        ),
    ] = None,
    export: Annotated[bool, typer.Option("--export", help=f"Write the first fold's network as {MODEL}, held against torch.")] = False,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="torchvision's weights for four-signs to begin from; from none unless given."
        ),
    ] = None,
    raft: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="A checkpoint of torchvision's RAFT, for the flow of cmwra; DIS unless given."
        ),
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Frames of a run, such as 34, 45 or 60 of cmwru.")] = None,
    flow_step: Annotated[int | None, typer.Option(min=1, help="Frames that a flow of cmwra leads over; a run has so many more.")] = None,
    work: Annotated[Path, typer.Option(metavar="FOLDER", help="Where everything is left; the same folder goes on.")] = WORK,
    folds: Annotated[int | None, typer.Option(min=1, help="Folds by patient; 1 is one split. As the preset says unless given.")] = None,
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
        if fitted is not None:
            _judge(fitted, read_preset(preset), manifest, clips, work, device)
            return
        if grid is not None and export:
            raise NothingToRun("--export writes one network, and a grid has many.")
        asked = read_preset(preset, quick=quick)
        if manifest is not None and phantoms is not None and not asked.real_share:
            raise NothingToRun("--phantoms is of simulated clips, and a manifest names real ones.")
        fit = with_changes(asked.fit, "fit", epochs=epochs, device=device, num_threads=threads)
        plan = _changed(
            replace(asked, fit=fit, folds=folds or asked.folds, phantoms=phantoms or asked.phantoms), weights, raft, frames, flow_step
        )
        folder = work / (f"{plan.name}-quick" if quick else plan.name)
        _run(plan, manifest, clips, folder, export) if grid is None else _run_grid(plan, grid, manifest, clips, folder)


def _changed(plan: "Preset", weights: Path | None, raft: Path | None, frames: int | None, flow_step: int | None) -> "Preset":
    """With files and lengths of one's own. Raises: NothingToRun for a preset that has no use for them, WeightsError, RaftError."""
    step = flow_step or plan.frames.flow_step
    length = frames or plan.frames.num_frames + step - plan.frames.flow_step
    # As far apart as they were, in lengths of a run.
    stride = max(1, round(length * plan.frames.stride_frames / plan.frames.num_frames))
    try:
        network = replace(plan.network, weights=str(weights.absolute()) if weights else plan.network.weights)
        asked = replace(plan.frames, num_frames=length, stride_frames=stride, flow_step=step)
        changed = replace(plan, network=network, raft=str(raft.absolute()) if raft else plan.raft, frames=asked)
    except ValueError as error:
        raise NothingToRun(str(error)) from None
    _check_files(changed)
    return changed


def _check_files(plan: "Preset") -> None:
    """Before any clip is made. Raises: WeightsError, RaftError."""
    if plan.network.weights:
        from training.signs.networks import build_network
        from training.signs.weights import load_resnet

        load_resnet(build_network(plan), Path(plan.network.weights))
    if plan.raft:
        from training.raft import raft_flow

        raft_flow(Path(plan.raft))


def _judge(checkpoint: Path, asked: "Preset", manifest: Path | None, clips: Path | None, work: Path, device: str | None) -> None:
    """By a network that was fitted elsewhere, to other clips. Raises: NothingToRun."""
    from training.signs.fit import load_sign
    from training.signs.run import CLIPS, judge

    if manifest is None:
        raise NothingToRun("--fitted judges a network on labelled clips; --manifest must say which.")
    saved = load_sign(checkpoint).preset
    if saved.learns != asked.learns:
        raise NothingToRun(f"This network learnt {saved.learns}, and {asked.name} learns {asked.learns}.")
    plan = replace(saved, folds=1, fit=with_changes(saved.fit, "fit", device=device))
    told = Told(err.is_terminal)
    sources = _labelled(plan, manifest, clips)
    folder = work / f"{plan.name}-judged"
    ran = judge(plan, checkpoint, sources, folder, work / CLIPS, told.count, num_processes=available_cores())
    _report(ran, folder, simulated=False)


def _run(plan: "Preset", manifest: Path | None, clips: Path | None, folder: Path, export: bool) -> None:
    from training.export import ExportDisagrees
    from training.signs.export import export_sign
    from training.signs.fit import load_sign
    from training.signs.run import best_of

    ran = _ran(plan, manifest, clips, folder, folder.parent)
    _report(ran, folder, simulated=manifest is None)
    if export:
        fitted = load_sign(best_of(ran))
        try:
            err.print(f"Written: {export_sign(fitted.model, fitted.preset, folder / MODEL)}", markup=False)
        except ExportDisagrees as error:
            raise NotExported(f"The network was not exported. {error}") from None


def _report(ran: "Ran", folder: Path, *, simulated: bool) -> None:
    from service.report.document import write_report
    from training.signs.report import Finished, build_report
    from training.trainer import CURVE

    finished = Finished(
        preset=ran.preset.name,
        simulated=simulated,
        answers=ran.answers,
        settings=ran.preset.to_json(),
        curves=[fold / CURVE for fold in ran.folds],
        left_out=ran.left_out,
        beside=_beside(ran.preset, folder, ran.answers) if ran.folds else {},
    )
    for what, number in ran.left_out.items():
        err.print(f"Left out: {number} {what}", markup=False)
    err.print(f"Written: {write_report(build_report(finished), folder)}", markup=False)


def _run_grid(plan: "Preset", setting: str, manifest: Path | None, clips: Path | None, folder: Path) -> None:
    from service.report.document import write_report
    from training.signs.grid_report import Grid, build_grid_report

    if len(plan.signs) > 1:
        raise NothingToRun(f"A grid compares models of one sign; {plan.name} tells {len(plan.signs)} apart.")
    values: Sequence[float] = (plan.grid or {}).get(setting, ())
    if not values:
        raise NothingToRun(f"{plan.name} has no grid of {setting}; it has {', '.join(plan.grid or {}) or 'none'}.")
    ran = []
    for value in values:
        err.print(f"{setting} {value:g}", markup=False)
        ran.append(
            (float(value), _ran(plan.with_value(setting, value), manifest, clips, folder / f"{setting}-{value:g}", folder.parent).answers)
        )
    table = {"dropout": "Table II", "gradient_clip": "Table III"}.get(setting, "The grid")
    page = write_report(build_grid_report(Grid(plan.name, setting, table, manifest is None, ran)), folder / f"grid-{setting}")
    err.print(f"Written: {page}", markup=False)


def _beside(plan: "Preset", folder: Path, answers: "SignAnswers") -> dict[str, "SignAnswers"]:
    """What other presets of the family, run in the same place in the same form, said of the same runs."""
    from training.signs.answers import SignAnswers
    from training.signs.preset import preset_names
    from training.signs.run import ANSWERS

    form = folder.name.removeprefix(plan.name)
    settings = _settings_of(folder)
    beside: dict[str, SignAnswers] = {}
    for name in preset_names():
        other = folder.with_name(f"{name}{form}")
        if name != plan.name and (other / ANSWERS).exists() and _settings_of(other) == settings:
            said = SignAnswers.read(other / ANSWERS)
            beside |= {name: said} if _runs_of(said) == _runs_of(answers) else {}
    return beside


def _settings_of(folder: Path) -> dict[str, object]:
    """How its first fold was fitted, but for what makes it another model of the family."""
    from training.trainer import RECORD

    settings: dict[str, object] = json.loads((folder / "fold-0" / RECORD).read_text(encoding="utf-8"))["settings"]
    return {name: value for name, value in settings.items() if name not in ("network.variant", "device", "num_threads")}


def _runs_of(answers: "SignAnswers") -> set[tuple[str, float]]:
    return set(zip(answers.clip.tolist(), answers.start_s.tolist(), strict=True))


def _ran(plan: "Preset", manifest: Path | None, clips: Path | None, folder: Path, work: Path) -> "Ran":
    from training.signs.run import CLIPS, run_preset
    from training.signs.runs import BESIDE
    from training.signs.sources import simulated

    told = Told(err.is_terminal)
    sources: Sequence[Source] = simulated(plan) if manifest is None else _labelled(plan, manifest, clips)
    if manifest is not None and plan.real_share:
        sources = [*sources, *simulated(plan, BESIDE)]
    return run_preset(plan, sources, folder, work / CLIPS, told.count, num_processes=available_cores(), progress=told.has_bar)


def _labelled(plan: "Preset", manifest: Path, clips: Path | None) -> Sequence["Source"]:
    """Raises: NothingToRun, ManifestError, Contradiction."""
    from training.signs.sources import labelled

    sources = labelled(plan, read_manifest(manifest, clips))
    if not sources:
        raise NothingToRun(f"No clip of the manifest says what {plan.name} learns ({plan.learns}).")
    return sources
