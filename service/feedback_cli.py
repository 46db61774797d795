"""`seashore feedback`: what clinicians said of answers becomes a training manifest."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from rich.console import Console

from service.settings import Settings

if TYPE_CHECKING:
    from service.feedback.export import Exported

EXIT_NOTHING, EXIT_USAGE = 1, 2

EPILOG = """
Example: seashore feedback export --out ward
"""
EPILOG_EXPORT = """
Writes FOLDER/manifest.csv, as `seashore train` and `seashore validate` read it, and the clips into FOLDER/clips, named by the
SHA-256 of what was uploaded. What lacks its clip or its patient is listed in FOLDER/waiting.csv: fill in its column patient (any
made-up name, or the one that another clip of this patient has in the manifest: all of one patient must share it), add clips with
--clips, and give the command again with --replace.

The last opinion on a clip counts. Agreeing with "present" or "absent" labels it so; disagreeing labels it the opposite, unless
it was said what was seen. Opinions that are unsure are left out. An opinion on a region drawn by hand holds of that region.

DICOM clips are copied without their header, and their Patient ID becomes a pseudonym: its key is FOLDER/manifest.csv.key, which
stays with you. Clips go with their jobs after SEASHORE_JOB_KEEP_HOURS, unless SEASHORE_KEEP_FEEDBACK_CLIPS keeps them.

Examples:

  seashore feedback export --out ward

  seashore feedback export --out ward --clips /archive/lung --replace

  seashore train data check ward/manifest.csv

  seashore train fit ward/manifest.csv --from pleura-resnet3d-18 --version 1.1.2+ward

Exits 0 when a manifest is written, 1 when nothing can be in it yet, 2 when it cannot start.
"""

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)


class SettingsOf(Protocol):
    """The settings of the environment, under what is given here."""

    def __call__(self, **given: str | int | None) -> Settings: ...


def add_feedback(app: typer.Typer, settings_of: SettingsOf) -> None:
    """`seashore feedback ...`"""
    feedback = typer.Typer(
        help="What clinicians said of answers: a training manifest of it.", epilog=EPILOG, no_args_is_help=True, rich_markup_mode=None
    )
    feedback.callback()(lambda: None)  # so that its one command keeps its name
    _add_export(feedback, settings_of)
    app.add_typer(feedback, name="feedback")


def _add_export(feedback: typer.Typer, settings_of: SettingsOf) -> None:
    @feedback.command(epilog=EPILOG_EXPORT)
    def export(
        folder: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where manifest and clips go.")],
        clips: Annotated[
            Path | None,
            typer.Option(metavar="DIR", exists=True, file_okay=False, help="Look here as well, by SHA-256, for clips that are gone."),
        ] = None,
        with_headers: Annotated[bool, typer.Option("--with-headers", help="Copy DICOM as it is: names, numbers, dates and all.")] = False,
        with_notes: Annotated[bool, typer.Option("--with-notes", help="Take the clinicians' notes along; they may say anything.")] = False,
        replace_it: Annotated[bool, typer.Option("--replace", help="Write over the manifest there; its patients are kept.")] = False,
    ) -> None:
        """Clips, labels and regions that clinicians gave, for `seashore train fit` and `seashore validate`."""
        from service.feedback.export import Request
        from service.feedback.export import export as export_all

        with _in_words():
            found = export_all(Request(settings_of().data_dir, folder, clips, with_headers, with_notes, replace_it))
        for sentence in _sentences(found, folder, with_headers):
            out.print(sentence, markup=False)
        if found.manifest is None:
            raise typer.Exit(EXIT_NOTHING)


def _sentences(found: "Exported", folder: Path, with_headers: bool) -> Iterator[str]:
    if found.manifest is None and not found.waiting:
        yield "No opinion says anything of sliding yet: nothing was written."
    yield from _left_out(found)
    yield from _waits(found, folder)
    if found.manifest is None:
        return
    yield f"{found.manifest!r}\nWritten: {folder / 'manifest.csv'}"
    yield from _warnings(found, with_headers)


def _left_out(found: "Exported") -> Iterator[str]:
    choice = found.choice
    if found.num_unreadable:
        yield f"Passed over, because they are damaged: {found.num_unreadable} lines of the feedback."
    if choice.num_unsure:
        yield f"Left out, because the clinician was unsure or could not tell: {choice.num_unsure}."
    if choice.num_open:
        yield f"Left out, because the verdict was open and it was not said what was seen: {choice.num_open}."
    if choice.num_contradicted:
        yield f"Opinions contradict each other on {choice.num_contradicted} of the clips; the last one counts. Look at these again."


def _waits(found: "Exported", folder: Path) -> Iterator[str]:
    if not found.waiting:
        return
    from service.feedback.export import CLIP, PATIENT, UNTOLD

    lacks = {what: sum(what in row.lacks for row in found.waiting) for what in (CLIP, PATIENT, UNTOLD)}
    yield f"Not in the manifest yet: {len(found.waiting)}, listed in {folder / 'waiting.csv'}."
    if lacks[CLIP]:
        yield f"  {lacks[CLIP]}: the clip is gone with its job; --clips looks among the clips you keep."
    if lacks[PATIENT]:
        yield f"  {lacks[PATIENT]}: whose it is is not known; fill in the column patient, and export again with --replace."
    if lacks[UNTOLD]:
        yield f"  {lacks[UNTOLD]}: the DICOM header cannot be taken off; --with-headers copies the clip as it is."


def _warnings(found: "Exported", with_headers: bool) -> Iterator[str]:
    if found.num_dicom and with_headers:
        yield f"{found.num_dicom} of the clips are DICOM with their headers: they say whose they are."
    if found.num_dicom:
        yield "The key of the pseudonyms, manifest.csv.key, stays with you."
    yield "What is burned into the pictures, or said in a film's own header, is copied as it is: look before you pass clips on."


@contextmanager
def _in_words() -> Iterator[None]:
    """The sentence alone, and an exit status."""
    from service.feedback.export import ExportError
    from service.manifest import ManifestError
    from service.pseudonyms import BadKey

    try:
        yield
    except (ExportError, ManifestError, BadKey) as error:
        raise _stop(str(error)) from None
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise _stop(f"A file of the feedback cannot be read, or one of the export cannot be written: {reason}.") from None


def _stop(sentence: str) -> typer.Exit:
    err.print(sentence, markup=False)
    return typer.Exit(EXIT_USAGE)
