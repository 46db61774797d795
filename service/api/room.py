"""The reading room: what the requests of one service share, and the work one clip asks of it. No HTTP."""

import asyncio
import logging
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from service.api.failures import Failures
from service.api.input_metrics import InputMetrics
from service.api.negotiation import Form
from service.api.problems import KINDS
from service.api.queue import ReadingQueue, Stop
from service.api.schemas import answer_of
from service.api.upload import Upload
from service.cine.clip import Clip
from service.disk import check_room, needing_room
from service.errors import NoRoom, SeashoreError
from service.findings import Analysis, Arrays
from service.jobs.reading import Asked
from service.pacs.objects.heading import save
from service.pacs.objects.source import read_source
from service.pacs.objects.sr import structured_report
from service.pipeline import Options
from service.reader import Reader, open_timed
from service.settings import Settings
from service.shelf import ModelEntry
from service.sign_shelf import refuse_untold
from service.telemetry import Metrics
from service.tracing import reading_span

log = logging.getLogger(__name__)

DRAWN = (Form.ANNOTATED_CLIP, Form.REPORT, Form.STRUCTURED_REPORT)
"""What is made from an answer and the clip, and needs nothing else of the reading."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked about one clip."""

    entry: ModelEntry
    options: Options
    form: Form


@dataclass(slots=True)
class Readiness:
    """Whether the default model is loaded, checked and warm."""

    is_ready: bool = False
    error: SeashoreError | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer and when it was given."""

    analysis: Analysis
    at: datetime


class RecentAnalyses:
    """The last few answers, so that the annotated clip or the report of a clip just read is drawn without reading it again.

    Only that: JSON is always computed. Keyed by the clip's bytes, so nobody sees an answer whose clip they do not hold.
    """

    def __init__(self, max_entries: int = 8, seconds: float = 120.0) -> None:
        self._max_entries = max_entries
        self._seconds = seconds
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, str, Options], tuple[float, Answered]] = OrderedDict()

    def put(self, upload: Upload, request: Request, answered: Answered) -> None:
        with self._lock:
            self._entries[_key(upload, request)] = (time.monotonic(), answered)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def get(self, upload: Upload, request: Request) -> Answered | None:
        with self._lock:
            written_s, answered = self._entries.get(_key(upload, request), (0.0, None))
            return answered if time.monotonic() - written_s <= self._seconds else None


def _key(upload: Upload, request: Request) -> tuple[str, str, Options]:
    return upload.sha256, str(request.entry), request.options


@dataclass(frozen=True, slots=True)
class ReadingRoom:
    settings: Settings
    reader: Reader
    queue: ReadingQueue
    metrics: Metrics
    inputs: InputMetrics
    readiness: Readiness = field(default_factory=Readiness)
    recent: RecentAnalyses = field(default_factory=RecentAnalyses)
    failures: Failures = field(default_factory=Failures)
    closing: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def furnish(cls, settings: Settings, reader: Reader) -> "ReadingRoom":
        queue = ReadingQueue(
            max_concurrent=settings.max_concurrent,
            max_queued=settings.max_queued,
            max_wait_s=settings.max_wait_s,
            deadline_s=settings.deadline_s,
            drain_s=settings.drain_s,
        )
        metrics = Metrics(lambda: queue.num_pending, ["ok", "internal_error", *(kind.code for kind in KINDS)])
        inputs = InputMetrics(settings.model_store)
        metrics.registry.register(inputs)
        return cls(settings, reader, queue, metrics, inputs)

    def observe(self, analysis: Analysis) -> None:
        """Every clip that was read, of a request or of a job."""
        self.metrics.observe_analysis(analysis)
        self.inputs.observe(analysis)

    def trouble(self) -> SeashoreError | None:
        """Why no clip can be read just now: what kept it from getting ready, or has befallen it since. Quick."""
        return self.readiness.error or self.reader.trouble() or self._lack_of_room()

    def check_room(self) -> None:
        """Raises: NoRoom when no clip is to be taken."""
        folders = [Path(tempfile.gettempdir()), *([self.settings.data_dir] if self.settings.jobs else [])]
        check_room(*folders, min_free_bytes=self.settings.min_free_bytes)

    async def refuse_untold(self, signs: tuple[str, ...]) -> None:
        """Of signs as `Options.signs` names them: before a clip is received in vain. Raises: BadOption."""
        if signs:
            refuse_untold(signs, await asyncio.to_thread(self.reader.signs))

    def refuse_in_trouble(self, entry: ModelEntry) -> None:
        """Before a clip is received in vain. Raises: EngineFailed, NoRoom."""
        trouble = self.reader.trouble()
        if trouble is not None and entry.is_default:
            raise trouble
        self.check_room()

    def _lack_of_room(self) -> NoRoom | None:
        try:
            self.check_room()
        except NoRoom as lack:
            return lack
        return None

    def prepare(self) -> None:
        """Have the default model loaded, its golden clip checked, its engine warm; again and again where that may come to work."""
        while (again_s := self._prepared()) is not None and not self.closing.wait(again_s):
            pass

    def _prepared(self) -> float | None:
        """Seconds until it is worth another try; None when it is ready, or would not do then either."""
        start_s = time.monotonic()
        try:
            entry = self.reader.find(None)
            self.reader.load(entry)
        except SeashoreError as error:
            self.readiness.error = error
            log.error("not ready: %s: %s %s", error.code, error, error.log_detail)
            return error.retry_after_s
        self.readiness.is_ready, self.readiness.error = True, None
        log.info("ready: model %s in %.1f s", entry, time.monotonic() - start_s)
        return None

    def close(self) -> None:
        """Stop whatever is under way."""
        self.closing.set()
        self.queue.close()

    def renew(self) -> None:
        """Have the store's newest default take the place of the present one, if it is sound. The log says what came of it."""
        try:
            entry = self.reader.reload()
        except SeashoreError as error:
            self.failures.note(error)
            log.error("reload: %s: %s %s The model that was loaded stays.", error.code, error, error.log_detail)
        else:
            self.readiness.is_ready, self.readiness.error = True, None
            log.info("reload: model %s is asked from now on", entry)

    @needing_room()
    def answer(self, upload: Upload, request: Request, folder: Path, stop: Stop) -> bytes | Path:
        """Read the clip and make the form asked for: JSON as bytes, the others as a file in `folder`. Runs in a thread.

        When nobody waits any more it removes the folder itself, for the request that made it has ended before it.
        """
        try:
            return self._answer(upload, request, folder, stop)
        finally:
            if stop.is_set:
                shutil.rmtree(folder, ignore_errors=True)

    def _answer(self, upload: Upload, request: Request, folder: Path, stop: Stop) -> bytes | Path:
        self.metrics.observe_stage("queue", stop.waited_s)
        clip, decode_ms = open_timed(self.reader, upload.path)
        recent = self.recent.get(upload, request) if request.form in DRAWN else None
        if recent is not None:
            return self._drawn(upload.path, clip, recent, request.form, folder)
        keeps_arrays = request.form is Form.ARRAYS
        with reading_span() as told:
            analysis, arrays = self.reader.read(
                clip, request.entry, request.options, stop.check, decode_ms=decode_ms, keeps_arrays=keeps_arrays
            )
            told.append(analysis.timings)
        self.observe(analysis)
        self.failures.note_read()
        answered = Answered(analysis, datetime.now().astimezone())
        self.recent.put(upload, request, answered)
        match request.form:
            case Form.JSON:
                return answer_of(analysis).model_dump_json().encode()
            case Form.ARRAYS:
                return write_npz(analysis, arrays, folder / "arrays.npz")
            case _:
                return self._drawn(upload.path, clip, answered, request.form, folder)

    @needing_room()
    def render(self, clip_path: Path, answered: Answered, asked: Asked, form: Form, folder: Path, stop: Stop) -> bytes | Path:
        """The form asked for, of an answer that was kept. The arrays are not kept: for them the clip is read again. Runs in a thread."""
        if form is Form.JSON:
            return answer_of(answered.analysis).model_dump_json().encode()
        clip = self.reader.open(clip_path, unhurried=True)
        if form is Form.ARRAYS:
            _, arrays = self.reader.read(clip, self.reader.find(asked.model), asked.options, stop.check, keeps_arrays=True)
            return write_npz(answered.analysis, arrays, folder / "arrays.npz")
        return self._drawn(clip_path, clip, answered, form, folder)

    def _drawn(self, clip_path: Path, clip: Clip, answered: Answered, form: Form, folder: Path) -> Path:
        start_s = time.monotonic()
        if form is Form.REPORT:
            stage, out = "report", folder / "report.pdf"
            self.reader.report(clip, answered.analysis, out, analysed_at=answered.at)
        elif form is Form.STRUCTURED_REPORT:
            stage, out = "sr", write_structured_report(clip_path, answered.analysis, answered.at, folder / "sr.dcm")
        else:
            stage, out = "annotate", folder / "annotated.mp4"
            self.reader.annotate(clip, answered.analysis, out)
        self.metrics.observe_stage(stage, time.monotonic() - start_s)
        return out


def write_structured_report(source: Path, analysis: Analysis, at: datetime, out: Path) -> Path:
    """Of a DICOM object. Raises: UnreadableClip."""
    save(structured_report(read_source(source), analysis, at), out)
    return out


def write_npz(analysis: Analysis, arrays: Arrays | None, out: Path) -> Path:
    """Everything the model saw and said, as named arrays; `answer` is the JSON answer, `gradients` only with saliency."""
    assert arrays is not None, "they were asked for"
    named = arrays.by_name() | {"answer": np.array(answer_of(analysis).model_dump_json())}
    with out.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **named)
    return out
