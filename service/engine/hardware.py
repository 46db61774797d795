"""What an engine runs on: the processor or the GPU, and its memory."""

import re
from dataclasses import dataclass

from service.engine.nvidia import gpu_memory, gpu_name
from service.machine import Memory, available_cores, memory, processor_name


@dataclass(frozen=True, slots=True)
class Hardware:
    name: str
    """As its maker calls it; "unknown" where it does not say."""
    cores: int | None
    """Of the processor that this process may keep busy; None of a GPU."""
    memory: Memory | None


def hardware(device: str) -> Hardware:
    """Of what an engine calls its `device`. Blocks for as long as the driver does."""
    gpu = re.match(r"(?:cuda|tensorrt):(\d+)", device)
    if gpu is None:
        return Hardware(processor_name(), available_cores(), memory())
    return Hardware(gpu_name(int(gpu[1])), None, gpu_memory(int(gpu[1])))
