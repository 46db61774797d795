"""The same items in the same order, made by another thread."""

import threading
from collections.abc import Iterator

import pytest

from service.cine.ahead import ahead
from tests.fakes.service import wait_until


def test_the_items_come_in_their_order() -> None:
    assert list(ahead(iter(range(1000)), 4)) == list(range(1000))


def test_nothing_comes_of_nothing() -> None:
    assert list(ahead(iter(()), 4)) == []


def test_they_are_made_in_another_thread_and_only_so_many_ahead() -> None:
    made: list[int] = []
    threads: set[int] = set()

    def items() -> Iterator[int]:
        for n in range(100):
            threads.add(threading.get_ident())
            made.append(n)
            yield n

    walk = ahead(items(), 4)
    assert next(walk) == 0
    assert wait_until(lambda: len(made) == 6)  # one taken, four in the line, one in hand
    assert threads.isdisjoint({threading.get_ident()})
    assert len(list(walk)) == 99


def test_what_is_raised_while_they_are_made_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the third is damaged")

    walk = ahead(items(), 4)

    assert next(walk) == 1
    with pytest.raises(ValueError, match="the third is damaged"):
        next(walk)


def test_a_walk_that_is_given_up_leaves_no_thread_and_closes_what_it_walked() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.set()

    walk = ahead(items(), 4)
    next(walk)
    del walk

    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]
