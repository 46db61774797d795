"""The hospital's side over HTTP: clips fetched from a real archive, the queues of a ledger with a story, retries, metrics."""

import errno
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from pydicom import dcmread

from service.errors import ArchiveFailed, Overloaded
from service.jobs.ledger import Ledger
from service.pacs.outgoing import pull
from service.pacs.outgoing.pull import Puller
from service.pacs.outgoing.remote import Wanted
from service.pacs.site import Archive, Site
from tests.fakes import dicom, nodes
from tests.fakes.inbox import FolderInbox
from tests.fakes.media import texture
from tests.fakes.orthanc import Orthanc, free_port
from tests.fakes.queues import LOST, READ, copy_story
from tests.fakes.service import WordReader, is_ready, problem, serving, wait_until

STUDY = "1.2.826.1"
TO_ARCHIVE = {"name": "archive", "results": [], "dicom": {"ae_title": "ARCHIVE", "address": "127.0.0.1", "port": 104}}
"""Gets nothing, and so has it at once."""


@contextmanager
def pacs(folder: Path, **site: Any) -> Iterator[httpx.Client]:
    """The service of a site, its data in `folder`/data."""
    receive = {"port": free_port(), "calling_ae_titles": ["*"], "min_free_bytes": 0, **site.pop("receive", {})}
    (folder / "pacs.toml").write_text(tomli_w.dumps({"receive": receive, **site}))
    with serving(WordReader(), data_dir=folder / "data", site=folder / "pacs.toml") as client:
        assert is_ready(client)
        yield client


@pytest.fixture
def story(tmp_path: Path) -> Iterator[httpx.Client]:
    copy_story(tmp_path / "data")
    with pacs(tmp_path, destination=[TO_ARCHIVE]) as client:
        yield client


def clip(number: int, **elements: Any) -> bytes:
    return dicom.native(
        texture(3), SOPInstanceUID=f"{STUDY}.1.{number}", StudyInstanceUID=STUDY, SeriesInstanceUID=f"{STUDY}.1", **elements
    )


def by_web(archive: Orthanc) -> dict[str, Any]:
    return {"web": {"url": f"{archive.url}/dicom-web"}}


def by_dicom(port: int) -> dict[str, Any]:
    return {"dicom": {"ae_title": "ORTHANC", "address": "127.0.0.1", "port": port}}


def analyse(client: httpx.Client, **wanted: str) -> httpx.Response:
    return client.post("/pacs/analyse", json=wanted)


def state(client: httpx.Client, job: str) -> str:
    return str(client.get(f"/v1/jobs/{job}").json()["state"])


# Fetching


def test_the_clips_of_a_study_are_fetched_by_dicomweb_and_read_once(orthanc: Orthanc, tmp_path: Path) -> None:
    for number in (1, 2):
        orthanc.upload(clip(number))
    with pacs(tmp_path, archive=by_web(orthanc)) as client:
        answer = analyse(client, study=STUDY)
        again = analyse(client, study=STUDY, series=f"{STUDY}.1", instance=f"{STUDY}.1.2")

        assert (answer.status_code, answer.json()["problems"]) == (202, [])
        assert len(answer.json()["jobs"]) == 2
        assert wait_until(lambda: {state(client, job) for job in answer.json()["jobs"]} == {"done"}, 20)
        assert set(again.json()["jobs"]) < set(answer.json()["jobs"])
        assert client.get("/pacs/queue").json()["instances"]["read"] == 2
    assert not list((tmp_path / "data" / "incoming").iterdir())


def test_the_clips_of_a_study_are_fetched_by_c_move(orthanc: Orthanc, tmp_path: Path) -> None:
    orthanc.upload(clip(1))
    port = free_port()
    orthanc.introduce("SEASHORE", port)
    with pacs(tmp_path, archive=by_dicom(orthanc.dicom_port), receive={"port": port}) as client:
        answer = analyse(client, study=STUDY)

        assert (answer.status_code, answer.json()["problems"]) == (202, [])
        (job,) = answer.json()["jobs"]
        assert wait_until(lambda: state(client, job) == "done", 20)


