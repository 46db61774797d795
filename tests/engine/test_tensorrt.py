"""TensorRT's options and its cache, as far as they can be told without TensorRT."""

import hashlib
from pathlib import Path

import pytest

from service.engine.precision import Precision
from service.engine.tensorrt import TensorRtEngine, cache_key, tensorrt_options, user_cache
from tests.engine.graphs import write_sum
from tests.engine.test_engines import failure

H100 = "NVIDIA H100 80GB HBM3"


def graph(tmp_path: Path, content: bytes = b"graph") -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    return path


def test_what_was_compiled_is_kept_by_gpu_versions_graph_and_precision(tmp_path: Path) -> None:
    key = cache_key(graph(tmp_path), H100, "1.31.1", "10.13.3", Precision.FLOAT16)

    assert key == Path("NVIDIA_H100_80GB_HBM3_ort1.31.1_trt10.13.3", f"{hashlib.sha256(b'graph').hexdigest()}-float16")


def test_another_gpu_version_graph_or_precision_is_another_folder(tmp_path: Path) -> None:
    first = cache_key(graph(tmp_path), H100, "1.31.1", "10.13.3", Precision.FLOAT32)
    others = [
        cache_key(graph(tmp_path), "NVIDIA L4", "1.31.1", "10.13.3", Precision.FLOAT32),
        cache_key(graph(tmp_path), H100, "1.32.0", "10.13.3", Precision.FLOAT32),
        cache_key(graph(tmp_path), H100, "1.31.1", "10.14.0", Precision.FLOAT32),
        cache_key(graph(tmp_path), H100, "1.31.1", "10.13.3", Precision.FLOAT16),
        cache_key(graph(tmp_path, b"another"), H100, "1.31.1", "10.13.3", Precision.FLOAT32),
    ]

    assert len({first, *others}) == 6


def test_a_name_cannot_lead_out_of_the_cache(tmp_path: Path) -> None:
    assert ".." not in cache_key(graph(tmp_path), "../../etc", "1", "1", Precision.FLOAT32).parts


@pytest.mark.parametrize(("precision", "half"), [(Precision.FLOAT32, False), (Precision.TF32, False), (Precision.FLOAT16, True)])
def test_the_providers_options(precision: Precision, half: bool) -> None:
    assert tensorrt_options(2, precision, Path("/cache/key")) == {
        "device_id": 2,
        "trt_fp16_enable": half,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": "/cache/key",
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": "/cache/key",
        "trt_max_workspace_size": 2147483648,
    }


def test_the_cache_lies_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")

    assert user_cache() == Path("/caches/seashore/tensorrt")


def test_without_tensorrt_it_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    error = failure(lambda: TensorRtEngine(*write_sum(tmp_path), cache=tmp_path / "cache"))

    assert str(error) in (
        "This ONNX Runtime is built without TensorRT.",
        "TensorRT could not be started: are a GPU with its driver, CUDA, cuDNN and TensorRT 10 there?",
    )
    assert not (tmp_path / "cache").exists()
