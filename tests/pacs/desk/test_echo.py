"""What `seashore doctor` says of other nodes: a real Orthanc, and ends that are not there, refuse or speak something else."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)
from pynetdicom import AE

from service.pacs.desk.echo import Check, check_echo, check_store, check_web
from service.pacs.site import Node, Web
from tests.fakes import nodes
from tests.fakes.nodes import IMPATIENCE_S, PATIENCE_S
from tests.fakes.orthanc import Orthanc, free_port

OURS = "SEASHORE"
RESULTS = (Comprehensive3DSRStorage, MultiFrameTrueColorSecondaryCaptureImageStorage, EncapsulatedPDFStorage)


def echo(node: Node, timeout_s: float = PATIENCE_S) -> Check:
    return check_echo("archive", node, ae_title=OURS, timeout_s=timeout_s)


def web(service: Web) -> Check:
    return check_web("archive", service, timeout_s=PATIENCE_S)


def test_a_real_archive_passes(orthanc: Orthanc) -> None:
    checks = [
        echo(orthanc.node),
        check_store("results", orthanc.node, RESULTS, ae_title=OURS, timeout_s=PATIENCE_S),
        web(orthanc.web),
    ]

    where = f"ORTHANC at 127.0.0.1:{orthanc.dicom_port}"
    assert checks == [
        Check("archive", True, f"{where} answers C-ECHO."),
        Check("results", True, f"{where} takes all 3 kinds of objects."),
        Check("archive", True, f"The DICOMweb service at 127.0.0.1:{orthanc.http_port} answers QIDO-RS."),
    ]
    assert orthanc.instances() == []


def test_an_archive_that_takes_not_all_results_is_named_with_what_it_lacks() -> None:
    entity = AE("ARCHIVE")
    entity.add_supported_context(Comprehensive3DSRStorage)
    with nodes.archive(entity=entity, is_choosy=True) as port:
        check = check_store("results", nodes.node(port), RESULTS, ae_title=OURS, timeout_s=PATIENCE_S)

    assert not check.ok
    assert check.sentence == (
        f"ARCHIVE at 127.0.0.1:{port} does not take Multi-frame True Color Secondary Capture Image Storage, Encapsulated PDF Storage."
    )
    assert check.advice == "Allow it there, or leave it out of `results` in the site file."


def test_an_archive_that_rejects_us_is_diagnosed() -> None:
    entity = AE("ARCHIVE")
    entity.require_calling_aet = ["CT1"]
    with nodes.archive(entity=entity) as port:
        check = echo(nodes.node(port))

    assert check == Check(
        "archive",
        False,
        f"ARCHIVE at 127.0.0.1:{port} rejected the AE title SEASHORE.",
        "Add SEASHORE there, or change ae_title under [receive] in the site file.",
    )


def test_an_archive_with_no_room_is_diagnosed() -> None:
    with nodes.port_that(nodes.reject_as_full) as port:
        check = echo(nodes.node(port))

    assert check.sentence == f"ARCHIVE at 127.0.0.1:{port} has no room for another association just now."
    assert check.advice == "Wait, or raise its limit there."


def test_an_archive_that_answers_echo_with_a_failure_is_not_well() -> None:
    with nodes.archive(EVT_C_ECHO=lambda event: 0x0122) as port:
        check = echo(nodes.node(port))

    assert (check.ok, check.sentence) == (False, f"ARCHIVE at 127.0.0.1:{port} answered C-ECHO with status 0122.")


@pytest.mark.parametrize(
    ("behave", "timeout_s", "sentence"),
    [
        (nodes.say_nothing, IMPATIENCE_S, "took the connection and did not answer within 1 s."),
        (nodes.abort, PATIENCE_S, "ended the connection instead of answering."),
    ],
)
def test_a_port_that_speaks_no_dicom_is_diagnosed(behave: nodes.Behaviour, timeout_s: float, sentence: str) -> None:
    with nodes.port_that(behave) as port:
        check = echo(nodes.node(port), timeout_s)

    assert check.sentence == f"ARCHIVE at 127.0.0.1:{port} {sentence}"
    assert check.advice.startswith("Something else than DICOM may listen on that port")


def test_a_web_port_given_as_dicom_port_and_the_other_way_round(orthanc: Orthanc) -> None:
    swapped = [echo(nodes.node(orthanc.http_port)), web(Web(url=f"http://127.0.0.1:{orthanc.dicom_port}"))]

    assert [check.ok for check in swapped] == [False, False]
    assert "ended the connection instead of answering." in swapped[0].sentence
    assert "broke off the connection." in swapped[1].sentence


def test_nobody_there_and_no_such_host_are_told_apart() -> None:
    checks = [
        echo(nodes.node(free_port())),
        echo(Node(ae_title="A", address="archive.invalid", port=104)),
        web(Web(url=f"http://127.0.0.1:{free_port()}/dicom-web")),
        web(Web(url="http://archive.invalid/dicom-web")),
    ]

    assert [check.ok for check in checks] == [False] * 4
    assert [check.sentence.split(" ")[-1] for check in checks] == ["there.", "found.", "there.", "found."]
    assert all(check.advice.startswith("Check ") for check in checks)


def test_the_root_of_a_web_service_must_be_right(orthanc: Orthanc) -> None:
    checks = [web(Web(url=f"{orthanc.url}/elsewhere")), web(Web(url=orthanc.url))]

    assert checks[0].sentence == f"The DICOMweb service at 127.0.0.1:{orthanc.http_port} knows nothing at this address (404)."
    assert checks[0].advice == "Check the url in the site file: its root, below which /studies lies."
    assert not checks[1].ok
    assert "check the url in the site file too" in checks[1].advice


def answer(status: int, body: bytes = b"") -> Any:
    return lambda request, received: (status, {"Content-Type": "text/html"}, body)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (200, b"<html>Log in</html>", "answered with something else than DICOM JSON."),
        (401, b"", "did not accept who Seashore says it is (401)."),
        (403, b"", "does not allow this to Seashore (403)."),
        (503, b"", "could not do it just now (503)."),
    ],
)
def test_a_web_service_that_does_not_serve_is_diagnosed(status: int, body: bytes, sentence: str) -> None:
    with nodes.web_service(answer(status, body)) as service:
        check = web(service)

    assert check.sentence.endswith(sentence)
    assert check.advice


@pytest.mark.parametrize("status", [200, 204])
def test_a_web_service_with_nothing_stored_yet_is_well(status: int) -> None:
    with nodes.web_service(answer(status, b"[]" if status == 200 else b"")) as service:
        assert web(service).ok


def test_an_authority_file_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    service = Web(url="https://127.0.0.1:1", ca=tmp_path / "ca.pem")
    (tmp_path / "ca.pem").unlink()

    assert web(service).sentence == "The TLS file for the DICOMweb service at 127.0.0.1:1 could not be read."
