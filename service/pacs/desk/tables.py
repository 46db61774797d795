"""The administrator's tables on a terminal. Job ids, stages and our own sentences; nothing of a patient."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from service.pacs.desk.overview import Instance, Overview, Queue
from service.pacs.outgoing.delivery import Letter

BROKE_OFF = "The service met an error of its own while it was sent, or was stopped again and again. Its log says more."
SHOWN_INSTANCES, SHOWN_WAITING = 20, 20
TOLD_APART = ("at", "event", "job", "node")
"""Of an event: what has a column of its own, or is of no use to a reader."""
VERDICTS = {"present": "sliding present", "absent": "sliding absent", "indeterminate": "cannot tell", "not_assessable": "not assessable"}


def queue(found: Overview) -> list[Table | Text]:
    """What came; the destinations; what waits."""
    counts = ", ".join(f"{count} {stage}" for stage, count in found.by_stage.items() if count) or "nothing yet"
    parts: list[Table | Text] = [Text(f"What came: {counts}")]
    if found.instances:
        parts.append(_instances(found.instances[:SHOWN_INSTANCES]))
    parts.append(_queues(found.queues) if found.queues else Text("\nResults go nowhere: the site file has no [[destination]]."))
    if found.waiting:
        parts.append(_waiting(found.waiting))
    if found.dead:
        parts.append(Text(f"\n{len(found.dead)} dead: `seashore pacs dead` says why, and what to do."))
    return parts


def dead(found: Overview) -> list[Table | Text]:
    """Why each was given up, and what to do; clips that could not be read because of us as well."""
    unread = [instance for instance in found.instances if instance.can_be_read_again]
    if not found.dead and not unread:
        return [Text("There are no dead letters.")]
    table = Table(Column("Id", no_wrap=True), Column("What was found, and what to do", overflow="fold"), title="Given up")
    for letter in found.dead:
        table.add_row(letter.id, Text(letter.detail or BROKE_OFF))
    for instance in unread:
        table.add_row(instance.job, Text(f"Not read: {instance.detail}"))
    again = "Once that is mended: `seashore pacs retry ID`, or `seashore pacs retry --all-dead`. The results are kept until then."
    return [table, Text(again)]


def audit(events: Iterable[dict[str, Any]]) -> Table:
    table = Table("When (UTC)", "Event", Column("Job", no_wrap=True), Column("What", overflow="fold"), box=None)
    for event in events:
        facts = [f"{name} {value}" for name, value in event.items() if name not in TOLD_APART and value not in ("", None)]
        when = str(event["at"])[:19].replace("T", " ")
        table.add_row(when, str(event["event"]).replace("_", " "), str(event["job"])[:12], Text(", ".join(facts)))
    return table


def as_json(found: Overview) -> dict[str, Any]:
    """For programs, and for the page."""
    return {
        "instances": {stage.replace(" ", "_"): count for stage, count in found.by_stage.items()},
        "recent": [_instance_json(instance) for instance in found.instances[:SHOWN_INSTANCES]],
        "destinations": [_queue_json(one) for one in found.queues],
        "waiting": [_letter_json(letter) for letter in found.waiting[:SHOWN_WAITING]],
        "dead": [_letter_json(letter) for letter in found.dead],
        "unread": [_instance_json(instance) for instance in found.instances if instance.can_be_read_again],
    }


def _instances(instances: Iterable[Instance]) -> Table:
    table = Table("Came (UTC)", Column("Job", no_wrap=True), "Stage", Column("Because", overflow="fold"), title="The last that came")
    for one in instances:
        table.add_row(_when(one.came_at), one.job[:12], one.stage, Text(VERDICTS.get(one.detail, one.detail)))
    return table


def _queues(queues: Iterable[Queue]) -> Table:
    numbers = [Column(name, justify="right") for name in ("Waiting", "Oldest", "Delivered", "Dead")]
    table = Table("Destination", *numbers, Column("Last failure", overflow="fold"), title="Where results go")
    for one in queues:
        oldest = age(one.oldest_waiting_s) if one.waiting else ""
        table.add_row(one.destination, str(one.waiting), oldest, str(one.delivered), str(one.dead), Text(one.last_failure))
    return table


def _waiting(letters: tuple[Letter, ...]) -> Table:
    more = f", the newest {SHOWN_WAITING} of {len(letters)}" if len(letters) > SHOWN_WAITING else ""
    table = Table(Column("Id", no_wrap=True), Column("Why it waits", overflow="fold"), title=f"What waits{more}")
    for letter in letters[:SHOWN_WAITING]:
        table.add_row(letter.id, Text(letter.detail or "Its turn has not come."))
    return table


def age(seconds: float) -> str:
    """One unit, rounded down."""
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{int(seconds // length_s)} {unit}"
    return f"{int(seconds)} s"


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _instance_json(one: Instance) -> dict[str, Any]:
    return {
        "job": one.job,
        "came_at": one.came_at.isoformat(timespec="seconds"),
        "stage": one.stage.replace(" ", "_"),
        "because": one.detail,
    }


def _queue_json(one: Queue) -> dict[str, Any]:
    return {
        "destination": one.destination,
        "waiting": one.waiting,
        "delivered": one.delivered,
        "dead": one.dead,
        "oldest_waiting_s": round(one.oldest_waiting_s),
        "last_failure": one.last_failure,
    }


def _letter_json(one: Letter) -> dict[str, Any]:
    return {
        "id": one.id,
        "job": one.job,
        "destination": one.destination,
        "attempts": one.attempts,
        "because": one.detail,
        "asked_at": one.asked_at.isoformat(timespec="seconds"),
    }
