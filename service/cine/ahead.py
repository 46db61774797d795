"""Work done ahead by a thread of its own, so that decoding the next frames and looking at this one share two cores."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")

_LOOK_EVERY_S = 0.1
_END = object()


def ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """The same items in the same order; up to `count` of them are made before they are asked for.

    Whatever `items` raises is raised here, in its place. When the walk is given up, `items` is closed before that returns.
    """
    line: Queue[object] = Queue(count)
    given_up = Event()
    raised: list[BaseException] = []

    def put(item: object) -> None:
        is_put = False
        while not is_put and not given_up.is_set():
            with suppress(Full):
                line.put(item, timeout=_LOOK_EVERY_S)
                is_put = True

    def walk() -> None:
        try:
            for item in items:
                put(item)
                if given_up.is_set():
                    return
        except BaseException as error:
            raised.append(error)
        finally:
            if isinstance(items, Generator):
                items.close()
            put(_END)

    thread = Thread(target=walk, name="ahead", daemon=True)
    thread.start()
    try:
        while (item := line.get()) is not _END:
            yield item  # type: ignore[misc]  # the end apart, only items are put
    finally:
        given_up.set()
        with suppress(Empty):  # room for the item it has in hand, or it would wait a while to see that nobody wants it
            while True:
                line.get_nowait()
        thread.join()
    if raised:
        raise raised[0]
