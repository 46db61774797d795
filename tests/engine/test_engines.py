"""ONNX Runtime and OpenVINO behind one engine, on graphs whose answers are computed in the head."""

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.engine.base import GraphEngine
from service.engine.cuda import CudaEngine, Tuning
from service.engine.onnx import OnnxEngine
from service.engine.openvino import OpenVinoEngine
from service.engine.precision import Precision
from service.engine.select import open_engine
from service.errors import EngineFailed
from tests.conftest import has_cuda_device
from tests.engine.graphs import SHAPE, write_failing, write_log, write_sum, write_sum_of_flow
from tests.engine.on_cpu import CudaEngineOnCpu

ENGINES = [pytest.param(OnnxEngine, id="ONNX Runtime"), pytest.param(OpenVinoEngine, id="OpenVINO")]
every_engine = pytest.mark.parametrize("engine_of", ENGINES)
EngineOf = type[OnnxEngine] | type[OpenVinoEngine]


@pytest.fixture
def graphs(tmp_path: Path) -> tuple[Path, Path]:
    return write_sum(tmp_path)


def counted(number: int) -> NDArray[np.uint8]:
    """Patch k is k everywhere; its sum is 24 k."""
    return np.broadcast_to(np.arange(number, dtype=np.uint8)[:, None, None, None, None], (number, *SHAPE)).copy()


@every_engine
@pytest.mark.parametrize("number", [0, 1, 2, 3, 16, 17, 39])
def test_any_number_of_patches_is_answered_in_order(engine_of: EngineOf, number: int, graphs: tuple[Path, Path]) -> None:
    engine, k = engine_of(*graphs), np.arange(number, dtype=np.float32)
    patches = counted(number)
    logits, gradients = engine.logits_and_gradients(patches.astype(np.float32))

    assert np.array_equal(engine.logits(patches), 24 * k)
    assert np.array_equal(logits, 12 * k**2)
    assert np.array_equal(gradients, patches)
    assert (logits.dtype, gradients.dtype) == (np.float32, np.float32)


@every_engine
def test_an_answer_is_not_overwritten_by_the_next(engine_of: EngineOf, graphs: tuple[Path, Path]) -> None:
    engine = engine_of(*graphs)
    _, first = engine.logits_and_gradients(np.ones((1, *SHAPE), np.float32))
    engine.logits_and_gradients(np.zeros((1, *SHAPE), np.float32))

    assert (first == 1).all()


@every_engine
def test_patches_cut_out_of_a_larger_array_need_not_lie_together(engine_of: EngineOf, graphs: tuple[Path, Path]) -> None:
    wide = np.zeros((3, *SHAPE[:-1], 8), np.uint8)
    wide[..., ::2] = 2

    assert engine_of(*graphs).logits(wide[..., ::2]).tolist() == [48, 48, 48]


@every_engine
def test_several_threads_each_get_their_own_answers(engine_of: EngineOf, graphs: tuple[Path, Path]) -> None:
    engine = engine_of(*graphs)

    def ask(value: int) -> tuple[list[float], list[float]]:
        patches = np.full((5, *SHAPE), value, np.uint8)
        return engine.logits(patches).tolist(), engine.logits_and_gradients(patches.astype(np.float32))[0].tolist()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(64)))

    assert answers == [([24.0 * value] * 5, [12.0 * value**2] * 5) for value in range(64)]


@every_engine
def test_warm_up_opens_both_graphs(engine_of: EngineOf, graphs: tuple[Path, Path]) -> None:
    engine = engine_of(*graphs)
    engine.warm_up(SHAPE)
    graphs[1].unlink()

    assert engine.logits_and_gradients(np.ones((1, *SHAPE), np.float32))[0].tolist() == [12]


@every_engine
def test_the_saliency_graph_is_not_opened_before_it_is_needed(engine_of: EngineOf, graphs: tuple[Path, Path]) -> None:
    graphs[1].unlink()
    engine = engine_of(*graphs)

    assert engine.logits(counted(2)).tolist() == [0, 24]
    with pytest.raises(EngineFailed, match=f"^{engine.runtime} could not open the model.$"):
        engine.warm_up(SHAPE)


def failure(action: object) -> EngineFailed:
    assert callable(action)
    with pytest.raises(EngineFailed) as raised:
        action()
    return raised.value


TOGETHER = """
import os, sys, threading
from pathlib import Path
import numpy as np
from service.engine.base import Share
from service.engine.openvino import OpenVinoEngine
engine = OpenVinoEngine(Path(sys.argv[1]), Path(sys.argv[2]), share=Share(8, 8))
sys.setswitchinterval(1e-6)
together = threading.Barrier(8)
threads = [threading.Thread(target=lambda: (together.wait(), engine.logits(np.ones((1, 1, 2, 3, 4), np.uint8)))) for _ in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print("all answered")
"""


