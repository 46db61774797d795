"""Who may do what: the real service with a file of keys, asked as programs and as browsers ask."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.access.door import SESSION_COOKIE
from service.access.keys import add_key, now, revoke_key
from service.access.principal import Scope
from service.api.app import create_app
from service.api.rules import RUNNING, scopes_for
from service.settings import Settings
from tests.fakes.service import WordReader, is_ready, problem, serving, wait_until

ALL = {"predict": (Scope.PREDICT,), "read": (Scope.READ,), "ward": (Scope.PREDICT, Scope.READ), "other": (Scope.PREDICT, Scope.READ)}
OPENS_NOTHING = "This key opens nothing: it may be mistyped, revoked, or its time is over."


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    """By name; `predict` and `read` have the ward's results too."""
    path = tmp_path / "data" / "keys.json"
    owners = {"predict": "ward", "read": "ward"}
    made = {name: add_key(path, name, scopes, owners.get(name, name), None, now())[1] for name, scopes in ALL.items()}
    return made | {"admin": add_key(path, "admin", (Scope.ADMIN,), "admin", None, now())[1]}


@pytest.fixture
def client(keys: dict[str, str], reader: WordReader, tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(reader, data_dir=tmp_path / "data", max_clips_a_minute=20, max_uploads=3) as client:
        assert is_ready(client)
        yield client
        reader.release()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize("address", ["/healthz", "/readyz", "/", "/web/app.js"])
def test_probes_and_pages_are_for_everybody(client: httpx.Client, address: str) -> None:
    assert client.get(address).status_code == 200


@pytest.mark.parametrize("address", ["/v1/models", "/metrics", "/openapi.json", "/v1/session", f"/v1/jobs/{'0' * 32}", "/nowhere"])
def test_all_else_wants_to_know_who_asks(client: httpx.Client, address: str) -> None:
    response = client.get(address)

    assert problem(response) == (401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.json()["detail"].startswith("This service wants to know who asks. Send a key as 'Authorization: Bearer KEY'")


def test_every_address_has_a_rule_or_is_for_administrators_alone(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path), WordReader())
    found = {
        (method.upper(), path): scopes_for(method.upper(), re.sub(r"\{\w+\}", "x" * 32, path))
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }

    assert {name for name, scopes in found.items() if scopes == RUNNING} == {("GET", "/v1/node")}
    assert {name for name, scopes in found.items() if not scopes} == {
        *{("GET", "/healthz"), ("GET", "/readyz")},
        *{(method, "/v1/session") for method in ("GET", "POST", "DELETE")},
    }
    assert scopes_for("GET", "/v1/anything/new") == RUNNING
    assert scopes_for("PUT", "/v1/jobs") == RUNNING


def test_a_key_may_do_what_its_scopes_say(client: httpx.Client, keys: dict[str, str]) -> None:
    def send(name: str) -> int:
        return client.post("/v1/predict", content=b"present", headers=bearer(keys[name])).status_code

    def look(name: str) -> int:
        return client.get("/metrics", headers=bearer(keys[name])).status_code

    assert {name: send(name) for name in keys} == {"predict": 200, "read": 403, "ward": 200, "other": 200, "admin": 200}
    assert {name: look(name) for name in keys} == {"predict": 403, "read": 200, "ward": 200, "other": 200, "admin": 200}


def test_what_a_key_lacks_is_said(client: httpx.Client, keys: dict[str, str]) -> None:
    response = client.post("/v1/predict", content=b"present", headers=bearer(keys["read"]))

    assert problem(response) == (403, "forbidden")
    assert response.json()["detail"] == "This needs the scope predict; who asks has read."


def test_results_are_seen_by_their_owner_alone(client: httpx.Client, keys: dict[str, str]) -> None:
    job = client.post("/v1/jobs", content=b"present", headers=bearer(keys["ward"])).headers["location"]
    assert wait_until(lambda: client.get(job, headers=bearer(keys["ward"])).json()["state"] == "done", 10)
    addresses = ("", "/result", "/events", "/frames", "/frames/data", "/mmode?from=10,4&to=10,40")

    for address in addresses:
        answers = {name: client.get(job + address, headers=bearer(key)).status_code for name, key in keys.items()}
        assert answers == {"predict": 403, "read": 200, "ward": 200, "other": 404, "admin": 200}, address
    said = client.post(f"{job}/feedback", json={"opinion": "unsure"}, headers=bearer(keys["other"]))
    assert problem(said) == (404, "unknown_job")
    assert problem(client.delete(job, headers=bearer(keys["other"]))) == (404, "unknown_job")
    assert client.delete(job, headers=bearer(keys["predict"])).status_code == 204


def test_the_same_clip_of_two_owners_is_two_jobs(client: httpx.Client, keys: dict[str, str]) -> None:
    jobs = [
        client.post("/v1/jobs", content=b"present", headers=bearer(keys[name])).headers["location"] for name in ("ward", "predict", "other")
    ]

    assert jobs[0] == jobs[1] != jobs[2]


@pytest.mark.parametrize("said", ["Bearer", "Basic", "Basic !", "Digest x", "Bearer nonsense", "Bearer a.b.c", "Basic eDo="])
def test_credentials_that_are_none_are_refused_in_a_sentence(client: httpx.Client, said: str) -> None:
    response = client.get("/v1/models", headers={"authorization": said})

    assert problem(response) == (401, "unauthenticated")
    assert response.json()["detail"].startswith(("This key opens nothing", "The Authorization header cannot be read."))


def test_a_key_can_be_sent_as_a_password(client: httpx.Client, keys: dict[str, str]) -> None:
    """As DICOM software often can and nothing else."""
    assert client.get("/v1/models", auth=("orthanc", keys["ward"])).status_code == 200


def test_a_key_that_is_revoked_ends_its_session_too(client: httpx.Client, keys: dict[str, str], tmp_path: Path) -> None:
    signed_in = client.post("/v1/session", json={"key": keys["ward"]})
    assert (signed_in.status_code, signed_in.json()) == (200, {"owner": "ward", "scopes": ["predict", "read"]})
    assert client.get("/v1/models").status_code == 200

    revoke_key(tmp_path / "data" / "keys.json", "ward")

    assert problem(client.get("/v1/models")) == (401, "unauthenticated")


def test_the_session_is_a_cookie_that_neither_scripts_nor_other_pages_can_use(client: httpx.Client, keys: dict[str, str]) -> None:
    cookie = client.post("/v1/session", json={"key": keys["ward"]}).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert keys["ward"] not in cookie

    def send(**headers: str) -> httpx.Response:
        return client.post("/v1/predict", content=b"present", headers={name.replace("_", "-"): value for name, value in headers.items()})

    assert send(sec_fetch_site="same-origin").status_code == 200
    assert send(origin=str(client.base_url).rstrip("/")).status_code == 200
    for headers in (
        {},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://elsewhere"},
        {"origin": "null"},
    ):
        assert problem(send(**headers)) == (403, "forbidden")
    client.delete("/v1/session")
    assert SESSION_COOKIE not in client.cookies


def test_a_cookie_that_was_tampered_with_opens_nothing(client: httpx.Client, keys: dict[str, str]) -> None:
    client.post("/v1/session", json={"key": keys["ward"]})
    value = client.cookies[SESSION_COOKIE]
    client.cookies.clear()

    signed, signature = value.rsplit(".", 1)  # whose last letter has bits that say nothing
    for other in (f"{signed}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}", signed, "", "x" * 4000):
        response = client.get("/v1/models", headers={"cookie": f"{SESSION_COOKIE}={other}"})
        assert problem(response) == (401, "unauthenticated")
    assert problem(client.post("/v1/session", json={"key": "nonsense"})) == (401, "unauthenticated")
    assert client.post("/v1/session", json={"key": "nonsense"}).json()["detail"] == OPENS_NOTHING


def test_one_owner_does_not_take_the_whole_service(client: httpx.Client, reader: WordReader, keys: dict[str, str]) -> None:
    with ThreadPoolExecutor(4) as threads:
        slow = [threads.submit(client.post, "/v1/predict", content=b"slow", headers=bearer(keys["ward"])) for _ in range(3)]
        assert reader.started.wait(10)
        assert wait_until(lambda: "seashore_readings_pending 3.0" in client.get("/metrics", headers=bearer(keys["admin"])).text)
        refused = client.post("/v1/predict", content=b"present", headers=bearer(keys["predict"]))
        reader.release()
        assert [answer.result().status_code for answer in slow] == [200] * 3

    assert problem(refused) == (429, "overloaded")
    assert refused.json()["detail"] == "3 clips of this key's owner are on their way already; wait for one."
    assert client.post("/v1/predict", content=b"present", headers=bearer(keys["ward"])).status_code == 200


def test_an_owner_sends_so_many_clips_a_minute_and_no_more(client: httpx.Client, keys: dict[str, str]) -> None:
    answers = [client.post("/v1/predict", content=b"present", headers=bearer(keys["ward"])) for _ in range(21)]

    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].json()["detail"].startswith("This key's owner sends more than 20 clips a minute. Try again in ")
    assert client.post("/v1/predict", content=b"present", headers=bearer(keys["other"])).status_code == 200


