"""Storage commitment asked of a real Orthanc, which reports on an association of its own, and of archives that report otherwise."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UltrasoundMultiFrameImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance  # type: ignore[attr-defined]

from service.pacs.outgoing.commitment_scu import (
    CommitmentReport,
    Pending,
    Reference,
    event_report_handler,
    new_transaction_uid,
    on_event_report,
    request_commitment,
)
from service.pacs.outgoing.outcome import Refused, Unreachable
from service.pacs.site import Node
from tests.fakes import dicom, nodes
from tests.fakes.nodes import PATIENCE_S
from tests.fakes.orthanc import Orthanc, free_port

OURS = "SEASHORE"
NO_SUCH_INSTANCE = 0x0112


def references(*lasts: int) -> list[Reference]:
    return [Reference(UltrasoundMultiFrameImageStorage, f"1.2.3.{last}") for last in lasts]


def ask(node: Node, lasts: tuple[int, ...], transaction: str, wait_s: float = 0.1) -> Any:
    return request_commitment(node, references(*lasts), transaction, ae_title=OURS, timeout_s=PATIENCE_S, wait_s=wait_s)


@contextmanager
def our_listener(reports: "queue.Queue[CommitmentReport]") -> Iterator[int]:
    """As `seashore pacs` listens, with nothing but the reports."""
    entity = AE(OURS)
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    server: Any = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, event_report_handler(reports.put))]
    )
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


def test_an_archive_reports_what_it_keeps_and_what_it_does_not_have(orthanc: Orthanc) -> None:
    orthanc.upload(dicom.native(StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.100", PatientID="p", SOPInstanceUID="1.2.3.1"))
    reports: queue.Queue[CommitmentReport] = queue.Queue()
    transaction = new_transaction_uid()
    with our_listener(reports) as port:
        orthanc.introduce(OURS, port)
        answer = ask(orthanc.node, (1, 2), transaction)
        report = reports.get(timeout=20.0)

    assert answer == Pending(transaction)
    assert report == CommitmentReport(transaction, ("1.2.3.1",), (("1.2.3.2", NO_SUCH_INSTANCE),))
    assert not report.is_complete


def test_an_archive_that_does_not_know_us_says_what_is_missing(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> None:
    answer = request_commitment(orthanc.node, references(1), new_transaction_uid(), ae_title="STRANGER", timeout_s=PATIENCE_S)

    assert isinstance(answer, Unreachable)
    assert answer.sentence == (
        f"ORTHANC at 127.0.0.1:{orthanc.dicom_port} aborted the association. It must offer storage commitment, and know the AE title, "
        "address and port that Seashore listens on, to report there."
    )


def committing(answer: Any) -> dict[str, Any]:
    """For `nodes.archive`: one that takes requests and answers with `answer(event)`."""
    entity = AE("ARCHIVE")
    entity.add_supported_context(StorageCommitmentPushModel)
    return {"entity": entity, "is_choosy": True, "EVT_N_ACTION": answer}


def test_a_report_on_the_association_that_asked_is_the_answer() -> None:
    threads: list[threading.Thread] = []

    def report(event: evt.Event) -> tuple[int, None]:
        information = event.action_information
        send = (information, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
        threads.append(threading.Timer(0.2, event.assoc.send_n_event_report, send))
        threads[0].start()
        return 0x0000, None

    with nodes.archive(**committing(report)) as port:
        transaction = new_transaction_uid()
        answer = ask(nodes.node(port), (1, 2), transaction, wait_s=PATIENCE_S)
        threads[0].join()

    assert answer == CommitmentReport(transaction, ("1.2.3.1", "1.2.3.2"))
    assert answer.is_complete


@pytest.mark.parametrize(
    ("status", "is_permanent", "words"),
    [(0x0110, False, "it failed while storing it (0110)."), (0x0131, True, "the transaction UID was used before (0131).")],
)
def test_an_archive_that_will_not_say_is_told(status: int, is_permanent: bool, words: str) -> None:
    with nodes.archive(**committing(lambda event: (status, None))) as port:
        answer = ask(nodes.node(port), (1,), new_transaction_uid())

    assert isinstance(answer, Refused)
    assert f"ARCHIVE at 127.0.0.1:{port} will not say whether it keeps what it took: {words}" in answer.sentence
    assert (answer.status, answer.is_permanent) == (status, is_permanent)


def test_an_archive_without_storage_commitment_says_so() -> None:
    with nodes.archive() as port:
        answer = ask(nodes.node(port), (1,), new_transaction_uid())

    assert isinstance(answer, Refused)
    assert "does not take storage commitment. Switch it on there, or set commit = false in the site file." in answer.sentence


def test_nobody_there_is_unreachable() -> None:
    assert isinstance(ask(nodes.node(free_port()), (1,), new_transaction_uid()), Unreachable)


def test_transactions_are_never_the_same() -> None:
    assert len({new_transaction_uid() for _ in range(1000)}) == 1000


def event_of(information: Dataset | Exception) -> Any:
    class Event:
        @property
        def event_information(self) -> Dataset:
            if isinstance(information, Exception):
                raise information
            return information

    return Event()


def test_what_is_no_report_is_answered_with_a_failure_and_given_to_nobody() -> None:
    received: list[CommitmentReport] = []
    answers = [event_report_handler(received.append)(event_of(broken)) for broken in (Dataset(), KeyError("no data"))]

    assert answers == [(0x0110, None)] * 2
    assert received == []


def test_a_report_is_read_with_the_reasons(tmp_path: Path) -> None:
    item, information = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID, item.FailureReason = "1.2", "1.2.3", NO_SUCH_INSTANCE
    information.TransactionUID, information.FailedSOPSequence = "2.25.7", [item]

    assert on_event_report(event_of(information)) == CommitmentReport("2.25.7", (), (("1.2.3", NO_SUCH_INSTANCE),))
