"""Where the jobs stand, counted; and the failures among them and among what came from the PACS."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service.api.failures import BUG, Failure
from service.jobs.ledger import Entry, State
from service.jobs.reading import READ, REFUSED, is_our_fault
from service.pacs.desk.overview import Instance, Overview


@dataclass(frozen=True, slots=True)
class JobCounts:
    waiting: int
    reading: int
    read: int
    refused: int
    """Not read because of the clip."""
    failed: int
    """Not read because of us."""
    oldest_waiting_s: float
    """0 where none waits."""
    failures: tuple[Failure, ...]


def count(entries: Sequence[Entry]) -> JobCounts:
    now = datetime.now(UTC)
    outcomes = [(entry.result or {}).get("outcome") for entry in entries]
    waits_s = [(now - entry.asked_at).total_seconds() for entry in entries if entry.state is State.QUEUED]
    return JobCounts(
        waiting=len(waits_s),
        reading=sum(entry.state is State.RUNNING for entry in entries),
        read=outcomes.count(READ),
        refused=outcomes.count(REFUSED),
        failed=sum(map(is_our_fault, entries)),
        oldest_waiting_s=max(waits_s, default=0.0),
        failures=tuple(_failure(entry) for entry in entries if is_our_fault(entry) or (entry.result or {}).get("outcome") == REFUSED),
    )


def unread(overview: Overview) -> tuple[Failure, ...]:
    """Instances of the PACS that were not read."""
    return tuple(_failure_of(instance) for instance in overview.instances if instance.code)


def _failure(entry: Entry) -> Failure:
    """Of one that broke off there is no result."""
    result = entry.result or {}
    return Failure(entry.ended_at or entry.asked_at, result.get("code", "internal_error"), result.get("detail", BUG), entry.id)


def _failure_of(instance: Instance) -> Failure:
    return Failure(instance.ended_at or instance.came_at, instance.code, instance.detail, instance.job)
