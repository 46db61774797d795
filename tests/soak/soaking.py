"""One run: the service is started as on a machine, soaked, looked at, and told to stop."""

import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from service.settings import Settings
from tests.bench.plan import say
from tests.bench.servers import Running
from tests.soak.asking import ask
from tests.soak.bombs import every_bomb
from tests.soak.inputs import Corpus
from tests.soak.manners import Errand, as_body
from tests.soak.report import Ended
from tests.soak.seeds import Seed, every_seed, lungs
from tests.soak.sending import Client, Limits
from tests.soak.serving import at, bugs_logged, ended, left_files, node, set_up, settled_look, soaked, wait_until_quiet
from tests.soak.watch import Watch

DEADLINE_S = 20.0
JOB_KEEP_HOURS = 0.02


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a run."""

    inputs: int = 20_000
    minutes: float = 30.0
    seed: int = 1
    clients: int = 6
    keep: Path | None = None
    log: Path | None = None


def soak(order: Order) -> Ended:
    """Raises: ServerFailed."""
    say("making clips")
    seeds, sound = every_seed(), lungs()[0]
    every_bomb()
    with tempfile.TemporaryDirectory(prefix="seashore-soak-") as name:
        folder = Path(name)
        with soaked(set_up(folder, job_keep_hours=JOB_KEEP_HOURS, deadline_s=DEADLINE_S), order.log) as server:
            return _soaked(order, server, folder, seeds, sound)


def _soaked(order: Order, server: Running, folder: Path, seeds: tuple[Seed, ...], sound: Seed) -> Ended:
    limits = Limits(DEADLINE_S)
    client = Client(server.port, limits, sound, seed=order.seed, clients=order.clients, keep=order.keep)
    expected = _warmed(server, sound, limits)
    wait_until_quiet(server.port)
    began_s = time.monotonic()
    with Watch(server.pid, lambda: client.num_inputs) as watch:
        before = watch.look()
        sent = client.send_all(Corpus(seeds), order.inputs, began_s + 60 * order.minutes, lambda num: say(f"{num} inputs"))
        seconds = time.monotonic() - began_s
        wait_until_quiet(server.port)
        after = settled_look(watch, before)
    standing = node(server.port)
    left, as_told = ended(server)
    return Ended(
        sent=tuple(sent),
        sound_answers=client.sound_answers,
        expected_answer=expected,
        before=before,
        looks=tuple(look for look in watch.looks if look.num_inputs < len(sent)),
        after=after,
        max_processes=1 + int(at(standing, "processes", "size")),
        processes_lost=int(at(standing, "processes", "lost")),
        processes_left=left,
        jobs_failed=int(at(standing, "jobs", "failed")),
        files_left=tuple(left_files(folder)),
        bugs_logged=bugs_logged(server),
        ended_as_told=as_told,
        seconds=seconds,
        limits=limits,
        cage_memory_mib=Settings(data_dir=folder).cage_memory_mb,
    )


def _warmed(server: Running, sound: Seed, limits: Limits) -> str:
    """What the sound clip is answered before anything hostile came. Every process that there may be has been started then."""
    errands = [Errand(path) for path in (*["/v1/predict?saliency=none"] * 8, *["/v1/jobs", "/v1/jobs?saliency=none"])]
    with ThreadPoolExecutor(len(errands)) as threads:
        answers = list(
            threads.map(lambda errand: ask(server.port, as_body(errand, sound.content, Random(0)), patience_s=limits.patience_s), errands)
        )
    found = re.search(rb'"lung_sliding":\{"probability":([0-9.e-]+)', answers[0].content)
    assert found, answers[0].outcome
    return str(float(found[1]))
