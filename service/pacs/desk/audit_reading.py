"""The audit trail read back, over all nodes and months, in the order in which things happened."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from service.errors import BadOption
from service.options import quoted

_AGO = re.compile(r"(\d{1,6})([hdw])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
SINCE_FORM = "Write 24h, 7d or 4w, or a date: 2026-11-21, or 2026-11-21T14:30."


def parse_since(text: str, now: datetime) -> datetime:
    """From "24h", "7d", "4w", or a date or time; without a zone, this machine's. Raises: BadOption."""
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return now - int(ago[1]) * _UNITS[ago[2]]
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadOption(f"{quoted(text)} is no time. {SINCE_FORM}") from None


def read_trail(folder: Path, since: datetime | None = None, job: str = "") -> list[dict[str, Any]]:
    """Every event from `since` on, of jobs whose id begins with `job`. A line that was cut off by a crash is left out."""
    months = [path for path in sorted(folder.glob("*.jsonl")) if since is None or path.name[:7] >= f"{since.astimezone(UTC):%Y-%m}"]
    events = [event for path in months for event in _events(path) if str(event["job"]).startswith(job)]
    after = "" if since is None else since.astimezone(UTC).isoformat(timespec="milliseconds")
    return sorted((event for event in events if event["at"] >= after), key=lambda event: str(event["at"]))


def _events(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and {"at", "event", "job"} <= event.keys():
                yield event
