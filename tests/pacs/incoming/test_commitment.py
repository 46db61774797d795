"""Storage Commitment: a sender is told what is held here and what is not, wherever it listens."""

import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from service.jobs.ledger import State
from service.jobs.office import JobOffice
from service.jobs.workers import Workers
from service.pacs.incoming.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, ReportFailed, Transaction, report
from service.pacs.incoming.commitment_reports import TELL, DurableReporter
from service.pacs.incoming.inbox import Received
from service.pacs.incoming.scp import Listener
from service.pacs.incoming.syntaxes import STORED
from service.pacs.outgoing.commitment_scu import CommitmentReport, Reference
from service.pacs.site import Node, Receive
from service.settings import Settings
from tests.fakes import orthanc
from tests.fakes.dcmtk import listening
from tests.fakes.inbox import FolderInbox, ReportsAtOnce
from tests.fakes.nodes import PATIENCE_S
from tests.fakes.service import WordReader, wait_until

CLASS = str(STORED[0])
HELD, MISSING = "1.2.3.1", "1.2.3.2"


@pytest.fixture
def inbox(tmp_path: Path) -> FolderInbox:
    made = FolderInbox(tmp_path / "inbox")
    made.received.append(Received(tmp_path, CLASS, HELD, "1.2", "1.3", "1.2.840.10008.1.2.1", "MODALITY", 1))
    return made


class Requester:
    """A modality that asks, and listens for the answer on a port of its own."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, Dataset]] = []
        self.answered = threading.Event()
        self.status = 0x0000
        self.was_scu = False

    def take(self, event: evt.Event) -> tuple[int, None]:
        request: Any = event.request
        self.was_scu = bool(event.assoc.accepted_contexts[0].as_scu)
        self.reports.append((request.EventTypeID, event.event_information))
        self.answered.set()
        return self.status, None

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[Node]:
        entity = AE("MODALITY")
        entity.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
        handlers: Any = [(evt.EVT_N_EVENT_REPORT, self.take)]
        server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        assert server is not None
        try:
            yield Node(ae_title="MODALITY", address="127.0.0.1", port=int(server.server_address[1]))
        finally:
            entity.shutdown()

    @contextmanager
    def associated(self, port: int) -> Iterator[Association]:
        entity = AE("MODALITY")
        entity.add_requested_context(PUSH_MODEL)
        association = entity.associate("127.0.0.1", port, ae_title="SEASHORE", evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.take)])
        assert association.is_established
        try:
            yield association
        finally:
            association.release()

    def ask(self, port: int, *uids: str) -> None:
        with self.associated(port) as association:
            assert asked(association, question(*uids)) == 0x0000


def question(*uids: str) -> Dataset:
    information = Dataset()
    information.TransactionUID = "1.2.3.99"
    information.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CLASS, uid
        information.ReferencedSOPSequence.append(item)
    return information


def unnamed(information: Dataset) -> Dataset:
    del information.TransactionUID
    return information


def asked(association: Association, information: Dataset, action: int = 1, instance: str = PUSH_MODEL_INSTANCE) -> int:
    status, _ = association.send_n_action(information, action, PUSH_MODEL, instance)
    return int(status.Status)


def told(information: Dataset) -> tuple[list[str], list[tuple[str, int]]]:
    held = [item.ReferencedSOPInstanceUID for item in information.get("ReferencedSOPSequence", [])]
    missing = [(item.ReferencedSOPInstanceUID, item.FailureReason) for item in information.get("FailedSOPSequence", [])]
    return held, missing


def transaction(*uids: str) -> Transaction:
    return Transaction("1.2.3.99", "MODALITY", tuple(Reference(CLASS, uid) for uid in uids))


refused_connections = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
"""pynetdicom leaves the socket of a connection that was refused to the garbage collector."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("uids", "event_type", "expected"),
    [((HELD,), 1, ([HELD], [])), ((HELD, MISSING), 2, ([HELD], [(MISSING, 0x0112)])), ((MISSING,), 2, ([], [(MISSING, 0x0112)]))],
    ids=["held", "some held", "none held"],
)
def test_a_node_of_the_site_is_told_on_an_association_of_its_own(
    inbox: FolderInbox, uids: Sequence[str], event_type: int, expected: tuple[list[str], list[tuple[str, int]]]
) -> None:
    requester = Requester()
    with requester.listening() as node, listening(inbox, node=[node.model_dump()]) as listener:
        requester.ask(listener.port, *uids)
        assert requester.answered.wait(10)

    assert requester.was_scu
    ((found, information),) = requester.reports
    assert (found, information.TransactionUID, told(information)) == (event_type, "1.2.3.99", expected)


def test_a_sender_without_an_address_is_told_on_the_association_that_asked(inbox: FolderInbox) -> None:
    requester = Requester()
    with listening(inbox) as listener, requester.associated(listener.port) as association:
        assert asked(association, question(HELD)) == 0x0000
        assert requester.answered.wait(10)

    assert told(requester.reports[0][1]) == ([HELD], [])


@refused_connections
def test_a_requester_that_does_not_listen_is_not_told(inbox: FolderInbox) -> None:
    node = Node(ae_title="MODALITY", address="127.0.0.1", port=free_port())
    refusal = f"MODALITY at 127.0.0.1:{node.port} could not be reached, or does not take Storage Commitment."

    with pytest.raises(ReportFailed, match=re.escape(refusal)):
        report(transaction(HELD), node, inbox, ae_title="SEASHORE", timeout_s=PATIENCE_S)


