"""Keys: made, told apart, rotated, revoked; nothing of them is kept that opens anything."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.access.keys import KeyRing, add_key, revoke_key, rotate_key
from service.access.principal import Principal, Scope
from service.errors import BadKeys

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOTH = (Scope.PREDICT, Scope.READ)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def make(path: Path, name: str = "ward-3", days: int | None = None) -> str:
    return add_key(path, name, BOTH, name, days, NOON)[1]


def test_a_key_opens_as_its_owner_and_no_other_text_does(path: Path) -> None:
    token, ring = make(path), KeyRing(path)

    key = ring.open(token, NOON)
    assert key is not None
    assert key.principal == Principal("ward-3", frozenset(BOTH))
    for other in ("", "ward-3", token[:-1], token + "x", token.swapcase(), token.replace("_", "-"), f"seashore_{'0' * 8}_{'x' * 43}"):
        assert ring.open(other, NOON) is None


def test_the_file_holds_no_secret_and_is_for_the_service_alone(path: Path) -> None:
    token = make(path)

    assert token.split("_", 2)[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_ends_at_its_time(path: Path) -> None:
    token, ring = make(path, days=2), KeyRing(path)

    assert ring.open(token, NOON + timedelta(days=2, seconds=-1)) is not None
    assert ring.open(token, NOON + timedelta(days=2)) is None


def test_after_a_rotation_the_old_secret_counts_for_the_grace_alone(path: Path) -> None:
    old, ring = make(path), KeyRing(path)
    key, new = rotate_key(path, "ward-3", timedelta(hours=1), NOON)

    assert ring.open(new, NOON + timedelta(days=9)) == key
    assert ring.open(old, NOON + timedelta(minutes=59)) == key
    assert ring.open(old, NOON + timedelta(hours=1)) is None


def test_a_key_that_is_revoked_opens_nothing_at_once(path: Path) -> None:
    token, ring = make(path), KeyRing(path)
    make(path, "other")
    assert ring.open(token, NOON) is not None

    revoke_key(path, "ward-3")

    assert ring.open(token, NOON) is None
    assert [key.name for key in ring.keys] == ["other"]


def test_two_keys_do_not_have_one_name(path: Path) -> None:
    make(path)

    with pytest.raises(BadKeys, match=r"There is a key named ward-3 already\. Rotate it, or revoke it first\."):
        make(path)


def test_a_key_that_is_not_there_is_neither_rotated_nor_revoked(path: Path) -> None:
    with pytest.raises(BadKeys, match=r"There is no key ward-9\. `seashore keys list` names them\."):
        revoke_key(path, "ward-9")


def test_keys_made_at_the_same_time_are_all_there(path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        tokens = list(threads.map(lambda n: make(path, f"key-{n}"), range(16)))

    ring = KeyRing(path)
    assert all(ring.open(token, NOON) for token in tokens)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2, "keys": []}', '{"format": 1, "keys": [{}]}'])
def test_a_damaged_file_is_told_and_not_taken_for_no_keys(path: Path, content: str) -> None:
    path.write_text(content)

    with pytest.raises(BadKeys, match=r"The file of keys cannot be read\."):
        _ = KeyRing(path).keys


def test_keys_known_so_far_stay_in_force_when_the_file_is_damaged(path: Path) -> None:
    token, ring = make(path), KeyRing(path)
    assert ring.open(token, NOON) is not None

    path.write_text("{")
    os.utime(path, (1, 1))

    assert ring.open(token, NOON) is not None
    path.write_text(json.dumps({"format": 1, "keys": []}))
    assert ring.open(token, NOON) is None
