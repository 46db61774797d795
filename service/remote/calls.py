"""One process asks another: what it may be told, and what is raised here of it."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from service.errors import SeashoreError
from service.reading import Wanted
from service.telemetry import describe_bug


class Replicas(Protocol):
    """Processes that do the same. What one could not finish because it died, another does."""

    def call(self, method: str, *arguments: Any, wanted: Wanted) -> Any:
        """What the method gives. Blocks; what `wanted` raises drops the call over there as well.

        Raises: SeashoreError, as the method raised it; RemoteBug; EngineFailed when replica after replica died over it.
        """
        ...


class RemoteBug(Exception):
    """A bug in another process. Its log line is in `where`."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of ours on its way back. It is sent as a value: what is raised in a replica is written to the cluster's log."""

    error: SeashoreError


@dataclass(frozen=True, slots=True)
class Broken:
    """A bug over there, without its message: that may quote the clip's own header, and so name the patient."""

    where: str


async def reply(work: Awaitable[Any]) -> Any:
    """What a replica sends back: the answer, a Refusal, or Broken."""
    try:
        return await work
    except asyncio.CancelledError:
        raise
    except SeashoreError as error:
        return Refusal(error)
    except RemoteBug as bug:  # of a process of the replica's own
        return Broken(bug.where)
    except Exception as bug:
        return Broken(describe_bug(bug))


def answer_of(replied: Any) -> Any:
    """Raises: SeashoreError, RemoteBug."""
    if isinstance(replied, Refusal):
        raise replied.error
    if isinstance(replied, Broken):
        raise RemoteBug(replied.where)
    return replied
