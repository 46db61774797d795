"""How the long commands of training speak: a bar or lines, sentences instead of traces, and how to go on after Ctrl-C."""

import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import typer
from rich.console import Console
from rich.progress import track

from service.errors import SeashoreError

T = TypeVar("T")

EXIT_FAILED, EXIT_STOPPED = 1, 130

err = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Told:
    """A bar where there is a terminal, a line where there is none."""

    has_bar: bool

    def count(self, words: str, pieces: Iterable[T], total: int) -> Iterable[T]:
        self.say(f"{words}: {total}") if not self.has_bar else None
        return track(pieces, words, total=total, console=err, disable=not self.has_bar)

    def say(self, words: str) -> None:
        err.print(words, markup=False)


@contextmanager
def said() -> Iterator[None]:
    """What a person can mend is a sentence and an exit status, not a trace; Ctrl-C says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        say_how_to_go_on()
        raise typer.Exit(EXIT_STOPPED) from None
    except (SeashoreError, ValueError, AssertionError) as error:
        if type(error) in (ValueError, AssertionError):  # a library's or a bug: not written for a reader
            raise
        err.print(f"{error}", markup=False)
        raise typer.Exit(EXIT_FAILED) from None


def say_how_to_go_on() -> None:
    err.print(f"Stopped. The same command goes on from here: {shlex.join(['seashore', *sys.argv[1:]])}", markup=False)
