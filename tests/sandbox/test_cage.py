"""Whoever is in the cage can do its work, and nothing else: each freedom is tried by a real process that has given it up."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.sandbox import cage as cage_module
from service.sandbox.landlock import landlock_version
from service.sandbox.limits import allow_seconds
from service.sandbox.syscalls import can_filter
from tests.sandbox.captive import HANDED

pytestmark = pytest.mark.skipif(landlock_version() == 0 or not can_filter(), reason="no Landlock or no libseccomp on this machine")


@dataclass(frozen=True)
class Place:
    """`models` may be read; `others` is where another patient's clip lies."""

    models: Path
    others: Path
    drawn: Path

    @property
    def other_clip(self) -> Path:
        return self.others / "clip"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "models", tmp_path / "others", tmp_path / "drawn")
    made.models.mkdir()
    made.others.mkdir()
    (made.models / "model").write_bytes(b"weights")
    made.other_clip.write_bytes(b"of somebody else")
    made.drawn.touch()
    return made


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@dataclass(frozen=True)
class Came:
    said: str
    returncode: int
    output: str


def tried(place: Place, attempt: str, argument: object = "") -> Came:
    reading, saying = os.pipe()
    drawn = os.open(place.drawn, os.O_RDWR)
    arguments = [sys.executable, "-m", "tests.sandbox.captive", attempt, str(argument), str(place.models)]

    def hand_over() -> None:
        os.dup2(drawn, HANDED)

    process = subprocess.run(
        arguments, stdin=saying, capture_output=True, text=True, preexec_fn=hand_over, close_fds=False, timeout=60, check=False
    )
    os.close(saying)
    os.close(drawn)
    with os.fdopen(reading) as heard:
        return Came(heard.read(), process.returncode, process.stdout + process.stderr)


def test_the_work_is_done_and_the_cage_is_whole(place: Place) -> None:
    came = tried(place, "work", place.models)

    assert came == Came("done", 0, "")
    assert place.drawn.read_bytes() == b"y" * 4096


def test_outside_a_cage_each_of_these_would_be_done(listening: int) -> None:
    """Else the tests below would prove nothing."""
    socket.create_connection(("127.0.0.1", listening), 5).close()
    assert Path("/etc/passwd").read_bytes()
    assert subprocess.run(["/bin/true"], check=True).returncode == 0


def test_no_server_is_reached(place: Place, listening: int) -> None:
    assert tried(place, "connect", listening).said == "OSError"


def test_nobody_is_listened_to(place: Place) -> None:
    assert tried(place, "listen").said == "OSError"


def test_no_neighbour_is_reached(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place.models / "neighbour"))
        server.listen()
        assert tried(place, "connect_to_a_path", place.models / "neighbour").said == "OSError"


def test_another_patients_clip_cannot_be_opened(place: Place) -> None:
    assert tried(place, "read", place.other_clip).said == "PermissionError"


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/{service}/environ", "/proc/self/maps"])
def test_nothing_of_the_machine_is_read(place: Place, path: str) -> None:
    assert tried(place, "read", path.format(service=os.getpid())).said == "PermissionError"


def test_what_was_handed_over_is_not_opened_for_more(place: Place) -> None:
    assert tried(place, "reopen").said == "PermissionError"


def test_which_clips_there_are_is_not_seen(place: Place) -> None:
    assert tried(place, "look_around", place.others).said == "PermissionError"
    assert tried(place, "look_around", place.models).said == "done"


@pytest.mark.parametrize("attempt", ["write", "make_folder"])
@pytest.mark.parametrize("where", ["models", "others"])
def test_no_file_is_written_anywhere(place: Place, attempt: str, where: str) -> None:
    assert tried(place, attempt, getattr(place, where)).said in ("OSError", "PermissionError")
    assert not (getattr(place, where) / "new").exists()


@pytest.mark.parametrize("attempt", ["remove", "truncate"])
def test_no_file_is_destroyed(place: Place, attempt: str) -> None:
    assert tried(place, attempt, place.models / "model").said in ("OSError", "PermissionError")
    assert (place.models / "model").read_bytes() == b"weights"


