"""Storage Commitment, durable: whoever asked whether it may delete is told, also after a restart. See `commitment` for what is told."""

import logging
from dataclasses import asdict
from typing import Any

from service.jobs.office import JobOffice
from service.jobs.workers import Workers, step_again
from service.options import quoted
from service.pacs.incoming.commitment import ReportFailed, Transaction, report
from service.pacs.incoming.inbox import Inbox
from service.pacs.outgoing.commitment_scu import Reference
from service.pacs.outgoing.outcome import NodeFailed
from service.pacs.site import Node, Receive

TELL = "report_commitment"
REPORTS_QUEUE = "commitment-reports"
AT_ONCE = 16
TRY_AGAIN_AFTER_S = (5.0, 30.0, 120.0, 600.0, *(3600.0,) * 24)
"""For a day: a cart that is switched off at night listens again in the morning."""

log = logging.getLogger(__name__)


class DurableReporter:
    """A `Reporter` on the ledger."""

    def __init__(self, office: JobOffice, inbox: Inbox, receive: Receive) -> None:
        self._office = office
        self._inbox = inbox
        self._receive = receive

    def offer(self, workers: Workers) -> None:
        workers.offer(TELL, self._work)
        workers.listen(REPORTS_QUEUE, at_once=AT_ONCE, look_every_s=2.0)

    def take(self, transaction: Transaction, node: Node) -> None:
        """Raises: LedgerUnavailable; the sender is then answered with a failure and asks again."""
        id = self._office.job_id(TELL, transaction.uid, transaction.asked_by)
        self._office.ledger.enqueue(REPORTS_QUEUE, TELL, id, {"transaction": asdict(transaction)})

    def _work(self, transaction: dict[str, Any]) -> dict[str, Any]:
        because = step_again("tell", self._tell, transaction, until=lambda because: not because, waits_s=TRY_AGAIN_AFTER_S)
        return {"told": not because, "because": because}

    def _tell(self, fields: dict[str, Any]) -> str:
        """Why it was not told, or ""."""
        transaction = Transaction(fields["uid"], fields["asked_by"], tuple(Reference(**item) for item in fields["references"]))
        node = self._receive.node_of(transaction.asked_by)
        if node is None:
            return "The site file does not say where it listens ([[receive.node]])."
        try:
            report(transaction, node, self._inbox, ae_title=self._receive.ae_title)
        except (ReportFailed, NodeFailed) as error:
            log.warning("storage commitment: %s", error)
            return str(error)
        log.info("storage commitment: %s was told of %d instances", quoted(node.ae_title), len(transaction.references))
        return ""
