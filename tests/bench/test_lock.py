"""The lock of the peers beside the lock of everything."""

import re

from tests.bench.servers import ROOT


def names(lock: str) -> set[str]:
    lines = (ROOT / "requirements" / lock).read_text().splitlines()
    return {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines if line and not line.startswith("#")}


def test_the_peers_lock_moves_nothing_that_everything_else_runs_with() -> None:
    """pip refuses two versions of one package; and Seashore is to be timed with its own."""
    assert names("bench.txt") & names("all.txt") == set()


def test_the_peers_lock_brings_no_reporting_of_openvinos_use() -> None:
    assert "openvino-telemetry" not in names("bench.txt")
    assert {"litserve", "bentoml", "captum"} <= names("bench.txt")


def test_ray_comes_with_one_of_the_two() -> None:
    assert "ray" in names("bench.txt") | names("all.txt")
