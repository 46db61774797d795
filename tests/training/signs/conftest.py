"""Runs of clips whose sign anybody can see; and fewer draws than the reports have: what is tested is whose they are and where they go."""

from collections.abc import Iterator, Mapping

import pytest

from tests.training.signs.bars import Bar, small_preset
from training.batches import Indices
from training.signs import figures
from training.signs.deal import deal
from training.signs.make import make_runs
from training.signs.runs import RunSet, open_runs


@pytest.fixture(autouse=True, scope="module")
def _few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "BOOTSTRAP_DRAWS", 100)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> RunSet:
    folder = tmp_path_factory.mktemp("clips")
    return open_runs(folder, list(make_runs(small_preset(), [Bar(number) for number in range(20)], folder)))


@pytest.fixture(scope="module")
def parts(runs: RunSet) -> Mapping[str, Indices]:
    (one,) = deal(small_preset(), runs)
    return one