def test_streams_that_begin_together_do_not_wait_for_each_other_for_ever(graphs: tuple[Path, Path]) -> None:
    """Without the first look at numpy in `_core` one process in three stood still."""
    command = [sys.executable, "-c", TOGETHER, *map(str, graphs)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    try:
        assert [process.communicate(timeout=60)[0] for process in processes] == ["all answered\n"] * 6
    finally:
        for process in processes:
            process.kill()


AFTER_ENGINES = """
import faulthandler, gc, signal, sys
from pathlib import Path
from service.engine.select import open_engine
faulthandler.enable()
first, second = (open_engine(Path(sys.argv[1]), Path(sys.argv[2]), device="openvino") for _ in range(2))
first.warm_up((1, 2, 3, 4)), second.warm_up((1, 2, 3, 4))
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("stopped as told")
"""


def test_ctrl_c_still_works_when_engines_have_been_given_back(graphs: tuple[Path, Path]) -> None:
    run = subprocess.run([sys.executable, "-c", AFTER_ENGINES, *map(str, graphs)], capture_output=True, text=True, timeout=60)

    assert (run.returncode, run.stdout) == (0, "stopped as told\n"), run.stderr


@every_engine
def test_a_graph_that_is_no_graph_is_said_without_the_librarys_words(engine_of: EngineOf, graphs: tuple[Path, Path]) -> None:
    graphs[0].write_bytes(b"no graph")
    error = failure(lambda: engine_of(*graphs))

    assert str(error) in ("ONNX Runtime could not open the model.", "OpenVINO could not open the model.")
    assert error.log_detail


@every_engine
def test_a_graph_that_fails_while_it_runs_is_said_without_the_librarys_words(engine_of: EngineOf, tmp_path: Path) -> None:
    engine = engine_of(write_failing(tmp_path), tmp_path / "none.onnx")
    error = failure(lambda: engine.logits(counted(2)))

    assert str(error) == f"{engine.runtime} failed while it ran the model."
    assert error.log_detail


@every_engine
def test_logits_that_are_not_numbers_are_no_answer(engine_of: EngineOf, tmp_path: Path) -> None:
    engine = engine_of(write_log(tmp_path), tmp_path / "none.onnx")

    assert str(failure(lambda: engine.logits(counted(1)))) == f"The model gave logits that are not numbers on {engine.device}."


@every_engine
def test_patches_of_another_shape_are_refused(engine_of: EngineOf, graphs: tuple[Path, Path]) -> None:
    engine = engine_of(*graphs)
    expected = "The model takes patches of 1x2x3x4 (C, T, h, w); they were 2x2x3x4."

    assert str(failure(lambda: engine.logits(np.zeros((1, 2, 2, 3, 4), np.uint8)))) == expected
    assert str(failure(lambda: engine.warm_up((2, 2, 3, 4)))) == expected


@every_engine
def test_pixels_of_another_type_are_a_bug(engine_of: EngineOf, graphs: tuple[Path, Path]) -> None:
    engine = engine_of(*graphs)

    with pytest.raises(TypeError, match="^The graph takes uint8, not float32.$"):
        engine.logits(np.zeros((1, *SHAPE), np.float32))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="^The graph takes float32, not uint8.$"):
        engine.logits_and_gradients(np.zeros((1, *SHAPE), np.uint8))  # type: ignore[arg-type]


@every_engine
def test_a_graph_of_flow_takes_and_is_warmed_with_what_may_be_less_than_nothing(engine_of: EngineOf, tmp_path: Path) -> None:
    _takes_flow(engine_of(write_sum_of_flow(tmp_path), None))


def test_so_does_the_engine_of_a_gpu(tmp_path: Path) -> None:
    _takes_flow(CudaEngineOnCpu(write_sum_of_flow(tmp_path), None))


def _takes_flow(engine: GraphEngine) -> None:
    engine.warm_up(SHAPE)
    flow = -0.25 * counted(3).astype(np.float32)

    assert engine.logits(flow).tolist() == [0, -6, -12]
    with pytest.raises(TypeError, match="^The graph takes float32, not uint8.$"):
        engine.logits(counted(3))


def test_batches_of_large_patches_are_small(tmp_path: Path) -> None:
    """60x90x90 is 486 000 pixels; 2 000 000 hold four of them."""
    engine = OnnxEngine(*write_sum(tmp_path, (1, 60, 90, 90)))

    assert engine._sizes(engine._model) == (4, 2, 1)


