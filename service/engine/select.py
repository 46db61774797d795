"""Which engine runs a bundle's graphs on this machine."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from service.engine.base import GraphEngine
from service.engine.onnx import OnnxEngine
from service.engine.openvino import OpenVinoEngine
from service.errors import EngineFailed

Device = Literal["auto", "cuda", "cpu", "openvino", "onnx-cpu"]
"""auto: CUDA where it works, else cpu. cpu: OpenVINO where it is installed, else ONNX Runtime."""

_log = logging.getLogger(__name__)


def open_engine(model_onnx: Path, saliency_onnx: Path, *, device: str) -> GraphEngine:
    """An engine on `device` (one of `Device`). `engine.device` says what it came to; so does the log, and why nothing better.

    Raises: EngineFailed when the device is not known, not there, or cannot open the graphs.
    """
    if device not in get_args(Device):
        raise EngineFailed(f"There is no device {device!r}; there are {', '.join(get_args(Device))}.")
    for is_last, attempt in _attempts(model_onnx, saliency_onnx, device):
        try:
            engine = attempt()
        except EngineFailed as error:
            if is_last:
                raise
            _log.info("%s Trying the next engine. %s", error, error.log_detail)
        else:
            _log.info("The model runs on %s.", engine.device)
            return engine
    raise AssertionError("there is always a last attempt")


def _attempts(model: Path, saliency: Path, device: str) -> list[tuple[bool, Callable[[], GraphEngine]]]:
    by_device: dict[str, Callable[[], GraphEngine]] = {
        "cuda": lambda: OnnxEngine(model, saliency, cuda=True),
        "openvino": lambda: OpenVinoEngine(model, saliency),
        "onnx-cpu": lambda: OnnxEngine(model, saliency, cuda=False),
    }
    tried = {"auto": ["cuda", "openvino", "onnx-cpu"], "cpu": ["openvino", "onnx-cpu"]}.get(device, [device])
    return [(name == tried[-1], by_device[name]) for name in tried]
