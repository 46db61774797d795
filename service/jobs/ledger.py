"""The ledger: what work has been taken on and where it stands. It outlives the process; it is kept by DBOS in SQLite or PostgreSQL.

`Ledger` writes and reads it, from any process. `Workers` does the work, one of each process that serves. Work is a plain
function of JSON values, called inside a workflow: each of its steps is done once, and a process that dies is continued from
the last step that was written down.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from service.errors import LedgerUnavailable, OperatorError
from service.telemetry import describe_bug

if TYPE_CHECKING:
    from dbos import DBOS, DBOSClient, DBOSConfig

APPLICATION = "seashore"
WORK_VERSION = "1"
"""DBOS continues only work of its own version: this changes when the steps of a work change their order, never with a release."""

PATIENCE_S = (1.0, 5.0, 15.0, *(60.0,) * 60)
"""Between tries of a step that the disk or the database would not let be done: an hour, in which somebody may make room."""

LOOK_EVERY_S = 0.5
"""How often a queue is looked at. Six queues at 0.2 s took a tenth of a core while nothing was to be done."""

log = logging.getLogger(__name__)

Json = dict[str, Any]
Work = Callable[..., Json]
Value = TypeVar("Value")


class State(StrEnum):
    """Where a piece of work stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """It raised, or the process died under it again and again."""
    CANCELLED = "cancelled"


_STATES = {
    "DELAYED": State.QUEUED,
    "ENQUEUED": State.QUEUED,
    "PENDING": State.RUNNING,
    "SUCCESS": State.DONE,
    "ERROR": State.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": State.FAILED,
    "CANCELLED": State.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One piece of work."""

    id: str
    work: str
    state: State
    asked_at: datetime
    ended_at: datetime | None
    arguments: Json
    result: Json | None


def ledger_url(database_url: str | None, data_dir: Path) -> str:
    """PostgreSQL where the site names one; else SQLite in the data folder."""
    return database_url or f"sqlite:///{data_dir / 'ledger.sqlite'}"


class Ledger:
    """Every method blocks and may be called from several threads and processes at once. Raises: LedgerUnavailable."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: DBOSClient | None = None

    @property
    def url(self) -> str:
        return self._url

    def enqueue(self, queue: str, work: str, id: str, arguments: Json) -> None:
        """Written down for good when this returns. Work whose id is known already is not taken on twice."""
        options = {"workflow_name": work, "queue_name": queue, "workflow_id": id, "app_version": WORK_VERSION}
        self._ask(lambda client: client.enqueue(options, **arguments))  # type: ignore[arg-type]

    def find(self, id: str) -> Entry | None:
        return next(iter(self.list([id])), None)

    def list(
        self,
        ids: Collection[str] | None = None,
        *,
        work: str | None = None,
        states: Collection[State] | None = None,
        ended_after: datetime | None = None,
        ended_before: datetime | None = None,
        limit: int | None = None,
    ) -> list[Entry]:
        """The newest first."""
        asked = {
            "workflow_ids": None if ids is None else [*ids],
            "name": work,
            "status": None if states is None else [status for status, state in _STATES.items() if state in states],
            "completed_after": ended_after.isoformat() if ended_after else None,
            "completed_before": ended_before.isoformat() if ended_before else None,
            "limit": limit,
            "sort_desc": True,
        }
        return [_entry(status) for status in self._ask(lambda client: client.list_workflows(**asked))]  # type: ignore[arg-type]

    def last_step(self, id: str, name: str) -> Json | None:
        """What the last step of this name gave: how work under way is getting on."""
        steps = self._ask(lambda client: client.list_workflow_steps(id))
        return next((step["output"] for step in reversed(steps) if step["function_name"] == name), None)

    def tell(self, id: str, topic: str, message: Json) -> None:
        """Leave a message for work under way, which may wait for it."""
        self._ask(lambda client: client.send(id, message, topic=topic))

    def cancel(self, id: str) -> None:
        self._ask(lambda client: client.cancel_workflow(id))

    def forget(self, ids: Iterable[str]) -> None:
        self._ask(lambda client: client.delete_workflows([*ids]))

    def close(self) -> None:
        if self._open is not None:
            self._open.destroy()
            self._open = None

    def _ask(self, question: Callable[["DBOSClient"], Value]) -> Value:
        """The one place where the library's and the database's own errors end."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return question(self._client())
        except (SQLAlchemyError, OSError) as error:
            raise LedgerUnavailable("The list of jobs cannot be written or read just now.", log_detail=type(error).__name__) from None

    def _client(self) -> "DBOSClient":
        from dbos import DBOSClient
        from dbos._serialization import DBOSPortableJSON

        if self._open is None:
            self._open = DBOSClient(
                system_database_url=self._url,
                serializer=DBOSPortableJSON,
                application_name=APPLICATION,
                lazy=True,
                retry_connection_errors=False,  # a sender that waits for its answer is told "later", not kept
            )
        return self._open


def _entry(status: Any) -> Entry:
    return Entry(
        id=status.workflow_id,
        work=status.name,
        state=_STATES[status.status],
        asked_at=_time(status.created_at),
        ended_at=None if status.completed_at is None else _time(status.completed_at),
        arguments=dict((status.input or {}).get("kwargs", {})),
        result=status.output if isinstance(status.output, dict) else None,
    )


def _time(epoch_ms: int | None) -> datetime:
    return datetime.fromtimestamp((epoch_ms or 0) / 1000, UTC)


class WorkFailed(Exception):
    """Work that raised, as it is written down: without the bug's own text, which may quote the clip's header: it names the patient."""


class _NotJustNow(WorkFailed):
    """The disk or the database would not let it be done. That may pass."""


class _Stopped(BaseException):
    """Whatever work raises while its process stops. DBOS writes down no BaseException, so the work goes on at the next start."""


_stopping = threading.Event()
"""One a process, as DBOS is."""


class Workers:
    """The threads of this process that do the work in the ledger. One a process: DBOS holds its state in the module."""

    def __init__(self, url: str, node: str) -> None:
        """`node`: this process's name among those that share the ledger. Work that it left when it died is its own to continue."""
        self._url = url
        self._node = node
        self._offers: list[tuple[str, Work, int]] = []
        self._queues: list[tuple[str, int, float]] = []
        self._dbos: DBOS | None = None

    def offer(self, name: str, work: Work, *, max_deaths: int = 20) -> None:
        """Do work of this name by `work(**arguments)`. After so many deaths of the process under it, it has failed."""

        def do(**arguments: Any) -> Json:  # DBOS marks what it is given, and a method cannot be marked
            try:
                return _without_its_words(work, **arguments)
            except WorkFailed as failure:
                log.error("%s failed: %s", name, failure)
                raise

        self._offers.append((name, do, max_deaths))

    def listen(self, queue: str, *, at_once: int, look_every_s: float = LOOK_EVERY_S) -> None:
        """Take work from this queue, so much at a time."""
        self._queues.append((queue, at_once, look_every_s))

    def start(self) -> None:
        """What was left unfinished is continued. Where the ledger is away, it may be called again later. Raises: LedgerUnavailable."""
        _stopping.clear()
        try:
            self._dbos = self._configured()
            self._dbos.launch()
            for queue, at_once, look_every_s in self._queues:
                self._dbos.register_queue(queue, worker_concurrency=at_once, polling_interval_sec=look_every_s, on_conflict="always_update")
        except Exception as error:
            self.stop()
            raise LedgerUnavailable("The list of jobs cannot be opened.", log_detail=type(error).__name__) from None

    def _configured(self) -> "DBOS":
        from dbos import DBOS
        from dbos._serialization import DBOSPortableJSON

        if self._url.startswith("sqlite:///"):
            _make_concurrent(Path(self._url.removeprefix("sqlite:///")))
        logging.getLogger("dbos").setLevel(logging.ERROR)
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._url,
            "application_version": WORK_VERSION,
            "executor_id": self._node,
            "serializer": DBOSPortableJSON,
            "notification_listener_polling_interval_sec": 0.2,
            "log_level": "ERROR",
        }
        dbos = DBOS(config=config)
        for name, do, max_deaths in self._offers:
            dbos.workflow(name=name, max_recovery_attempts=max_deaths)(do)
        return dbos

    def take_over(self, nodes: list[str]) -> None:
        """Continue what these nodes left. They must be dead: a step may otherwise be done twice (its result still counts once)."""
        assert self._dbos is not None
        self._dbos._recover_pending_workflows(nodes)

    def stop(self) -> None:
        """Work under way is left as it stands, for the next start."""
        _stopping.set()
        if self._dbos is not None:
            self._dbos.destroy(destroy_registry=True)
            self._dbos = None


