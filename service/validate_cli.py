"""`seashore validate`: a hospital's own labelled clips through the code that serves, and a report of what came of it."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from service.bundle_files import MANIFEST
from service.errors import RequestError, SeashoreError
from service.manifest import LabelledClip, read_manifest
from service.manifest_rows import ManifestError
from service.reader import Reader
from service.settings import Settings
from service.shelf import ModelEntry
from service.validation import wording
from service.validation.answers import Ledger
from service.validation.cases import Case, worst
from service.validation.comparison import compare, differing
from service.validation.comparison_wording import comparison_sentences
from service.validation.figures import figures_of
from service.validation.findings import Findings, ModelFindings, Shown
from service.validation.pictures import picture_of
from service.validation.run import Model, answer_all

EXIT_NOTHING_READ, EXIT_CANNOT_START, EXIT_STOPPED = 1, 2, 130
ANSWERS, FIGURES = "answers.jsonl", "figures.json"
MOST_WORST, MOST_DIFFERING = 8, 4
"""Clips shown as pictures; each takes a third of a megabyte, and a differing one is shown twice."""
MOST_TOLD = 10
"""Opposite answers told one by one on the terminal."""

EPILOG = """
The manifest is a table (CSV or Parquet) with the columns file, patient and label (present, absent, unknown, healthy or
lung_point), and as far as known probe, device, site, source, split, region. Any made-up name does for a patient. The report
is by row of the manifest: neither a patient nor a file is named in it.

Examples:

  seashore validate ward.csv                         the report is in ./seashore-validation/report.html

  seashore validate ward.csv --clips /data/clips --out /data/report-2026

  seashore validate ward.csv --split test --healthy-is-present

  seashore validate ward.csv --model pleura-resnet3d-18:1.1.2 --against pleura-resnet3d-18:1.0.0

  seashore validate ward.csv --against /data/our-store/our-model/0.1.0

An interrupted run goes on where it was when the same command is given again. Exits 0 when the report is written, 1 when no
clip could be read, 2 when it cannot start.
"""

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)


class SettingsOf(Protocol):
    """The settings of the environment, under what is given here."""

    def __call__(self, **given: str | int | None) -> Settings: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, whatever the models."""

    clips: tuple[LabelledClip, ...]
    folder: Path
    healthy_is_present: bool
    jobs: int


def add_validate(app: typer.Typer, make_reader: Callable[[Settings], Reader], settings_of: SettingsOf) -> None:
    """`seashore validate`, around whoever reads clips."""

    @app.command(epilog=EPILOG)
    def validate(
        manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="Table of labelled clips, CSV or Parquet.")],
        clips: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the clips are; default: beside the manifest.")] = None,
        store: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Model store to read from.")] = None,
        model: Annotated[str | None, typer.Option(metavar="NAME[:VERSION]", help="Model to validate; default: the store's.")] = None,
        against: Annotated[
            str | None, typer.Option(metavar="NAME[:VERSION]|FOLDER", help="A second model, read on the same clips and compared.")
        ] = None,
        folder: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the report goes.")] = Path("seashore-validation"),
        split: Annotated[str | None, typer.Option(metavar="NAME", help="Only the clips of this split of the manifest.")] = None,
        healthy_is_present: Annotated[bool, typer.Option("--healthy-is-present", help="Take healthy lungs to slide.")] = False,
        limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the first N clips.")] = None,
        jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Clips read at the same time.")] = 2,
        device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")] = None,
    ) -> None:
        """How good is a model on your own labelled clips? Writes report.html, report.md and figures.json."""
        write = _report_writer()
        request = Request(_clips(manifest, clips, split, limit), folder, healthy_is_present, jobs)
        _make_folder(folder)
        settings = settings_of(model_store=None if store is None else str(store), device=device)
        first = _open(make_reader(settings), settings.model_store, model)
        second = None if against is None else _open_against(against, first, make_reader, settings)
        found = _validate(request, first, second)
        _tell(found)
        if not any(case.answer.is_read for case in found.first.cases):
            raise _stop("None of the clips could be read.", EXIT_NOTHING_READ)
        out.print(f"\nReport: {_write(write, found, folder)}", markup=False)


def _report_writer() -> Callable[[Findings, Path], Path]:
    """Before anything is read: whoever lacks matplotlib must not learn it after a night's run."""
    try:
        from service.report.document import write_report
        from service.validation.chapters import report_of
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("service"):
            raise
        raise _stop('The report needs matplotlib and jinja2, which are not installed: pip install "seashore[report]"') from None
    return lambda found, folder: write_report(report_of(found), folder)


def _stop(sentence: str, status: int = EXIT_CANNOT_START) -> typer.Exit:
    err.print(sentence, markup=False)
    return typer.Exit(status)


def _clips(manifest: Path, folder: Path | None, split: str | None, limit: int | None) -> tuple[LabelledClip, ...]:
    try:
        with err.status("Checking the manifest ..."):
            table = read_manifest(manifest, folder)
    except ManifestError as error:
        raise _stop(str(error)) from None
    chosen = [clip for clip in table if split is None or clip.split == split]
    if not chosen:
        there = ", ".join(sorted({clip.split for clip in table if clip.split})) or "none"
        raise _stop(f"No clip of the manifest is in the split asked for. Its splits: {there}.")
    return tuple(chosen[:limit])


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(error) from None


