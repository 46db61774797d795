"""`seashore pacs` and `seashore doctor`: what a hospital's PACS administrator sees and types.

What they do is imported when they are called: it takes half a second to load, and `seashore predict` does without.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from rich.console import Console

from service.errors import BadOption, SeashoreError
from service.reader import Reader
from service.settings import Settings

if TYPE_CHECKING:
    from service.pacs.desk.desk import Desk
    from service.pacs.desk.echo import Check

EXIT_NOT_WELL, EXIT_USAGE = 1, 2

EPILOG_PACS = """
Examples:

  seashore pacs check pacs.toml    is the site file right? what does it mean?

  seashore pacs queue              what came, what waits for whom, and why

  seashore pacs dead               what was given up, and what to do

  seashore pacs retry --all-dead   send it again, once that is mended

  seashore pacs audit --since 24h  who sent what, where did it go

They read the ledger that SEASHORE_DATA_DIR or SEASHORE_DATABASE_URL names, whether or not the service runs. Nothing of a
patient is shown; only `audit` shows UIDs.
"""
EPILOG_CHECK = """
Examples:

  seashore pacs check              the file that SEASHORE_SITE names

  seashore pacs check pacs.toml    before it is put in place

Exits 0 when the file is right, 1 when it is not: every error is told, with its line.
"""
EPILOG_QUEUE = """
Examples:

  seashore pacs queue

  seashore pacs queue --json | jq '.destinations[] | select(.dead > 0)'
"""
EPILOG_RETRY = """
Examples:

  seashore pacs retry d7a65785           what has this id, or begins with it

  seashore pacs retry --all-dead         every dead letter

  seashore pacs retry --waiting archive  it is back: do not wait any longer

An id is that of a delivery that waits or is dead, or of a clip that could not be read because of Seashore itself.
"""
EPILOG_AUDIT = """
Examples:

  seashore pacs audit --since 24h

  seashore pacs audit --since 2026-11-01 --json | gzip > november.jsonl.gz

  seashore pacs audit --job 3f2a9c1e
"""
EPILOG_DOCTOR = """
Examples:

  seashore doctor                look at everything; nothing is stored

  seashore doctor --round-trip   and send a test clip through it all

