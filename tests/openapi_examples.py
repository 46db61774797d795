"""The examples in openapi/examples/: what the real service answers with the shipped model. `make openapi` writes them.

A test asks again and holds the answer against what is written, so an example that is no longer true fails.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.fakes import media
from tests.fakes.phantoms import frozen, small_phantom
from tests.fakes.service import is_ready, serving_everything, shipped_bundle, shipped_reader

FOLDER = Path(__file__).resolve().parents[1] / "openapi" / "examples"
PREDICT = "/v1/predict"

CLIPS: dict[str, Callable[[], bytes]] = {
    "lung.mp4": lambda: (shipped_bundle() / "golden.mp4").read_bytes(),
    "still.mp4": lambda: media.mp4(frozen(small_phantom("present", 2.2))),
    "nothing.mp4": lambda: b"",
    "letter.mp4": lambda: b"Dear colleague, please find the clip attached.",
    "voice.mp4": media.sound_only,
    "lecture.mp4": media.ten_minutes,
}
"""The clips the examples speak of; lung.mp4 is the shipped model's golden.mp4."""

REQUESTS: dict[str, dict[str, Any]] = {
    "predict": {"method": "POST", "path": PREDICT, "clip": "lung.mp4"},
    "predict_without_saliency": {"method": "POST", "path": f"{PREDICT}?saliency=none&rows=all&mm_per_px=0.25", "clip": "lung.mp4"},
    "predict_not_assessable": {"method": "POST", "path": PREDICT, "clip": "still.mp4"},
    "predict_signs": {"method": "POST", "path": f"{PREDICT}?saliency=none&signs=all", "clip": "lung.mp4"},
    "models": {"method": "GET", "path": "/v1/models"},
    "readyz": {"method": "GET", "path": "/readyz"},
    "bad_option": {"method": "POST", "path": f"{PREDICT}?saliency=pretty", "clip": "lung.mp4"},
    "clip_too_long": {"method": "POST", "path": PREDICT, "clip": "lecture.mp4"},
    "empty_upload": {"method": "POST", "path": PREDICT, "clip": "nothing.mp4"},
    "unknown_job": {"method": "GET", "path": f"/v1/jobs/{'0' * 32}"},
    "no_video": {"method": "POST", "path": PREDICT, "clip": "voice.mp4"},
    "not_acceptable": {"method": "POST", "path": PREDICT, "headers": {"Accept": "application/dicom"}, "clip": "lung.mp4"},
    "unknown_model": {"method": "POST", "path": f"{PREDICT}?model=other", "clip": "lung.mp4"},
    "unsupported_format": {"method": "POST", "path": PREDICT, "clip": "letter.mp4"},
}
"""By the name of the file that keeps the answer."""

VARYING = {"id", "timings_ms"}
"""Of another value each time."""
TOLERANCE = 0.02
"""Of every number, as between two machines: what the golden clip's check allows too."""


def replay(client: httpx.Client, request: dict[str, Any]) -> httpx.Response:
    files = {"clip": (request["clip"], CLIPS[request["clip"]]())} if "clip" in request else None
    return client.request(request["method"], request["path"], headers=request.get("headers"), files=files)


def shortened(value: Any) -> Any:
    """For people to read: "..." at the end of a list or a text says nothing of the rest."""
    if isinstance(value, dict):
        return {name: shortened(item) for name, item in value.items()}
    if isinstance(value, str) and len(value) > 500:
        return f"{value[:24]}..."
    if not isinstance(value, list):
        return value
    is_box = len(value) <= 4 and all(isinstance(item, int | float) for item in value)
    return [shortened(item) for item in value] if is_box or len(value) <= 2 else [*map(shortened, value[:2]), "..."]


def agrees(expected: Any, actual: Any) -> bool:
    """Equal, but for what is shortened, what varies, and a little in every number."""
    if isinstance(expected, str) and expected.endswith("...") and isinstance(actual, str):
        return actual.startswith(expected[:-3])
    if isinstance(expected, float) and isinstance(actual, float):
        return math.isclose(expected, actual, abs_tol=TOLERANCE)
    if isinstance(expected, list) and isinstance(actual, list):
        is_cut = expected[-1:] == ["..."]
        known = expected[:-1] if is_cut else expected
        return len(actual) >= len(known) + is_cut and all(map(agrees, known, actual)) and (is_cut or len(known) == len(actual))
    if isinstance(expected, dict) and isinstance(actual, dict):
        same = expected.keys() == actual.keys()
        return same and all(name in VARYING or agrees(value, actual[name]) for name, value in expected.items())
    return bool(expected == actual)


def ask(client: httpx.Client, request: dict[str, Any]) -> dict[str, Any]:
    """The whole example: the request, and what is answered."""
    response = replay(client, request)
    answer = {"status": response.status_code, "content_type": response.headers["content-type"], "body": shortened(response.json())}
    return {"request": request, "response": answer}


def main() -> None:
    with TemporaryDirectory() as folder, serving_everything(shipped_reader(), Path(folder)) as client:
        assert is_ready(client)
        for name, request in REQUESTS.items():
            path, example = FOLDER / f"{name}.json", ask(client, request)
            if not path.exists() or not agrees(json.loads(path.read_text(encoding="utf-8")), example):  # else only the times would change
                path.write_text(json.dumps(example, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
