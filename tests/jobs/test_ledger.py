"""The ledger, with the real DBOS over SQLite: what was taken on is done, once, whoever dies."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.errors import EngineFailed, LedgerUnavailable
from service.jobs import workers as workers_module
from service.jobs.ledger import Entry, Ledger, State, ledger_url
from service.jobs.workers import Work, Workers, step, wait_for
from tests.fakes.orthanc import free_port

QUEUE = "queue"
PATIENT = "Doe^Jane"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(ledger_url(None, tmp_path))
    yield opened
    opened.close()


@contextmanager
def working(ledger: Ledger, work: Work, *, at_once: int = 4) -> Iterator[None]:
    """One process's life."""
    workers = Workers(ledger.url, "node-1")
    workers.offer("work", work)
    workers.listen(QUEUE, at_once=at_once)
    workers.start()
    try:
        yield
    finally:
        workers.stop()


def take_on(ledger: Ledger, id: str, **arguments: Any) -> None:
    ledger.enqueue(QUEUE, "work", id, arguments)


def until(ledger: Ledger, id: str, *states: State, within_s: float = 15.0) -> Entry:
    end_s = time.monotonic() + within_s
    while (entry := ledger.find(id)) is None or entry.state not in states:
        assert time.monotonic() < end_s, entry
        time.sleep(0.05)
    return entry


def prepare(ledger: Ledger) -> None:
    """Its tables are made by the first process that works on it."""
    with working(ledger, lambda: {}):
        pass


def test_work_is_done_with_its_arguments_and_its_result_is_kept(ledger: Ledger) -> None:
    prepare(ledger)
    take_on(ledger, "a", first=1, second=[2])
    waiting = ledger.find("a")
    with working(ledger, lambda first, second: {"sum": first + second[0]}):
        done = until(ledger, "a", State.DONE)

    assert waiting is not None
    assert (waiting.state, waiting.result, waiting.ended_at) == (State.QUEUED, None, None)
    assert (done.work, done.arguments, done.result) == ("work", {"first": 1, "second": [2]}, {"sum": 3})
    assert done.ended_at is not None
    assert timedelta(0) <= datetime.now(UTC) - done.asked_at < timedelta(minutes=1)


def test_work_of_a_known_id_is_not_taken_on_twice(ledger: Ledger) -> None:
    times: list[int] = []

    def work(number: int) -> dict[str, Any]:
        times.append(number)
        return {}

    with working(ledger, work):
        take_on(ledger, "a", number=1)
        until(ledger, "a", State.DONE)
        take_on(ledger, "a", number=2)
        take_on(ledger, "b", number=3)
        until(ledger, "b", State.DONE)

    assert times == [1, 3]


def test_steps_that_were_done_are_not_done_again_at_the_next_start(ledger: Ledger) -> None:
    done: list[str] = []

    def first_time() -> str:
        done.append("first")
        return "kept"

    def work() -> dict[str, Any]:
        first = step("first", first_time)
        said = wait_for("go on", 3.0)
        step("second", lambda: done.append("second"))
        return {"first": first, "said": said}

    with working(ledger, work):
        take_on(ledger, "a")
        until(ledger, "a", State.RUNNING)
        while ledger.last_step("a", "first") is None:
            time.sleep(0.02)
    ledger.tell("a", "go on", {"hello": 1})
    with working(ledger, work):
        entry = until(ledger, "a", State.DONE)

    assert done == ["first", "second"]
    assert entry.result == {"first": "kept", "said": {"hello": 1}}


def test_a_message_that_does_not_come_is_none(ledger: Ledger) -> None:
    with working(ledger, lambda: {"said": wait_for("anything", 0.1)}):
        take_on(ledger, "a")

        assert until(ledger, "a", State.DONE).result == {"said": None}


def test_what_the_disk_cannot_do_just_now_is_tried_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "PATIENCE_S", (0.01, 0.01, 0.01))
    failures: list[Exception] = [OSError(28, "No space left on device"), LedgerUnavailable("Not now."), EngineFailed("Lost.")]

    def write() -> str:
        if failures:
            raise failures.pop()
        return "written"

    with working(ledger, lambda: {"said": step("write", write)}):
        take_on(ledger, "a")

        assert until(ledger, "a", State.DONE).result == {"said": "written"}


def test_what_it_cannot_do_for_too_long_has_failed(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "PATIENCE_S", (0.01,))
    tries: list[int] = []

    def write() -> None:
        tries.append(1)
        raise OSError(28, "No space left on device")

    with working(ledger, lambda: step("write", write) or {}):
        take_on(ledger, "a")

        assert until(ledger, "a", State.FAILED).result is None
    assert len(tries) == 2


