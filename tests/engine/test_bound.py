"""A session for each batch size and arrays that stay where they are: the GPU's engine, run on the CPU."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from service.engine.base import Task
from service.engine.bound import BoundBatch
from service.engine.cuda import TUNING_AT_MOST_S, ConvSearch, Timed, Tuning, cuda_options, faster
from service.engine.onnx import load_library, open_session
from service.engine.precision import Precision
from tests.engine.graphs import SHAPE, write_failing, write_sum
from tests.engine.on_cpu import CudaEngineOnCpu
from tests.engine.test_engines import counted, failure

Opened = Callable[..., CudaEngineOnCpu]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return lambda **options: CudaEngineOnCpu(*write_sum(tmp_path), **options)


@pytest.mark.parametrize("number", [0, 1, 3, 4, 5, 64, 85])
@pytest.mark.parametrize("tuning", [Tuning(), Tuning(streams=3), Tuning(graphs=True)], ids=["one stream", "three streams", "CUDA graphs"])
def test_any_number_of_patches_is_answered_in_order(number: int, tuning: Tuning, opened: Opened) -> None:
    engine, k = opened(tuning=tuning), np.arange(number, dtype=np.float32)
    patches = counted(number)
    logits, gradients = engine.logits_and_gradients(patches.astype(np.float32))

    assert np.array_equal(engine.logits(patches), 24 * k)
    assert np.array_equal(logits, 12 * k**2)
    assert np.array_equal(gradients, patches)


@pytest.mark.parametrize("keeps_outputs", [False, True], ids=["outputs on the host", "outputs on the device"])
def test_an_answer_is_not_overwritten_by_the_next(keeps_outputs: bool, tmp_path: Path) -> None:
    """Whoever asked still reads it when the next batch runs on the same arrays."""
    ort = load_library()
    session = open_session(ort, write_sum(tmp_path)[1], ["CPUExecutionProvider"], threads=1, batch=2)
    bound = BoundBatch(ort, session, ("cpu", 0), lambda array: False, keeps_outputs=keeps_outputs)
    first = bound.run(np.ones((2, *SHAPE), np.float32))
    second = bound.run(np.zeros((2, *SHAPE), np.float32))

    assert [figure.max() for figure in first] == [12, 1]
    assert [figure.max() for figure in second] == [0, 0]


def test_every_array_of_the_host_is_page_locked(tmp_path: Path) -> None:
    ort, locked = load_library(), []
    session = open_session(ort, write_sum(tmp_path)[1], ["CPUExecutionProvider"], threads=1, batch=2)
    BoundBatch(ort, session, ("cpu", 0), lambda array: bool(locked.append(array.shape)))

    assert locked == [(2, *SHAPE), (2,), (2, *SHAPE)]


@pytest.mark.parametrize("streams", [1, 3])
def test_several_threads_each_get_their_own_answers(streams: int, opened: Opened) -> None:
    engine = opened(tuning=Tuning(streams=streams))

    def ask(value: int) -> list[float]:
        return engine.logits_and_gradients(np.full((5, *SHAPE), value, np.float32))[0].tolist()

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(64))) == [[12.0 * value**2] * 5 for value in range(64)]


def test_each_batch_size_has_a_session_of_its_own_and_none_is_opened_twice(opened: Opened) -> None:
    engine = opened(tuning=Tuning(search="HEURISTIC", streams=2))
    engine.warm_up(SHAPE)
    after_warm_up = engine.opened
    for number in (1, 4, 16, 64, 85):
        engine.logits(counted(number))

    assert engine.buckets(Task.CLASSIFY) == (64, 16, 4, 1)
    assert (after_warm_up, engine.opened) == (8, 8)  # four sizes of two graphs


def test_no_session_goes_back_to_the_cpu_by_itself(tmp_path: Path) -> None:
    graph, _ = write_sum(tmp_path)

    assert not open_session(load_library(), graph, ["CPUExecutionProvider"], threads=1)._enable_fallback
    with pytest.raises(ValueError, match="providers"):  # one that does not start
        open_session(load_library(), graph, [("CPUExecutionProvider", "no options")], threads=1)


def test_cuda_graphs_run_one_batch_at_a_time(opened: Opened) -> None:
    assert opened(tuning=Tuning(graphs=True, streams=3)).streams == 1


def test_patches_of_another_shape_are_refused_before_anything_is_tuned(opened: Opened) -> None:
    engine = opened()

    assert str(failure(lambda: engine.warm_up((2, 2, 3, 4)))) == "The model takes patches of 1x2x3x4 (C, T, h, w); they were 2x2x3x4."
    assert engine.opened == 1


def test_warm_up_says_which_way_to_choose_convolutions_was_faster(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service")
    engine = opened()
    engine.warm_up(SHAPE)

    told = [message for message in caplog.messages if message.startswith("Convolutions of ")]
    assert [message.partition(":")[0] for message in told] == [
        "Convolutions of model in batches of 64",
        "Convolutions of saliency in batches of 64",
    ]
    assert all(f"; {engine.search(task)} is kept." in message for task, message in zip(Task, told, strict=True))


def test_what_is_settled_is_not_timed(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service")
    engine = opened(tuning=Tuning(search="EXHAUSTIVE"))
    engine.warm_up(SHAPE)

    assert not caplog.messages
    assert [engine.search(task) for task in Task] == ["EXHAUSTIVE", "EXHAUSTIVE"]


def test_a_graph_that_fails_while_it_is_timed_is_said_without_the_librarys_words(tmp_path: Path) -> None:
    engine = CudaEngineOnCpu(write_failing(tmp_path), tmp_path / "none.onnx")
    error = failure(lambda: engine.warm_up(SHAPE))

    assert str(error) == "ONNX Runtime failed while it chose how to run the model."
    assert error.log_detail


def test_what_fails_only_when_it_is_tried_one_by_one_runs_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Small(CudaEngineOnCpu):
        def _providers(self, path: Path, search: ConvSearch) -> list[object]:
            if search == "EXHAUSTIVE":
                raise RuntimeError("out of memory")
            return super()._providers(path, search)

    engine = Small(*write_sum(tmp_path))
    engine.warm_up(SHAPE)

    assert [engine.search(task) for task in Task] == ["HEURISTIC", "HEURISTIC"]
    assert caplog.messages == [
        f"Convolutions of {graph} could not be tried one by one; HEURISTIC is kept. RuntimeError('out of memory')"
        for graph in ("model", "saliency")
    ]
    assert engine.logits(counted(2)).tolist() == [0, 24]


@pytest.mark.parametrize(
    ("exhaustive", "kept"),
    [
        (Timed(first_s=1.0, batch_s=0.009), "EXHAUSTIVE"),
        (Timed(first_s=1.0, batch_s=0.010), "HEURISTIC"),
        (Timed(first_s=TUNING_AT_MOST_S + 0.1, batch_s=0.001), "HEURISTIC"),
    ],
    ids=["faster", "no faster", "faster, but too long to tune for a service that must be ready"],
)
def test_exhaustive_is_kept_where_it_pays(exhaustive: Timed, kept: str) -> None:
    assert faster(Timed(first_s=0.1, batch_s=0.010), exhaustive) == kept


def test_tf32_is_off_unless_it_is_asked_for() -> None:
    """The provider's own default is on."""
    assert cuda_options(0, Precision.FLOAT32, "HEURISTIC")["use_tf32"] == 0
    assert cuda_options(0, Precision.TF32, "HEURISTIC")["use_tf32"] == 1


def test_the_providers_options() -> None:
    assert cuda_options(3, Precision.FLOAT32, "EXHAUSTIVE", graphs=True) == {
        "device_id": 3,
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "use_tf32": 0,
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": 1,
    }


@pytest.mark.parametrize(
    ("precision", "device"),
    [(Precision.FLOAT32, "cuda:1 (ONNX Runtime)"), (Precision.TF32, "cuda:1 (ONNX Runtime, TF32)")],
)
def test_the_device_says_how_exactly_it_calculates(precision: Precision, device: str, opened: Opened) -> None:
    assert opened(gpu=1, precision=precision).device == device
