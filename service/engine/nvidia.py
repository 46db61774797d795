"""What ONNX Runtime does not offer of NVIDIA's libraries: page-locked arrays, the GPU's name, TensorRT's version.

Through ctypes, from libraries that are there wherever the engine runs. Nothing here is needed for an answer: where a library or a
call fails, arrays stay as they are and names are "unknown".
"""

import ctypes
import logging
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from service.machine import Memory

TENSORRT_MAJOR = 10
"""ONNX Runtime 1.31 is linked against `libnvinfer.so.10`."""
UNKNOWN = "unknown"
_CAPABILITY_MAJOR = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
_PORTABLE = 1  # cudaHostRegisterPortable: page-locked for every GPU, not only the current one
_log = logging.getLogger(__name__)


def library(name: str) -> Any | None:
    """A shared library by its soname: one that is loaded, or one that the linker finds. None without it."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None


class PageLock:
    """Locks arrays into memory, so that the GPU fetches them by itself: no copy by the CPU in between, and twice the rate or more.

    ONNX Runtime's own page-locked memory cannot be had from Python: `OrtValue` takes it only from providers that are plug-ins,
    and the CUDA provider of onnxruntime-gpu 1.31.1 is none (`get_ep_devices` lists the CPU alone).
    """

    def __init__(self, cuda_major: int, gpu: int) -> None:
        self._runtime = library(f"libcudart.so.{cuda_major}")
        self._gpu = gpu

    def lock(self, array: NDArray[Any]) -> bool:
        """Until the array is given back. False where it stays as it was."""
        if self._runtime is None or array.nbytes == 0:
            return False
        self._runtime.cudaSetDevice(self._gpu)  # or the call below opens a context on GPU 0 as well, half a gigabyte
        address = ctypes.c_void_p(array.ctypes.data)
        status = self._runtime.cudaHostRegister(address, ctypes.c_size_t(array.nbytes), _PORTABLE)
        if status == 0:
            weakref.finalize(array, self._runtime.cudaHostUnregister, address).atexit = False
        else:
            _log.info("Memory could not be page-locked (CUDA error %d); copies to the GPU take longer.", status)
        return bool(status == 0)


def gpu_name(gpu: int) -> str:
    """From the driver, such as "NVIDIA H100 80GB HBM3"; "unknown" without one."""
    driver, device = _device(gpu)
    name = ctypes.create_string_buffer(128)
    if driver is None or driver.cuDeviceGetName(name, len(name), device):
        return UNKNOWN
    return name.value.decode(errors="replace")


def has_tf32(gpu: int) -> bool:
    """Whether it multiplies in TF32, as NVIDIA's do since compute capability 8.0. False where the driver does not say."""
    driver, device = _device(gpu)
    major = ctypes.c_int()
    return driver is not None and not driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device) and major.value >= 8


def _device(gpu: int) -> tuple[Any | None, ctypes.c_int]:
    """The driver and its handle of that GPU; no driver where either is not there."""
    driver, device = library("libcuda.so.1"), ctypes.c_int()
    if driver is None or driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), gpu):
        return None, device
    return driver, device


def tensorrt_version() -> str:
    """As the library tells it, such as "10.13.3"; "unknown" without one."""
    inference = library(f"libnvinfer.so.{TENSORRT_MAJOR}")
    if inference is None:
        return UNKNOWN
    number = int(inference.getInferLibVersion())  # 10 13 03: two digits each
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def preload_tensorrt() -> None:
    """TensorRT's Python package keeps its libraries where the linker does not look. ONNX Runtime finds by name what is loaded."""
    spec = find_spec("tensorrt_libs")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
            library(str(Path(folder) / f"lib{name}.so.{TENSORRT_MAJOR}"))


class _NvmlMemory(ctypes.Structure):
    """`nvmlMemory_t`."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def gpu_memory(gpu: int) -> Memory | None:
    """As the driver's management library counts it, over all processes; None without one. Opens no context on the GPU.

    The GPU is told by its address on the bus: the library counts all GPUs of the machine, CUDA only those it may see.
    """
    driver, device = _device(gpu)
    management, handle, found = library("libnvidia-ml.so.1"), ctypes.c_void_p(), _NvmlMemory()
    address = ctypes.create_string_buffer(32)
    if driver is None or management is None or driver.cuDeviceGetPCIBusId(address, len(address), device) or management.nvmlInit_v2():
        return None
    if management.nvmlDeviceGetHandleByPciBusId_v2(address, ctypes.byref(handle)):
        return None
    if management.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(found)):
        return None
    return Memory(found.total, found.free)
