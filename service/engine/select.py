"""Which engine runs a bundle's graphs on this machine."""

import logging
import re
from pathlib import Path

from service.engine.base import GraphEngine, Share
from service.engine.onnx import OnnxEngine
from service.engine.openvino import OpenVinoEngine
from service.errors import EngineFailed

DEVICES = ("auto", "cuda", "cuda:N", "cpu", "openvino", "onnx-cpu")
"""auto: CUDA where it works, else cpu. cpu: OpenVINO where it is installed, else ONNX Runtime. cuda: cuda:0."""

_log = logging.getLogger(__name__)


def open_engine(model_onnx: Path, saliency_onnx: Path, *, device: str, share: Share | None = None) -> GraphEngine:
    """An engine on `device` (one of `DEVICES`). `engine.device` says what it came to; so does the log, and why nothing better.

    `share` parts the CPU's cores; unless it is given, one call at a time has them all.

    Raises: EngineFailed when the device is not known, not there, or cannot open the graphs.
    """
    names = {"auto": ["cuda", "openvino", "onnx-cpu"], "cpu": ["openvino", "onnx-cpu"]}.get(device, [device])
    for name in names:
        try:
            engine = _open(model_onnx, saliency_onnx, name, share)
        except EngineFailed as error:
            if name == names[-1]:
                raise
            _log.info("%s Trying the next engine. %s", error, error.log_detail)
        else:
            _log.info("The model runs on %s.", engine.device)
            return engine
    raise AssertionError("the last attempt returns or raises")


def _open(model: Path, saliency: Path, name: str, share: Share | None) -> GraphEngine:
    if name == "openvino":
        return OpenVinoEngine(model, saliency, share=share)
    if name == "onnx-cpu":
        return OnnxEngine(model, saliency, cuda=False, share=share)
    if cuda := re.fullmatch(r"cuda(?::(\d{1,2}))?", name):
        return OnnxEngine(model, saliency, cuda=True, gpu=int(cuda[1] or 0))
    raise EngineFailed(f"There is no device {name!r}; there are {', '.join(DEVICES)}.")
