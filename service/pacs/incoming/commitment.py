"""Storage Commitment Push Model, as SCP (PS3.4 annex J): a sender asks whether it may delete what it sent, and is told what is held here.

The answer goes to the node under [receive] whose AE title asked, on an association of its own; to a node that the site file does not
know, on the association that asked, for there is no other address.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from service.cine.dicom_object import text, value
from service.options import quoted
from service.pacs.incoming.identity import is_uid
from service.pacs.incoming.inbox import Inbox
from service.pacs.outgoing.commitment_scu import Reference
from service.pacs.outgoing.dimse import client_context
from service.pacs.site import Node, Receive

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
"""PS3.4 J.3.5: the well-known instance that every request names."""

REQUEST_COMMITMENT = 1
ALL_HELD, SOME_MISSING = 1, 2
"""PS3.4 J.3.2.1 and J.3.3.1: action and event types."""
NO_SUCH_INSTANCE = 0x0112
SUCCESS, NO_SUCH_ACTION, INVALID_ARGUMENT, PROCESSING_FAILURE = 0x0000, 0x0123, 0x0115, 0x0110
"""PS3.4 J.3.3.1.1 (the failure reason) and PS3.7 annex C."""

TIMEOUT_S = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class Transaction:
    """What a sender asks. Plain values, so that it can be kept on disk until it is answered."""

    uid: str
    asked_by: str
    """AE title."""
    references: tuple[Reference, ...]

    def __repr__(self) -> str:
        return f"Transaction({len(self.references)} instances, asked by {quoted(self.asked_by)})"


class ReportFailed(Exception):
    """The answer did not reach whoever asked. Its text says why, for the log; trying again may help."""


class Reporter(Protocol):
    """Sees to it that a transaction is answered, later. May be durable."""

    def take(self, transaction: Transaction, node: Node) -> None:
        """Quick; called before the request is acknowledged. What it raises is answered as a failure, and the sender asks again."""
        ...


def read_transaction(information: Dataset, asked_by: str) -> Transaction | None:
    """PS3.4 table J.3-1; None when it does not say what is asked."""
    uid, items = text(information, "TransactionUID"), value(information, "ReferencedSOPSequence")
    if not is_uid(uid) or not isinstance(items, Sequence) or not items:
        return None
    references = tuple(Reference(text(item, "ReferencedSOPClassUID"), text(item, "ReferencedSOPInstanceUID")) for item in items)
    named = all(is_uid(reference.sop_class_uid) and is_uid(reference.sop_instance_uid) for reference in references)
    return Transaction(uid, asked_by, references) if named else None


def event_of(transaction: Transaction, inbox: Inbox) -> tuple[int, Dataset]:
    """The event type and its information (PS3.4 table J.3-2): what is held now, and what is not."""
    held = [reference for reference in transaction.references if inbox.holds(reference.sop_class_uid, reference.sop_instance_uid)]
    missing = [reference for reference in transaction.references if reference not in held]
    information = Dataset()
    information.TransactionUID = transaction.uid
    if held:
        information.ReferencedSOPSequence = [_item(reference) for reference in held]
    if missing:
        information.FailedSOPSequence = [_item(reference, NO_SUCH_INSTANCE) for reference in missing]
    return (SOME_MISSING if missing else ALL_HELD), information


def report(transaction: Transaction, node: Node, inbox: Inbox, *, ae_title: str, timeout_s: float = TIMEOUT_S) -> None:
    """Tell `node`, on a new association, once. Raises: ReportFailed; NodeFailed for TLS files that cannot be read."""
    association = _associate(node, ae_title, timeout_s)
    try:
        _send(association, transaction, inbox)
    finally:
        association.release()


def _associate(node: Node, ae_title: str, timeout_s: float) -> Association:
    entity = AE(ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = entity.network_timeout = timeout_s
    entity.add_requested_context(PUSH_MODEL)
    # PS3.4 J.3.3: whoever reports is the SCP, and says so, because whoever opens an association is taken for the SCU otherwise.
    role = build_role(PUSH_MODEL, scu_role=False, scp_role=True)
    tls = None if node.tls is None else (client_context(node.tls, node), node.address)
    association = entity.associate(node.address, node.port, ae_title=node.ae_title, ext_neg=[role], tls_args=tls)
    if not association.is_established:
        association.abort()
        why = "rejected the association" if association.is_rejected else "could not be reached, or does not take Storage Commitment"
        raise ReportFailed(f"{node.ae_title} at {node.address}:{node.port} {why}.")
    return association


def _send(association: Association, transaction: Transaction, inbox: Inbox) -> None:
    event_type, information = event_of(transaction, inbox)
    try:
        status, _ = association.send_n_event_report(information, event_type, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    except (ValueError, RuntimeError):  # the context was not accepted; the association has ended
        raise ReportFailed("The node takes no Storage Commitment report on this association.") from None
    if status.get("Status") != SUCCESS:
        raise ReportFailed("The node did not acknowledge the report.")


def _item(reference: Reference, failure: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference.sop_class_uid, reference.sop_instance_uid
    if failure is not None:
        item.FailureReason = failure
    return item


class CommitmentService:
    """The N-ACTION side, bound to the listener's associations."""

    def __init__(self, receive: Receive, inbox: Inbox, reporter: Reporter) -> None:
        self._receive, self._inbox, self._reporter = receive, inbox, reporter

    def answer(self, event: evt.Event) -> tuple[int, None]:
        """For evt.EVT_N_ACTION: the status (PS3.7 10.1.4.1.10)."""
        request: Any = event.request
        if request.RequestedSOPInstanceUID != PUSH_MODEL_INSTANCE:
            return NO_SUCH_INSTANCE, None
        if request.ActionTypeID != REQUEST_COMMITMENT:
            return NO_SUCH_ACTION, None
        transaction = self._transaction(event)
        if transaction is None:
            return INVALID_ARGUMENT, None
        log.info("storage commitment: %s asks about %d instances", quoted(transaction.asked_by), len(transaction.references))
        try:
            self._promise(transaction, event.assoc)
        except Exception as error:  # a promise that is not written down is not given; the sender asks again
            log.error("storage commitment: the request could not be recorded: %s", type(error).__name__)
            return PROCESSING_FAILURE, None
        return SUCCESS, None

    def _transaction(self, event: evt.Event) -> Transaction | None:
        try:
            return read_transaction(event.action_information, event.assoc.requestor.ae_title.strip())
        except Exception:  # pydicom raises whatever a broken data set breaks
            return None

    def _promise(self, transaction: Transaction, association: Association) -> None:
        node = self._receive.node_of(transaction.asked_by)
        if node is not None:
            self._reporter.take(transaction, node)
        else:
            threading.Thread(target=self._tell_here, args=(transaction, association), name="storage-commitment", daemon=True).start()

    def _tell_here(self, transaction: Transaction, association: Association) -> None:
        """On the association that asked. pynetdicom waits with it until the request has been answered."""
        try:
            _send(association, transaction, self._inbox)
        except Exception as error:
            log.warning(
                "storage commitment: %s was not told; its address is not among [[receive.node]] of the site file (%s)",
                quoted(transaction.asked_by),
                error if isinstance(error, ReportFailed) else type(error).__name__,
            )
