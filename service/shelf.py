"""The bundles of a store, each loaded once, when it is first needed; and the one that is asked when nobody names one."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from service.bundle import resolve, stated_sha256
from service.bundle_files import find_bundles
from service.errors import BadBundle, OperatorError, SeashoreError
from service.signature import check_signature
from service.standing import ModelStanding, Presence, ReaderStanding

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
    """Where one bundle stands once somebody has asked for it. A bundle that failed is not tried again before the next `reload`, unless
    its error said when."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    loaded: Loaded | None = None
    error: OperatorError | None = None
    again_s: float = math.inf
    """When it is worth another try, on `time.monotonic`."""


class ModelShelf(Generic[Loaded]):
    """What is asked when no version is named stays what it was when that was first loaded, whatever is laid into the store, until
    `reload` has loaded its successor: a bundle that is broken never takes the place of one that works."""

    def __init__(
        self,
        store: Path,
        default: str | None,
        load: Callable[[Path], Loaded],
        trusted_keys: Path | None = None,
        stated: Callable[[Path], str] = stated_sha256,
    ) -> None:
        """`trusted_keys`: of those whose bundles are taken (`service.signature`); None takes every bundle. `stated`: the sha256 of the
        model in a folder, as the manifest of this kind of bundle states it."""
        self._store = store
        self._default = default
        self._load = load
        self._trusted_keys = trusted_keys
        self._stated = stated
        self._lock = threading.Lock()
        self._places: dict[Path, _Place[Loaded]] = {}
        self._current: Path | None = None
        """The default, once it has been loaded."""
        self._refused: dict[Path, OperatorError] = {}
        """The successor that the last `reload` refused."""

    def entries(self) -> tuple[ModelEntry, ...]:
        """Every bundle, by name, the newest version first."""
        return tuple(self._entry(self._store / name / version) for name, version in find_bundles(self._store))

    def standings(self) -> tuple[ModelStanding, ...]:
        """Every bundle, in the order of `entries`. Waits for no bundle that is being loaded."""
        preferred = self._preferred()
        return tuple(self._standing(self._store / name / version, preferred) for name, version in find_bundles(self._store))

    def peek(self, name: str, version: str) -> Loaded | None:
        """What is loaded of a bundle already."""
        place = self._places.get(self._store / name / version)
        return None if place is None else place.loaded

    @property
    def current(self) -> Loaded | None:
        """What is asked when none is named, once it has been loaded."""
        current = self._current
        return None if current is None else self.peek(current.parent.name, current.name)

    def find(self, model: str | None) -> ModelEntry:
        """Raises: UnknownModel; BadBundle when the store is empty, or none is named and no default can be told."""
        current = self._current
        if current is not None and model in (None, current.parent.name):
            return self._entry(current)
        return self._entry(self._resolve(model))

    def digest(self, entry: ModelEntry) -> str:
        """Raises: BadBundle."""
        return self._stated(self._folder(entry))

    def get(self, entry: ModelEntry) -> Loaded:
        """Blocks while the bundle is being loaded, here or in another thread. Raises: OperatorError."""
        folder = self._folder(entry)
        with self._lock:
            place = self._places.setdefault(folder, _Place())
        loaded = self._loaded(folder, place)
        if self._current is None and folder == self._preferred():
            self._current = folder
        return loaded

    def forget_others(self, entries: Sequence[ModelEntry]) -> None:
        """All bundles but these, whose engines go with their last readings."""
        kept = {self._folder(entry) for entry in entries}
        with self._lock:
            self._places = {folder: place for folder, place in self._places.items() if folder in kept}

    def forget_failures(self) -> None:
        """What failed is tried anew when it is next asked for, whatever its error said."""
        with self._lock:
            self._places = {folder: place for folder, place in self._places.items() if place.error is None}

    def reload(self) -> ModelEntry:
        """Look into the store again, and ask its newest default from now on, once it has been loaded and checked beside the present one.

        Who reads with the present one finishes with it. Raises: OperatorError, and everything stays as it was.
        """
        folder = self._resolve(None)
        if folder != self._current:
            fresh: _Place[Loaded] = _Place()
            self._refused.clear()
            try:
                self._loaded(folder, fresh)
            except OperatorError as error:
                self._refused[folder] = error.anew()
                raise
            with self._lock:
                before, self._current = self._current, folder
                self._places[folder] = fresh
                if before is not None:
                    self._places.pop(before, None)  # its engine goes with its last reading
        return self._entry(folder)

    def _loaded(self, folder: Path, place: _Place[Loaded]) -> Loaded:
        with place.lock:
            if place.error is not None and time.monotonic() < place.again_s:
                raise place.error.anew()
            if place.loaded is None:
                try:
                    if self._trusted_keys is not None:
                        check_signature(folder, self._trusted_keys)
                    place.loaded = self._load(folder)
                except OperatorError as error:
                    place.error = error.anew()  # its trace holds on to the engine that was just opened in vain
                    place.again_s = math.inf if error.retry_after_s is None else time.monotonic() + error.retry_after_s
                    raise
                place.error = None
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

    def _standing(self, folder: Path, preferred: Path | None) -> ModelStanding:
        place = self._places.get(folder, _Place())
        sha256, error = "", place.error or self._refused.get(folder)
        try:
            sha256 = self._stated(folder)
        except BadBundle as unreadable:
            error = error or unreadable
        presence, told = _presence(place, error), None if place.loaded is not None else error
        code, detail = ("", "") if told is None else (told.code, str(told))
        return ModelStanding(folder.parent.name, folder.name, folder == preferred, presence, sha256, code=code, detail=detail)

    def _preferred(self) -> Path | None:
        if self._current is not None:
            return self._current
        try:
            return resolve(self._store, None, default=self._default)
        except BadBundle:
            return None


def _presence(place: _Place[Loaded], error: OperatorError | None) -> Presence:
    if place.loaded is not None:
        return Presence.LOADED
    if place.lock.locked():
        return Presence.LOADING
    return Presence.NOT_ASKED if error is None else Presence.REFUSED


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

    def standing(self) -> ReaderStanding:
        return ReaderStanding(self._shelf.standings())

    def trouble(self) -> SeashoreError | None:
        """None, as far as is known here."""
        return None
