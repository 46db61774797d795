"""A ledger with a story: clips that came and what became of them, made by the real ledger and workers that say what they are told."""

import shutil
import time
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from service.jobs.folder import CLIP, JobFolder
from service.jobs.ledger import Ledger, State, ledger_url
from service.jobs.workers import Workers
from service.pacs.incoming.intake import READ_INSTANCE, RECEIVED
from service.pacs.outgoing.delivery import DELIVER

READ, SKIPPED, LOST, WAITS = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)
"""Jobs: one read and sent, one left out, one not read because of us (what is kept of it will be no clip), one that nobody begins."""
REFUSAL = "ARCHIVE at 10.0.0.1:104 refused the connection: nothing listens there. Check address and port in the site file."
_INSTANCES: dict[str, dict[str, Any]] = {
    READ: {"outcome": "read", "verdict": "absent"},
    SKIPPED: {"outcome": "skipped", "detail": "It is a single image, not a clip."},
    LOST: {"outcome": "failed", "code": "engine_failed", "detail": "The device is gone."},
}
_LETTERS = {
    f"{READ}-archive-1": {"stage": "dead", "detail": REFUSAL, "attempts": 8},
    f"{READ}-archive-2": {"stage": "dead", "detail": REFUSAL, "attempts": 3},
    f"{READ}-research-1": {"stage": "delivered", "detail": "", "attempts": 1},
}


def copy_story(data_dir: Path) -> Ledger:
    """`data_dir` becomes the folder of a deployment with this story: three clips ended and one waits; archive's letter was given up,
    sent again and given up again; research has its results; a letter to "slow" waits."""
    shutil.copytree(_story(), data_dir, dirs_exist_ok=True)
    return Ledger(ledger_url(None, data_dir))


@cache
def _story() -> Path:
    folder = Path(mkdtemp(prefix="seashore-story-"))
    ledger = Ledger(ledger_url(None, folder))
    workers = Workers(ledger.url, "node-1")
    workers.offer(READ_INSTANCE, lambda job, asked: _INSTANCES[job])
    workers.offer(DELIVER, lambda id, job, destination: _LETTERS[id])
    workers.listen("played", at_once=1)
    workers.start()
    for job in _INSTANCES:
        ledger.enqueue("played", READ_INSTANCE, job, {"job": job, "asked": {}})
    for id in _LETTERS:
        _deliver(ledger, "played", id)
    _await_end(ledger, [*_INSTANCES, *_LETTERS])
    workers.stop()
    ledger.enqueue("nobody", READ_INSTANCE, WAITS, {"job": WAITS, "asked": {}})
    kept = JobFolder(folder / "jobs" / LOST)
    kept.make()
    kept.write_json(RECEIVED, {"sop_class_uid": "1.2", "sop_instance_uid": "1.3", "calling_ae_title": "VENUE"})
    kept.write(CLIP, b"")
    _deliver(ledger, "to-slow", f"{READ}-slow-1")
    ledger.close()
    return folder


def _deliver(ledger: Ledger, queue: str, id: str) -> None:
    job, destination, _ = id.split("-")
    ledger.enqueue(queue, DELIVER, id, {"id": id, "job": job, "destination": destination})


def _await_end(ledger: Ledger, ids: list[str]) -> None:
    end_s = time.monotonic() + 30
    while len(ledger.list(ids, states=[State.DONE])) < len(ids):
        assert time.monotonic() < end_s
        time.sleep(0.05)