def test_a_ledger_that_is_away_is_told_of_clips_that_were_here_before(
    orthanc: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(ledger: Ledger) -> None:
        raise ConnectionRefusedError

    orthanc.upload(clip(1))
    port = free_port()
    orthanc.introduce("SEASHORE", port)
    with pacs(tmp_path, archive=by_dicom(orthanc.dicom_port), receive={"port": port}) as client:
        assert analyse(client, study=STUDY).status_code == 202
        monkeypatch.setattr(Ledger, "_client", away)
        answer = analyse(client, study=STUDY)

    assert problem(answer) == (503, "ledger_unavailable")
    assert answer.json()["detail"] == "The list of jobs cannot be written or read just now."


def test_where_this_machine_has_no_room_the_archive_is_not_blamed(orthanc: Orthanc, tmp_path: Path) -> None:
    orthanc.upload(clip(1))
    with pacs(tmp_path, archive=by_web(orthanc), receive={"min_free_bytes": 2**60}) as client:
        answer = analyse(client, study=STUDY)

    assert problem(answer) == (507, "no_room")
    assert "are free on the disk of the service, and it takes no clip with less than" in answer.json()["detail"]


def test_of_a_study_for_half_of_which_there_is_room_one_half_is_read(
    orthanc: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def until_full(*arguments: Any, **more: Any) -> Path:
        fetched.append("")
        if len(fetched) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return fetch_by_web(*arguments, **more)

    fetch_by_web = pull.fetch_by_web
    monkeypatch.setattr(pull, "fetch_by_web", until_full)
    for number in (1, 2, 3):
        orthanc.upload(clip(number))
    with pacs(tmp_path, archive=by_web(orthanc)) as client:
        answer = analyse(client, study=STUDY)

    assert answer.status_code == 202
    assert (len(answer.json()["jobs"]), len(fetched)) == (1, 2)
    assert answer.json()["problems"] == ["The disk of the service is full. Nothing was kept of this; please try again later."]


def test_a_listener_that_turns_the_archive_away_is_found_out(orthanc: Orthanc, tmp_path: Path) -> None:
    orthanc.upload(clip(1))
    port = free_port()
    orthanc.introduce("SEASHORE", port)
    receive = {"port": port, "calling_ae_titles": ["SOMEBODY"]}
    with pacs(tmp_path, archive=by_dicom(orthanc.dicom_port), receive=receive) as client:
        answer = analyse(client, study=STUDY)

    assert (answer.status_code, answer.json()["code"]) == (502, "archive_failed")
    assert answer.json()["detail"].startswith(f"ORTHANC at 127.0.0.1:{orthanc.dicom_port} could not send it to SEASHORE (C-MOVE, ")


def test_what_cannot_be_fetched_is_a_problem_in_words(orthanc: Orthanc, tmp_path: Path) -> None:
    orthanc.upload(clip(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1", NumberOfFrames=None))
    with pacs(tmp_path, archive=by_web(orthanc)) as client:
        answers = [analyse(client, study=study) for study in (STUDY, "1.2.3", "*")]
        answers.append(analyse(client, study=STUDY, instance="1.2"))
        answers.append(analyse(client))

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (404, "no_such_clips"),
        (404, "no_such_clips"),
        (422, "bad_option"),
        (422, "bad_option"),
        (422, "bad_option"),
    ]
    assert answers[0].json()["detail"] == "The archive has no multi-frame ultrasound or Secondary Capture objects under these UIDs."
    assert answers[3].json()["detail"] == "An instance is asked for without its series; give both."


def test_a_site_without_an_archive_and_an_archive_that_is_gone(tmp_path: Path) -> None:
    with pacs(tmp_path) as client:
        none = analyse(client, study=STUDY)
    with pacs(tmp_path, archive=by_dicom(port := free_port())) as client:
        gone = analyse(client, study=STUDY)

    assert (none.status_code, none.json()["code"]) == (501, "no_archive")
    assert none.json()["detail"] == "The site file names no [archive] to fetch clips from."
    assert (gone.status_code, gone.json()["code"]) == (502, "archive_failed")
    assert gone.json()["detail"].startswith(f"ORTHANC at 127.0.0.1:{port} refused the connection: nothing listens there. Check address")


def test_a_third_study_at_the_same_time_is_put_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "TIMEOUT_S", 5.0)
    with ThreadPoolExecutor(2) as threads:
        with nodes.port_that(nodes.say_nothing) as port:
            puller = Puller(Site(archive=Archive(dicom=nodes.node(port))), FolderInbox(tmp_path / "inbox"))  # type: ignore[arg-type]
            under_way = [threads.submit(puller.pull, Wanted(STUDY)) for _ in range(2)]
            assert wait_until(lambda: puller._places._value == 0)

            with pytest.raises(Overloaded, match=r"^2 studies are being fetched already. Ask again in a minute.$"):
                puller.pull(Wanted(STUDY))

        assert [type(one.exception()) for one in under_way] == [ArchiveFailed, ArchiveFailed]
    assert puller._places._value == 2


# Queues


def test_the_queue_is_told_as_json(story: httpx.Client) -> None:
    said = story.get("/pacs/queue").json()

    assert [(one["destination"], one["waiting"], one["delivered"], one["dead"]) for one in said["destinations"]] == [
        ("archive", 0, 0, 1),
        ("research", 0, 1, 0),
        ("slow", 1, 0, 0),
    ]
    assert [one["id"] for one in said["dead"]] == [f"{READ}-archive-2"]
    assert [one["job"] for one in said["unread"]] == [LOST]


def test_a_dead_letter_is_sent_again_and_a_second_click_finds_it_done(story: httpx.Client) -> None:
    first, second = (story.post(f"/pacs/retry/{READ}-archive-2") for _ in range(2))

    assert (first.status_code, first.json()) == (200, {"done": f"{READ}-archive-2 is sent again, as {READ}-archive-3."})
    assert (second.status_code, second.json()["code"]) == (404, "unknown_job")
    assert wait_until(lambda: archive_figures(story) == (0, 1, 0), 15)


def archive_figures(client: httpx.Client) -> tuple[int, int, int]:
    archive = client.get("/pacs/queue").json()["destinations"][0]
    return archive["waiting"], archive["delivered"], archive["dead"]


def test_a_clip_that_was_not_read_is_read_again(story: httpx.Client) -> None:
    assert story.post(f"/pacs/retry/{LOST}").json() == {"done": f"{LOST} is read again."}
    assert story.get("/pacs/queue").json()["unread"] == []


def test_prometheus_sees_every_destination(story: httpx.Client) -> None:
    lines = story.get("/metrics").text.splitlines()

    assert 'seashore_deliveries{destination="archive",stage="dead"} 1.0' in lines
    assert 'seashore_deliveries{destination="research",stage="delivered"} 1.0' in lines
    assert 'seashore_instances{stage="read"} 1.0' in lines
    assert 'seashore_oldest_waiting_seconds{destination="archive"} 0.0' in lines
    (oldest,) = [line for line in lines if line.startswith('seashore_oldest_waiting_seconds{destination="slow"} ')]
    assert float(oldest.split()[-1]) > 0
    assert "seashore_ledger_up 1.0" in lines


def test_the_old_address_of_the_page_leads_to_where_it_is_now(story: httpx.Client) -> None:
    moved = story.get("/pacs")
    page = story.get("/pacs", follow_redirects=True)

    assert (moved.status_code, moved.headers["location"]) == (307, "admin#pacs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert all(story.get(f"/web/{file}").status_code == 200 for file in ("admin.css", "admin.js", "pacs.js"))


def test_a_service_without_a_site_file_says_that_it_is_no_node() -> None:
    with serving(WordReader()) as client:
        answers = [client.get("/pacs"), client.get("/pacs/queue"), client.post("/dicom-web/studies")]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["detail"] for answer in answers} == {
        "This service is no node of a PACS: SEASHORE_SITE names no site file. docs/pacs.md says how."
    }


def test_nothing_of_a_patient_is_told(orthanc: Orthanc, tmp_path: Path) -> None:
    orthanc.upload(clip(1))
    with pacs(tmp_path, archive=by_web(orthanc)) as client:
        analyse(client, study=STUDY)
        said = client.get("/pacs/queue").text + client.get("/metrics").text

    assert dcmread(next((tmp_path / "data" / "jobs").glob("*/clip"))).PatientName == dicom.PATIENT
    assert "DOE" not in said
    assert STUDY not in said
