"""The GPU's engine on the CPU: all that it does but the GPU itself, for tests and for the visit's dry run."""

from pathlib import Path
from typing import Any

from service.engine.bound import Lock
from service.engine.cuda import ConvSearch, CudaEngine
from service.engine.precision import Precision


class CudaEngineOnCpu(CudaEngine):
    """Sessions by batch size, bound arrays, streams, the choice of convolutions and the thread of CUDA graphs: all as with a GPU."""

    provider = "CPUExecutionProvider"
    opened: int = 0
    """Sessions so far."""

    def _prepare(self) -> None:
        self.opened = 0

    def _offered(self, precision: Precision) -> Precision:
        return precision

    def _session(self, path: Path, size: int, search: ConvSearch) -> Any:
        self.opened += 1
        return super()._session(path, size, search)

    def _providers(self, path: Path, search: ConvSearch) -> list[Any]:
        return ["CPUExecutionProvider"]

    def _memory(self) -> tuple[str, int]:
        return "cpu", 0

    def _page_lock(self) -> Lock:
        return lambda array: False
