"""Nodes that share a ledger, in one process: a lock is held by whoever opened the file."""

import os
import time
from pathlib import Path

import pytest

from service.errors import LedgerUnavailable
from service.jobs.nodes import Nodes
from tests.fakes.service import wait_until


def silent_for(folder: Path, node: str, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(folder / node, (moment, moment))


def test_a_name_belongs_to_one_living_process(tmp_path: Path) -> None:
    first, second = Nodes(tmp_path, "ward"), Nodes(tmp_path, "ward")
    first.join()
    with pytest.raises(LedgerUnavailable, match=r"^Another process is the node 'ward' already. Give each its own name: SEASHORE_NODE.$"):
        second.join()
    first.leave()
    second.join()
    second.leave()


def test_a_node_not_heard_of_for_a_minute_is_dead_and_one_of_a_moment_ago_is_not(tmp_path: Path) -> None:
    here, near, far = (Nodes(tmp_path, name) for name in ("here", "near", "far"))
    for node in (here, near, far):
        node.join()
    silent_for(tmp_path, "near", 50)
    silent_for(tmp_path, "far", 70)

    assert here.dead() == ["far"]


def test_the_work_of_a_dead_node_is_taken_over_once(tmp_path: Path) -> None:
    taken: list[str] = []
    gone = Nodes(tmp_path, "gone")
    gone.join()
    gone.leave()
    silent_for(tmp_path, "gone", 1)
    here = Nodes(tmp_path, "here", beat_every_s=0.02, dead_after_s=0.5)
    here.join()
    here.watch(taken.extend)

    assert wait_until(lambda: taken == ["gone"])
    assert not (tmp_path / "gone").exists()
    time.sleep(0.1)
    here.leave()
    assert taken == ["gone"]


def test_a_ledger_that_is_away_does_not_end_the_watch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []
    gone = Nodes(tmp_path, "gone")
    gone.join()
    gone.leave()
    silent_for(tmp_path, "gone", 1)
    here = Nodes(tmp_path, "here", beat_every_s=0.02, dead_after_s=0.5)
    here.join()

    def take_over(_: list[str]) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise LedgerUnavailable("The list of jobs cannot be written or read just now.")

    here.watch(take_over)

    assert wait_until(lambda: len(tries) == 2)
    here.leave()
    assert "node here: LedgerUnavailable" in caplog.text
