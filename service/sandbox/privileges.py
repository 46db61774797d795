"""What a process may do because of who started it, given up."""

import ctypes

from service.sandbox.kernel import c_library, checked, prctl

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def drop_privileges() -> None:
    """No capability is left, none comes back by a set-uid program, and no other process of this user reads its memory.

    It stays the same user: what that user's files are open to is Landlock's matter. Raises: OSError.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 0)
    header = _Header(CAPABILITY_VERSION_3, 0)
    none = (_Capabilities * 2)()  # 64 capabilities, in two halves
    checked(c_library().capset(ctypes.byref(header), none))
