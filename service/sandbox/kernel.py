"""The C library's and the kernel's calls that Python has no names for."""

import ctypes
import os
from functools import cache


@cache
def c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, *arguments: int) -> None:
    """Raises: OSError."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    checked(c_library().prctl(option, *map(ctypes.c_ulong, padded)))


def checked(result: int) -> int:
    """What a call gave. Raises: OSError where that is -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
