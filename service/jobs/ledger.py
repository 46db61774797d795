"""The ledger: what work has been taken on and where it stands. It outlives the process; it is kept by DBOS in SQLite or PostgreSQL.

Written and read from any process; `workers` does the work that stands in it.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from service.disk import is_full, no_room
from service.errors import LedgerUnavailable

if TYPE_CHECKING:
    from dbos import DBOSClient

APPLICATION = "seashore"
WORK_VERSION = "1"
"""DBOS continues only work of its own version: this changes when the steps of a work change their order, never with a release."""

Json = dict[str, Any]
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


def require_sound(url: str) -> None:
    """Look through a SQLite file before anything is written to it. Raises: LedgerUnavailable when it is damaged."""
    path = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not path.exists() or path.stat().st_size == 0:
        return
    try:
        with closing(sqlite3.connect(path)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
    except sqlite3.OperationalError as error:  # busy, or may not be written: told when it is used
        found = ["ok"] if error.sqlite_errorcode != sqlite3.SQLITE_CORRUPT else [str(error)]
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    if found != ["ok"]:
        raise LedgerUnavailable(
            "The list of jobs is damaged. Nothing was changed; `seashore doctor` says what can be done.", log_detail=found[0]
        )


class Ledger:
    """Every method blocks and may be called from several threads and processes at once. Raises: LedgerUnavailable, NoRoom."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: DBOSClient | None = None
        self._damage: LedgerUnavailable | None = None

    @property
    def url(self) -> str:
        return self._url

    def require_sound(self) -> None:
        """Once it is found to be damaged, nothing is asked of it any more, nor written. Raises: LedgerUnavailable."""
        try:
            require_sound(self._url)
        except LedgerUnavailable as damage:
            self._damage = damage
            raise

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

        if self._damage is not None:
            raise self._damage.anew()
        try:
            return question(self._client())
        except (SQLAlchemyError, OSError) as error:
            if is_full(error) or getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise no_room() from None
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