def _open(reader: Reader, store: Path, name: str | None) -> Model:
    """The model, loaded: its golden clip is answered as when it was made."""
    try:
        entry = reader.find(name)
        with err.status(f"Loading {entry} ..."):
            reader.load(entry)
        return Model(reader, entry, _identity(store, entry))
    except RequestError as error:
        raise _stop(str(error)) from None
    except SeashoreError as error:
        raise _stop(f"{error} {error.log_detail}".strip()) from None


def _identity(store: Path, entry: ModelEntry) -> str:
    return hashlib.sha256((store / entry.name / entry.version / MANIFEST).read_bytes()).hexdigest()


def _open_against(name: str, first: Model, make_reader: Callable[[Settings], Reader], settings: Settings) -> Model:
    """By name from the same store, or the folder of a bundle, <store>/<name>/<version>."""
    folder = Path(name).absolute()
    if (folder / MANIFEST).is_file():
        settings = settings.model_copy(update={"model_store": folder.parent.parent})
        second = _open(make_reader(settings), settings.model_store, f"{folder.parent.name}:{folder.name}")
    else:
        second = _open(first.reader, settings.model_store, name)
    if second.identity == first.identity:
        raise _stop(f"Both models are {first}; --against needs another.")
    return second


def _validate(request: Request, first: Model, second: Model | None) -> Findings:
    models = [first] if second is None else [first, second]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    try:
        with Progress(*columns, console=err, transient=True) as progress:
            found = [_read_all(request, model, progress) for model in models]
            return _with_pictures(_findings(request, found), models, progress)
    except KeyboardInterrupt:
        raise _stop("Stopped. What was answered is kept; the same command goes on from there.", EXIT_STOPPED) from None
    except OSError as error:  # of the answers' file: what is the matter with a clip is an answer
        raise _cannot_write(error) from None


def _write(write: Callable[[Findings, Path], Path], found: Findings, folder: Path) -> Path:
    """The report's page, and the figures for machines beside it."""
    try:
        (folder / FIGURES).write_text(json.dumps(found.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return write(found, folder)
    except OSError as error:
        raise _cannot_write(error) from None


def _cannot_write(error: OSError) -> typer.Exit:
    return _stop(f"The folder for the report cannot be written: {error.strerror or 'unknown reason'}.")


def _read_all(request: Request, model: Model, progress: Progress) -> ModelFindings:
    task = progress.add_task(str(model), total=len(request.clips))
    ledger = Ledger(request.folder / ANSWERS)
    answers = answer_all(request.clips, model, ledger, jobs=request.jobs, on_answer=lambda: progress.advance(task))
    pairs = zip(request.clips, answers, strict=True)
    cases = tuple(Case(clip, answer, request.healthy_is_present) for clip, answer in pairs)
    return ModelFindings(str(model), cases, figures_of(cases))


def _findings(request: Request, models: Sequence[ModelFindings]) -> Findings:
    found = Findings(datetime.now(UTC).date(), models[0], healthy_is_present=request.healthy_is_present, jobs=request.jobs)
    if len(models) < 2:
        return found
    found = replace(found, second=models[1])
    return replace(found, comparison=compare(found.pairs))


def _with_pictures(found: Findings, models: Sequence[Model], progress: Progress) -> Findings:
    bad = [(case, models[0]) for case in worst(found.first.cases, MOST_WORST)]
    pairs = differing(found.pairs)[:MOST_DIFFERING]
    differ = [(case, model) for pair in pairs for case, model in zip(pair, models, strict=True)]
    shown = [
        Shown(case, str(model), picture_of(case, model) if case.answer.is_read else None)
        for case, model in progress.track([*bad, *differ], description="Drawing")
    ]
    return replace(found, worst=tuple(shown[: len(bad)]), differing=tuple(shown[len(bad) :]))


def _tell(found: Findings) -> None:
    """The summary on the terminal."""
    for model in (found.first, found.second):
        if model is not None:
            out.print(_summary_table(model))
    for sentence in _sentences(found):
        out.print(sentence, markup=False)


def _summary_table(model: ModelFindings) -> Table:
    table = Table(
        Column("Figure", overflow="fold"), Column("Value (95 %)", no_wrap=True), Column("Behind it", overflow="fold"), title=model.name
    )
    for name, estimate in wording.estimates(model.figures.accuracy).items():
        figure, value, behind, _ = wording.estimate_row(name, estimate)
        table.add_row(figure, value, behind if estimate.is_defined else estimate.missing)
    return table


def _sentences(found: Findings) -> list[str]:
    opposite = [wording.case_sentence(case) for case in found.first.cases if case.is_opposite]
    more = [f"... and {len(opposite) - MOST_TOLD} more, all in the report."] if len(opposite) > MOST_TOLD else []
    errors = [f"Not read, {code}: {wording.rows_words(rows)}." for code, rows in found.first.figures.errors.items()]
    return [*opposite[:MOST_TOLD], *more, *errors, *comparison_sentences(found)]
