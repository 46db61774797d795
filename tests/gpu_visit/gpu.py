"""What the GPU says of itself while it works, by nvidia-smi."""

import shutil
import statistics
import subprocess
import threading
from types import TracebackType
from typing import Self

EVERY_MS = 100


class Watch:
    """Samples one GPU as long as it is entered."""

    def __init__(self, gpu: int = 0) -> None:
        self._gpu = gpu
        self.busy_percent: list[float] = []
        self.memory_mib: list[float] = []
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> str:
        """Mean share of the time in which some kernel ran, the first half second left out."""
        steady = self.busy_percent[500 // EVERY_MS :]
        return f"{statistics.fmean(steady):.0f} %" if steady else "-"

    @property
    def peak_memory(self) -> str:
        return f"{max(self.memory_mib):.0f} MiB" if self.memory_mib else "-"

    def __enter__(self) -> Self:
        if shutil.which("nvidia-smi"):
            query = [
                "--query-gpu=utilization.gpu,memory.used",
                "--format=csv,noheader,nounits",
                f"--id={self._gpu}",
                f"--loop-ms={EVERY_MS}",
            ]
            self._process = subprocess.Popen(["nvidia-smi", *query], stdout=subprocess.PIPE, text=True)
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None and self._thread is not None:
            self._process.terminate()
            self._thread.join(5)
            self._process.wait(5)

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.note(line)

    def note(self, line: str) -> None:
        """One sample: "87, 1234"."""
        busy, _, memory = line.partition(",")
        try:
            sample = float(busy), float(memory)
        except ValueError:  # "[N/A]"
            return
        self.busy_percent.append(sample[0])
        self.memory_mib.append(sample[1])


def described() -> str:
    """Name, driver and memory; "no GPU" without one."""
    if not shutil.which("nvidia-smi"):
        return "no GPU"
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    return " / ".join(done.stdout.split("\n")).strip(" /") or "no GPU"
