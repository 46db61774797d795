"""NVIDIA's libraries through ctypes: stand-ins that note what they were told, and none at all."""

import ctypes
import gc
import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from service.engine import nvidia
from service.engine.nvidia import PageLock, gpu_name, has_tf32, tensorrt_version


@dataclass
class CudaRuntime:
    status: int = 0
    told: list[tuple[str, int]] = field(default_factory=list)

    def cudaSetDevice(self, gpu: int) -> None:  # noqa: N802
        self.told.append(("device", gpu))

    def cudaHostRegister(self, address: ctypes.c_void_p, size: ctypes.c_size_t, flags: int) -> int:  # noqa: N802
        self.told.append(("lock", size.value))
        return self.status

    def cudaHostUnregister(self, address: ctypes.c_void_p) -> None:  # noqa: N802
        self.told.append(("unlock", 0))


class Driver:
    """One GPU, an H100."""

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return 0

    def cuDeviceGet(self, device: Any, gpu: int) -> int:  # noqa: N802
        return 0 if gpu == 0 else 101

    def cuDeviceGetName(self, name: Any, length: int, device: Any) -> int:  # noqa: N802
        name.value = b"NVIDIA H100 80GB HBM3"
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = {75: self.major}[attribute]
        return 0

    major = 9


def give(monkeypatch: pytest.MonkeyPatch, **libraries: object) -> None:
    monkeypatch.setattr(nvidia, "library", lambda name: libraries.get(name.partition(".")[0]))


def test_an_array_is_locked_as_long_as_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = CudaRuntime()
    give(monkeypatch, libcudart=runtime)
    array = np.zeros((2, 3), np.float32)

    assert PageLock(13, gpu=1).lock(array)
    assert runtime.told == [("device", 1), ("lock", 24)]

    del array
    gc.collect()

    assert runtime.told[-1] == ("unlock", 0)


def test_what_cannot_be_locked_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service")
    runtime = CudaRuntime(status=2)
    give(monkeypatch, libcudart=runtime)
    array = np.zeros(4, np.uint8)

    assert not PageLock(13, gpu=0).lock(array)
    assert caplog.messages == ["Memory could not be page-locked (CUDA error 2); copies to the GPU take longer."]

    del array
    gc.collect()

    assert runtime.told[-1] == ("lock", 4)


def test_without_cuda_nothing_is_locked() -> None:
    assert not PageLock(99, gpu=0).lock(np.zeros(4, np.uint8))


def test_the_driver_names_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, libcuda=Driver())

    assert (gpu_name(0), gpu_name(1)) == ("NVIDIA H100 80GB HBM3", "unknown")


def test_tf32_came_with_compute_capability_8(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, libcuda=Driver())
    monkeypatch.setattr(Driver, "major", 8)

    assert has_tf32(0)
    assert not has_tf32(1)

    monkeypatch.setattr(Driver, "major", 7)

    assert not has_tf32(0)


def test_without_a_driver_or_tensorrt_names_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch)

    assert (gpu_name(0), has_tf32(0), tensorrt_version()) == ("unknown", False, "unknown")


def test_tensorrts_version_has_two_digits_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    class Inference:
        def getInferLibVersion(self) -> int:  # noqa: N802
            return 101303

    give(monkeypatch, libnvinfer=Inference())

    assert tensorrt_version() == "10.13.3"
