"""Fewer draws than the reports have: what is tested is whose they are and where they go."""

from collections.abc import Iterator

import pytest

from training.signs import figures


@pytest.fixture(autouse=True, scope="module")
def _few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "BOOTSTRAP_DRAWS", 100)
        yield
