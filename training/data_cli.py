"""The command `seashore train data`: labelled clips, as people have them, into one manifest; and what is wrong with a manifest.

folders, DICOM, POCUS, COVID-BLUES, CVAT  ->  manifest.csv  -check->  leaks.md  -folds->  fold-1.csv ...
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from service.errors import SeashoreError
from service.manifest import Label, LabelledClip, Manifest, ManifestError, read_manifest

EXIT_FAILED = 1
EPILOG = """
Examples:

  seashore train data folders clips --out manifest.csv        clips/present/PATIENT/*.mp4, clips/absent/...

  seashore train data dicom export --labels labels.csv --out manifest.csv

  seashore train data check manifest.csv --report leaks.md    what a model could learn by heart, or by a shortcut

  seashore train data folds manifest.csv --out folds          five manifests, each with its own test patients
"""

err = Console(stderr=True, highlight=False, soft_wrap=True)
app = typer.Typer(
    name="data",
    help="Make a manifest of labelled clips, and look for what is wrong with one.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the clips lie; folders inside are looked through.")]
Out = Annotated[Path, typer.Option("--out", metavar="MANIFEST.csv", help="The manifest that is written.")]
ReplaceIt = Annotated[bool, typer.Option("--replace", help="Write over a manifest that is there already.")]
PatientFrom = Annotated[
    str | None,
    typer.Option("--patient-from", metavar="REGEX", help="Finds the patient in a file's path: the first group, or all it matches."),
]
Site = Annotated[str, typer.Option(help="Where all these clips were recorded.")]
Device = Annotated[str, typer.Option(help="The machine they were recorded with.")]
Probe = Annotated[str, typer.Option(help="linear, convex or phased.")]
Licence = Annotated[str, typer.Option(help="What allows their use; it goes into the model card.")]
ManifestFile = Annotated[Path, typer.Argument(metavar="MANIFEST", help="CSV or Parquet: file,patient,label,...")]
ClipsFolder = Annotated[
    Path | None, typer.Option("--clips", metavar="FOLDER", help="Where the manifest's clips lie; the manifest's own folder unless given.")
]


@app.command(epilog="Example: seashore train data folders clips --patient-from '^(P[0-9]+)_' --site 'our ward' --out manifest.csv")
def folders(
    folder: Folder,
    out: Out,
    patient_from: PatientFrom = None,
    site: Site = "",
    device: Device = "",
    probe: Probe = "",
    licence: Licence = "",
    replace: ReplaceIt = False,
) -> None:
    """Folders by class: present, absent, lung_point, unknown, healthy; inside, a folder for each patient, or --patient-from."""
    from training.adapters.folders import read_folders
    from training.adapters.table import patient_pattern, with_columns

    with _told():
        clips = read_folders(folder, None if patient_from is None else patient_pattern(patient_from))
        _write(out, with_columns(clips, site=site, device=device, probe=probe, licence=licence), replace)


@app.command(epilog="Example: seashore train data dicom export --labels labels.csv --out manifest.csv")
def dicom(
    folder: Folder,
    out: Out,
    labels: Annotated[Path | None, typer.Option(metavar="LABELS.csv", help="Columns sop_instance_uid,label. Without: all unknown.")] = None,
    patient_from: PatientFrom = None,
    replace: ReplaceIt = False,
) -> None:
    """A DICOM directory. Patients and sites become pseudonyms; the key to them is written beside the manifest: keep it there."""
    from training.adapters.dicom import read_dicom
    from training.adapters.table import patient_pattern

    with _told():
        pattern = None if patient_from is None else patient_pattern(patient_from)
        clips, passed_over = read_dicom(folder, out, labels=labels, pattern=pattern)
        _write(out, clips, replace)
        if passed_over:
            err.print(f"Passed over {passed_over} files that are not ultrasound clips.")


@app.command(epilog="Example: seashore train data pocus covid19_ultrasound --out pocus.csv")
def pocus(folder: Folder, out: Out, replace: ReplaceIt = False) -> None:
    """A copy of github.com/jannisborn/covid19_ultrasound. Its clips are not labelled for sliding: healthy or unknown."""
    from training.adapters.pocus import read_pocus

    with _told():
        _write(out, read_pocus(folder), replace)


@app.command(epilog="Example: seashore train data blues COVID-BLUES --out blues.csv")
def blues(folder: Folder, out: Out, replace: ReplaceIt = False) -> None:
    """A copy of github.com/NinaWie/COVID-BLUES. Its clips are not labelled for sliding: healthy or unknown."""
    from training.adapters.blues import read_blues

    with _told():
        _write(out, read_blues(folder), replace)


@app.command(epilog="Example: seashore train data cvat annotations.xml --clips clips --from manifest.csv --out regions.csv")
def cvat(
    annotations: Annotated[
        Path, typer.Argument(metavar="ANNOTATIONS.xml", help='A task exported as "CVAT for video 1.1" or "for images".')
    ],
    clips: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the clips lie that were drawn on.")],
    out: Out,
    table: Annotated[
        Path | None, typer.Option("--from", metavar="MANIFEST", help="A manifest of these clips: their patients, sites, devices.")
    ] = None,
    patient_from: PatientFrom = None,
    means: Annotated[
        list[str] | None, typer.Option(metavar="NAME=LABEL", help="What a label of the CVAT project means; repeatable.")
    ] = None,
    replace: ReplaceIt = False,
) -> None:
    """Polygons drawn in CVAT: a row for each, its label that of the polygon, its region as `seashore predict --region` takes it."""
    from training.adapters.cvat import read_cvat

    with _told():
        found = read_cvat(annotations, clips, meanings=_meanings(means or []), known=_known(table, clips))
        _write(out, _with_patients(found, clips, patient_from), replace)


@app.command(epilog="Example: seashore train data check manifest.csv --clips clips --report leaks.md")
def check(
    manifest: ManifestFile,
    clips: ClipsFolder = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.md", help="Where the leak report is written, with the balance.")] = None,
    pictures: Annotated[bool, typer.Option(help="Compare the clips as pictures; half a second a clip.")] = True,
) -> None:
    """Check a manifest, and what a model could learn from it by heart or by a shortcut. Exit status 1 on an error, 0 with warnings."""
    with _told():
        table = read_manifest(manifest, clips)
        errors = _check(table, report, pictures)
    if errors:
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog="Example: seashore train data folds manifest.csv --folds 5 --out folds")
def folds(
    manifest: ManifestFile,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where fold-1.csv, fold-2.csv, ... are written.")],
    clips: ClipsFolder = None,
    num_folds: Annotated[int, typer.Option("--folds", help="How many; at least 3.")] = 5,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    replace: ReplaceIt = False,
) -> None:
    """Cross-validation by patient: a manifest a fold, to train on with --manifest. Clips kept for "test" are in none."""
    from training.splits import fold_clips

    with _told():
        table = read_manifest(manifest, clips)
        for number, parts in enumerate(fold_clips(table, num_folds=num_folds, seed=seed), start=1):
            _write(out / f"fold-{number}.csv", _in_splits(parts), replace)


def _check(table: Manifest, report: Path | None, pictures: bool) -> int:
    from training.leak_report import write_report
    from training.leaks import Gravity, find_copies, find_leaks, look_at

    looks = list(track(look_at(table), "Clips", len({clip.file.resolve() for clip in table}), console=err)) if pictures else []
    seen = [(clip, like) for clip, like in looks if like is not None]
    unreadable = [clip for clip, like in looks if like is None]
    findings = find_leaks(table, find_copies(seen), unreadable)
    for finding in findings:
        typer.echo(str(finding))
    if report is not None:
        report.write_text(write_report(table, findings, looked=len(seen) if pictures else None), encoding="utf-8")
        err.print(f"Written: {report}", markup=False)
    errors = sum(finding.gravity is Gravity.ERROR for finding in findings)
    warnings = len(findings) - errors
    typer.echo(f"{table!r}: {errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}.")
    return errors


def _in_splits(parts: dict[str, tuple[LabelledClip, ...]]) -> list[LabelledClip]:
    from dataclasses import replace

    return sorted((replace(clip, split=name) for name, clips in parts.items() for clip in clips), key=lambda clip: clip.row)


def _known(table: Path | None, clips: Path) -> list[LabelledClip]:
    """Its file names are taken from its own folder, as all commands here write them, else from the folder of clips."""
    if table is None:
        return []
    try:
        return list(read_manifest(table))
    except ManifestError:
        return list(read_manifest(table, clips))


def _with_patients(found: Sequence[LabelledClip], clips: Path, patient_from: str | None) -> list[LabelledClip]:
    from training.adapters.table import patient_in, patient_pattern, require_patients, with_columns

    if patient_from is not None:
        pattern = patient_pattern(patient_from)
        found = [
            one for clip in found for one in with_columns([clip], patient=patient_in(pattern, clip.file.relative_to(clips).as_posix()))
        ]
    require_patients(found, "say --from with a manifest that has them, or --patient-from.")
    return list(found)


def _meanings(stated: Sequence[str]) -> dict[str, Label]:
    from training.adapters.table import AdapterError

    pairs = {name.strip(): meaning.strip().lower() for name, _, meaning in (text.partition("=") for text in stated)}
    if "" in pairs or not set(pairs.values()) <= set(Label):
        raise AdapterError(f"--means needs a name and one of {', '.join(Label)}, such as pleura=unknown.")
    return {name: Label(meaning) for name, meaning in pairs.items()}


def _write(out: Path, clips: Sequence[LabelledClip], replace_it: bool) -> None:
    from training.adapters.table import write_manifest

    manifest = write_manifest(out, clips, replace_it=replace_it)
    err.print(f"{manifest!r}\nWritten: {out}", markup=False)


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
