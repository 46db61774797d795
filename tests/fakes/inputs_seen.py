"""The metrics of what comes in, over a store whose one bundle says what it was made from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from service.api.input_metrics import InputMetrics
from service.bundle import Bundle
from service.cine.reference import Bins, InputReference
from service.findings import Analysis
from tests.fakes.analysis import INPUTS, example_analysis
from tests.test_bundle import write

REFERENCE = InputReference({"lung_grey": Bins((85.5, 105.0), (9, 27, 8)), "quality": Bins((0.95,), (40, 4))})


def bundle_in(store: Path, version: str = "1.0.0", **changed: Any) -> Bundle:
    """slide:`version`, made from REFERENCE unless something else is said."""
    return write(store, version=version, **({"input_statistics": lambda bundle: REFERENCE} | changed))


def answered_by(bundle: Bundle, **inputs: float | None) -> Analysis:
    """As example_analysis, by this bundle; its inputs are INPUTS but for those given."""
    analysis, _ = example_analysis(num_windows=1, with_saliency=False)
    model = replace(analysis.model, name=bundle.name, version=bundle.version, sha256=bundle.sha256)
    return replace(analysis, model=model, inputs=replace(INPUTS, **inputs))


def fed_metrics(folder: Path, num_clips: int) -> InputMetrics:
    """So many clips alike have been read."""
    bundle = bundle_in(folder / "store")
    metrics = InputMetrics(folder / "store")
    for _ in range(num_clips):
        metrics.observe(answered_by(bundle))
    return metrics
