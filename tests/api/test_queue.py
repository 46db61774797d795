"""Turns: so many clips at once, so many waiting, nobody for longer than the deadline, and the next is always served."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from tests.fakes.service import WordReader, serving, wait_until


@contextmanager
def in_background(client: httpx.Client, word: bytes) -> Iterator[list[httpx.Response]]:
    """POST a clip from another thread; the list holds the response once it has come."""
    responses: list[httpx.Response] = []
    url = client.base_url.join("/v1/predict")
    thread = threading.Thread(target=lambda: responses.append(httpx.post(url, content=word, timeout=20, trust_env=False)))
    thread.start()
    try:
        yield responses
    finally:
        thread.join()


def pending(client: httpx.Client) -> float:
    (line,) = (line for line in client.get("/metrics").text.splitlines() if line.startswith("seashore_readings_pending "))
    return float(line.split()[1])


def test_a_clip_too_many_is_told_when_to_come_back() -> None:
    reader = WordReader()
    with serving(reader, max_concurrent=1, max_queued=1) as client, in_background(client, b"slow") as first:
        assert reader.started.wait(5)
        with in_background(client, b"present") as second:
            assert wait_until(lambda: pending(client) == 2)
            refused = client.post("/v1/predict", content=b"present")
            reader.release()

        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["code"] == "overloaded"
        assert re.fullmatch(
            r"2 clips are being read or waiting, \d s of work before yours. "
            rf"Try again in {refused.headers['retry-after']} s.",
            refused.json()["detail"],
        )
    assert [first[0].status_code, second[0].status_code] == [200, 200]


def test_a_clip_that_takes_too_long_is_given_up_and_the_next_is_served() -> None:
    reader = WordReader()
    with serving(reader, max_concurrent=1, max_queued=0, deadline_s=0.2) as client:
        response = client.post("/v1/predict", content=b"slow")

        assert (response.status_code, response.json()["code"]) == (504, "deadline_exceeded")
        assert response.json()["detail"] == "The clip was not read within 0.2 s. A shorter clip or saliency=none is quicker."
        assert reader.stopped.wait(5)
        assert wait_until(lambda: pending(client) == 0)
        assert client.post("/v1/predict", content=b"present").status_code == 200


def test_a_caller_who_hangs_up_frees_the_place() -> None:
    reader = WordReader()
    with serving(reader, max_concurrent=1, max_queued=0) as client:
        with suppress(httpx.ReadTimeout):
            httpx.post(client.base_url.join("/v1/predict"), content=b"slow", timeout=0.3, trust_env=False)

        assert reader.stopped.wait(5)
        assert wait_until(lambda: pending(client) == 0)
        assert client.post("/v1/predict", content=b"present").status_code == 200


def test_a_service_that_stops_stops_its_readings() -> None:
    reader = WordReader()

    def post(url: httpx.URL) -> None:
        with suppress(httpx.HTTPError):
            httpx.post(url, content=b"slow", timeout=20, trust_env=False)

    with serving(reader) as client:
        caller = threading.Thread(target=post, args=[client.base_url.join("/v1/predict")])
        caller.start()
        assert reader.started.wait(5)

    assert reader.stopped.wait(5)
    caller.join()


def test_clips_read_at_the_same_time_do_not_get_each_others_answers() -> None:
    with serving(WordReader(), max_concurrent=2, max_queued=8) as client:
        for _ in range(5):
            with in_background(client, b"present") as a, in_background(client, b"absent") as b, in_background(client, b"bug") as c:
                pass
            verdicts = [a[0].json()["lung_sliding"]["verdict"], b[0].json()["lung_sliding"]["verdict"]]
            assert (verdicts, c[0].status_code) == (["present", "absent"], 500)


def test_a_clip_that_would_wait_too_long_is_told_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the first is read, so its rest takes as long as it has taken: well under 15 s, however slow the machine is. The second is
    taken for 20 s of work, so the third would wait for more than 20."""
    monkeypatch.setattr("service.api.backlog.FIRST_GUESS_S", 20.0)
    reader = WordReader()
    with serving(reader, max_concurrent=1, max_wait_s=15.0) as client, in_background(client, b"slow") as first:
        assert reader.started.wait(5)
        with in_background(client, b"present") as second:
            assert wait_until(lambda: pending(client) == 2)
            refused = client.post("/v1/predict", content=b"present")
            reader.release()

        assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
        assert 20 - 15 + 20 <= int(refused.headers["retry-after"]) <= 40
    assert [first[0].status_code, second[0].status_code] == [200, 200]


def test_a_queue_that_stands_is_kept_short_until_it_has_been_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst may wait for the whole of SEASHORE_MAX_WAIT_S; where more comes than can be read, that would only make everybody wait."""
    monkeypatch.setattr("service.api.queue.STANDING_AFTER_S", 2.0)
    monkeypatch.setattr("service.api.queue.STANDING_WAIT_S", 0.5)
    reader = WordReader()
    with serving(reader, max_concurrent=1, max_wait_s=60.0) as client, in_background(client, b"slow") as first:
        assert reader.started.wait(5)
        with in_background(client, b"present") as second:
            assert wait_until(lambda: pending(client) == 2)
            with in_background(client, b"present") as of_the_burst:
                assert wait_until(lambda: pending(client) == 3)
                time.sleep(2.2)
                refused = client.post("/v1/predict", content=b"present")
                reader.release()
        assert wait_until(lambda: pending(client) == 0)

        assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
        assert 1 <= int(refused.headers["retry-after"]) <= 15
        assert [one[0].status_code for one in (first, second, of_the_burst)] == [200, 200, 200]
        assert client.get("/v1/node").json()["queue"]["full"] is False


def test_a_service_that_is_told_to_stop_reads_what_is_here_and_takes_no_more() -> None:
    reader = WordReader()
    with serving(reader, drain_s=5.0) as client, in_background(client, b"slow") as first:
        assert reader.started.wait(5)
        client.drain()
        refused = client.post("/v1/predict", content=b"present")
        reader.release()

    assert first[0].status_code == 200
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "stopping", "10")
    assert refused.json()["detail"] == "The service is stopping. Try again in 10 s."


def test_what_is_not_read_by_the_end_of_the_drain_is_told_so() -> None:
    reader = WordReader()
    with serving(reader, drain_s=0.1) as client, in_background(client, b"slow") as first:
        assert reader.started.wait(5)
        client.drain()
        assert reader.stopped.wait(5)

    assert (first[0].status_code, first[0].json()["code"], first[0].headers["retry-after"]) == (503, "stopping", "10")
