"""What many threads finish, one hears of: it waits for this and for its connection at once."""

import socket
import threading
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class Bell(Generic[Item]):
    """Whoever selects on `near` wakes when something was put."""

    def __init__(self) -> None:
        self.near, self._far = socket.socketpair()
        self.near.setblocking(False)
        self._far.setblocking(False)
        self._lock = threading.Lock()
        self._items: deque[Item] = deque()
        self._is_closed = False

    def put(self, item: Item) -> None:
        """From any thread; never blocks. What is put once it is closed is lost."""
        with self._lock:
            if not self._is_closed:
                self._items.append(item)
                with suppress(BlockingIOError):  # full: it rings already
                    self._far.send(b"!")

    def take(self) -> list[Item]:
        """All that was put since."""
        with suppress(BlockingIOError):
            self.near.recv(4096)
        with self._lock:
            items = list(self._items)
            self._items.clear()
        return items

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            self._is_closed = True
            self.near.close()
            self._far.close()
