"""Room on the disk: what is said when there is none, and when there is so little that nothing new is taken."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import NoRoom

FULL = (errno.ENOSPC, errno.EDQUOT)
RETRY_AFTER_S = 60
"""Somebody has to make room, or the time of old jobs has to come."""


def no_room() -> NoRoom:
    return NoRoom("The disk of the service is full. Nothing was kept of this; please try again later.", retry_after_s=RETRY_AFTER_S)


def is_full(error: BaseException) -> bool:
    """Whether the system says so of a disk, or of somebody's quota."""
    return isinstance(error, OSError) and error.errno in FULL


@contextmanager
def needing_room() -> Iterator[None]:
    """Around whatever writes; also as a decorator. Raises: NoRoom in place of what the system says of a full disk."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise no_room() from None
        raise


def check_room(*folders: Path, min_free_bytes: int) -> None:
    """Raises: NoRoom when there is less on the disk of any. A folder that is not there yet is told by the one above it."""
    for folder in folders:
        there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
        free_bytes = shutil.disk_usage(there).free
        if free_bytes < min_free_bytes:
            found = f"{_size(free_bytes)} are free on the disk of the service, and it takes no clip with less than {_size(min_free_bytes)}"
            raise NoRoom(f"{found}. Please try again later.", retry_after_s=RETRY_AFTER_S)


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.1f} GiB" if num_bytes >= 2**29 else f"{num_bytes / 2**20:.1f} MiB"