def step(name: str, do: Callable[..., Value], *arguments: Any) -> Value:
    """Inside work: do this once. Its result, of JSON values, is written down before anything after it happens.

    What the disk or the database cannot do just now is tried again, for PATIENCE_S: work that raises has failed for good.
    """
    from dbos import DBOS

    return DBOS.run_step({"name": name}, _patiently, name, do, *arguments)


def _patiently(name: str, do: Callable[..., Value], *arguments: Any) -> Value:
    for wait_s in PATIENCE_S:
        try:
            return _without_its_words(do, *arguments)
        except _NotJustNow as error:
            log.error("step '%s' cannot be done just now and is tried again in %g s: %s", name, wait_s, error)
        if _stopping.wait(wait_s):
            raise _Stopped
    return _without_its_words(do, *arguments)


def _without_its_words(do: Callable[..., Value], *arguments: Any, **named: Any) -> Value:
    """Raises: WorkFailed in place of whatever it raises."""
    try:
        return do(*arguments, **named)
    except WorkFailed:
        raise
    except Exception as bug:
        if _stopping.is_set():
            raise _Stopped from None
        may_pass = isinstance(bug, (OperatorError, OSError)) and not isinstance(bug, FileNotFoundError)
        raise (_NotJustNow if may_pass else WorkFailed)(describe_bug(bug)) from None


def wait_for(topic: str, timeout_s: float) -> Json | None:
    """Inside work: a message left by `Ledger.tell`, or None when the time is over. The time runs on while the process is dead."""
    from dbos import DBOS

    message: Json | None = DBOS.recv(topic, timeout_s)
    return message


def _make_concurrent(path: Path) -> None:
    """Write-ahead logging lets the command line read while the service writes. It stays so; every commit is still on the disk."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
