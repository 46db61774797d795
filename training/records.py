"""What is remembered of work that may be killed at any moment: JSON, whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    partial = partial_of(path)
    partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def partial_of(path: Path) -> Path:
    """Beside it, of this process alone, and of its kind: numpy adds a suffix to what has another."""
    return path.with_name(f"{path.stem}.{os.getpid()}.partial{path.suffix}")
