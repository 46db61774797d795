"""`seashore keys`: who may use the service."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from service.access.door import keys_file
from service.access.keys import NAME, Key, KeyRing, add_key, now, revoke_key, rotate_key
from service.access.principal import Scope
from service.errors import BadKeys
from service.settings import Settings

EXIT_FAILED, EXIT_USAGE = 1, 2
EPILOG = """
Examples:

  seashore keys add ward-3                     a key that sends clips and reads their results

  seashore keys add ward-3-screen --owner ward-3 --scope read

  seashore keys add pacs-admin --scope admin --days 365

  seashore keys rotate ward-3                  a new secret; the old one counts for another day

  seashore keys revoke ward-3                  opens nothing from this moment on

Once there is a key, every request needs one, from this machine too. A key is printed once; only its SHA-256 is kept.
"""

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of whom or what holds the key: ward-3, orthanc. No names of persons.")]


def add_keys(app: typer.Typer, settings: Callable[[], Settings]) -> None:
    keys = typer.Typer(help="Keys: who may use the service, and for what.", epilog=EPILOG, no_args_is_help=True)
    app.add_typer(keys, name="keys")

    @keys.command()
    def add(
        name: Name,
        scope: Annotated[list[Scope], typer.Option(help="What it allows; several may be given.")] = [Scope.PREDICT, Scope.READ],  # noqa: B006
        owner: Annotated[
            str | None, typer.Option(help="Whose results it sees: of all keys with this owner. Its name unless given.")
        ] = None,
        days: Annotated[int | None, typer.Option(help="How long it opens. Unless given: until it is revoked.", min=1)] = None,
    ) -> None:
        """Make a key and print it, once."""
        _check_names(name, owner or name)
        with _told():
            key, token = add_key(keys_file(settings()), name, tuple(dict.fromkeys(scope)), owner or name, days, now())
        _print_token(key, token)

    @keys.command("list")
    def list_them() -> None:
        """The keys there are, without their secrets."""
        with _told():
            found = KeyRing(keys_file(settings())).keys
        if not found:
            err.print("There are no keys: whoever reaches the service can use it, which it allows on loopback alone.")
            return
        table = Table("Name", "Id", "Owner", "Scopes", "Made", "Until")
        for key in found:
            table.add_row(key.name, key.id, key.owner, ", ".join(key.scopes), _day(key.made_at), _until(key))
        out.print(table)

    @keys.command()
    def rotate(
        name: Name,
        grace_hours: Annotated[float, typer.Option(help="How long the old secret counts beside the new one.", min=0)] = 24.0,
    ) -> None:
        """Give a key a new secret and print it, once."""
        with _told():
            key, token = rotate_key(keys_file(settings()), name, timedelta(hours=grace_hours), now())
        _print_token(key, token)

    @keys.command()
    def revoke(name: Name) -> None:
        """End a key, and the sessions begun with it, at once."""
        with _told():
            revoke_key(keys_file(settings()), name)
        err.print(f"{name} opens nothing any more.")


def _check_names(*names: str) -> None:
    for name in names:
        if not NAME.fullmatch(name):
            err.print("A name has letters, digits, dots, dashes and underscores, 64 at most.")
            raise typer.Exit(EXIT_USAGE)


def _print_token(key: Key, token: str) -> None:
    """The token alone goes to standard output, so that it can be piped where it is needed."""
    out.print(token, markup=False)
    err.print(f"{key.name} ({', '.join(key.scopes)}), of {key.owner}, until {_until(key)}. Keep it now: it cannot be shown again.")


def _until(key: Key) -> str:
    if key.until is None:
        return "revoked"
    return f"{_day(key.until)}{' (over)' if key.is_over(now()) else ''}"


def _day(moment: datetime) -> str:
    return moment.date().isoformat()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BadKeys as error:
        err.print(str(error), markup=False)
        raise typer.Exit(EXIT_FAILED) from None
    except OSError as error:
        err.print(f"The file of keys cannot be written: {error.strerror or 'unknown reason'}.")
        raise typer.Exit(EXIT_FAILED) from None