@pytest.mark.parametrize(
    ("device", "came_to"),
    [("cpu", "cpu (OpenVINO)"), ("openvino", "cpu (OpenVINO)"), ("onnx-cpu", "cpu (ONNX Runtime)")],
)
def test_the_device_asked_for_is_the_device(device: str, came_to: str, graphs: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service")

    assert open_engine(*graphs, device=device).device == came_to
    assert f"The model runs on {came_to}." in caplog.messages


def test_auto_is_always_some_device(graphs: tuple[Path, Path]) -> None:
    assert open_engine(*graphs, device="auto").logits(counted(2)).tolist() == [0, 24]


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> partial[None]:
    """As if a library were not installed: Python refuses to import what is None here."""
    return partial(monkeypatch.setitem, sys.modules, value=None)  # type: ignore[arg-type, return-value]


def test_without_openvino_the_cpu_is_onnx_runtimes(
    without: partial[None], graphs: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    without(name="openvino")
    caplog.set_level(logging.INFO, "service")

    assert open_engine(*graphs, device="cpu").device == "cpu (ONNX Runtime)"
    assert any(message.startswith("OpenVINO is not installed here. Trying the next engine.") for message in caplog.messages)


def test_without_onnx_runtime_auto_is_openvino(without: partial[None], graphs: tuple[Path, Path]) -> None:
    without(name="onnxruntime")

    assert open_engine(*graphs, device="auto").device == "cpu (OpenVINO)"


def test_a_library_asked_for_by_name_must_be_there(without: partial[None], graphs: tuple[Path, Path]) -> None:
    without(name="openvino")
    without(name="onnxruntime")

    assert str(failure(lambda: open_engine(*graphs, device="openvino"))) == "OpenVINO is not installed here."
    assert str(failure(lambda: open_engine(*graphs, device="auto"))) == "ONNX Runtime is not installed here."


def test_an_unknown_device_lists_the_known_ones(graphs: tuple[Path, Path]) -> None:
    error = failure(lambda: open_engine(*graphs, device="tpu"))

    assert str(error) == "There is no device 'tpu'; there are auto, cuda, cuda:N, tensorrt, tensorrt:N, cpu, openvino, onnx-cpu."


@pytest.mark.skipif(has_cuda_device(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "tensorrt", "tensorrt:1"])
def test_a_gpu_is_never_quietly_the_cpu(device: str, graphs: tuple[Path, Path]) -> None:
    """Whether ONNX Runtime lacks CUDA, or only the machine does."""
    assert str(failure(lambda: open_engine(*graphs, device=device))) in (
        "This ONNX Runtime is built without CUDA.",
        "This ONNX Runtime is built without TensorRT.",
        "CUDA could not be started: is there a GPU with its driver, CUDA and cuDNN?",
        "TensorRT could not be started: are a GPU with its driver, CUDA, cuDNN and TensorRT 10 there?",
        "ONNX Runtime could not open the model.",
    )


@pytest.mark.gpu
def test_on_a_gpu_the_answers_are_the_same(graphs: tuple[Path, Path]) -> None:
    engine = open_engine(*graphs, device="auto")
    engine.warm_up(SHAPE)

    assert engine.device == "cuda:0 (ONNX Runtime)"
    assert engine.logits(counted(100)).tolist() == [24.0 * k for k in range(100)]


@pytest.mark.gpu
@pytest.mark.parametrize("tuning", [Tuning("HEURISTIC", streams=3), Tuning("HEURISTIC", graphs=True)], ids=["streams", "CUDA graphs"])
def test_on_a_gpu_several_threads_each_get_their_own_answers(tuning: Tuning, graphs: tuple[Path, Path]) -> None:
    engine = CudaEngine(*graphs, tuning=tuning)
    engine.warm_up(SHAPE)

    def ask(value: int) -> tuple[list[float], NDArray[np.float32]]:
        logits, gradients = engine.logits_and_gradients(np.full((5, *SHAPE), value, np.float32))
        return logits.tolist(), gradients

    with ThreadPoolExecutor(8) as threads:
        for value, (logits, gradients) in enumerate(threads.map(ask, range(64))):
            assert logits == [12.0 * value**2] * 5
            assert (gradients == value).all()


@pytest.mark.gpu
def test_on_a_gpu_arrays_are_page_locked(graphs: tuple[Path, Path]) -> None:
    assert CudaEngine(*graphs)._lock(np.zeros(1000, np.float32))


@pytest.mark.gpu
def test_on_a_gpu_reduced_precision_is_what_the_device_says_or_float32(graphs: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service")
    engine = open_engine(*graphs, device="cuda", precision=Precision.TF32)

    assert engine.device in ("cuda:0 (ONNX Runtime, TF32)", "cuda:0 (ONNX Runtime)")
    assert any("float32" in message for message in caplog.messages)