def test_a_bug_fails_at_once_and_neither_log_nor_ledger_quotes_it(
    ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise ValueError(f"{PATIENT} has no valid time")

    with working(ledger, lambda: step("write", broken) or {}), caplog.at_level(logging.DEBUG):
        take_on(ledger, "a")
        until(ledger, "a", State.FAILED)

    assert "ValueError in broken (test_ledger.py" in caplog.text
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert PATIENT not in caplog.text + "".join(capfd.readouterr())
    assert PATIENT.encode() not in written
    assert b"ValueError" in written


def test_what_ends_because_the_process_stops_goes_on_at_the_next_start(ledger: Ledger) -> None:
    has_begun, may_end, lives = threading.Event(), threading.Event(), [0]

    def read() -> str:
        lives[0] += 1
        if lives[0] == 1:
            has_begun.set()
            may_end.wait(10)
            raise RuntimeError("given up, because the process stops")
        return "read"

    def work() -> dict[str, Any]:
        return {"said": step("read", read)}

    with working(ledger, work):
        take_on(ledger, "a")
        assert has_begun.wait(10)
    may_end.set()
    with working(ledger, work):
        assert until(ledger, "a", State.DONE).result == {"said": "read"}


def test_so_much_at_a_time(ledger: Ledger) -> None:
    under_way, most, lock = [0], [0], threading.Lock()

    def work(number: int) -> dict[str, Any]:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.1)
        with lock:
            under_way[0] -= 1
        return {}

    with working(ledger, work, at_once=2):
        for number in range(6):
            take_on(ledger, f"a{number}", number=number)
        for number in range(6):
            until(ledger, f"a{number}", State.DONE)

    assert most == [2]


def test_it_lists_by_state_and_time_the_newest_first(ledger: Ledger) -> None:
    prepare(ledger)
    take_on(ledger, "b")
    time.sleep(0.01)
    take_on(ledger, "a")
    ledger.cancel("b")

    assert [entry.id for entry in ledger.list()] == ["a", "b"]
    assert [entry.id for entry in ledger.list(limit=1)] == ["a"]
    assert [entry.id for entry in ledger.list(states=[State.CANCELLED])] == ["b"]
    assert [entry.id for entry in ledger.list(["b"], work="work")] == ["b"]
    assert ledger.list(work="other") == []
    assert ledger.list(ended_before=datetime.now(UTC) - timedelta(hours=1)) == []


def test_what_is_forgotten_may_be_taken_on_anew(ledger: Ledger) -> None:
    prepare(ledger)
    take_on(ledger, "a", number=1)

    ledger.forget(["a"])

    assert ledger.find("a") is None
    take_on(ledger, "a", number=2)
    entry = ledger.find("a")
    assert entry is not None
    assert entry.arguments == {"number": 2}


@pytest.mark.parametrize(
    "ask",
    [
        lambda ledger: ledger.find("a"),
        lambda ledger: ledger.enqueue(QUEUE, "work", "a", {}),
        lambda ledger: ledger.tell("a", "topic", {}),
    ],
    ids=["find", "enqueue", "tell"],
)
def test_a_database_that_is_away_is_said_so_at_once(ask: Callable[[Ledger], object]) -> None:
    away = Ledger(f"postgresql://seashore@127.0.0.1:{free_port()}/seashore")
    began_s = time.monotonic()

    with pytest.raises(LedgerUnavailable, match=r"^The list of jobs cannot be written or read just now\.$"):
        ask(away)
    assert time.monotonic() - began_s < 5


def test_workers_cannot_start_while_it_is_away_and_can_when_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "not mounted yet"
    away = Ledger(ledger_url(None, folder))
    workers = Workers(away.url, "node-1")
    workers.offer("work", lambda: {"done": 1})
    workers.listen(QUEUE, at_once=1)

    with pytest.raises(LedgerUnavailable, match=r"^The list of jobs cannot be opened\.$"):
        workers.start()
    folder.mkdir()
    workers.start()
    try:
        take_on(away, "a")
        assert until(away, "a", State.DONE).result == {"done": 1}
    finally:
        workers.stop()
        away.close()


def test_workers_cannot_start_where_nobody_answers() -> None:
    workers = Workers(f"postgresql://seashore@127.0.0.1:{free_port()}/seashore", "node-1")
    workers.offer("work", lambda: {})

    with pytest.raises(LedgerUnavailable, match=r"^The list of jobs cannot be opened\.$"):
        workers.start()
    workers.stop()


DEADLY = """
import os, sys, time
from service.jobs.workers import Workers, step
workers = Workers(sys.argv[1], "node-1")
workers.offer("work", lambda: step("read", os._exit, 9), max_deaths=2)
workers.offer("other", lambda: {})
workers.listen("queue", at_once=1)
workers.start()
time.sleep(8)
"""


@pytest.mark.slow
def test_work_that_kills_its_process_is_given_up_and_the_others_go_on(ledger: Ledger) -> None:
    prepare(ledger)
    take_on(ledger, "deadly")
    ledger.enqueue(QUEUE, "other", "harmless", {})

    statuses = [subprocess.run([sys.executable, "-c", DEADLY, ledger.url], timeout=60).returncode for _ in range(4)]

    assert statuses == [9, 9, 9, 0]
    assert until(ledger, "deadly", State.FAILED).result is None
    assert until(ledger, "harmless", State.DONE).result == {}
