"""`seashore train trials`: a bundle on clips made so that motion against the wall is all there is to tell them apart."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import track

from service.bundle import read_bundle, resolve
from service.bundle_files import MANIFEST
from service.manifest import LabelledClip, read_manifest
from training.terminal import err, said

if TYPE_CHECKING:
    from training.trials.run import Design

PHANTOMS, QUICK_CLIPS = 60, 2
FIGURES = "trials.json"
DEFAULT_STORE = Path("model_store")


class NothingToTry(ValueError):
    """What was asked for leaves no clip."""


def trials(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the report goes; the same folder goes on.")],
    bundle: Annotated[
        str | None, typer.Option(metavar="NAME[:VERSION]|FOLDER", help="What is tried; the store's only model unless given.")
    ] = None,
    store: Annotated[Path, typer.Option(metavar="FOLDER", help="Model store to read from.")] = DEFAULT_STORE,
    manifest: Annotated[
        Path | None, typer.Option(metavar="CLIPS.csv", help="Real clips to make twins of; phantoms alone unless given.")
    ] = None,
    clips: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where they lie; the manifest's own folder unless given.")] = None,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="Only this split: clips the bundle was not trained on.")] = None,
    phantoms: Annotated[int, typer.Option(metavar="N", min=1, help="Pairs of phantoms.")] = PHANTOMS,
    quick: Annotated[bool, typer.Option("--quick", help="Two clips and one pair of phantoms: under a minute.")] = False,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Pieces done at the same time.")] = 2,
    page: Annotated[Path | None, typer.Option(metavar="FILE.md", help="The tables once more, as one Markdown page.")] = None,
) -> None:
    """Does motion against the wall decide? Twins, controls, lung points and phantoms with known truth, by the thousand.

    What was stopped goes on where it was. Writes report.html, report.md and trials.json.
    """
    from training.trials.run import QUICK, Design

    with said():
        directory = bundle_folder(store, bundle)
        # Asked before the work of twenty minutes, not after it.
        if page is not None and not page.absolute().parent.is_dir():
            raise NothingToTry("The folder that --page is to be written to is not there.")
        chosen = _chosen(manifest, clips, split)
        design = QUICK if quick else Design.of(phantoms)
        _try(directory, _of_other_patients(chosen)[:QUICK_CLIPS] if quick else chosen, design, out, 1 if quick else jobs, page)


def bundle_folder(store: Path, bundle: str | None) -> Path:
    """A folder that holds a bundle, or what the store knows by that name. Raises: UnknownModel, BadBundle."""
    if bundle is not None and (Path(bundle) / MANIFEST).is_file():
        return Path(bundle).absolute()
    return resolve(store, bundle).absolute()


def _chosen(manifest: Path | None, clips: Path | None, split: str | None) -> tuple[LabelledClip, ...]:
    if manifest is None:
        if clips is not None or split is not None:
            raise NothingToTry("--clips and --split are of a manifest; --manifest must say which table that is.")
        return ()
    from training.regions import check_regions

    table = read_manifest(manifest, clips)
    check_regions(table)
    chosen = tuple(clip for clip in table if split is None or clip.split == split)
    if not chosen:
        there = ", ".join(sorted({clip.split for clip in table if clip.split})) or "none"
        raise NothingToTry(f"No clip of the manifest is in the split asked for. Its splits: {there}.")
    return chosen


def _of_other_patients(clips: tuple[LabelledClip, ...]) -> tuple[LabelledClip, ...]:
    """One clip of each."""
    return tuple({clip.patient: clip for clip in reversed(clips)}.values())[::-1]


def _try(directory: Path, clips: tuple[LabelledClip, ...], design: "Design", out: Path, jobs: int, page: Path | None) -> None:
    from service.report.document import write_report
    from service.report.markdown import markdown_of
    from training.trials.answers import Kind
    from training.trials.figures import figures_of
    from training.trials.report import document_of, without_pictures
    from training.trials.run import Trials, run

    opened = read_bundle(directory)
    wanted = Trials(directory, hashlib.sha256((directory / MANIFEST).read_bytes()).hexdigest(), design, clips)
    rows = run(wanted, out, jobs, _counted)
    real = {row.pair for row in rows if row.kind is Kind.AS_IS}
    figures = {"bundle": str(opened), "clips": len(real), "clips_given": len(clips), "seed": wanted.seed, **figures_of(rows)}
    (out / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    document = document_of(figures)
    if page is not None:
        page.write_text(markdown_of(without_pictures(document)), encoding="utf-8")
    err.print(f"{_summary(figures)} Written: {write_report(document, out)}", markup=False)


def _summary(figures: Mapping[str, Any]) -> str:
    tried = [row for row in figures["targets"] if row["is_met"] is not None]
    return f"{figures['rows']} readings; {sum(row['is_met'] for row in tried)} of {len(tried)} targets met."


def _counted(words: str, pieces: Iterator[str], total: int) -> Iterable[str]:
    return track(pieces, words, total=total, console=err, disable=total == 0)
