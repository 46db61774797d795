"""Archives are asked to keep the results, and answer when they like: with the real ledger, against an archive that waits for the night."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from service.jobs.ledger import State
from service.jobs.office import JobOffice
from service.jobs.workers import Workers
from service.pacs.audit import AuditTrail
from service.pacs.outgoing import commitments as commitments_module
from service.pacs.outgoing.commitment_scu import CommitmentReport
from service.pacs.outgoing.commitments import Commitments
from service.pacs.site import Destination, Receive, Site
from service.settings import Settings
from tests.fakes import dicom, nodes
from tests.fakes.service import WordReader, wait_until

NUM_RESULTS = 40


@pytest.fixture
def office(tmp_path: Path) -> Iterator[JobOffice]:
    made = JobOffice.furnish(Settings(data_dir=tmp_path / "data"), WordReader())
    made.prepare()
    yield made
    made.ledger.close()


def commitments_of(office: JobOffice, port: int) -> Commitments:
    destination = Destination(name="archive", dicom=nodes.node(port), results=("sr",), commit=True)
    site = Site(receive=Receive(calling_ae_titles=("*",)), destination=(destination,))
    return Commitments(office, site, AuditTrail(office.data_dir / "audit", "node-1"))


def audited(office: JobOffice) -> list[str]:
    paths = (office.data_dir / "audit").glob("*")
    return [json.loads(line)["event"] for path in paths for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_reports_that_come_late_keep_no_other_request_waiting(office: JobOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commitments_module, "WAIT_S", 60.0)  # where this fails, threads would wait for the night, and pytest for them
    monkeypatch.setattr(commitments_module, "ASK_AGAIN_AFTER_S", (1.0,))
    monkeypatch.setattr(commitments_module, "LINES", 8)
    asked: list[str] = []

    def take(event: evt.Event) -> tuple[int, None]:
        asked.append(str(event.action_information.TransactionUID))
        return 0x0000, None

    entity = AE("ARCHIVE")
    entity.add_supported_context(StorageCommitmentPushModel)
    with nodes.archive(entity=entity, EVT_N_ACTION=take) as port:
        commitments = commitments_of(office, port)
        workers = Workers(office.ledger.url, "node-1")
        commitments.offer(workers)
        workers.start()
        try:
            for number in range(NUM_RESULTS):
                folder = office.folder(f"{number:032x}")
                folder.make()
                folder.write("sr.dcm", dicom.native(SOPInstanceUID=f"1.2.3.{number}"))
                commitments.enqueue(folder.path.name, "archive")
            assert wait_until(lambda: len(set(asked)) == NUM_RESULTS, 30)
            time.sleep(1.5)  # each listens on its own association for a second
            assert {entry.state for entry in office.ledger.list()} == {State.RUNNING}

            for number, uid in enumerate(asked):
                commitments.take_report(CommitmentReport(uid, ("1.2.3",), (("1.2.4", 0x0112),) if number == 0 else ()))
            assert wait_until(lambda: {entry.state for entry in office.ledger.list()} == {State.DONE}, 30)
        finally:
            workers.stop()

    assert sorted(audited(office)) == ["committed"] * (NUM_RESULTS - 1) + ["not_committed"]
    assert [*(office.data_dir / "transactions").iterdir()] == []


@pytest.mark.parametrize("uid", ["1.2.3", "", "../ledger", "../../etc/passwd"])
def test_a_report_that_nobody_asked_for_is_logged_and_changes_nothing(
    office: JobOffice, caplog: pytest.LogCaptureFixture, uid: str
) -> None:
    (office.data_dir / "ledger.json").write_text(json.dumps({"id": "a"}))
    commitments: Any = commitments_of(office, 104)

    commitments.take_report(CommitmentReport(uid, ("1.2.3",)))

    assert caplog.messages == ["A storage commitment report came for a transaction that is not known here."]
