"""What Ray reads from the environment."""

import os
from pathlib import Path

import pytest

from service.remote.environment import set_up_ray


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_ray_reports_nothing(home: Path) -> None:
    set_up_ray()

    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert "RAY_AUTH_MODE" not in os.environ


def test_a_clusters_token_is_shown_where_there_is_one(home: Path) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("token")

    set_up_ray()

    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_a_token_in_a_variable_counts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/run/secrets/ray")

    set_up_ray()

    assert os.environ["RAY_AUTH_MODE"] == "token"


def test_what_the_operator_says_of_tokens_stands(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "token")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")

    set_up_ray()

    assert os.environ["RAY_AUTH_MODE"] == "disabled"
