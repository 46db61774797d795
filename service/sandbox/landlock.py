"""Landlock (Linux 5.13): a process opens no file from now on but for reading, and only beneath stated folders.

What is already open, or is handed over a socket, stays usable. From version 4 of the kernel's interface on it also closes TCP, from 6
the way to other processes by signals and nameless sockets; https://docs.kernel.org/userspace-api/landlock.html.
"""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from service.sandbox.kernel import c_library, checked

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""The numbers are those of every architecture."""
_ASK_VERSION = 1
_BENEATH_PATH = 1

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_RIGHTS_SINCE = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights on files each version knows; bit after bit, from running a program to a device's ioctl."""
_ALL_TCP, _ALL_SCOPES = 0b11, 0b11
_TCP_SINCE, _SCOPES_SINCE = 4, 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def landlock_version() -> int:
    """Of this kernel's Landlock; 0 where there is none, or it is not switched on."""
    version: int = c_library().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    return max(0, version)


def read_only(readable: Iterable[Path]) -> None:
    """Files and folders that are not there are left out. Holds for this thread and those that it starts. Raises: OSError."""
    version = landlock_version()
    wanted = _Ruleset(
        (1 << max(count for since, count in _RIGHTS_SINCE.items() if since <= max(version, 1))) - 1,
        _ALL_TCP if version >= _TCP_SINCE else 0,
        _ALL_SCOPES if version >= _SCOPES_SINCE else 0,
    )
    known_bytes = 8 * (1 + (version >= _TCP_SINCE) + (version >= _SCOPES_SINCE))
    ruleset = checked(c_library().syscall(_CREATE_RULESET, ctypes.byref(wanted), ctypes.c_size_t(known_bytes), ctypes.c_uint32(0)))
    try:
        for path in readable:
            if path.exists():
                _allow(ruleset, path)
        checked(c_library().syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path) -> None:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _Beneath(_READ_FILE | (_READ_DIR if path.is_dir() else 0), opened)
        checked(c_library().syscall(_ADD_RULE, ruleset, _BENEATH_PATH, ctypes.byref(rule), ctypes.c_uint32(0)))
    finally:
        os.close(opened)
