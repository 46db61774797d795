"""What a clip took goes back to the system, in a process of its own: allocator settings hold for all of one. Linux only."""

import os
import subprocess
import sys

import pytest

from service.allocator import give_memory_back

WORK = """
import sys
import numpy as np
from service.allocator import give_memory_back

def own_mib():
    return int(next(line for line in open("/proc/self/status") if line.startswith("RssAnon")).split()[1]) / 1024

if sys.argv[1] == "set":
    print(give_memory_back(), file=sys.stderr)
del_me = np.ones(24 * 2**20, np.uint8)
del del_me  # from here on glibc keeps pieces of this size, unless it is told not to
before = own_mib()
kept, clips = [], []
for _ in range(25):
    clips.append(np.ones(4 * 2**20, np.uint8))
    kept.append(np.ones(100_000, np.uint8))  # something small lies behind each
clips.clear()
print(own_mib() - before)
"""


def kept_mib(how: str, **environment: str) -> tuple[float, str]:
    """MiB that the process still has of 100 MiB of clips, and whether the allocator was set."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"}
    done = subprocess.run([sys.executable, "-c", WORK, how], capture_output=True, text=True, env=clean | environment, check=True)
    return float(done.stdout), done.stderr.strip()


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(os, "confstr") or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""),
    reason="glibc's allocator",
)


def test_what_clips_took_goes_back_to_the_system() -> None:
    left, is_set = kept_mib("set")

    assert is_set == "True"
    assert left < 10


def test_without_it_the_holes_between_small_pieces_stay() -> None:
    left, _ = kept_mib("as it is")

    assert left > 80


def test_an_allocator_that_somebody_has_set_is_left_alone() -> None:
    assert kept_mib("set", MALLOC_ARENA_MAX="2")[1] == "False"
    assert kept_mib("set", GLIBC_TUNABLES="glibc.malloc.arena_max=2")[1] == "False"


def test_where_the_system_is_another_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    assert not give_memory_back()
