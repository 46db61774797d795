"""When a clip would have its turn, by a clock that is set by hand."""

import pytest

from service.api.backlog import Backlog, Work


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def reading_of(backlog: Backlog) -> Work:
    work = backlog.add()
    backlog.begin(work)
    return work


def learnt(clock: Clock, num_places: int, seconds: float) -> Backlog:
    """A backlog that has seen so many readings of `seconds` that it takes all for alike."""
    backlog = Backlog(num_places, clock)
    for _ in range(40):
        work = reading_of(backlog)
        clock.now_s += seconds
        backlog.end(work, is_finished=True)
    return backlog


def test_with_a_place_free_nobody_waits(clock: Clock) -> None:
    backlog = Backlog(2, clock)
    reading_of(backlog)

    assert backlog.wait_s() == 0


def test_a_newcomer_waits_for_the_place_that_is_free_first(clock: Clock) -> None:
    """Readings of 4 s on two places: one begun 3 s ago, one just now. Free in 1 s."""
    backlog = learnt(clock, 2, 4.0)
    reading_of(backlog)
    clock.now_s += 3
    reading_of(backlog)

    assert backlog.wait_s() == pytest.approx(1, abs=0.01)


def test_everyone_before_it_takes_the_place_that_is_free_first(clock: Clock) -> None:
    """Two places free in 4 s, then three who wait: 4, 4, 8; the newcomer at 8."""
    backlog = learnt(clock, 2, 4.0)
    reading_of(backlog), reading_of(backlog)
    for _ in range(3):
        backlog.add()

    assert backlog.wait_s() == pytest.approx(8, abs=0.01)


def test_progress_tells_how_long_the_rest_takes(clock: Clock) -> None:
    """A quarter in 30 s: 90 s to go, whatever the others take."""
    backlog = learnt(clock, 1, 4.0)
    work = reading_of(backlog)
    clock.now_s += 30
    work.share = 0.25

    assert backlog.wait_s() == pytest.approx(90)


def test_a_reading_that_was_given_up_says_nothing_of_the_next(clock: Clock) -> None:
    backlog = learnt(clock, 1, 4.0)
    work = reading_of(backlog)
    clock.now_s += 0.01
    backlog.end(work, is_finished=False)
    reading_of(backlog)

    assert backlog.wait_s() == pytest.approx(4, abs=0.01)


def test_retry_after_is_when_there_is_room_again(clock: Clock) -> None:
    """Ten readings of 4 s before it on one place: 40 s. At most 20 s are put up with, so that there is room in 20 s, and 4 to be sure."""
    backlog = learnt(clock, 1, 4.0)
    reading_of(backlog)
    for _ in range(9):
        backlog.add()

    retry_after_s = backlog.retry_after_s(20.0)

    assert retry_after_s in (24, 25)  # rounded up
    for _ in range(6):  # 24 s later
        clock.now_s += 4
        backlog.end(backlog._works[0], is_finished=True)
        backlog.begin(backlog._works[0])
    assert backlog.wait_s() <= 20


def test_those_who_are_sent_away_together_are_not_told_the_same_moment(clock: Clock) -> None:
    backlog = learnt(clock, 1, 4.0)
    reading_of(backlog)

    told = [backlog.retry_after_s(0.0) for _ in range(4)]

    assert [b - a for a, b in zip(told, told[1:], strict=False)] == [4, 4, 4]


def test_who_came_back_no_longer_counts(clock: Clock) -> None:
    backlog = learnt(clock, 1, 4.0)
    work = reading_of(backlog)
    first = backlog.retry_after_s(0.0)
    clock.now_s += first
    backlog.end(work, is_finished=False)
    reading_of(backlog)

    assert abs(backlog.retry_after_s(0.0) - first) <= 1


def test_retry_after_is_between_a_second_and_two_minutes(clock: Clock) -> None:
    backlog = learnt(clock, 1, 0.01)
    assert backlog.retry_after_s(60.0) == 1
    slow = learnt(clock, 1, 300.0)
    reading_of(slow)

    assert slow.retry_after_s(0.0) == 120