@pytest.mark.parametrize("attempt", ["fork", "signal_the_parent", "raise_its_limits", "share_memory", "make_code"])
def test_what_a_decoder_has_no_use_for_is_refused(place: Place, attempt: str) -> None:
    assert tried(place, attempt).said in ("OSError", "PermissionError", "ValueError")


@pytest.mark.parametrize("attempt", ["run_a_program", "trace_the_parent"])
def test_what_only_an_attacker_tries_ends_the_process(place: Place, attempt: str) -> None:
    assert tried(place, attempt) == Came("", -signal.SIGSYS, "")


def test_no_program_is_started(place: Place) -> None:
    assert tried(place, "start_a_program").said != "done"


def test_memory_ends(place: Place) -> None:
    assert tried(place, "allocate") == Came("MemoryError", 0, "")


def test_what_is_written_ends(place: Place) -> None:
    assert tried(place, "write_too_much") == Came("OSError", 0, "")
    assert place.drawn.stat().st_size == 0


def test_what_a_decoder_complains_of_reaches_no_log(place: Place) -> None:
    assert tried(place, "say_something") == Came("done", 0, "")


def test_computing_time_ends_and_begins_anew_with_each_order() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        for seconds in (50, 1):
            allow_seconds(spinning.pid, seconds)
        assert spinning.wait(60) == -signal.SIGXCPU


def test_time_that_was_used_before_is_not_counted() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        allow_seconds(spinning.pid, 1000)
        limit_s, _ = resource.prlimit(spinning.pid, resource.RLIMIT_CPU)
        assert 1000 <= limit_s <= 1002
        spinning.kill()


def in_a_child(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout


GAPS = """
import os, pathlib, sys
from service.sandbox import cage
said = os.dup(1)
{before}
gaps = cage.enter_cage(cage.Cage((pathlib.Path("/usr"),), 2**30, 2**20))
os.write(said, chr(10).join(gaps).encode())
"""


def test_a_kernel_without_landlock_is_told_of() -> None:
    gaps = in_a_child(GAPS.format(before="cage.landlock_version = lambda: 0"))

    assert gaps == "It can open whatever file the service can: the kernel has no Landlock (Linux 5.13), or it is not switched on."


def test_a_machine_without_libseccomp_is_told_of() -> None:
    gaps = in_a_child(GAPS.format(before="cage.can_filter = lambda: False"))

    assert gaps == "Every system call is open to it: libseccomp is not installed."


def test_threads_that_run_before_are_told_of_because_landlock_would_not_hold_them() -> None:
    before = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"

    assert in_a_child(GAPS.format(before=before)) == "It can open whatever file the service can: threads were running before."


@pytest.mark.parametrize("error", ["AttributeError", "ValueError"])
def test_another_system_than_linux_is_told_of(error: str) -> None:
    """It has no such limit, or takes no such value for it."""
    gaps = in_a_child(GAPS.format(before=f"def limit(*_): raise {error}\ncage.limit = limit"))

    assert gaps == f"Its memory and what it writes are not limited: {error}."


def test_python_reads_its_own_libraries_and_not_the_whole_disk() -> None:
    readable = cage_module.readable_by_python()

    assert Path(sys.prefix) in readable
    assert not {Path("/"), Path.home(), Path.cwd(), Path("/etc"), Path("/tmp"), Path("/proc")} & set(readable)


def test_the_filter_holds_threads_that_ran_before() -> None:
    code = (
        "import os, threading\nfrom service.sandbox.syscalls import filter_calls\nfrom service.sandbox.privileges import drop_privileges\n"
        "go, came = threading.Event(), []\n"
        "def late():\n    go.wait()\n    try:\n        os.fork()\n    except OSError:\n        came.append('refused')\n"
        "thread = threading.Thread(target=late)\nthread.start()\ndrop_privileges()\nfilter_calls()\ngo.set()\nthread.join()\nprint(*came)"
    )

    assert in_a_child(code).strip() == "refused"
