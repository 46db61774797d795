"""An analysis, kept as JSON: it comes back as it was, arrays and all."""

import json
from typing import Any

import numpy as np
import pytest

from service.findings import Verdict
from service.record import FORMAT, analysis_from_json, analysis_to_json
from tests.fakes.analysis import PROBE_MOVING, example_analysis

EXAMPLES: dict[str, dict[str, Any]] = {
    "present": {},
    "not assessable": {"verdict": Verdict.NOT_ASSESSABLE},
    "lung point, reasons, no scale": {"lung_point": True, "reasons": (PROBE_MOVING,), "mm_per_px": None},
    "without saliency": {"with_saliency": False},
}


@pytest.mark.parametrize("options", EXAMPLES.values(), ids=EXAMPLES)
def test_an_analysis_comes_back_as_it_was(options: dict[str, Any]) -> None:
    analysis, _ = example_analysis(num_windows=1, **options)

    read = analysis_from_json(json.loads(json.dumps(analysis_to_json(analysis))))

    assert_same(read, analysis)


def assert_same(read: Any, kept: Any) -> None:
    """Field by field: arrays have no `==` that is one answer."""
    assert type(read) is type(kept)
    if isinstance(kept, np.ndarray):
        assert read.dtype == kept.dtype
        assert read.tobytes() == kept.tobytes()
    elif isinstance(kept, tuple):
        for one, other in zip(read, kept, strict=True):
            assert_same(one, other)
    elif hasattr(kept, "__dataclass_fields__"):
        for name in kept.__dataclass_fields__:
            assert_same(getattr(read, name), getattr(kept, name))
    else:
        assert read == kept


def test_arrays_that_come_back_may_be_written_to() -> None:
    analysis, _ = example_analysis(num_windows=1)

    read = analysis_from_json(analysis_to_json(analysis))

    assert read.pleura is not None
    read.pleura.slide_over_time.px[0] = 1.0


def test_an_analysis_that_was_kept_before_inputs_were_measured_comes_back_without_them() -> None:
    analysis, _ = example_analysis(num_windows=1)
    kept = analysis_to_json(analysis)
    del kept["analysis"]["inputs"]

    assert analysis_from_json(kept).inputs is None


def test_another_format_is_refused() -> None:
    analysis, _ = example_analysis(num_windows=1)

    with pytest.raises(ValueError, match="kept in another format"):
        analysis_from_json(analysis_to_json(analysis) | {"format": FORMAT + 1})
