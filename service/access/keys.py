"""API keys: made, rotated and revoked by `seashore keys`, told apart by the service. Only their SHA-256 is kept.

A key is `seashore_<id>_<256 random bits>`. So long a secret cannot be guessed, which is why a plain hash is enough: slow ones
(scrypt, argon2) are for passwords that people make up.
"""

import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from service.access.principal import Principal, Scope
from service.errors import BadKeys
from service.jobs.folder import make_folder, write_whole

FORMAT = 1
_TOKEN = re.compile(r"seashore_(?P<id>[0-9a-f]{8})_(?P<secret>[A-Za-z0-9_-]{43})")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Key:
    """One key. After a rotation the old secret counts for a while beside the new one."""

    id: str
    name: str
    owner: str
    scopes: tuple[Scope, ...]
    sha256: str
    made_at: datetime
    until: datetime | None = None
    """When it ends; None: never."""
    old_sha256: str = ""
    old_until: datetime | None = None

    @property
    def principal(self) -> Principal:
        return Principal(self.owner, frozenset(self.scopes))

    def is_over(self, now: datetime) -> bool:
        return self.until is not None and now >= self.until

    def is_opened_by(self, secret: str, now: datetime) -> bool:
        sha256 = _sha256(secret)
        is_old = self.old_until is not None and now < self.old_until and hmac.compare_digest(sha256, self.old_sha256)
        return hmac.compare_digest(sha256, self.sha256) or is_old


class KeyRing:
    """The keys in a file, as they are now: it is read again when it has changed. From any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    @property
    def keys(self) -> tuple[Key, ...]:
        """In the order they were made. Raises: BadKeys, when the file can't be read and never could."""
        self._look()
        return tuple(self._keys.values())

    def find(self, id: str, now: datetime) -> Key | None:
        """None for one that is unknown, revoked or over."""
        self._look()
        key = self._keys.get(id)
        return None if key is None or key.is_over(now) else key

    def open(self, token: str, now: datetime) -> Key | None:
        """The key that a token is, or None."""
        match = _TOKEN.fullmatch(token)
        key = None if match is None else self.find(match["id"], now)
        return key if match is not None and key is not None and key.is_opened_by(match["secret"], now) else None

    def _look(self) -> None:
        try:
            found = self._path.stat()
            seen = found.st_mtime_ns, found.st_size, found.st_ino
            if seen == self._seen:
                return
            self._keys = {key.id: key for key in _read(self._path)}
            self._seen = seen
        except FileNotFoundError:
            self._keys, self._seen = {}, None
        except (OSError, BadKeys) as error:
            if self._seen is None:
                raise BadKeys("The file of keys cannot be read.", log_detail=type(error).__name__) from error
            log.error("bad_keys: the file of keys cannot be read any more; the keys known so far stay in force")


def add_key(path: Path, name: str, scopes: tuple[Scope, ...], owner: str, days: int | None, now: datetime) -> tuple[Key, str]:
    """Make a key; gives it and its token, which is kept nowhere. Raises: BadKeys."""
    secret = secrets.token_urlsafe(32)
    until = None if days is None else now + timedelta(days=days)
    key = Key(secrets.token_hex(4), name, owner, scopes, _sha256(secret), now, until)
    with _changed(path) as keys:
        if any(other.name == name for other in keys.values()):
            raise BadKeys(f"There is a key named {name} already. Rotate it, or revoke it first.")
        keys[key.id] = key
    return key, _token(key.id, secret)


def rotate_key(path: Path, name: str, grace: timedelta, now: datetime) -> tuple[Key, str]:
    """Give a key another secret; the old one counts for `grace`. Raises: BadKeys."""
    secret = secrets.token_urlsafe(32)
    with _changed(path) as keys:
        key = _named(keys, name)
        keys[key.id] = key = replace(key, sha256=_sha256(secret), old_sha256=key.sha256, old_until=now + grace)
    return key, _token(key.id, secret)


def revoke_key(path: Path, name: str) -> None:
    """It opens nothing from now on, nor does any session begun with it. Raises: BadKeys."""
    with _changed(path) as keys:
        del keys[_named(keys, name).id]


def _named(keys: dict[str, Key], name: str) -> Key:
    for key in keys.values():
        if name in (key.name, key.id):
            return key
    raise BadKeys(f"There is no key {name}. `seashore keys list` names them.")


@contextmanager
def _changed(path: Path) -> Iterator[dict[str, Key]]:
    """The keys, to be changed; written when that is done without an error. One at a time, on this machine."""
    make_folder(path.parent)
    with _locked(path.with_name(f".{path.name}.lock")):
        keys = {key.id: key for key in _read(path)} if path.exists() else {}
        yield keys
        fields = {"format": FORMAT, "keys": [_to_json(key) for key in keys.values()]}
        write_whole(path, _private(json.dumps(fields, indent=1).encode()))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _private(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)

    return write


def _read(path: Path) -> list[Key]:
    """Raises: BadKeys, OSError."""
    try:
        fields = json.loads(path.read_bytes())
        if fields["format"] != FORMAT:
            raise ValueError("another format")
        return [_from_json(key) for key in fields["keys"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadKeys("The file of keys is damaged, or of another version.", log_detail=type(error).__name__) from error


def _to_json(key: Key) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(key).items()}


def _from_json(fields: dict[str, Any]) -> Key:
    moments = {name: fields[name] and datetime.fromisoformat(fields[name]) for name in ("made_at", "until", "old_until")}
    return Key(**(fields | moments | {"scopes": tuple(Scope(scope) for scope in fields["scopes"])}))


def _token(id: str, secret: str) -> str:
    return f"seashore_{id}_{secret}"


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def now() -> datetime:
    return datetime.now(UTC)
