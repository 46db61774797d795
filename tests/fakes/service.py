"""A reader whose answers are written in the clip, and the real HTTP service around it on a port of this machine.

A "clip" of this reader is a word: b"present", b"absent", b"indeterminate", b"lung point" and b"not assessable" are answered
so; b"doubted" is present, over patches and a wall that say otherwise; b"unsupported_format" (any error's code) raises that
error; b"bug" is a bug that quotes a patient's name; b"slow" is read until `release()` or until its caller no longer waits.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path

import httpx
import numpy as np
import uvicorn
from numpy.typing import NDArray

from service.api.app import create_app
from service.api.connection import server_config
from service.cine.clip import Clip, ClipInfo
from service.engine.turn import Lane
from service.errors import BadBundle, SeashoreError, UnknownModel
from service.evidence.identity import Identity
from service.evidence.mmode import mmode
from service.evidence.rendition import Marks, Rendition, render
from service.findings import ALL_SIGNS, TOLD_SIGNS, Analysis, Arrays, Line, Verdict
from service.options import check_line
from service.pipeline import Options, Progress
from service.reader import ClipReader, Reader
from service.reading import Saliency
from service.settings import Settings
from service.shelf import ModelEntry
from service.sign_shelf import SignEntry
from service.standing import ModelStanding, Presence, ReaderStanding, SignStanding
from tests.fakes.analysis import example_analysis, example_signs

PATIENT = "Doe^Jane"
MODEL = ModelEntry("resnet3d18-w16", "0.1.0", is_default=True, is_loaded=True)
OTHER_MODEL = ModelEntry("resnet3d18-w16", "0.0.9", is_default=False, is_loaded=False)
BROKEN_BUNDLE = "The model's golden clip is answered 0.31 here; 0.93 was expected."


@dataclass(frozen=True)
class WordClip:
    """Two grey frames and a word."""

    word: str

    @property
    def info(self) -> ClipInfo:
        return ClipInfo(np.array([0.0, 0.5]), 1.0, 64, 48, np.zeros(2, np.bool_), "word", None, ())

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        yield from (np.full((48, 64), level, np.uint8) for level in (0, 255))

    def rgb_frames(self) -> Iterator[NDArray[np.uint8]]:
        yield from (np.repeat(frame[..., None], 3, axis=2) for frame in self.frames())


SIGN_MODELS = (
    SignEntry("blines-small", "1.0.0", ("b_lines",), is_loaded=True),
    SignEntry("signs-small", "1.0.0", ("a_lines", "effusion", "consolidation"), is_loaded=True),
)


class WordReader:
    """Answers what the clip says.

    `read_options` and `lanes` list what was asked, `num_annotated`, `reported_at` and `num_rendered` what was drawn.
    """

    def __init__(self, *, broken_bundle: bool = False) -> None:
        self.read_options: list[Options] = []
        self.lanes: list[Lane] = []
        self.num_annotated = 0
        self.reported_at: list[datetime] = []
        self.num_rendered = 0
        self.started = threading.Event()
        self.stopped = threading.Event()
        self._released = threading.Event()
        self._broken_bundle = broken_bundle

    def release(self) -> None:
        self._released.set()

    def models(self) -> tuple[ModelEntry, ...]:
        return MODEL, OTHER_MODEL

    def signs(self) -> tuple[SignEntry, ...]:
        return SIGN_MODELS

    def find(self, model: str | None) -> ModelEntry:
        if model not in (None, MODEL.name, str(MODEL)):
            raise UnknownModel(f"There is no such model; there is {MODEL}.")
        return MODEL

    def digest(self, entry: ModelEntry) -> str:
        return "0" * 64

    def load(self, entry: ModelEntry) -> None:
        if self._broken_bundle:
            raise BadBundle(BROKEN_BUNDLE, log_detail="golden.json")

    def load_signs(self) -> None:
        pass

    def reload(self) -> ModelEntry:
        self.load(MODEL)
        return MODEL

    def standing(self) -> ReaderStanding:
        if self._broken_bundle:
            return ReaderStanding((_standing(MODEL, Presence.REFUSED, code="bad_bundle", detail=BROKEN_BUNDLE), _standing(OTHER_MODEL)))
        models = _standing(MODEL, Presence.LOADED, device="words", precision="float32"), _standing(OTHER_MODEL)
        return ReaderStanding(models, signs=tuple(sign_standing(entry) for entry in self.signs()))

    def trouble(self) -> SeashoreError | None:
        return None

    def open(self, path: Path, *, unhurried: bool = False) -> Clip:
        with path.open("rb") as file:
            return WordClip(file.read(40).decode("latin-1"))

    def read(
        self,
        clip: Clip,
        entry: ModelEntry,
        options: Options,
        on_progress: Progress | None = None,
        *,
        decode_ms: float = 0.0,
        lane: Lane = Lane.INTERACTIVE,
        keeps_arrays: bool = False,
    ) -> tuple[Analysis, Arrays | None]:
        assert isinstance(clip, WordClip)
        self.read_options.append(options)
        self.lanes.append(lane)
        if clip.word == "bug":
            raise ZeroDivisionError(PATIENT)
        if clip.word == "slow":
            self._read_slowly(on_progress)
        self._raise_if_error(clip.word)
        analysis, arrays = _answer(clip.word, with_saliency=options.saliency is not Saliency.NONE)
        signs = TOLD_SIGNS if options.signs == ALL_SIGNS else options.signs
        return replace(analysis, signs=tuple(found for found in example_signs() if found.sign in signs)), arrays

    def annotate(self, clip: Clip, analysis: Analysis, out: Path) -> None:
        assert isinstance(clip, WordClip)
        self.num_annotated += 1
        out.write_bytes(b"annotated " + clip.word.encode())

    def report(
        self,
        clip: Clip,
        analysis: Analysis,
        out: Path,
        *,
        analysed_at: datetime,
        identity: Identity | None = None,
        show_outside_region: bool = True,
    ) -> None:
        assert isinstance(clip, WordClip)
        self.reported_at.append(analysed_at)
        out.write_bytes(b"report of " + clip.word.encode())

    def render(self, clip: Clip, out: Path, on_progress: Progress | None = None, *, marks: Marks | None = None) -> Rendition:
        """Its two frames, really."""
        assert isinstance(clip, WordClip)
        self.num_rendered += 1
        if clip.word == "slow":
            self._read_slowly(on_progress)
        self._raise_if_error(clip.word)
        return render(clip, out, marks=marks)

    def mmode(self, clip: Clip, line: Line, on_progress: Progress | None = None) -> NDArray[np.uint8]:
        assert isinstance(clip, WordClip)
        if clip.word == "slow":
            self._read_slowly(on_progress)
        self._raise_if_error(clip.word)
        check_line(line, clip.info.width, clip.info.height)
        return mmode(clip.frames(), *line)

    def _read_slowly(self, on_progress: Progress | None) -> None:
        self.started.set()
        try:
            while not self._released.wait(0.01):
                if on_progress is not None:
                    on_progress(0.5, "model")
        finally:
            self.stopped.set()

    @staticmethod
    def _raise_if_error(word: str) -> None:
        kind = {kind.code: kind for kind in all_errors()}.get(word)
        if kind is not None:
            raise kind(f"This is the sentence of {word}.", log_detail=PATIENT)


ILL = "The model's device failed. Its engine is being started again: ask again in 15 s."


class IllSigns(WordReader):
    """The device of its first model of signs is being opened again, its second is not loaded yet; its other model of sliding is refused."""

    def standing(self) -> ReaderStanding:
        first, second = self.signs()
        ill = sign_standing(first, code="engine_failed", detail=ILL)
        models = super().standing().models[:1]
        refused = _standing(OTHER_MODEL, Presence.REFUSED, code="bad_bundle", detail=BROKEN_BUNDLE)
        return ReaderStanding((*models, refused), signs=(ill, sign_standing(second, Presence.NOT_ASKED)))


@cache
def shipped_reader() -> ClipReader:
    """The real reader with the model of the repository's store, loaded once a run. On the CPU, so that figures are the same everywhere."""
    reader = ClipReader(Settings(device="cpu"))
    reader.load(reader.find(None))
    return reader


