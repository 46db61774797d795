"""Results on their way out: one piece of durable work a job and destination, each destination with a queue of its own.

offered -> accepted: delivered -> (asked to keep them: `commitments`)
   |
 tried again, later and later
   |
dead letter: a person looks, and may send it again
"""

import time
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from random import Random
from threading import BoundedSemaphore
from typing import Any

from service.jobs.clock import CautiousClock
from service.jobs.ledger import Entry, Ledger, State
from service.jobs.office import JobOffice
from service.jobs.workers import RETRY, Workers, step, wait_for
from service.pacs.audit import AuditTrail, Event
from service.pacs.outgoing.commitments import Commitments
from service.pacs.outgoing.outbox import queue_of, result_path
from service.pacs.outgoing.outcome import PERMANENT_ATTEMPTS, Delivered, Outcome, Refused, next_delay_s
from service.pacs.outgoing.send import send
from service.pacs.site import Destination, Site

DELIVER = "deliver"
LINES = 4
"""To one destination: associations that an archive sees from this process at the same time."""
WAITING = 100
"""Of one destination, deliveries that wait for their next try without holding up those behind them. Each is a thread that sleeps."""


class Stage(StrEnum):
    """Where one delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Tries:
    """What one delivery has been through."""

    attempts: int
    refusals: int
    """Of the kind that does not pass; an archive that was away is no reason to give up sooner."""
    since_s: float


@dataclass(frozen=True, slots=True)
class Letter:
    """One delivery, for the administrator."""

    id: str
    job: str
    destination: str
    stage: Stage
    detail: str
    attempts: int
    asked_at: datetime


class Deliveries:
    """The work `deliver`, for the destinations of one site."""

    def __init__(self, office: JobOffice, site: Site, audit: AuditTrail, commitments: Commitments) -> None:
        self._office = office
        self._site = site
        self._audit = audit
        self._commitments = commitments
        self._random = Random()
        self._clock = CautiousClock()
        self._lines = {destination.name: BoundedSemaphore(LINES) for destination in site.destination}

    def offer(self, workers: Workers) -> None:
        workers.offer(DELIVER, self._work, max_deaths=1000)
        for destination in self._site.destination:
            workers.listen(queue_of(destination.name), at_once=LINES + WAITING)

    def enqueue(self, job: str, destination: str) -> str:
        """The first time; again it is the same delivery. Gives its id."""
        id = f"{job}-{destination}-1"
        self._office.ledger.enqueue(queue_of(destination), DELIVER, id, {"id": id, "job": job, "destination": destination})
        return id

    def unfinished(self) -> list[Entry]:
        """Deliveries under way; and dead letters, whose files must stay for another try."""
        ledger = self._office.ledger
        waiting = ledger.list(work=DELIVER, states=(State.QUEUED, State.RUNNING))
        ended = ledger.list(work=DELIVER, states=(State.DONE, State.FAILED))
        dead = [entry for entry in ended if entry.state is State.FAILED or (entry.result or {}).get("stage") == Stage.DEAD]
        return waiting + [entry for entry in dead if not self._was_sent_again(entry.id)]

    def _was_sent_again(self, id: str) -> bool:
        return self._office.ledger.find(_next_id(id)) is not None

    def _work(self, id: str, job: str, destination: str) -> dict[str, Any]:
        since_s = step("begin", time.time)
        attempts = refusals = 0
        while True:
            tried = step("send", self._send, job, destination, Tries(attempts, refusals, since_s))
            attempts += 1
            refusals += tried["is_refusal"]
            if tried["stage"] != Stage.WAITING:
                break
            wait_for(RETRY, tried["wait_s"])
        result = {"stage": tried["stage"], "detail": tried["detail"], "attempts": attempts}
        step("note", self._note, job, destination, result)
        return result

    def _send(self, job: str, name: str, tries: Tries) -> dict[str, Any]:
        destination = self._site.destination_named(name)
        if destination is None:
            return _tried(Stage.DEAD, f"The site file has no destination '{name}' any more.")
        paths = [result_path(self._office.folder(job), kind) for kind in destination.results]
        with self._lines[name]:
            outcome = send(paths, destination, ae_title=self._site.receive.ae_title)
        return self._judge(outcome, destination, tries)

    def _judge(self, outcome: Outcome, destination: Destination, tries: Tries) -> dict[str, Any]:
        if isinstance(outcome, Delivered):
            return _tried(Stage.DELIVERED, " ".join(outcome.warnings))
        is_refusal = isinstance(outcome, Refused) and outcome.is_permanent
        tried_for_s = self._clock.now().timestamp() - tries.since_s
        if (is_refusal and tries.refusals + 1 >= PERMANENT_ATTEMPTS) or tried_for_s > destination.give_up_after_s:
            return _tried(Stage.DEAD, outcome.sentence)
        asked_s = outcome.retry_after_s if isinstance(outcome, Refused) else 0.0
        wait_s = next_delay_s(tries.attempts, self._random, asked_s)
        return _tried(Stage.WAITING, outcome.sentence, is_refusal) | {"wait_s": wait_s}

    def _note(self, job: str, destination: str, result: dict[str, Any]) -> None:
        event = Event.DEAD_LETTER if result["stage"] == Stage.DEAD else Event.DELIVERED
        self._audit.write(event, job, destination=destination, attempts=result["attempts"], detail=result["detail"])
        target = self._site.destination_named(destination)
        if result["stage"] == Stage.DELIVERED and target is not None and target.commit:
            self._commitments.enqueue(job, destination)


def _tried(stage: Stage, detail: str, is_refusal: bool = False) -> dict[str, Any]:
    return {"stage": stage.value, "detail": detail, "is_refusal": is_refusal}


def letter_of(entry: Entry, ledger: Ledger) -> Letter:
    result = entry.result or {}
    if entry.state is State.RUNNING:
        result = (ledger.last_step(entry.id, "send") or {}) | {"stage": Stage.WAITING}
    stage = Stage(result["stage"]) if result else Stage.DEAD if entry.state in (State.FAILED, State.CANCELLED) else Stage.WAITING
    arguments = entry.arguments
    detail, attempts = result.get("detail", ""), result.get("attempts", 0)
    return Letter(entry.id, arguments["job"], arguments["destination"], stage, detail, attempts, entry.asked_at)


def retry(ledger: Ledger, letter: Letter) -> str:
    """Send a dead letter again, as a delivery of its own; one that waits is woken. Gives the id of the delivery that goes on."""
    if letter.stage is Stage.WAITING:
        ledger.tell(letter.id, RETRY, {})
        return letter.id
    id = _next_id(letter.id)
    ledger.enqueue(queue_of(letter.destination), DELIVER, id, {"id": id, "job": letter.job, "destination": letter.destination})
    return id


def _next_id(id: str) -> str:
    stem, number = id.rsplit("-", 1)
    return f"{stem}-{int(number) + 1}"
