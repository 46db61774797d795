"""The models of signs that a service offers: the newest version of each name in the store's part for them."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from service.errors import BadBundle, BadOption, OperatorError
from service.findings import ALL_SIGNS, TOLD_SIGNS
from service.shelf import ModelEntry, ModelShelf
from service.sign_bundle import FOLDER, newest_sign_bundles, stated_sign_bundle
from service.sign_reading import AskedSign, LoadedSign

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SignEntry:
    """A model of signs in the store."""

    name: str
    version: str
    signs: tuple[str, ...]
    is_loaded: bool


def stated_signs(store: Path) -> tuple[SignEntry, ...]:
    """The newest of each name, as their manifests describe them; what cannot be read is left out."""
    found = []
    for folder in newest_sign_bundles(store):
        with suppress(BadBundle):
            bundle = stated_sign_bundle(folder)
            found.append(SignEntry(bundle.name, bundle.version, bundle.signs, is_loaded=False))
    return tuple(found)


class SignShelf:
    """A sign's bundle that is broken keeps no clip from being read for sliding: only who asks for its signs is told."""

    def __init__(self, store: Path, load: Callable[[Path], LoadedSign], trusted_keys: Path | None = None) -> None:
        """`load` opens the bundle in a folder; `store` is the model store."""
        self._store = store
        self._shelf = ModelShelf(store / FOLDER, None, load, trusted_keys)
        self._entries: tuple[ModelEntry, ...] | None = None

    def look(self) -> None:
        """Offer what the store holds now, loaded. What cannot be loaded is logged, and told to whoever asks for it."""
        newest = [(folder.parent.name, folder.name) for folder in newest_sign_bundles(self._store)]
        entries = tuple(entry for entry in self._shelf.entries() if (entry.name, entry.version) in newest)
        self._shelf.forget_others((*entries, *(self._entries or ())))  # those that failed, too: they are tried anew
        for entry in entries:
            try:
                self._shelf.get(entry)
            except OperatorError as error:
                log.error("signs: %s cannot be read with: %s: %s %s", entry, error.code, error, error.log_detail)
        self._entries = entries
        self._shelf.forget_others(entries)

    def entries(self) -> tuple[SignEntry, ...]:
        """Those that it offers, by name."""
        return tuple(SignEntry(sign.bundle.name, sign.bundle.version, sign.bundle.signs, is_loaded=True) for sign in self.offered())

    def offered(self) -> tuple[LoadedSign, ...]:
        """Those that could be loaded, by name."""
        if self._entries is None:
            self.look()
        loaded = [self._shelf.peek(entry.name, entry.version) for entry in self._entries or ()]
        return tuple(sign for sign in loaded if sign is not None)

    def get(self, entry: ModelEntry) -> LoadedSign:
        """Raises: OperatorError."""
        return self._shelf.get(entry)

    def asked(self, signs: tuple[str, ...]) -> tuple[AskedSign, ...]:
        """Who tells them, as `Options.signs` names them: of several models the one that tells fewest, which was made for this sign.

        A sign that none tells is left out: it must not keep sliding from being read. `untold` says so in the answer.
        """
        offered = sorted(self.offered() if signs else (), key=lambda sign: (len(sign.bundle.signs), sign.bundle.name))
        wanted = TOLD_SIGNS if signs == ALL_SIGNS else signs
        tellers = {name: next((sign for sign in offered if name in sign.bundle.signs), None) for name in wanted}
        chosen = [(sign, tuple(name for name in wanted if tellers[name] is sign)) for sign in offered]
        return tuple(AskedSign(sign, names) for sign, names in chosen if names)


def refuse_untold(signs: tuple[str, ...], entries: Sequence[SignEntry]) -> None:
    """Where whoever asks can still choose. Raises: BadOption."""
    there = [name for name in TOLD_SIGNS if any(name in entry.signs for entry in entries)]
    missing = [name for name in signs if name not in there]
    if not missing or (signs == ALL_SIGNS and there):
        return
    known = f"there is one for {', '.join(there)}" if there else "there is none for any sign"
    which = "a sign" if signs == ALL_SIGNS else " or ".join(missing)
    raise BadOption(f"No model of this service tells {which}; {known}.")
