"""Once more, because an administrator says so: a dead letter is sent again, one that waits is woken, a clip is read again."""

from service.errors import UnknownJob
from service.jobs.ledger import Ledger
from service.options import quoted
from service.pacs.audit import AuditTrail, Event
from service.pacs.desk.overview import Instance, Overview
from service.pacs.incoming.intake import INSTANCES_QUEUE, READ_INSTANCE
from service.pacs.outgoing.delivery import Letter, Stage, retry


def again(ledger: Ledger, audit: AuditTrail, what: Letter | Instance) -> str:
    """What was done, in a sentence. Raises: LedgerUnavailable."""
    if isinstance(what, Instance):
        return f"{read_again(ledger, audit, what)} is read again."
    id = send_again(ledger, audit, what)
    return f"{id} is tried now." if what.stage is Stage.WAITING else f"{what.id} is sent again, as {id}."


def again_all(found: Overview, destination: str | None) -> tuple[Letter, ...]:
    """All dead letters; or, where a destination is named, all that waits for it. Raises: UnknownJob."""
    if destination is None:
        return found.dead
    known = [queue.destination for queue in found.queues]
    if destination not in known:
        raise UnknownJob(f"There is no destination {quoted(destination)}. There are: {', '.join(known) or 'none'}.")
    return tuple(letter for letter in found.waiting if letter.destination == destination)


def send_again(ledger: Ledger, audit: AuditTrail, letter: Letter) -> str:
    """The id of the delivery that goes on. Raises: LedgerUnavailable."""
    id = retry(ledger, letter)
    if letter.stage is Stage.DEAD:
        audit.write(Event.RETRIED, letter.job, destination=letter.destination)
    return id


def read_again(ledger: Ledger, audit: AuditTrail, instance: Instance) -> str:
    """The job, which keeps its name: whoever sent the clip would get the same. Raises: LedgerUnavailable."""
    entry = ledger.find(instance.job)
    if entry is not None:
        ledger.forget([entry.id])
        ledger.enqueue(INSTANCES_QUEUE, READ_INSTANCE, entry.id, entry.arguments)
        audit.write(Event.RETRIED, entry.id)
    return instance.job


def named(found: Overview, id: str) -> Letter | Instance:
    """What an administrator means by an id, or by enough of its beginning: a delivery that waits or is dead, or a clip that was not read.

    Raises: UnknownJob.
    """
    letters = [letter for letter in found.letters if letter.id.startswith(id)]
    instances = [instance for instance in found.instances if instance.can_be_read_again and instance.job.startswith(id)]
    whole = [letter for letter in letters if letter.id == id]
    matching: list[Letter | Instance] = [*whole] or [*letters, *instances]
    if not id or not matching:
        raise UnknownJob(f"Nothing that waits, is dead or was not read has the id {quoted(id)}. What was delivered is not sent again.")
    if len(matching) > 1:
        raise UnknownJob(f"{len(matching)} have an id that begins with {quoted(id)}. Give more of it.")
    return matching[0]
