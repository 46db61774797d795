"""The wall clock is set by hours, as by NTP after a power cut."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.jobs.clock import CautiousClock
from service.jobs.entries import Entries
from service.jobs.folder import JobFolder
from service.jobs.ledger import Ledger, ledger_url
from service.jobs.office import JobOffice
from service.jobs.rendition import FRAMES, FRAMES_INDEX, forget_others
from service.settings import Settings
from tests.fakes.service import WordReader

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clocks:
    """A wall clock that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.wall, self.passed_s = NOON, 100.0

    def pass_by(self, time: timedelta) -> None:
        self.wall += time
        self.passed_s += time.total_seconds()

    def cautious(self) -> CautiousClock:
        return CautiousClock(lambda: self.wall, lambda: self.passed_s)


def test_time_that_passes_is_told() -> None:
    clocks = Clocks()
    clock = clocks.cautious()
    clocks.pass_by(5 * HOUR)

    assert clock.now() == NOON + 5 * HOUR


def test_a_clock_that_is_set_forward_is_not_followed_for_a_day(caplog: pytest.LogCaptureFixture) -> None:
    clocks = Clocks()
    clock = clocks.cautious()
    clocks.wall += 30 * HOUR
    assert clock.now() == NOON
    clocks.pass_by(23 * HOUR)
    assert clock.now() == NOON + 23 * HOUR
    clocks.pass_by(2 * HOUR)

    assert clock.now() == NOON + 55 * HOUR
    assert caplog.text.count("The clock was set forward by 30.0 h. For a day nothing is deleted on account of that.") == 1


def test_a_clock_that_is_set_back_is_followed_and_its_way_forth_again_is_not() -> None:
    clocks = Clocks()
    clock = clocks.cautious()
    clocks.wall -= 30 * HOUR
    assert clock.now() == NOON - 30 * HOUR
    clocks.wall += 30 * HOUR

    assert clock.now() == NOON - 30 * HOUR


def test_a_clock_that_is_put_right_little_by_little_is_followed() -> None:
    clocks = Clocks()
    clock = clocks.cautious()
    for _ in range(100):
        clocks.wall += timedelta(seconds=50)
        assert clock.now() == clocks.wall


def test_what_is_being_handed_in_outlives_a_clock_that_is_set_forward(tmp_path: Path) -> None:
    clocks = Clocks()
    clocks.wall = datetime.now(UTC)
    clock = clocks.cautious()
    office = JobOffice.furnish(Settings.model_validate({"data_dir": tmp_path}), WordReader())
    office.prepare()
    (office.incoming / "half").touch()
    clocks.wall += 48 * HOUR

    assert office._sweep_orphans(clock.now()) == 0
    clocks.pass_by(25 * HOUR)
    assert office._sweep_orphans(clock.now()) == 1


def test_frames_from_the_future_do_not_keep_others(tmp_path: Path) -> None:
    """Looked at before the clock was set back by an hour: they are as old as any, and go first when there are too many."""
    for name, age_s in (("future", -3600.0), ("mine", 0.0)):
        folder = JobFolder(tmp_path / name)
        folder.make()
        folder.write(FRAMES, bytes(100))
        index = folder.write(FRAMES_INDEX, b"{}")
        os.utime(index, (time.time() - age_s, time.time() - age_s))
    forget_others(JobFolder(tmp_path / "mine"), 100)

    assert not (tmp_path / "future" / FRAMES).exists()


def test_work_that_ends_after_the_clock_was_set_back_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[datetime | None] = []

    class Watched(Ledger):
        def list(self, *arguments: object, ended_after: datetime | None = None, **more: object) -> list[object]:  # type: ignore[override]
            asked.append(ended_after)
            return []

    entries = Entries(Watched(ledger_url(None, tmp_path)), "read")
    now = [NOON, NOON - 3 * HOUR]
    monkeypatch.setattr("service.jobs.entries._now", lambda: now.pop(0))
    entries.look()
    entries.look()

    assert asked[-1] is not None
    assert asked[-1] <= NOON - 3 * HOUR - timedelta(minutes=5)