def test_a_report_that_is_not_acknowledged_has_failed(inbox: FolderInbox) -> None:
    requester = Requester()
    requester.status = 0x0110
    with requester.listening() as node, pytest.raises(ReportFailed, match="The node did not acknowledge the report."):
        report(transaction(HELD), node, inbox, ae_title="SEASHORE", timeout_s=PATIENCE_S)


@pytest.mark.parametrize(
    ("information", "action", "instance", "status"),
    [
        (question(HELD), 2, PUSH_MODEL_INSTANCE, 0x0123),
        (question(HELD), 1, "1.2.3", 0x0112),
        (question(), 1, PUSH_MODEL_INSTANCE, 0x0115),
        (unnamed(question(HELD)), 1, PUSH_MODEL_INSTANCE, 0x0115),
    ],
    ids=["other action", "other instance", "nothing asked", "no transaction"],
)
def test_a_request_that_cannot_be_is_refused(inbox: FolderInbox, information: Dataset, action: int, instance: str, status: int) -> None:
    with listening(inbox) as listener, Requester().associated(listener.port) as association:
        assert asked(association, information, action, instance) == status


def test_what_the_durable_reporter_cannot_take_is_not_promised(inbox: FolderInbox) -> None:
    class Broken:
        def take(self, transaction: Transaction, node: Node) -> None:
            raise OSError

    receive = Receive(port=0, calling_ae_titles=("MODALITY",), node=(Node(ae_title="MODALITY", address="127.0.0.1", port=1),))
    with Listener(receive, inbox, Broken()) as listener, Requester().associated(listener.port) as association:
        assert asked(association, question(HELD)) == 0x0110


def test_what_an_archive_reports_of_our_results_reaches_whoever_asked(inbox: FolderInbox) -> None:
    """The archive opens an association to the listener, on which it is the SCP."""
    reports: list[CommitmentReport] = []
    receive = Receive(port=0, calling_ae_titles=("ARCHIVE",))
    with Listener(receive, inbox, ReportsAtOnce(inbox), on_report=reports.append) as listener:
        here = Node(ae_title="SEASHORE", address="127.0.0.1", port=listener.port)
        report(transaction(HELD, MISSING), here, inbox, ae_title="ARCHIVE", timeout_s=PATIENCE_S)

    assert reports == [CommitmentReport("1.2.3.99", (HELD,), ((MISSING, 0x0112),))]


def test_whoever_reports_may_be_the_scp_on_its_own_association(inbox: FolderInbox) -> None:
    entity = AE("MODALITY")
    entity.add_requested_context(PUSH_MODEL)
    with listening(inbox) as listener:
        role = build_role(PUSH_MODEL, scu_role=False, scp_role=True)
        association = entity.associate("127.0.0.1", listener.port, ae_title="SEASHORE", ext_neg=[role])
        assert association.accepted_contexts[0].as_scp
        association.release()


def test_a_transaction_shows_no_uid() -> None:
    assert repr(transaction(HELD, MISSING)) == "Transaction(2 instances, asked by 'MODALITY')"


@pytest.mark.skipif(not orthanc.is_installed(), reason=orthanc.NOT_HERE)
def test_orthanc_asks_and_is_told(inbox: FolderInbox, tmp_path: Path) -> None:
    """A real archive as the sender: it asks on one association, and takes the answer on another that we open."""
    archive = orthanc.Orthanc(tmp_path)
    archive.start()
    try:
        with listening(inbox, calling_ae_titles=("ORTHANC",), node=[archive.node.model_dump()]) as listener:
            archive.introduce("SEASHORE", listener.port)
            names = [{"SOPClassUID": CLASS, "SOPInstanceUID": uid} for uid in (HELD, MISSING)]
            asked = requests.post(f"{archive.url}/modalities/SEASHORE/storage-commitment", json={"DicomInstances": names}, timeout=10)
            answer = settled(f"{archive.url}{asked.json()['Path']}")
    finally:
        archive.stop()

    assert [item["SOPInstanceUID"] for item in answer["Success"]] == [HELD]
    assert [(item["SOPInstanceUID"], item["FailureReason"]) for item in answer["Failures"]] == [(MISSING, 0x0112)]


def settled(url: str) -> dict[str, Any]:
    deadline_s = time.monotonic() + 20
    while (answer := requests.get(url, timeout=10).json())["Status"] == "Pending":
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    return dict(answer)


@refused_connections
def test_whoever_did_not_listen_is_told_by_the_next_process(inbox: FolderInbox, tmp_path: Path) -> None:
    requester, port = Requester(), free_port()
    node = Node(ae_title="MODALITY", address="127.0.0.1", port=port)
    office = JobOffice.furnish(Settings(data_dir=tmp_path / "data"), WordReader())
    reporter = DurableReporter(office, inbox, Receive(calling_ae_titles=("MODALITY",), node=(node,)))
    office.prepare()
    with working(office, reporter):
        reporter.take(transaction(HELD, MISSING), node)
        assert wait_until(lambda: office.ledger.list(work=TELL, states=[State.RUNNING]) != [])
    with requester.listening(port) as _, working(office, reporter):
        assert requester.answered.wait(20)
        assert wait_until(lambda: office.ledger.list(work=TELL)[0].result == {"told": True, "because": ""})
    office.ledger.close()

    assert told(requester.reports[0][1]) == ([HELD], [(MISSING, 0x0112)])


@contextmanager
def working(office: JobOffice, reporter: DurableReporter) -> Iterator[None]:
    workers = Workers(office.ledger.url, "node-1")
    reporter.offer(workers)
    workers.start()
    try:
        yield
    finally:
        workers.stop()
