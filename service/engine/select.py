"""Which engine runs a bundle's graphs on this machine."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

from service.engine.base import GraphEngine, Share
from service.engine.cuda import CudaEngine
from service.engine.onnx import OnnxEngine
from service.engine.openvino import OpenVinoEngine
from service.engine.precision import GRADIENT_LIMIT, LOGIT_LIMIT, Precision, difference
from service.engine.tensorrt import TensorRtEngine
from service.errors import EngineFailed

DEVICES = ("auto", "cuda", "cuda:N", "tensorrt", "tensorrt:N", "cpu", "openvino", "onnx-cpu")
"""auto: CUDA where it works, else cpu. cpu: OpenVINO where it is installed, else ONNX Runtime. cuda: cuda:0.

auto never takes TensorRT: its first start compiles for minutes, and a service must be ready within one. Nor does cpu time its two
engines at each start: OpenVINO did 2.1 and 2.5 times ONNX Runtime's patches a second where both were measured (two machines), and
opening and warming the slower one as well takes half a second or more.
"""

_log = logging.getLogger(__name__)


def open_engine(
    model_onnx: Path, saliency_onnx: Path | None, *, device: str, share: Share | None = None, precision: Precision = Precision.FLOAT32
) -> GraphEngine:
    """An engine on `device` (one of `DEVICES`). `engine.device` says what it came to; so does the log, and why nothing better.

    Without `saliency_onnx` it explains nothing. `share` parts the CPU's cores; unless it is given, one call at a time has them all.
    `precision` is what a GPU may calculate in as long as its answers stay what they are in float32; a CPU always does in float32.

    Raises: EngineFailed when the device is not known, not there, or cannot open the graphs.
    """
    names = {"auto": ["cuda", "openvino", "onnx-cpu"], "cpu": ["openvino", "onnx-cpu"]}.get(device, [device])
    for name in names:
        try:
            engine = _open(model_onnx, saliency_onnx, name, share, precision)
        except EngineFailed as error:
            if name == names[-1]:
                raise
            _log.info("%s Trying the next engine. %s", error, error.log_detail)
        else:
            _log.info("The model runs on %s.", engine.device)
            return engine
    raise AssertionError("the last attempt returns or raises")


def _open(model: Path, saliency: Path | None, name: str, share: Share | None, precision: Precision) -> GraphEngine:
    if name == "openvino":
        return OpenVinoEngine(model, saliency, share=share)
    if name == "onnx-cpu":
        return OnnxEngine(model, saliency, share=share)
    if gpu := re.fullmatch(r"(cuda|tensorrt)(?::(\d{1,2}))?", name):
        kind = CudaEngine if gpu[1] == "cuda" else TensorRtEngine
        return agreeing(lambda asked: kind(model, saliency, gpu=int(gpu[2] or 0), precision=asked), precision)
    raise EngineFailed(f"There is no device {name!r}; there are {', '.join(DEVICES)}.")


def agreeing(opened: Callable[[Precision], CudaEngine], precision: Precision) -> CudaEngine:
    """The engine in that precision if it answers as the one in float32 does, else that one. Raises: EngineFailed."""
    rounded = opened(precision)
    if rounded.precision is Precision.FLOAT32:
        return rounded
    exact = opened(Precision.FLOAT32)
    try:
        apart = difference(rounded, exact, exact.patch_shape)
    except EngineFailed as error:  # of float16, whose range is small: logits that are no numbers
        _log.warning("In %s the model could not be run, so float32 is used. %s %s", precision, error, error.log_detail)
        return exact
    found = f"logits by {apart.logit:.4f} at most (limit {LOGIT_LIMIT}), gradients by {apart.gradient:.2%} (limit {GRADIENT_LIMIT:.0%})"
    if apart.is_small:
        _log.info("%s differs from float32: %s.", precision, found)
        return rounded
    _log.warning("%s differs too much from float32, so float32 is used: %s.", precision, found)
    return exact
