"""Whoever reads clips: the HTTP API and the command line ask it, and know nothing of engines and bundles.

`Reader` is the seam; `ClipReader` is the real one, over a model store on disk. Tests stand a reader with a computable
answer behind the same seam.
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from service.cine.clip import Clip
from service.cine.decode import DEFAULT_LIMITS, open_clip
from service.errors import BadBundle, OperatorError, UnknownModel
from service.evidence.overlay import annotate
from service.findings import Analysis, Arrays
from service.loading import load_model
from service.model import LoadedModel
from service.options import quoted
from service.pipeline import Options, Progress, analyse
from service.settings import Settings

Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One bundle of the store."""

    name: str
    version: str
    is_default: bool
    is_loaded: bool

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


def open_timed(reader: "Reader", path: Path) -> tuple[Clip, float]:
    """The clip, and the milliseconds it took to open it. Raises: RequestError."""
    start_s = time.perf_counter()
    clip = reader.open(path)
    return clip, (time.perf_counter() - start_s) * 1000


class Reader(Protocol):
    """Reads clips. Every method blocks and may be called from several threads at once."""

    def models(self) -> tuple[ModelEntry, ...]:
        """Every bundle of the store, by name, the newest version first."""
        ...

    def find(self, model: str | None) -> ModelEntry:
        """The bundle a request means by `NAME`, `NAME:VERSION` or nothing. Quick. Raises: UnknownModel, BadBundle."""
        ...

    def load(self, entry: ModelEntry) -> None:
        """Have a bundle verified, its golden clip checked and its engine warm. Raises: OperatorError."""
        ...

    def open(self, path: Path) -> Clip:
        """The clip in a file, which must stay there as long as the clip is used. Raises: RequestError."""
        ...

    def read(
        self, clip: Clip, entry: ModelEntry, options: Options, on_progress: Progress | None = None, *, decode_ms: float = 0.0
    ) -> tuple[Analysis, Arrays]:
        """`decode_ms` is what opening the clip took.

        Raises: RequestError, OperatorError; and whatever `on_progress` raises, which is how a caller stops it.
        """
        ...

    def annotate(self, clip: Clip, analysis: Analysis, out: Path) -> None:
        """Write the clip with its findings drawn on it, as MP4."""
        ...


@dataclass(slots=True)
class _Place(Generic[Loaded]):
    """Where one bundle stands once somebody has asked for it. A bundle that failed once is not tried again."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    loaded: Loaded | None = None
    error: OperatorError | None = None


class ModelShelf(Generic[Loaded]):
    """The bundles of a store, <name>/<version>/manifest.json, each loaded once, when it is first needed."""

    def __init__(self, store: Path, default: str | None, load: Callable[[Path], Loaded]) -> None:
        self._store = store
        self._default = default
        self._load = load
        self._lock = threading.Lock()
        self._places: dict[tuple[str, str], _Place[Loaded]] = {}

    def entries(self) -> tuple[ModelEntry, ...]:
        """Every bundle, by name, the newest version first."""
        bundles = [(path.parent.parent.name, path.parent.name) for path in self._store.glob("*/*/manifest.json")]
        found = sorted(sorted(bundles, key=lambda bundle: _version_key(bundle[1]), reverse=True), key=lambda bundle: bundle[0])
        names = {name for name, _ in found}
        default = self._default or (names.pop() if len(names) == 1 else None)
        preferred = next((bundle for bundle in found if default and _means(default, bundle)), None)
        return tuple(ModelEntry(*bundle, is_default=bundle == preferred, is_loaded=self._is_loaded(bundle)) for bundle in found)

    def find(self, model: str | None) -> ModelEntry:
        """Raises: UnknownModel; BadBundle when none is named and there is no default."""
        entries = self.entries()
        if model is None:
            return self._find_default(entries)
        for entry in entries:
            if _means(model, (entry.name, entry.version)):
                return entry
        raise UnknownModel(f"There is no model {quoted(model)}; there {_listed(entries)}.")

    def get(self, entry: ModelEntry) -> Loaded:
        """Blocks while the bundle is being loaded, here or in another thread. Raises: OperatorError."""
        with self._lock:
            place = self._places.setdefault((entry.name, entry.version), _Place())
        with place.lock:
            if place.error is not None:
                raise type(place.error)(str(place.error), log_detail=place.error.log_detail)
            if place.loaded is None:
                try:
                    place.loaded = self._load(self._store / entry.name / entry.version)
                except OperatorError as error:
                    place.error = error
                    raise
            return place.loaded

    def _find_default(self, entries: tuple[ModelEntry, ...]) -> ModelEntry:
        for entry in entries:
            if entry.is_default:
                return entry
        if not entries:
            raise BadBundle("The model store holds no model. SEASHORE_MODEL_STORE says where it is.")
        raise BadBundle(f"SEASHORE_DEFAULT_MODEL names none of the models in the store; there {_listed(entries)}.")

    def _is_loaded(self, bundle: tuple[str, str]) -> bool:
        place = self._places.get(bundle)
        return place is not None and place.loaded is not None


def _means(model: str, bundle: tuple[str, str]) -> bool:
    name, colon, version = model.partition(":")
    return name == bundle[0] and (not colon or version == bundle[1])


def _listed(entries: tuple[ModelEntry, ...]) -> str:
    names = ", ".join(str(entry) for entry in entries)
    return f"{'are' if len(entries) > 1 else 'is'} {names or 'none'}"


def _version_key(version: str) -> list[tuple[bool, int, str]]:
    """0.10 is newer than 0.9, and 1.0.0 than 1.0.0-rc1: a word sorts before the end, the end before a number."""
    parts = [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"[.\-+_]", version)]
    return [*parts, (True, -1, "")]


class ClipReader:
    """The real reader: decodes, analyses and draws, with the models of a store on one device."""

    def __init__(self, settings: Settings) -> None:
        self._limits = replace(DEFAULT_LIMITS, max_seconds=settings.max_seconds, max_pixels_per_frame=settings.max_pixels)
        self._shelf: ModelShelf[LoadedModel] = ModelShelf(
            settings.model_store, settings.default_model, lambda bundle: _load(bundle, settings.device)
        )

    def models(self) -> tuple[ModelEntry, ...]:
        return self._shelf.entries()

    def find(self, model: str | None) -> ModelEntry:
        return self._shelf.find(model)

    def load(self, entry: ModelEntry) -> None:
        self._shelf.get(entry)

    def open(self, path: Path) -> Clip:
        return open_clip(path, self._limits)

    def read(
        self, clip: Clip, entry: ModelEntry, options: Options, on_progress: Progress | None = None, *, decode_ms: float = 0.0
    ) -> tuple[Analysis, Arrays]:
        return analyse(clip, self._shelf.get(entry), options, on_progress=on_progress, decode_ms=decode_ms)

    def annotate(self, clip: Clip, analysis: Analysis, out: Path) -> None:
        annotate(clip, analysis, out)


def _load(bundle: Path, device: str) -> LoadedModel:
    return load_model(bundle, device)
