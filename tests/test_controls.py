"""Controls: clips in which nothing slides must not be read as sliding, however they move.

First with the measured slide alone, whatever the model; then the answers of the bundle that is shipped.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.bundle import resolve
from service.bundle_files import find_bundles
from service.cine.pooling import Summary, decide, gather, pool, summarise
from service.cine.prepare import prepare_window
from service.engine.base import Engine
from service.engine.batcher import Batcher
from service.findings import Analysis, ReasonCode, Verdict
from service.loading import load_model
from service.model import LoadedModel
from service.pipeline import Options, analyse
from service.reading import Saliency
from tests.fakes.inputs import SPEC
from tests.fakes.phantoms import preset_phantom
from training.array_clip import ArrayClip
from training.controls import Control, make_control, read_evidence
from training.counterfactual import PLEURA_HALF_WIDTH_PX, carry_by_wall, carry_still, join
from training.finish import tremble
from training.recipe import Source, read_source

STORE = Path(__file__).resolve().parents[1] / "model_store"

Frames = NDArray[np.uint8]

SLIDING = ("linear_present", "present")
"""Presets of a linear and of a convex probe."""


def noisy(frames: NDArray[np.floating] | Frames, seed: int = 0) -> Frames:
    """With the electronic noise that no live picture is without: 3 grey levels."""
    noise = np.random.default_rng(seed).normal(0, 3, frames.shape).astype(np.float32)
    return np.where(frames > 0, np.clip(np.rint(frames + noise), 1, 255), 0).astype(np.uint8)


@cache
def sliding(name: str) -> Frames:
    return preset_phantom(name, 2.5).frames


@cache
def still(name: str) -> Frames:
    """One frame, over and over: frozen but for the noise."""
    frames = sliding(name)
    return noisy(np.repeat(frames[len(frames) // 2][None], len(frames), axis=0))


@cache
def shaken(name: str, seed: int = 0) -> Frames:
    """One frame, moved as a whole by a hand's tremor."""
    frames = sliding(name)
    return noisy(tremble(np.repeat(frames[len(frames) // 2][None], len(frames), axis=0), np.random.default_rng(seed)), seed)


# --- the measured slide ---


def source_of(frames: Frames) -> Source:
    source = read_source(ArrayClip(frames, 30.0), SPEC)
    assert source is not None
    return source


def measured(source: Source) -> Summary:
    prepared = [prepare_window(window, source.grid, source.plan, SPEC) for window in source.windows]
    silent = [np.zeros(len(source.plan.patches), np.float32) for _ in prepared]
    return summarise(gather(source.plan, [window.motion for window in prepared], silent))


def ratio(summary: Summary) -> float:
    """Slide of the lung past the wall over wall past wall, with the floor of 0.15 px that the answer is made with."""
    return float(np.exp(summary.features()[3]))


def locked(name: str) -> Source:
    """The lung's own texture, carried by the wall."""
    return make_control(source_of(sliding(name)), Control.LOCKED, SPEC.fps, np.random.default_rng(0))


@pytest.mark.parametrize("name", SLIDING)
def test_a_sliding_lung_moves_five_times_as_far_past_the_wall_as_wall_past_wall(name: str) -> None:
    assert ratio(measured(source_of(sliding(name)))) > 5


@pytest.mark.parametrize("name", SLIDING)
def test_a_frozen_picture_does_not_slide(name: str) -> None:
    assert measured(source_of(still(name))).slide_px < 0.25


@pytest.mark.parametrize("name", SLIDING)
@pytest.mark.parametrize("control", ["frozen", "shaken", "locked"])
def test_what_does_not_slide_is_held_back_by_its_own_wall(name: str, control: str) -> None:
    made = {"frozen": lambda: source_of(still(name)), "shaken": lambda: source_of(shaken(name)), "locked": lambda: locked(name)}[control]()

    assert ratio(measured(made)) < ratio(measured(source_of(sliding(name)))) / 3


@pytest.mark.parametrize("name", ["linear_absent", "absent"])
def test_an_absent_slide_is_measured_as_absent(name: str) -> None:
    assert ratio(measured(source_of(sliding(name)))) < 1.5


@pytest.mark.parametrize("name", SLIDING)
def test_a_clip_run_backwards_slides_as_far(name: str) -> None:
    forwards, backwards = measured(source_of(sliding(name))), measured(source_of(sliding(name)[::-1]))

    assert backwards.slide_px == pytest.approx(forwards.slide_px, rel=0.05)
    assert ratio(backwards) == pytest.approx(ratio(forwards), rel=0.15)


# --- the bundle that is shipped ---

needs_bundle = pytest.mark.skipif(not find_bundles(STORE), reason="model_store holds no bundle")


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model(resolve(STORE, None), "auto")


def engine_of(model: LoadedModel) -> Engine:
    assert isinstance(model.engine, Batcher)
    return model.engine.engine


def said(model: LoadedModel, frames: Frames) -> Analysis:
    return analyse(ArrayClip(frames, 30.0), model, Options(saliency=Saliency.NONE))[0]


@needs_bundle
@pytest.mark.parametrize("name", SLIDING)
def test_the_shipped_bundle_sees_a_phantom_slide(model: LoadedModel, name: str) -> None:
    assert said(model, sliding(name)).lung_sliding.verdict is Verdict.PRESENT


@needs_bundle
@pytest.mark.parametrize("name", ["linear_absent", "absent"])
def test_the_shipped_bundle_never_calls_a_still_lung_present(model: LoadedModel, name: str) -> None:
    assert said(model, sliding(name)).lung_sliding.verdict is not Verdict.PRESENT


@needs_bundle
@pytest.mark.parametrize("name", SLIDING)
@pytest.mark.parametrize("make", [still, shaken], ids=["frozen", "shaken"])
def test_the_shipped_bundle_never_calls_a_control_present(model: LoadedModel, make: object, name: str) -> None:
    assert said(model, make(name)).lung_sliding.verdict is not Verdict.PRESENT  # type: ignore[operator]


@needs_bundle
@pytest.mark.parametrize("seed", range(1, 8))
def test_the_shipped_bundle_calls_no_tremor_present(model: LoadedModel, seed: int) -> None:
    """Of the convex phantom: with two or three columns it says the least."""
    assert said(model, shaken("present", seed)).lung_sliding.verdict is not Verdict.PRESENT


def wall_locked(name: str, seed: int) -> Source:
    """One still of the sliding lung, carried by the wall, with electronic noise."""
    source, rng = source_of(sliding(name)), np.random.default_rng(seed)
    first = source.grid.zero_row - PLEURA_HALF_WIDTH_PX
    lung = source.windows[0].strip[30, first:].astype(np.float32)
    windows = []
    for window in source.windows:
        moved = carry_still(lung, carry_by_wall(window, source.grid, source.plan, SPEC.fps))
        noise = rng.normal(0, 3, moved.shape).astype(np.float32)
        windows.append(replace(window, strip=join(window.strip, moved + noise, source.grid.zero_row)))
    return replace(source, windows=tuple(windows))


@needs_bundle
@pytest.mark.parametrize("name", SLIDING)
@pytest.mark.parametrize("seed", range(3))
def test_the_shipped_bundle_never_calls_a_wall_locked_lung_present(model: LoadedModel, name: str, seed: int) -> None:
    pooled = pool(read_evidence(wall_locked(name, seed), engine_of(model), model.bundle.input_spec), model.bundle.calibration)
    assert pooled is not None

    assert decide(pooled, model.bundle.calibration, 4.0) is not Verdict.PRESENT


@needs_bundle
@pytest.mark.parametrize("name", SLIDING)
def test_the_shipped_bundle_never_calls_faded_stills_of_a_sliding_lung_present(model: LoadedModel, name: str) -> None:
    pooled = pool(read_evidence(locked(name), engine_of(model), model.bundle.input_spec), model.bundle.calibration)
    assert pooled is not None

    assert decide(pooled, model.bundle.calibration, 4.0) is not Verdict.PRESENT


@needs_bundle
@pytest.mark.parametrize("seed", range(3))
def test_gas_under_the_skin_is_given_no_verdict_by_the_shipped_bundle(model: LoadedModel, seed: int) -> None:
    """Its ragged line is taken for a pleura, but for a doubtful one, and that leaves the verdict open."""
    analysis = said(model, preset_phantom("not_assessable", 4.0, seed).frames)

    assert analysis.lung_sliding.verdict in (Verdict.INDETERMINATE, Verdict.NOT_ASSESSABLE)
    assert {reason.code for reason in analysis.quality.reasons} & {ReasonCode.PLEURA_DOUBTFUL, ReasonCode.NO_PLEURA}


@needs_bundle
def test_the_shipped_bundle_never_calls_a_lung_point_present(model: LoadedModel) -> None:
    assert said(model, sliding("lung_point")).lung_sliding.verdict is not Verdict.PRESENT


@needs_bundle
@pytest.mark.parametrize("name", SLIDING)
def test_the_shipped_bundle_says_the_same_of_a_clip_run_backwards(model: LoadedModel, name: str) -> None:
    forwards, backwards = said(model, sliding(name)), said(model, sliding(name)[::-1])

    assert forwards.lung_sliding.verdict is backwards.lung_sliding.verdict


@needs_bundle
@pytest.mark.parametrize("name", ["linear_absent", "absent"])
def test_a_still_lung_run_backwards_does_not_begin_to_slide(model: LoadedModel, name: str) -> None:
    """Absent or indeterminate: a probability at the edge of the band may fall on either side of it."""
    assert said(model, sliding(name)[::-1]).lung_sliding.verdict is not Verdict.PRESENT
