"""The models of signs that a service offers: the newest version of each name in the store's part for them."""

import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from service.engine.healing import HealingDevice
from service.errors import BadBundle, BadOption, OperatorError
from service.findings import ALL_SIGNS, TOLD_SIGNS
from service.shelf import ModelEntry, ModelShelf
from service.sign_bundle import FOLDER, newest_sign_bundles, stated_sign_bundle
from service.sign_reading import AskedSign, LoadedSign
from service.standing import ModelStanding, SignStanding
from service.telemetry import describe_bug

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignEntry:
    """A model of signs in the store."""

    name: str
    version: str
    signs: tuple[str, ...]
    is_loaded: bool

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


def stated_signs(store: Path) -> tuple[SignEntry, ...]:
    """The newest of each name, as their manifests describe them; what cannot be read is left out."""
    found = []
    for folder in newest_sign_bundles(store):
        with suppress(BadBundle):
            bundle = stated_sign_bundle(folder)
            found.append(SignEntry(bundle.name, bundle.version, bundle.signs, is_loaded=False))
    return tuple(found)


class SignShelf:
    """A sign's bundle that is broken keeps no clip from being read for sliding: only who asks for its signs is told.

    Where loading failed for a reason that may pass, it is tried again by itself, and nobody waits for it.
    """

    def __init__(self, store: Path, load: Callable[[Path], LoadedSign], trusted_keys: Path | None = None) -> None:
        """`load` opens the bundle in a folder; `store` is the model store."""
        self._store = store
        self._shelf = ModelShelf(store / FOLDER, None, _guarded(load), trusted_keys, lambda folder: stated_sign_bundle(folder).sha256)
        self._looking = threading.Lock()
        self._entries: tuple[ModelEntry, ...] | None = None
        self._stated: frozenset[str] = frozenset()
        """The signs that those are meant to tell."""
        self._later: tuple[ModelEntry, ...] = ()
        """What is worth another try, when `_again` is due."""
        self._again: threading.Timer | None = None

    def look(self) -> None:
        """Offer what the store holds now, loaded. What cannot be loaded is logged, and told to whoever asks for it."""
        with self._looking:
            self._look()

    def _look(self) -> None:
        newest = self._newest()
        entries = tuple(entry for entry in self._shelf.entries() if str(entry) in newest)
        self._shelf.forget_failures()
        self._load(entries)
        self._stated = frozenset(name for stated in stated_signs(self._store) for name in stated.signs)
        self._entries = entries
        self._shelf.forget_others(entries)

    def _load(self, entries: Sequence[ModelEntry]) -> None:
        """As far as they can be; what may come to work is tried once more later."""
        later: dict[ModelEntry, int] = {}
        for entry in entries:
            try:
                self._shelf.get(entry)
            except OperatorError as error:
                log.error("signs: %s cannot be read with: %s: %s %s", entry, error.code, error, error.log_detail)
                if error.retry_after_s is not None:
                    later[entry] = error.retry_after_s
        if self._again is not None:
            self._again.cancel()
        self._later = tuple(later)
        self._again = _started(weakref.ref(self), max(later.values())) if later else None

    def _load_again(self) -> None:
        with self._looking:
            self._load(self._later)

    def entries(self) -> tuple[SignEntry, ...]:
        """Those that it offers, and those that it is going to try again, by name; before anybody has looked, those that the store states.
        Loads nothing."""
        if self._entries is None:
            return stated_signs(self._store)
        offered = [SignEntry(sign.bundle.name, sign.bundle.version, sign.bundle.signs, is_loaded=True) for sign in self.offered()]
        expected = {*map(str, self._later)} - {*map(str, offered)}
        awaited = [entry for entry in stated_signs(self._store) if str(entry) in expected]
        return tuple(sorted((*offered, *awaited), key=lambda entry: entry.name))

    def standings(self) -> tuple[SignStanding, ...]:
        """Those that it offers or would if it could; before anybody has looked, the newest of each name. Loads none, and waits for none."""
        meant = self._newest() if self._entries is None else {str(entry) for entry in self._entries}
        return tuple(self._standing(model) for model in self._shelf.standings() if f"{model.name}:{model.version}" in meant)

    def _newest(self) -> set[str]:
        return {f"{folder.parent.name}:{folder.name}" for folder in newest_sign_bundles(self._store)}

    def _standing(self, model: ModelStanding) -> SignStanding:
        sign = self._shelf.peek(model.name, model.version)
        if sign is not None:
            trouble = sign.engine.trouble if isinstance(sign.engine, HealingDevice) else None
            code, detail = ("", "") if trouble is None else (trouble.code, str(trouble))
            return SignStanding(replace(model, device=sign.engine.device, code=code, detail=detail), sign.bundle.signs)
        try:
            return SignStanding(model, stated_sign_bundle(self._store / FOLDER / model.name / model.version).signs)
        except BadBundle:
            return SignStanding(model, ())

    def offered(self) -> tuple[LoadedSign, ...]:
        """Those that could be loaded, by name."""
        if self._entries is None:
            with self._looking:
                if self._entries is None:  # nobody else has meanwhile
                    self._look()
        loaded = [self._shelf.peek(entry.name, entry.version) for entry in self._entries or ()]
        return tuple(sign for sign in loaded if sign is not None)

    def get(self, entry: ModelEntry) -> LoadedSign:
        """Raises: OperatorError."""
        return self._shelf.get(entry)

    def wanted(self, signs: tuple[str, ...]) -> tuple[str, ...]:
        """`Options.signs`, each by its name: of all of them those that some model of the store tells, also one that could not be loaded.
        `untold` says in the answer which were not told. Where no model states any, all of them stay what was asked for."""
        if signs != ALL_SIGNS:
            return signs
        self.offered()
        return tuple(name for name in TOLD_SIGNS if name in self._stated) or ALL_SIGNS

    def asked(self, signs: tuple[str, ...]) -> tuple[AskedSign, ...]:
        """Who tells them, as `Options.signs` names them: of several models the one that tells fewest, which was made for this sign.

        A sign that none tells is left out: it must not keep sliding from being read. `untold` says so in the answer.
        """
        offered = sorted(self.offered() if signs else (), key=lambda sign: (len(sign.bundle.signs), sign.bundle.name))
        wanted = self.wanted(signs)
        tellers = {name: next((sign for sign in offered if name in sign.bundle.signs), None) for name in wanted}
        chosen = [(sign, tuple(name for name in wanted if tellers[name] is sign)) for sign in offered]
        return tuple(AskedSign(sign, names) for sign, names in chosen if names)


