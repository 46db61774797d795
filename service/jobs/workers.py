"""The workers: the threads of a serving process that do what stands in the ledger, by DBOS.

Work is a plain function of JSON values, called inside a workflow: each of its steps is done once, and a process that dies is
continued from the last step that was written down.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from service.errors import LedgerUnavailable, OperatorError
from service.jobs.ledger import APPLICATION, WORK_VERSION, Json
from service.logs import about
from service.telemetry import describe_bug
from service.tracing import span

if TYPE_CHECKING:
    from dbos import DBOS, DBOSConfig

PATIENCE_S = (1.0, 5.0, 15.0, *(60.0,) * 60)
"""Between tries of a step that the disk or the database would not let be done: an hour, in which somebody may make room."""

LOOK_EVERY_S = 0.5
"""How often a queue is looked at. Six queues at 0.2 s took a tenth of a core while nothing was to be done."""

RETRY = "retry"
"""The topic of messages that wake work which waits to try again."""

log = logging.getLogger(__name__)

Work = Callable[..., Json]
Value = TypeVar("Value")


class WorkFailed(Exception):
    """Work that raised, as it is written down: without the bug's own text, which may quote the clip's header: it names the patient."""


class _NotJustNow(WorkFailed):
    """The disk or the database would not let it be done. That may pass."""

    def __init__(self, where: str, retry_after_s: float | None = None) -> None:
        super().__init__(where)
        self.retry_after_s = retry_after_s
        """Known where it is everybody's trouble, and does pass: that is waited for as long as it takes."""


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
            of = {known: arguments[known] for known in ("job", "owner") if arguments.get(known)}
            with about(**of), span(name, **of):
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

    What the disk or the database cannot do just now is tried again, for PATIENCE_S: work that raises has failed for good. An engine
    that is being started again and a full disk are waited for as long as it takes: no other work would fare better.
    """
    from dbos import DBOS

    return DBOS.run_step({"name": name}, _patiently, name, do, *arguments)


def _patiently(name: str, do: Callable[..., Value], *arguments: Any) -> Value:
    waits_s = iter(PATIENCE_S)
    while True:
        try:
            return _without_its_words(do, *arguments)
        except _NotJustNow as error:
            wait_s = error.retry_after_s or next(waits_s, None)
            if wait_s is None:
                raise
            log.error("step '%s' cannot be done just now and is tried again in %g s: %s", name, wait_s, error)
        if _stopping.wait(wait_s):
            raise _Stopped


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
        if may_pass:
            raise _NotJustNow(describe_bug(bug), getattr(bug, "retry_after_s", None)) from None
        raise WorkFailed(describe_bug(bug)) from None


def step_again(name: str, do: Callable[..., Value], *arguments: Any, until: Callable[[Value], bool], waits_s: Sequence[float]) -> Value:
    """Inside work: the step, and after each of `waits_s` once more, until its result will do. A message on RETRY cuts a wait short."""
    result = step(name, do, *arguments)
    for wait_s in waits_s:
        if until(result):
            break
        wait_for(RETRY, wait_s)
        result = step(name, do, *arguments)
    return result


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
