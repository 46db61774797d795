"""Rows of the load, and servers that must agree."""

import pytest

from tests.bench.load import Key, ServersDisagree, _agree, _ratios, row
from tests.bench.loadgen import Outcome


def outcome(speed: float, *, waits: list[float] | None = None, probability: float | None = 0.9, **statuses: int) -> Outcome:
    answers = waits or [0.5] * 10
    return Outcome(answers, answers, {"200": len(answers), **statuses}, elapsed_s=len(answers) / speed, probabilities=[probability])


def test_speed_is_the_median_of_the_rounds_and_p99_is_of_all_answers() -> None:
    rounds = [outcome(2.0), outcome(3.0, waits=[0.1] * 9 + [4.0]), outcome(4.0, **{"429": 2})]

    assert row(Key("Seashore", 8), rounds).figures == ("3.00", "500 ms", "4000 ms", "4000 ms", "30", "2 x 429")


def test_servers_that_say_the_same_to_the_last_digits_agree() -> None:
    _agree({Key("a", 1): [outcome(1.0)], Key("b", 1): [outcome(1.0, probability=0.9004)]})


@pytest.mark.parametrize("other", [0.8, None])
def test_servers_that_disagree_fail_the_run(other: float | None) -> None:
    with pytest.raises(ServersDisagree, match="For one clip the servers said"):
        _agree({Key("a", 1): [outcome(1.0)], Key("b", 1): [outcome(1.0, probability=other)]})


def test_nobody_who_answered_fails_the_run() -> None:
    with pytest.raises(ServersDisagree):
        _agree({Key("a", 1): [Outcome()]})


def test_the_ratio_is_to_the_best_peer() -> None:
    speeds = {"Seashore": 3.0, "slow": 1.0, "fast": 2.0}
    results = {Key(name, 8): [outcome(speed)] for name, speed in speeds.items()}

    (sentence,) = _ratios(results, list(speeds), (8,))

    assert sentence.startswith("With 8: 1.50 times the clips a second of the best peer (fast);")
