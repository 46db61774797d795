"""The bundles of a store, each loaded once, when it is first needed; and the one that is asked when nobody names one."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from service.bundle import find_bundles, resolve, stated_sha256
from service.errors import BadBundle, OperatorError

Loaded = TypeVar("Loaded")

OPERATORS_HINT = "SEASHORE_MODEL_STORE says where the store is, SEASHORE_DEFAULT_MODEL which model is read when none is named."


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One bundle of the store."""

    name: str
    version: str
    is_default: bool
    is_loaded: bool

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(slots=True)
class _Place(Generic[Loaded]):
    """Where one bundle stands once somebody has asked for it. A bundle that failed is not tried again before the next `reload`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    loaded: Loaded | None = None
    error: OperatorError | None = None


class ModelShelf(Generic[Loaded]):
    """What is asked when no version is named stays what it was when that was first loaded, whatever is laid into the store, until
    `reload` has loaded its successor: a bundle that is broken never takes the place of one that works."""

    def __init__(self, store: Path, default: str | None, load: Callable[[Path], Loaded]) -> None:
        self._store = store
        self._default = default
        self._load = load
        self._lock = threading.Lock()
        self._places: dict[Path, _Place[Loaded]] = {}
        self._current: Path | None = None
        """The default, once it has been loaded."""

    def entries(self) -> tuple[ModelEntry, ...]:
        """Every bundle, by name, the newest version first."""
        return tuple(self._entry(self._store / name / version) for name, version in find_bundles(self._store))

    def find(self, model: str | None) -> ModelEntry:
        """Raises: UnknownModel; BadBundle when the store is empty, or none is named and no default can be told."""
        current = self._current
        if current is not None and model in (None, current.parent.name):
            return self._entry(current)
        return self._entry(self._resolve(model))

    def digest(self, entry: ModelEntry) -> str:
        """Raises: BadBundle."""
        return stated_sha256(self._folder(entry))

    def get(self, entry: ModelEntry) -> Loaded:
        """Blocks while the bundle is being loaded, here or in another thread. Raises: OperatorError."""
        folder = self._folder(entry)
        with self._lock:
            place = self._places.setdefault(folder, _Place())
        loaded = self._loaded(folder, place)
        if self._current is None and folder == self._preferred():
            self._current = folder
        return loaded

    def reload(self) -> ModelEntry:
        """Look into the store again, and ask its newest default from now on, once it has been loaded and checked beside the present one.

        Who reads with the present one finishes with it. Raises: OperatorError, and everything stays as it was.
        """
        folder = self._resolve(None)
        if folder != self._current:
            fresh: _Place[Loaded] = _Place()
            self._loaded(folder, fresh)
            with self._lock:
                before, self._current = self._current, folder
                self._places[folder] = fresh
                if before is not None:
                    self._places.pop(before, None)  # its engine goes with its last reading
        return self._entry(folder)

    def _loaded(self, folder: Path, place: _Place[Loaded]) -> Loaded:
        with place.lock:
            if place.error is not None:
                raise type(place.error)(str(place.error), log_detail=place.error.log_detail)
            if place.loaded is None:
                try:
                    place.loaded = self._load(folder)
                except OperatorError as error:
                    place.error = error
                    raise
            return place.loaded

    def _resolve(self, model: str | None) -> Path:
        try:
            return resolve(self._store, model, default=self._default)
        except BadBundle as error:
            raise BadBundle(str(error), log_detail=OPERATORS_HINT) from None

    def _folder(self, entry: ModelEntry) -> Path:
        return self._store / entry.name / entry.version

    def _entry(self, folder: Path) -> ModelEntry:
        place = self._places.get(folder)
        is_loaded = place is not None and place.loaded is not None
        return ModelEntry(folder.parent.name, folder.name, is_default=folder == self._preferred(), is_loaded=is_loaded)

    def _preferred(self) -> Path | None:
        if self._current is not None:
            return self._current
        try:
            return resolve(self._store, None, default=self._default)
        except BadBundle:
            return None


class OverShelf(Generic[Loaded]):
    """What a `Reader` says of its models: what its shelf says."""

    def __init__(self, shelf: ModelShelf[Loaded]) -> None:
        self._shelf = shelf

    def models(self) -> tuple[ModelEntry, ...]:
        return self._shelf.entries()

    def find(self, model: str | None) -> ModelEntry:
        return self._shelf.find(model)

    def digest(self, entry: ModelEntry) -> str:
        return self._shelf.digest(entry)

    def load(self, entry: ModelEntry) -> None:
        self._shelf.get(entry)

    def reload(self) -> ModelEntry:
        return self._shelf.reload()
