"""Which system calls are left: a seccomp filter, made by libseccomp (LGPL, a part of Debian since apt itself uses it).

What decoding and drawing need is listed; to everything else the kernel says ENOSYS, as an older one would, for which libraries have
another way. What no decoder ever tries ends the process. Called by ctypes: the Python package that does so is of 2021.
"""

import ctypes
import os
from functools import cache
from typing import NamedTuple

_KILL_PROCESS, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_ENOSYS = 38
_EQUAL, _MASKED_EQUAL = 4, 7
_ALL_THREADS, _AS_A_TREE = 4, 8  # SCMP_FLTATR_CTL_TSYNC, _OPTIMIZE
_UNKNOWN = -1

_CLONE_THREAD = 0x10000
_MAP_SHARED = 1
_WRITABLE, _EXECUTABLE = 2, 4
_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA = 15, 16, 0x53564D41
_FCNTL = (0, 1, 2, 3, 4, 1030)  # to copy a descriptor, and its flags; not whom to signal
_OPENED_FOR_MORE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (os.O_TMPFILE & ~os.O_DIRECTORY)

ALLOWED = (
    # What is open already: the wire, the clip, the file that is drawn
    *("read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "lseek", "_llseek", "ftruncate", "fsync"),
    *("close", "dup", "dup2", "dup3", "poll", "ppoll", "select", "pselect6", "sendto", "sendmsg", "recvfrom", "recvmsg", "getsockopt"),
    # Where things are; Landlock says which of them may be opened
    *("fstat", "newfstatat", "fstatat64", "stat", "lstat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat"),
    *("getcwd", "getdents", "getdents64", "fadvise64"),
    # Memory that is its own
    *("brk", "munmap", "mremap", "madvise", "membarrier"),
    # Threads and their locks
    *("futex", "set_robust_list", "rseq", "set_tid_address", "gettid", "getpid", "getppid", "sched_yield", "sched_getaffinity", "getcpu"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "exit", "exit_group"),
    # Clocks, chance, and who it is
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times", "getrusage", "getrandom"),
    *("getrlimit", "uname", "sysinfo", "getuid", "geteuid", "getgid", "getegid"),
)
HOSTILE = (
    *("execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),
    *("mount", "umount2", "move_mount", "open_tree", "fsopen", "pivot_root", "chroot", "unshare", "setns", "open_by_handle_at"),
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key", "request_key"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl"),
    *("iopl", "ioperm", "modify_ldt", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname"),
    *("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid", "capset"),
)


class Argument(NamedTuple):
    """Of a system call: its place, and what it must be; `masked`, of those bits alone."""

    place: int
    value: int
    masked: int | None = None


class _Comparison(ctypes.Structure):
    _fields_ = (("place", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def _conditional() -> list[tuple[str, tuple[Argument, ...]]]:
    """What is left of calls that can do more; a line for each way."""
    own = os.getpid()
    not_shared = Argument(3, 0, _MAP_SHARED)  # such memory counts towards no limit
    never_both = [Argument(2, 0, _WRITABLE), Argument(2, 0, _EXECUTABLE)]
    return [
        ("open", (Argument(1, 0, _OPENED_FOR_MORE),)),
        ("openat", (Argument(2, 0, _OPENED_FOR_MORE),)),
        ("clone", (Argument(0, _CLONE_THREAD, _CLONE_THREAD),)),
        *(("mmap", (protection, not_shared)) for protection in never_both),
        *(("mprotect", (protection,)) for protection in never_both),
        *(("fcntl", (Argument(1, command),)) for command in _FCNTL),
        *(("prctl", (Argument(0, option),)) for option in (_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA)),
        ("prlimit64", (Argument(0, 0), Argument(2, 0))),  # to look at its own
        ("tgkill", (Argument(0, own),)),
        ("kill", (Argument(0, own),)),
    ]


def can_filter() -> bool:
    """Whether libseccomp is on this machine."""
    try:
        _library()
    except OSError:
        return False
    return True


def filter_calls() -> None:
    """For good, and for every thread there is. Raises: OSError."""
    library = _library()
    made = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ERRNO | _ENOSYS)))
    try:
        for name in ALLOWED:
            _add(made, _ALLOW, name)
        for name in HOSTILE:
            _add(made, _KILL_PROCESS, name)
        for name, arguments in _conditional():
            _add(made, _ALLOW, name, arguments)
        _checked(library.seccomp_attr_set(made, _ALL_THREADS, ctypes.c_uint32(1)))
        library.seccomp_attr_set(made, _AS_A_TREE, ctypes.c_uint32(2))  # faster; libseccomp knows it since 2.5
        _checked(library.seccomp_load(made))
    finally:
        library.seccomp_release(made)


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    return library


def _add(made: ctypes.c_void_p, action: int, name: str, arguments: tuple[Argument, ...] = ()) -> None:
    """Calls that this architecture does not have, or this libseccomp does not know yet, are left out: ENOSYS, then."""
    number = _library().seccomp_syscall_resolve_name(name.encode())
    if number < 0:
        return
    compared = (_Comparison * len(arguments))(*map(_comparison, arguments))
    _checked(_library().seccomp_rule_add_array(made, ctypes.c_uint32(action), number, len(arguments), compared))


def _comparison(argument: Argument) -> _Comparison:
    if argument.masked is None:
        return _Comparison(argument.place, _EQUAL, argument.value, 0)
    return _Comparison(argument.place, _MASKED_EQUAL, argument.masked, argument.value)


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(-result, os.strerror(-result))
