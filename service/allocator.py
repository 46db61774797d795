"""The C library's allocator, told to give back what is no longer used.

A clip's patches and gradients are megabytes that come and go. glibc takes such pieces from the system one by one, until one of them
has been given back: from then on it takes pieces of up to that size (32 MiB at most) from its heaps, one a thread and up to eight a
core, and what lies between two pieces in use stays with the process. Over 4000 clips and requests of all kinds 170 MiB lay idle so,
and it was still growing; with the threshold fixed it was 8 MiB, at the same speed.
"""

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""malloc.h of glibc."""
MMAP_THRESHOLD_BYTES = 256 * 1024
"""Larger pieces are the system's own, each by itself, and go back to it. Fixed once it is set (mallopt(3))."""
TRIM_THRESHOLD_BYTES = 2**20
"""So much idle at the end of a heap is given back."""
MAX_HEAPS = 4
"""Sixteen threads and more share them: they seldom allocate at the same moment, most of them waiting for the interpreter's lock."""


def give_memory_back() -> bool:
    """Early in a long-lived process, before its threads have heaps. Whether it was done.

    Left alone where the allocator is another, or where somebody has set it in the environment (MALLOC_*, GLIBC_TUNABLES).
    """
    if sys.platform != "linux" or _is_set_by_others():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl has none
        return False
    wanted = {_M_MMAP_THRESHOLD: MMAP_THRESHOLD_BYTES, _M_TRIM_THRESHOLD: TRIM_THRESHOLD_BYTES, _M_ARENA_MAX: MAX_HEAPS}
    return all([mallopt(what, value) == 1 for what, value in wanted.items()])


def _is_set_by_others() -> bool:
    return any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
