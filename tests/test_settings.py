"""Settings as the environment gives them."""

import pytest

from service.settings import Settings


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files hand on `${SEASHORE_SITE:-}`."""
    monkeypatch.setenv("SEASHORE_SITE", "")

    assert Settings().site is None