def test_the_first_key_closes_the_door_and_a_lost_file_does_not_open_it(reader: WordReader, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with serving(reader, data_dir=tmp_path) as client:
        assert is_ready(client)
        assert client.get("/v1/session").json() == {"owner": "local", "scopes": ["admin", "predict", "read"]}
        job = client.post("/v1/jobs", content=b"present").headers["location"]

        ward = add_key(path, "ward", (Scope.READ,), "ward", None, now())[1]
        admin = add_key(path, "admin", (Scope.ADMIN,), "admin", None, now())[1]
        assert problem(client.get(job)) == (401, "unauthenticated")
        assert problem(client.get(job, headers=bearer(ward))) == (404, "unknown_job")
        assert client.get(job, headers=bearer(admin)).status_code == 200

        path.unlink()
        assert problem(client.get(job)) == (401, "unauthenticated")


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://elsewhere"}, {"origin": "null"}])
def test_where_nobody_needs_a_key_a_page_of_others_changes_nothing(reader: WordReader, headers: dict[str, str]) -> None:
    with serving(reader) as client:
        response = client.post("/v1/predict", content=b"present", headers=headers)

        assert problem(response) == (403, "forbidden")
        assert response.json()["detail"] == "A browser may ask this from Seashore's own pages alone; programs send a key."
        assert client.post("/v1/predict", content=b"present", headers={"sec-fetch-site": "same-origin"}).status_code == 200
        assert client.post("/v1/predict", content=b"present").status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("evil.example", 403), ("10.0.0.7:80", 403), ("", 403)],
)
def test_where_nobody_needs_a_key_it_answers_to_its_own_names_alone(reader: WordReader, host: str, status: int) -> None:
    """Else a stranger's page reads results under a name that it makes mean 127.0.0.1."""
    with serving(reader) as client:
        assert client.get("/v1/models", headers={"host": host}).status_code == status
    with serving(reader, allow_keyless=True) as client:
        assert client.get("/v1/models", headers={"host": host}).status_code == 200


def test_a_damaged_file_of_keys_keeps_everybody_out(reader: WordReader, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    with serving(reader, data_dir=tmp_path) as client:
        response = client.get("/v1/models")

        assert problem(response) == (503, "bad_keys")
        assert response.json()["detail"] == "The file of keys cannot be read."
        assert client.get("/healthz").status_code == 200
