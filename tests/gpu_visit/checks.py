"""Whether the GPU answers as it must, before anybody asks how fast."""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from service.bundle_files import find_bundles
from service.engine.base import PatchShape
from service.engine.cuda import Tuning
from service.engine.precision import GRADIENT_LIMIT, LOGIT_LIMIT, Difference, Precision, difference
from service.engine.select import open_engine
from service.loading import load_model
from service.settings import Settings
from service.sign_bundle import newest_sign_bundles
from service.sign_loading import GOLDEN_TOLERANCE, load_sign
from tests.bench.servers import ROOT
from tests.bench.table import Section
from tests.gpu_visit.half import write_half
from tests.gpu_visit.peers import torch_net
from tests.gpu_visit.visit import Visit, tried
from training.export import autograd, gradient_errors

FLOAT32_LOGIT = 1e-3
"""Of float32 on a GPU against float32 on a CPU: other sums."""
FLOAT32_MEDIAN, FLOAT32_WORST = 1e-4, GRADIENT_LIMIT
"""Of gradients' lengths. Where a ReLU or a maximum changes sides, which a few patches' do even between two CPU engines, more."""
COLUMNS = ("found", "limit")


def measure(visit: Visit) -> Section:
    rows = [tried(what, check, len(COLUMNS)) for what, check in _checks(visit)]
    limits = (
        f"Reduced precision is used where logits differ by at most {LOGIT_LIMIT} and gradients by {GRADIENT_LIMIT:.0%} of their length."
    )
    return Section("Checks", COLUMNS, tuple(rows), (limits,))


def _checks(visit: Visit) -> Iterator[tuple[str, Callable[[], tuple[str, ...]]]]:
    yield "device that the engine says it runs on", lambda: ("the CPU, in a dry run" if visit.dry else visit.engine().device, "")
    yield "where model.onnx runs, by operators", lambda: (_assignment(visit), "")
    yield "float32 against the CPU: logits; gradients", lambda: _agrees(difference(visit.engine(), visit.on_cpu(), _shape(visit)))
    yield "gradients against torch autograd (CPU)", lambda: _against_autograd(visit)
    yield "CUDA graphs against the CPU", lambda: _graphs(visit)
    yield "TF32 against float32", lambda: _reduced(visit, Precision.TF32)
    yield "model.onnx in float16 (made here) against float32: logits", lambda: _half(visit)
    for precision in (Precision.FLOAT32, Precision.FLOAT16):
        yield f"TensorRT, {precision}", partial(_tensorrt, visit, precision)
    for name, version in find_bundles(Settings().model_store):
        yield f"golden answer of {name}:{version}", partial(_golden, visit, name, version)
    for folder in newest_sign_bundles(Settings().model_store):
        yield f"golden answer of {folder.parent.name}:{folder.name}, which tells signs", partial(_golden_signs, visit, folder)
    yield "pytest -m gpu", lambda: _pytest(visit)


def _shape(visit: Visit) -> PatchShape:
    return visit.bundle.input_spec.patch_shape


def _agrees(apart: Difference) -> tuple[str, str]:
    fits = apart.logit <= FLOAT32_LOGIT and apart.gradient <= FLOAT32_WORST
    return f"{_yes(fits)}: {apart.logit:.2g}; {apart.gradient:.2g}", f"{FLOAT32_LOGIT:g}; {FLOAT32_WORST:g}"


def _against_autograd(visit: Visit) -> tuple[str, str]:
    patches = visit.patches(16)
    _, expected = autograd(torch_net(visit), patches)
    _, found = visit.engine().logits_and_gradients(patches.astype(np.float32))
    errors = gradient_errors(found, expected)
    middle, worst = float(np.median(errors)), float(errors.max())
    fits = middle <= FLOAT32_MEDIAN and worst <= FLOAT32_WORST
    return f"{_yes(fits)}: median {middle:.2g}, worst {worst:.2g} of a gradient's length", f"{FLOAT32_MEDIAN:g}, {FLOAT32_WORST:g}"


def _yes(fits: bool) -> str:
    return "yes" if fits else "NO"


def _graphs(visit: Visit) -> tuple[str, str]:
    return _agrees(difference(visit.engine(tuning=Tuning(search="HEURISTIC", graphs=True)), visit.on_cpu(), _shape(visit)))


def _reduced(visit: Visit, precision: Precision) -> tuple[str, str]:
    rounded = visit.engine(precision)
    if rounded.precision is not precision:
        return "not offered by this GPU", ""
    apart = difference(rounded, visit.engine(), _shape(visit))
    verdict = "would be used" if apart.is_small else "would not be used"
    return f"{verdict}: {apart.logit:.2g}; {apart.gradient:.2g}", f"{LOGIT_LIMIT:g}; {GRADIENT_LIMIT:g}"


def _half(visit: Visit) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        half = write_half(visit.bundle.model_onnx, Path(folder) / "half.onnx")
        patches = visit.patches(16)
        apart = np.abs(visit.engine(graphs=(half, visit.bundle.saliency_onnx)).logits(patches) - visit.engine().logits(patches)).max()
        return f"{apart:.2g}; the graph has {half.stat().st_size / 1e6:.1f} MB", f"{LOGIT_LIMIT:g}"


def _tensorrt(visit: Visit, precision: Precision) -> tuple[str, str]:
    try:
        engine = open_engine(visit.bundle.model_onnx, visit.bundle.saliency_onnx, device="tensorrt", precision=precision)
    except Exception as error:
        return f"not here: {error}", ""
    apart = difference(engine, visit.on_cpu(), _shape(visit))
    return f"{engine.device}: {apart.logit:.2g}; {apart.gradient:.2g}", f"{LOGIT_LIMIT:g}; {GRADIENT_LIMIT:g}"


def _golden_signs(visit: Visit, folder: Path) -> tuple[str, str]:
    sign = load_sign(folder, visit.device)  # raises when it answers otherwise than when it was made
    return f"yes, on {sign.engine.device}", f"{GOLDEN_TOLERANCE:g} of a probability"


def _golden(visit: Visit, name: str, version: str) -> tuple[str, str]:
    model = load_model(Settings().model_store / name / version, visit.device)  # raises unless the answer is the one it must be
    return f"yes, on {model.engine.device}", "as `service.loading`"


def _pytest(visit: Visit) -> tuple[str, str]:
    environment = {**os.environ, "SEASHORE_REQUIRE_GPU": "0" if visit.dry else "1"}
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "tests/engine"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    said = (done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["nothing"])[-1]
    return f"{_yes(done.returncode == 0)}: {said}", "SEASHORE_REQUIRE_GPU=1" if not visit.dry else ""


def _assignment(visit: Visit) -> str:
    """Which provider ONNX Runtime gave the operators to: "CUDAExecutionProvider 59 (Conv 21)"."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    engine = visit.engine()
    providers = engine._providers(visit.bundle.model_onnx, "HEURISTIC")
    session = ort.InferenceSession(visit.bundle.model_onnx, options, providers=providers)
    all_of, convolutions = Counter[str](), Counter[str]()
    for part in session.get_provider_graph_assignment_info():
        kinds = [node.op_type for node in part.get_nodes()]
        all_of[part.ep_name] += len(kinds)
        convolutions[part.ep_name] += kinds.count("Conv")
    return ", ".join(f"{name} {count} (Conv {convolutions[name]})" for name, count in all_of.items())