def shipped_bundle() -> Path:
    """Folder of the model that `shipped_reader` reads with."""
    entry = shipped_reader().find(None)
    return Settings().model_store / entry.name / entry.version


def _standing(entry: ModelEntry, presence: Presence = Presence.NOT_ASKED, **told: str) -> ModelStanding:
    return ModelStanding(entry.name, entry.version, entry.is_default, presence, "0" * 64, **told)


def sign_standing(entry: SignEntry, presence: Presence = Presence.LOADED, **told: str) -> SignStanding:
    device = "words" if presence is Presence.LOADED else ""
    model = ModelStanding(entry.name, entry.version, False, presence, "0" * 64, device=device, **told)  # type: ignore[arg-type]
    return SignStanding(model, entry.signs)


def _answer(word: str, *, with_saliency: bool) -> tuple[Analysis, Arrays]:
    if word == "lung point":
        return example_analysis(num_windows=1, lung_point=True, with_saliency=with_saliency)
    if word == "doubted":
        return example_analysis(num_windows=1, network=Verdict.ABSENT, wall_control=0.9, with_saliency=with_saliency)
    verdict = Verdict(word.replace(" ", "_")) if word.replace(" ", "_") in list(Verdict) else Verdict.PRESENT
    analysis, arrays = example_analysis(num_windows=1, verdict=verdict, with_saliency=with_saliency)
    return replace(analysis, id=f"example-{verdict}"), arrays


def all_errors(root: type[SeashoreError] = SeashoreError) -> list[type[SeashoreError]]:
    """The leaves of the error tree: every class that is really raised."""
    children = root.__subclasses__()
    return [root] if not children else [leaf for child in children for leaf in all_errors(child)]


class ServiceClient(httpx.Client):
    """`drain()` does what SIGTERM does to `seashore serve` before its server stops to listen."""

    drain: Callable[[], object]


@contextmanager
def serving(reader: Reader, **settings: object) -> "Iterator[ServiceClient]":
    """The real service on a free port, with a client that speaks to it. It takes jobs where it is given a `data_dir`."""
    given = Settings.model_validate({"jobs": "data_dir" in settings, "port": 0, "log_level": "error"} | settings)
    app = create_app(given, reader)
    server = uvicorn.Server(server_config(app, given, drain_s=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        with ServiceClient(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
            client.drain = app.state.drain
            yield client
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serving_everything(reader: Reader, folder: Path, **settings: object) -> "Iterator[ServiceClient]":
    """The same with jobs, and as a node of a network of one. `folder` is empty."""
    (folder / "pacs.toml").write_text("[receive]\nport = 0\n")
    with serving(reader, data_dir=folder / "data", site=folder / "pacs.toml", **settings) as client:
        yield client


def wait_until(is_so: object, seconds: float = 5.0) -> bool:
    """Whether `is_so()` came true within the time."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        with suppress(AssertionError):
            if is_so():  # type: ignore[operator]
                return True
        time.sleep(0.01)
    return False


def is_ready(client: httpx.Client) -> bool:
    """Whether it will be soon. Long enough for a machine that has much else to do: models are loaded and warmed first."""
    return wait_until(lambda: client.get("/readyz").status_code == 200, 120)


def problem(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that is a problem, and nothing else."""
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]
