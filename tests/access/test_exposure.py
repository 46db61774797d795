"""The service does not listen to a network that could use it or hear it, unless it is told that this is meant."""

from pathlib import Path

import pytest

from service.access.exposure import is_loopback, objections
from service.settings import Settings

KEYLESS = "Whoever reaches 0.0.0.0 could use this service, for nobody needs a key."
PLAIN = "Clips and keys would cross the network to 0.0.0.0 unencrypted."


def test_which_addresses_are_this_machines_own() -> None:
    hosts = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "10.0.0.1", "here")

    assert [is_loopback(host) for host in hosts] == [True] * 3 + [False] * 4


@pytest.mark.parametrize(
    ("settings", "is_guarded", "begin"),
    [
        ({}, False, []),
        ({"host": "0.0.0.0"}, False, [KEYLESS, PLAIN]),
        ({"host": "0.0.0.0"}, True, [PLAIN]),
        ({"host": "0.0.0.0", "tls_certificate": Path("cert.pem")}, True, []),
        ({"host": "0.0.0.0", "tls_certificate": Path("cert.pem")}, False, [KEYLESS]),
        ({"host": "0.0.0.0", "allow_plaintext": True}, True, []),
        ({"host": "0.0.0.0", "allow_plaintext": True}, False, [KEYLESS]),
        ({"host": "0.0.0.0", "allow_keyless": True}, False, [PLAIN]),
        ({"host": "0.0.0.0", "allow_keyless": True, "allow_plaintext": True}, False, []),
    ],
)
def test_what_is_objected(settings: dict[str, object], is_guarded: bool, begin: list[str]) -> None:
    found = objections(Settings.model_validate(settings), is_guarded=is_guarded)

    assert [sentence.startswith(expected) for sentence, expected in zip(found, begin, strict=True)] == [True] * len(begin)