Run it as the user the service runs as, with the same SEASHORE_ settings. Exits 0 when all is well, 1 when something is not.
"""

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)


class SettingsOf(Protocol):
    """The settings of the environment, under what is given here."""

    def __call__(self, **given: str | int | None) -> Settings: ...


def add_pacs(app: typer.Typer, make_reader: Callable[[Settings], Reader], settings_of: SettingsOf) -> None:
    """`seashore pacs ...` and `seashore doctor`."""
    pacs = typer.Typer(
        help="The hospital's side: site file, queues, dead letters, audit trail.",
        epilog=EPILOG_PACS,
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    _add_check(pacs, settings_of)
    _add_queue(pacs, settings_of)
    _add_retry(pacs, settings_of)
    _add_audit(pacs, settings_of)
    app.add_typer(pacs, name="pacs")
    _add_doctor(app, make_reader, settings_of)


def _add_check(pacs: typer.Typer, settings_of: SettingsOf) -> None:
    @pacs.command(epilog=EPILOG_CHECK)
    def check(file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Site file; default: SEASHORE_SITE.")] = None) -> None:
        """Is the site file right, and what does it mean?"""
        from service.pacs.desk import desk

        path = file or settings_of().site
        if path is None:
            raise _stop("Which file? Give it here, or set SEASHORE_SITE. docs/pacs.toml is one to start from.", EXIT_USAGE)
        with _in_words():
            for sentence in desk.meaning(path):
                out.print(sentence, markup=False)


def _add_queue(pacs: typer.Typer, settings_of: SettingsOf) -> None:
    @pacs.command(epilog=EPILOG_QUEUE)
    def queue(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
        """What came, what became of it, what waits for whom and why."""
        from service.pacs.desk import tables

        with _desk(settings_of()) as desk:
            found = desk.overview()
        if as_json:
            typer.echo(json.dumps(tables.as_json(found), indent=2))
        for part in () if as_json else tables.queue(found):
            out.print(part)

    @pacs.command(epilog="Example: seashore pacs dead")
    def dead() -> None:
        """What was given up, why, and what to do about it."""
        from service.pacs.desk import tables

        with _desk(settings_of()) as desk:
            found = desk.overview()
        for part in tables.dead(found):
            out.print(part)


def _add_retry(pacs: typer.Typer, settings_of: SettingsOf) -> None:
    @pacs.command(epilog=EPILOG_RETRY)
    def retry(
        id: Annotated[str | None, typer.Argument(metavar="ID", help="From `seashore pacs queue`; its beginning is enough.")] = None,
        all_dead: Annotated[bool, typer.Option("--all-dead", help="Every dead letter.")] = False,
        waiting: Annotated[str | None, typer.Option(metavar="DESTINATION", help="All that waits for it: try now.")] = None,
    ) -> None:
        """Send again what was given up; try at once what waits; read again what could not be read."""
        if (id is not None) + all_dead + (waiting is not None) != 1:
            raise _stop("Give one of: an ID, --all-dead, --waiting DESTINATION.", EXIT_USAGE)
        with _desk(settings_of()) as desk:
            done = desk.again(id, waiting)
        for sentence in done or ["There is nothing of the kind."]:
            out.print(sentence, markup=False)


def _add_audit(pacs: typer.Typer, settings_of: SettingsOf) -> None:
    @pacs.command(epilog=EPILOG_AUDIT)
    def audit(
        since: Annotated[str | None, typer.Option(metavar="WHEN", help="24h, 7d, 4w, or a date: 2026-11-21.")] = None,
        job: Annotated[str, typer.Option(metavar="ID", help="Only this job; the beginning of its id is enough.")] = "",
        as_json: Annotated[bool, typer.Option("--json", help="One event a line, as it was written.")] = False,
    ) -> None:
        """Who sent what, what was said of it, where it went. Instances by their UIDs; no names."""
        from service.pacs.desk import desk, tables

        with _in_words():
            events = desk.trail(settings_of(), since, job)
        for event in events if as_json else ():
            typer.echo(json.dumps(event))
        if not as_json:
            out.print(tables.audit(events) if events else "Nothing of the kind is written there.")


def _add_doctor(app: typer.Typer, make_reader: Callable[[Settings], Reader], settings_of: SettingsOf) -> None:
    @app.command(epilog=EPILOG_DOCTOR)
    def doctor(
        is_round_trip: Annotated[
            bool, typer.Option("--round-trip", help="Send a test clip through the service into the archives, and find its results there.")
        ] = False,
        within_s: Annotated[float, typer.Option("--within", metavar="SECONDS", min=5, help="How long the round trip may take.")] = 120.0,
    ) -> None:
        """Is everything well? Each thing that is not, with what to do."""
        from service.pacs.desk.doctor import examine

        settings = settings_of()
        reader = make_reader(settings)
        checks = [_told(check) for check in examine(settings, reader)]
        if is_round_trip:
            checks += _round_trip(settings, reader, within_s)
        failed = sum(not check.ok for check in checks)
        out.print(f"\n{'All is well.' if not failed else 'One thing is not well.' if failed == 1 else f'{failed} things are not well.'}")
        if failed:
            raise typer.Exit(EXIT_NOT_WELL)


def _round_trip(settings: Settings, reader: Reader, within_s: float) -> "list[Check]":
    from service.pacs.desk.desk import try_round_trip
    from service.pacs.desk.round_trip import HOW_TO_DELETE

    checks = try_round_trip(settings, reader, within_s, _told)
    if checks[0].ok:
        out.print(f"\n{HOW_TO_DELETE}", markup=False)
    return checks


def _told(check: "Check") -> "Check":
    """As soon as it is known: some take seconds."""
    mark, style = ("ok  ", "green") if check.ok else ("FAIL", "bold red")
    out.print(f"[{style}]{mark}[/]", end="  ")
    out.print(f"{check.name}: {check.sentence}", markup=False)
    if check.advice and not check.ok:
        out.print(f"      {check.advice}", markup=False)
    return check


@contextmanager
def _desk(settings: Settings) -> "Iterator[Desk]":
    from service.pacs.desk.desk import open_desk

    with _in_words(), open_desk(settings) as desk:
        yield desk


@contextmanager
def _in_words() -> Iterator[None]:
    """The sentence alone, and an exit status."""
    try:
        yield
    except BadOption as error:
        raise _stop(str(error), EXIT_USAGE) from None
    except SeashoreError as error:
        raise _stop(str(error), EXIT_NOT_WELL) from None


def _stop(sentence: str, status: int) -> typer.Exit:
    err.print(sentence, markup=False)
    return typer.Exit(status)
