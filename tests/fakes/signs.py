"""A bundle of signs whose answers are computed in the head: the brighter the frames, the surer the signs."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.cine.frame_spec import FrameSpec
from service.engine.base import Grey, Share, Task
from service.engine.batcher import Batcher
from service.engine.onnx import OnnxEngine
from service.engine.turn import Answer, Lane
from service.errors import EngineFailed
from service.sign_bundle import Domain, Outputs, SignBundle, Told, write_sign_bundle
from service.sign_loading import golden_signs
from service.sign_reading import LoadedSign
from tests.fakes.service import shipped_bundle

SIDE_PX = 16
MAP_PX = 2
EVEN_GREY = 40.0
"""Mean grey level of a run, box and all, at which its logit is 0."""
SECOND = FrameSpec(fps=15.0, num_frames=15, stride_frames=12, side_px=SIDE_PX, dtype="uint8")
FLOW = FrameSpec(fps=15.0, num_frames=5, stride_frames=3, side_px=SIDE_PX, dtype="uint8", flow_step=1)
"""Nothing moves by EVEN_GREY px: what is told of flow is always "absent"."""
FRAME = FrameSpec(fps=5.0, num_frames=1, stride_frames=1, side_px=SIDE_PX, dtype="uint8")


def told(sign: str, *outputs: int, **changed: Any) -> Told:
    """By the first output unless others are named."""
    limits = {"scale": 1.0, "offset": 0.0, "present_above": 0.8, "absent_below": 0.2}
    return Told(**({"sign": sign, "outputs": outputs or (0,), "measured": "Computed in the head."} | limits | changed))


def write_bright(
    store: Path,
    signs: tuple[str, ...] = ("b_lines",),
    *,
    name: str = "bright",
    version: str = "1.0.0",
    frames: FrameSpec = SECOND,
    **changed: Any,
) -> SignBundle:
    """logit of every sign = (mean grey, or flow - EVEN_GREY) / 10. Of several frames attention goes to the brightest; of one, the map is
    the frame itself, 2 x 2; of flow there is neither. It takes convex and linear clips of 5 frames a second."""
    is_single = frames.num_frames == 1
    attention = 0 if is_single or frames.is_flow else frames.num_frames
    outputs = Outputs(len(signs), attention, MAP_PX if is_single else 0)
    path = store.parent / f"{name}.onnx"
    store.parent.mkdir(exist_ok=True)
    _write_graph(path, frames, outputs)
    arguments: dict[str, Any] = {
        "model_onnx": path,
        "golden_clip": shipped_bundle() / "golden.mp4",
        "golden_answer": lambda bundle: golden_signs(LoadedSign(bundle, opened(bundle))),
        "model_card": "# Bright\n",
        "frames": frames,
        "outputs": outputs,
        "tells": tuple(told(sign, output) for output, sign in enumerate(signs)),
        "domain": Domain(("convex", "linear"), 5.0),
        "training": {},
    }
    return write_sign_bundle(store, name=name, version=version, **(arguments | changed))


def opened(bundle: SignBundle) -> Batcher:
    return Batcher(OnnxEngine(bundle.model_onnx, None, share=Share(1, 1)))


class FailingDevice:
    """A device whose graph cannot be run: told at once, or when the answer is asked for."""

    device = "cpu (fake)"

    def __init__(self, *, at_once: bool) -> None:
        self._at_once = at_once

    def turn(self, lane: Lane = Lane.INTERACTIVE) -> "FailingDevice":
        return self

    def __enter__(self) -> "FailingDevice":
        return self

    def __exit__(self, *what: object) -> None:
        pass

    def ask(self, task: Task, patches: Grey) -> "Future[Answer]":
        lost = EngineFailed("It was lost.", log_detail="CUDA error 700")
        if self._at_once:
            raise lost
        asked: Future[Answer] = Future()
        asked.set_exception(lost)
        return asked


def _write_graph(path: Path, frames: FrameSpec, outputs: Outputs) -> None:
    num_signs = outputs.logits
    tenths = np.full((1, num_signs), 0.1, np.float32)
    nodes = [
        helper.make_node("Cast", ["runs"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "picture"], ["greys"], keepdims=0),  # (N, T), of flow (N, steps)
        helper.make_node("ReduceMean", ["greys", "time"], ["grey"], keepdims=1),  # (N, 1)
        helper.make_node("Sub", ["grey", "even"], ["brighter"]),
        helper.make_node("Mul", ["brighter", "tenths"], ["logits"]),
    ]
    if outputs.map_px:
        side = SIDE_PX // MAP_PX
        nodes += [
            helper.make_node("Squeeze", ["pixels", "channel"], ["frame"]),  # (N, 1, h, w)
            helper.make_node("AveragePool", ["frame"], ["coarse"], kernel_shape=[side, side], strides=[side, side]),
            helper.make_node("Flatten", ["coarse"], ["flat"]),
            helper.make_node("Concat", ["logits", *["flat"] * num_signs], ["figures"], axis=1),
        ]
    elif outputs.attention:
        nodes += [
            helper.make_node("Softmax", ["greys"], ["attention"], axis=1),
            helper.make_node("Concat", ["logits", "attention"], ["figures"], axis=1),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["logits"], ["figures"]))
    constants = {"picture": [1, 3, 4], "time": [1], "channel": [1], "even": np.float32(EVEN_GREY), "tenths": tenths}
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "bright",
        [helper.make_tensor_value_info("runs", TensorProto.FLOAT if frames.is_flow else TensorProto.UINT8, ["N", *frames.run_shape])],
        [helper.make_tensor_value_info("figures", TensorProto.FLOAT, ["N", outputs.size])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in used],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