def _guarded(load: Callable[[Path], LoadedSign]) -> Callable[[Path], LoadedSign]:
    """Whatever a bundle does to whoever opens it, sliding is read without it."""

    def opened(folder: Path) -> LoadedSign:
        try:
            return load(folder)
        except OperatorError:
            raise
        except Exception as bug:
            words = f"The bundle {folder.parent.name}:{folder.name} cannot be opened: something in it is not as its manifest says."
            raise BadBundle(words, log_detail=describe_bug(bug)) from None

    return opened


def _started(shelf: "weakref.ref[SignShelf]", after_s: float) -> threading.Timer:
    """Without a hold on the shelf, which goes with its reader."""

    def again() -> None:
        there = shelf()
        if there is not None:
            there._load_again()

    timer = threading.Timer(after_s, again)
    timer.daemon = True
    timer.start()
    return timer


def refuse_untold(signs: tuple[str, ...], entries: Sequence[SignEntry]) -> None:
    """Where whoever asks can still choose. Raises: BadOption."""
    there = [name for name in TOLD_SIGNS if any(name in entry.signs for entry in entries)]
    missing = [name for name in signs if name not in there]
    if not missing or (signs == ALL_SIGNS and there):
        return
    known = f"there is one for {', '.join(there)}" if there else "there is none for any sign"
    which = "a sign" if signs == ALL_SIGNS else " or ".join(missing)
    raise BadOption(f"No model of this service tells {which}; {known}.")
