"""Storage Commitment, our side (PS3.4 J): an archive is asked to keep what it accepted, and says later whether it will.

The report comes on the association that asked, or later on one that the archive opens to our listener; `on_event_report` reads either.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import build_context, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance  # type: ignore[attr-defined]

from service.pacs.outgoing.dimse import Handlers, Line, associate, name_of
from service.pacs.outgoing.outcome import NodeFailed, Refused, Unreachable
from service.pacs.outgoing.statuses import PROCESSING_FAILURE, SUCCESS, judge
from service.pacs.site import Node

REQUEST_COMMITMENT = 1
"""Action type ID (PS3.4 J.3.2)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One object that an archive shall keep."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What an archive promised. `failed`: UID and failure reason of what it will not keep."""

    transaction_uid: str
    committed: tuple[str, ...]
    failed: tuple[tuple[str, int], ...] = ()

    @property
    def is_complete(self) -> bool:
        return not self.failed


ANSWERED_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Pending:
    """The archive took the request; its report will come to the listener."""

    transaction_uid: str


def new_transaction_uid() -> str:
    """To be written down before it is used: the report may be here before `request_commitment` returns."""
    return str(generate_uid(prefix=None))


def request_commitment(
    node: Node, references: Sequence[Reference], transaction_uid: str, *, ae_title: str, timeout_s: float, wait_s: float = 1.0
) -> CommitmentReport | Pending | Refused | Unreachable:
    """Ask, and wait `wait_s` for a report on the same association; most archives open another one."""
    reports: list[CommitmentReport] = []
    has_come, is_answered = Event(), Event()

    def take(report: CommitmentReport) -> None:
        reports.append(report)
        has_come.set()

    def sent(_: evt.Event) -> None:
        if reports:  # what is sent from then on is our answer to it
            is_answered.set()

    contexts = [build_context(StorageCommitmentPushModel)]
    handlers: Handlers = [(evt.EVT_N_EVENT_REPORT, event_report_handler(take)), (evt.EVT_PDU_SENT, sent)]
    try:
        with associate(node, contexts, ae_title=ae_title, timeout_s=timeout_s, handlers=handlers) as line:
            _ask(line, references, transaction_uid)
            if has_come.wait(wait_s):
                # Released before it is on the wire, the association would end under the answer, and the archive never have it.
                is_answered.wait(ANSWERED_WITHIN_S)
    except NodeFailed as failure:
        return failure.outcome()
    return next((report for report in reports if report.transaction_uid == transaction_uid), Pending(transaction_uid))


def _ask(line: Line, references: Sequence[Reference], transaction_uid: str) -> None:
    status, _ = line.association.send_n_action(
        _information(references, transaction_uid), REQUEST_COMMITMENT, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    if "Status" not in status:
        advice = "It must offer storage commitment, and know the AE title, address and port that Seashore listens on, to report there."
        raise line.lost(advice)
    if status.Status != SUCCESS:
        verdict = judge(int(status.Status))
        sentence = f"{name_of(line.node)} will not say whether it keeps what it took: {verdict.words} ({status.Status:04X})."
        raise NodeFailed(sentence, verdict.advice, is_permanent=verdict.is_permanent, status=int(status.Status))


def _information(references: Sequence[Reference], transaction_uid: str) -> Dataset:
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = [_item(reference) for reference in references]
    return information


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item


# The report


def event_report_handler(receive: Callable[[CommitmentReport], None]) -> Callable[[evt.Event], tuple[int, Dataset | None]]:
    """For `evt.EVT_N_EVENT_REPORT`, here and in the listener. Answered with success only once `receive` has returned."""

    def answer(event: evt.Event) -> tuple[int, Dataset | None]:
        try:
            report = on_event_report(event)
        except ValueError:
            return PROCESSING_FAILURE, None
        receive(report)
        return SUCCESS, None

    return answer


def on_event_report(event: evt.Event) -> CommitmentReport:
    """Raises: ValueError where it is no report (PS3.4 J.3.3)."""
    try:
        information = event.event_information
        committed = tuple(str(item.ReferencedSOPInstanceUID) for item in information.get("ReferencedSOPSequence", ()))
        failed = tuple((str(item.ReferencedSOPInstanceUID), int(item.FailureReason)) for item in information.get("FailedSOPSequence", ()))
        return CommitmentReport(str(information.TransactionUID), committed, failed)
    except Exception as error:  # whatever the bytes of another machine do to pydicom
        raise ValueError("not a report of storage commitment") from error
