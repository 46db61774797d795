"""The log: one line a record, as text or as JSON, each with the request, the job and the owner that it is about.

By `logging` itself: structlog would bring a second way to write a line, and the libraries' own lines (uvicorn, pynetdicom, dbos) would
still need this formatter.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType

from service.telemetry import describe_bug

FIELDS = "fields"
"""Name of what a record may carry beside its sentence: `log.info(..., extra={FIELDS: {"status": 200}})`."""

_about: ContextVar[Mapping[str, str]] = ContextVar("about", default=MappingProxyType({}))

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


@contextmanager
def about(**known: str) -> Iterator[None]:
    """Every line written meanwhile says this: `request`, `job`, `owner`. A thread takes it along where it is given the context."""
    token = _about.set({**_about.get(), **known})
    try:
        yield
    finally:
        _about.reset(token)


def known(name: str) -> str | None:
    """What the present work is about: `request`, `job` or `owner`."""
    return _about.get().get(name)


class _OneLine(logging.Formatter):
    """An exception is told by its class and place: its message may quote the clip's own header, and that names the patient."""

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # what another handler has made of it, message and all, `logging` would take over
        return super().format(record)

    def formatException(self, raised: _Raised) -> str:  # noqa: N802  # logging's own name
        return "" if raised[1] is None else describe_bug(raised[1])


class TextLines(_OneLine):
    """For a person: `2026-01-02 03:04:05,678 INFO service.api.room: ready ... [request=... owner=...]`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record).replace("\r", "\\r").replace("\n", "\\n")
        told = " ".join(f"{name}={value}" for name, value in _about.get().items())
        return f"{line} [{told}]" if told else line


class JsonLines(_OneLine):
    """For a program: an object a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {"time": at, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        bug = {"bug": self.formatException(record.exc_info)} if record.exc_info else {}
        return json.dumps(said | bug | dict(_about.get()) | getattr(record, FIELDS, {}), default=str)


def set_up_logging(level: str, form: str) -> None:
    """To standard error. `form`: text or json."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
