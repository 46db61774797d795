"""One job's clip, read: what was asked, what came of it, how far it is."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from service.disk import needing_room
from service.engine.turn import Lane
from service.errors import BadBundle, OperatorError, SeashoreError, UnknownModel
from service.findings import Analysis
from service.jobs.folder import ANALYSIS, JobFolder
from service.jobs.ledger import Entry, State
from service.options import parse_options, region_text, signs_text
from service.pipeline import Options, Progress
from service.reader import Reader, open_timed
from service.record import analysis_from_json, analysis_to_json
from service.shelf import ModelEntry
from service.telemetry import describe_bug
from service.tracing import reading_span

log = logging.getLogger(__name__)

READ, REFUSED, FAILED = "read", "refused", "failed"
"""What comes of a clip: an analysis; nothing, because of the clip; nothing, because of us."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about one clip, as it is written in the ledger."""

    model: str
    """NAME:VERSION"""
    options: Options

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "saliency": self.options.saliency.value,
            "rows": self.options.rows.value,
            "region": region_text(self.options.region) or None,
            "mm_per_px": None if self.options.mm_per_px is None else repr(self.options.mm_per_px),
            **({"signs": signs_text(self.options.signs)} if self.options.signs else {}),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Asked":
        options = {name: fields.get(name) for name in ("saliency", "rows", "region", "mm_per_px", "signs")}
        return cls(fields["model"], parse_options(**options))


class Cancelled(Exception):
    """Raised inside a reading whose job was given up."""


class ProgressBoard:
    """How far the readings of this process are, and which of them nobody wants any more."""

    def __init__(self, on_read: Callable[[Analysis], None] = lambda analysis: None) -> None:
        """`on_read` hears of every answer."""
        self.on_read = on_read
        self._lock = threading.Lock()
        self._progress: dict[str, tuple[float, str]] = {}
        self._given_up: set[str] = set()
        self._is_closing = False

    def progress(self, job: str) -> tuple[float, str] | None:
        """(share done 0..1, stage), or None when this process is not reading it."""
        return self._progress.get(job)

    def give_up(self, job: str) -> None:
        with self._lock:
            if job in self._progress:
                self._given_up.add(job)

    def close(self) -> None:
        """Every reading under way ends."""
        self._is_closing = True

    def note(self, job: str, share: float, stage: str) -> None:
        """Raises: Cancelled."""
        with self._lock:
            if self._is_closing or job in self._given_up:
                raise Cancelled
            self._progress[job] = (share, stage)

    def end(self, job: str) -> None:
        with self._lock:
            self._progress.pop(job, None)
            self._given_up.discard(job)


def read_job(
    reader: Reader, job: str, folder: JobFolder, asked: Asked, board: ProgressBoard, lane: Lane = Lane.BACKGROUND
) -> dict[str, Any]:
    """Read the clip in a job's folder and keep the analysis beside it. Done again, it does the same.

    Gives {"outcome": "read", "verdict": ...}, with "lacks_signs" where a model of signs could not be run; or "refused" or "failed" with
    a problem's "code" and "detail". Raises: Cancelled; an OperatorError that passes by itself, as of an engine that is being started
    again or a full disk: whoever calls waits for that.
    """
    try:
        board.note(job, 0.0, "decode")
        analysis = _read(reader, job, folder.clip, asked, board, lane)
        with needing_room():
            folder.write_json(ANALYSIS, analysis_to_json(analysis))
        board.on_read(analysis)
    except SeashoreError as error:
        if isinstance(error, OperatorError) and error.retry_after_s is not None:
            raise
        if isinstance(error, OperatorError):
            log.error("job %s: %s: %s %s", job, error.code, error, error.log_detail)
        outcome = FAILED if isinstance(error, OperatorError) else REFUSED
        return {"outcome": outcome, "code": error.code, "detail": str(error)}
    except Cancelled:
        raise
    except Exception as bug:  # whatever it is, the queue goes on
        log.error("job %s: internal_error: %s", job, describe_bug(bug))
        return {"outcome": FAILED, "code": "internal_error", "detail": "The service met an error of its own. It is logged."}
    finally:
        board.end(job)
    lacks_signs = any(sign.is_failed for sign in analysis.signs)
    return {"outcome": READ, "verdict": analysis.lung_sliding.verdict.value} | ({"lacks_signs": True} if lacks_signs else {})


def _read(reader: Reader, job: str, clip_path: Path, asked: Asked, board: ProgressBoard, lane: Lane) -> Analysis:
    clip, decode_ms = open_timed(reader, clip_path, unhurried=True)
    entry = _find(reader, asked.model)
    note: Progress = partial(board.note, job)
    with reading_span() as told:
        analysis, _ = reader.read(clip, entry, asked.options, note, decode_ms=decode_ms, lane=lane)
        told.append(analysis.timings)
    return replace(analysis, id=job)


def _find(reader: Reader, model: str) -> ModelEntry:
    """Raises: BadBundle. It was there when the clip was taken, so whoever took it away can mend that, and the clip's sender cannot."""
    try:
        return reader.find(model)
    except UnknownModel as gone:
        raise BadBundle(f"This clip waited for the model {model}, which has left the store. Lay it in again.") from gone


def is_our_fault(entry: Entry) -> bool:
    """It was not read, or not all of it, because of us: worth another try. What was refused would be refused again."""
    result = entry.result or {}
    return entry.state is State.FAILED or result.get("outcome") == FAILED or bool(result.get("lacks_signs"))


def kept_analysis(folder: JobFolder) -> Analysis | None:
    """None when there is none, it is damaged or another job's, or a predecessor wrote it in another format."""
    fields = folder.read_json(ANALYSIS)
    try:
        analysis = None if fields is None else analysis_from_json(fields)
    except Exception:  # cattrs raises groups of whatever it met
        return None
    return analysis if analysis is not None and analysis.id == folder.path.name else None
