"""The lock of the peers beside the lock of everything."""

from tests.locks import pins


def test_the_peers_lock_moves_nothing_that_everything_else_runs_with() -> None:
    """pip refuses two versions of one package; and Seashore is to be timed with its own."""
    assert pins("bench").keys() & pins("all").keys() == set()


def test_the_peers_lock_brings_no_reporting_of_openvinos_use() -> None:
    assert "openvino-telemetry" not in pins("bench")
    assert {"litserve", "bentoml", "captum"} <= pins("bench").keys()


def test_ray_comes_with_one_of_the_two() -> None:
    assert "ray" in pins("bench") | pins("all")
