"""What a model was trained on is what it is fed with: the same bytes give the same patches, bit for bit, either way.

Serving goes open_clip, locate, strip_windows, prepare_window (in `analyse`); training goes `training.recipe.read_source`
and prepare_window. And no module of training resamples a picture, but those that make pictures up.
"""

import ast
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.clip import DEFAULT_LIMITS, Clip
from service.cine.decode import open_clip
from service.cine.locate import locate
from service.cine.prepare import prepare_window, strip_windows
from service.cine.spec import InputSpec
from service.pipeline import Options, analyse
from service.reading import Saliency
from tests.fakes.inputs import SPEC, constant_engine, loaded_model, of_spec
from tests.fakes.media import encode, mp4
from tests.fakes.phantoms import preset_phantom
from training.array_clip import ArrayClip
from training.recipe import Source, read_source

ROOT = Path(__file__).resolve().parents[2]

Patches = list[NDArray[np.uint8]]
"""(N, C, T, h, w) a window."""


@cache
def upload(name: str = "linear_present") -> bytes:
    return mp4(preset_phantom(name, 2.5).frames)


def served(clip: Clip, spec: InputSpec) -> Patches:
    located = locate(clip, spec)
    assert located.grid is not None
    assert located.plan is not None
    return [prepare_window(window, located.grid, located.plan, spec).patches for window in strip_windows(clip, located.grid, spec)]


def learned(clip: Clip, spec: InputSpec, max_windows: int | None = None) -> Patches:
    source = source_of(clip, spec, max_windows)
    return [prepare_window(window, source.grid, source.plan, spec).patches for window in source.windows]


def source_of(clip: Clip, spec: InputSpec = SPEC, max_windows: int | None = None) -> Source:
    source = read_source(clip, spec, max_windows)
    assert source is not None
    return source


def opened(data: bytes) -> Clip:
    """Anew each time: nothing may be handed over in a cache."""
    return open_clip(data, DEFAULT_LIMITS)


def assert_same(one: Patches, other: Patches) -> None:
    assert len(one) == len(other)
    for here, there in zip(one, other, strict=True):
        assert here.dtype == there.dtype == np.uint8
        assert np.array_equal(here, there)


SPECS = {
    "as shipped": SPEC,
    "not stabilised": of_spec(stabilised=False),
    "lung alone": of_spec(bands=("lung",)),
    "overlapping": of_spec(window_stride_frames=10, column_stride_px=15),
    "slower": of_spec(fps=15.0, window_frames=30, window_stride_frames=30),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_an_upload_gives_the_same_patches_in_training_and_in_serving(spec: InputSpec) -> None:
    patches = served(opened(upload()), spec)

    assert len(patches) >= 2
    assert patches[0].shape[1:] == spec.patch_shape
    assert patches[0].any()
    assert_same(patches, learned(opened(upload()), spec))


def test_a_convex_clip_gives_the_same_patches_too() -> None:
    assert_same(served(opened(upload("present")), SPEC), learned(opened(upload("present")), SPEC))


def test_the_whole_pipeline_feeds_its_model_what_training_saw() -> None:
    _, arrays = analyse(opened(upload()), loaded_model(constant_engine(0.0)), Options(saliency=Saliency.NONE), keeps_arrays=True)

    source = source_of(opened(upload()))
    lung = [n for n, patch in enumerate(source.plan.patches) if patch.row >= 0]

    assert arrays is not None
    assert np.array_equal(arrays.patches, np.concatenate([patches[lung] for patches in learned(opened(upload()), SPEC)]))


def test_fewer_windows_are_chosen_in_training_and_none_is_changed() -> None:
    spec = replace(SPEC, window_stride_frames=5)
    patches = served(opened(upload()), spec)

    assert len(patches) == 4  # from frames 0, 5, 10 and 15 of 75
    assert_same([patches[0], patches[3]], learned(opened(upload()), spec, max_windows=2))


def test_a_phantom_in_memory_is_fed_as_its_lossless_file_is() -> None:
    """Phantoms are trained on without a file between. (AVI counts frames; Matroska's times are rounded to milliseconds.)"""
    frames = preset_phantom("linear_present", 2.5).frames
    file = encode(frames, container="avi", codec="ffv1", pix_fmt="gray")

    assert_same(served(opened(file), SPEC), learned(ArrayClip(frames, 30.0), SPEC))


def test_two_decodes_of_one_upload_are_alike() -> None:
    assert_same(served(opened(upload()), SPEC), served(opened(upload()), SPEC))


# --- training has no preprocessing of its own ---

RESAMPLES = {"remap", "resize", "pyrDown", "pyrUp", "warpAffine", "warpPerspective", "warpPolar", "getRectSubPix", "matchTemplate", "zoom"}
DECODES = {"VideoCapture", "imread", "dcmread", "mimread"}
MAKES_PICTURES_UP = (
    *("training/counterfactual.py", "training/finish.py", "training/pleura_view.py", "training/phantom/", "training/recording/"),
    "training/study/failures.py",
)
"""Twins, phantoms and recordings of them are pictures nobody took; the pleura's net is shown `service.cine.pleura.net_input`, zoomed
at random; and failures are drawn for a reader, after the model has answered."""
READS_HEADERS_ONLY = ("training/adapters/dicom.py",)
"""Patient, probe and label of an object, with its pixels left unread."""


def calls(source: str, names: set[str]) -> Iterator[str]:
    """Calls of a function or method with one of these names, and imports of one under another name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in names:
                yield f"line {node.lineno} calls {called}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"line {node.lineno} imports {alias.name}" for alias in node.names if alias.name in names)


def modules() -> list[Path]:
    return sorted((ROOT / "training").rglob("*.py"))


def test_training_resamples_nothing_but_what_it_makes_up() -> None:
    found = [
        f"{path.relative_to(ROOT)} {call}"
        for path in modules()
        if not str(path.relative_to(ROOT)).startswith(MAKES_PICTURES_UP)
        for call in calls(path.read_text(), RESAMPLES)
    ]

    assert len(modules()) > 20
    assert found == []


def test_training_opens_uploads_with_the_services_decoder_only() -> None:
    found = [
        f"{path.relative_to(ROOT)} {call}"
        for path in modules()
        if str(path.relative_to(ROOT)) not in READS_HEADERS_ONLY
        for call in calls(path.read_text(), DECODES)
    ]

    assert found == []


def test_the_allowed_modules_are_there() -> None:
    assert all((ROOT / path).exists() for path in MAKES_PICTURES_UP + READS_HEADERS_ONLY)


@pytest.mark.parametrize(
    "source", ["cv2.resize(frame, (9, 9))", "import cv2\nx = cv2.remap(f, x, y, 1)", "from cv2 import warpAffine as bend", "resize(frame)"]
)
def test_a_resampling_would_be_seen(source: str) -> None:
    assert len(list(calls(source, RESAMPLES))) == 1
