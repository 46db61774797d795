"""Four times what the service can: its capacity is measured, more is offered than that, and it is watched until it is itself again."""

import json
import math
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from random import Random

from service.settings import Settings
from tests.bench.plan import say
from tests.bench.servers import Running
from tests.bench.timing import median
from tests.soak.answers import Findings, difference, findings, good_clips
from tests.soak.asking import Answer, ask
from tests.soak.crowd import arrivals
from tests.soak.inputs import Corpus
from tests.soak.manners import as_body
from tests.soak.seeds import Seed, every_seed
from tests.soak.serving import at, bugs_logged, call, ended, left_files, node, set_up, settled_look, soaked, wait_until_quiet
from tests.soak.visiting import PATIENCE_S, PREDICT, Crowd, Handed, Visit
from tests.soak.watch import Look, Watch

JOB_KEEP_HOURS = 4.0
"""Longer than any run: a job that is gone was lost."""
CAPACITY_CLIENTS, CAPACITY_S = 8, 20.0
AT_REST = 15
"""Clips, one a second."""
AFTERWARDS_S = 25
"""So long one clip a second is asked about once the load has ended."""
JOBS_END_WITHIN_S = 900.0
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class OverloadOrder:
    minutes: float = 15.0
    seed: int = 1
    times: float = 4.0
    """The capacity."""
    log: Path | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """A single good clip, outside the load."""

    at_s: float
    """Since the load ended; before it, since the first probe."""
    seconds: float
    status: int
    wrong: str


@dataclass(frozen=True, slots=True)
class JobEnd:
    handed: Handed
    state: str
    """Empty: the service does not know it any more."""
    wrong: str
    took_s: float
    """From being handed in to its end; NaN of one that has not ended."""


@dataclass(frozen=True, slots=True)
class Overloaded:
    """What was found when it was over."""

    times: float
    capacity_per_s: float
    capacity_after_per_s: float
    """Measured again when all was quiet: a machine that does something else at one of the two times makes another multiple of it."""
    load_s: float
    num_arrivals: int
    latest_start_s: float
    """Of an arrival, after it was due: a generator that falls behind is no open loop."""
    num_not_returned: int
    visits: tuple[Visit, ...]
    jobs: tuple[JobEnd, ...]
    rest: tuple[Probe, ...]
    afterwards: tuple[Probe, ...]
    before: Look
    looks: tuple[Look, ...]
    after: Look
    max_processes: int
    processes_lost: int
    processes_left: int
    files_left: tuple[str, ...]
    bugs_logged: int
    ended_as_told: bool
    cage_memory_mib: int


def overload(order: OverloadOrder) -> Overloaded:
    """Raises: ServerFailed."""
    say("making clips")
    clips, seeds = good_clips(), every_seed()
    with tempfile.TemporaryDirectory(prefix="seashore-overload-") as name:
        folder = Path(name)
        with soaked(set_up(folder, job_keep_hours=JOB_KEEP_HOURS), order.log) as server:
            return _overloaded(order, server, folder, clips, Corpus(seeds))


def _overloaded(order: OverloadOrder, server: Running, folder: Path, clips: Sequence[Seed], corpus: Corpus) -> Overloaded:
    crowd = Crowd(server.port, order.seed, clips, at_rest(server.port, clips), corpus)
    capacity = capacity_per_s(crowd, clips)
    wait_until_quiet(server.port)
    rest = _probed(crowd, clips[0], AT_REST)
    say(f"{capacity:.1f} clips a second can be answered; {median([probe.seconds for probe in rest]):.2f} s is one at rest")
    crowd.visits.clear()
    crowd.begin()
    with Watch(server.pid, lambda: len(crowd.visits)) as watch:
        before = watch.look()
        load = _Load(crowd)
        num_arrivals = load.offer(order.seed, order.times * capacity, 60 * order.minutes)
        load_s = crowd.now_s
        looks = tuple(watch.looks)
        crowd.end()
        say(f"{num_arrivals} came; the load has ended")
        afterwards = _probed(crowd, clips[0], AFTERWARDS_S)
        load.wait()
        jobs = _ends_of_jobs(server.port, crowd)
        wait_until_quiet(server.port)
        after = settled_look(watch, before)
    capacity_after = capacity_per_s(crowd, clips)
    standing = node(server.port)
    left, as_told = ended(server)
    return Overloaded(
        times=order.times,
        capacity_per_s=capacity,
        capacity_after_per_s=capacity_after,
        load_s=load_s,
        num_arrivals=num_arrivals,
        latest_start_s=load.latest_start_s,
        num_not_returned=crowd.num_not_returned,
        visits=tuple(crowd.visits),
        jobs=tuple(jobs),
        rest=rest,
        afterwards=afterwards,
        before=before,
        looks=looks,
        after=after,
        max_processes=1 + int(at(standing, "processes", "size")),
        processes_lost=int(at(standing, "processes", "lost")),
        processes_left=left,
        files_left=tuple(left_files(folder)),
        bugs_logged=bugs_logged(server),
        ended_as_told=as_told,
        cage_memory_mib=Settings(data_dir=folder).cage_memory_mb,
    )


def at_rest(port: int, clips: Sequence[Seed]) -> dict[str, Findings]:
    """What each clip is answered while nothing else is asked. Once more beforehand, so that all is warm."""
    answers = {
        clip.name: [ask(port, as_body(PREDICT, clip.content, Random(0)), patience_s=PATIENCE_S) for _ in range(2)][1] for clip in clips
    }
    assert all(answer.status == 200 for answer in answers.values()), {name: answer.outcome for name, answer in answers.items()}
    return {name: findings(answer.content) for name, answer in answers.items()}


def capacity_per_s(crowd: Crowd, clips: Sequence[Seed], clients: int = CAPACITY_CLIENTS, seconds: float = CAPACITY_S) -> float:
    """Good clips answered a second by a closed loop: each client asks again when it has its answer."""
    began_s, numbers = time.monotonic(), count()

    def client(_: int) -> int:
        num_answered = 0
        while time.monotonic() - began_s < seconds:
            number = next(numbers)
            num_answered += crowd.good(clips[number % len(clips)], Random(number)).status == 200
        return num_answered

    with ThreadPoolExecutor(clients) as threads:
        num_answered = sum(threads.map(client, range(clients)))
    return num_answered / (time.monotonic() - began_s)


class _Load:
    """Each arrival is a thread of its own: nobody waits for another's answer."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._threads: list[threading.Thread] = []
        self.latest_start_s = 0.0

    def offer(self, seed: int, good_per_s: float, seconds: float) -> int:
        """How many came."""
        number, told_s = 0, 0.0
        for number, arrival in enumerate(arrivals(seed, good_per_s, seconds), 1):
            time.sleep(max(0.0, arrival.at_s - self._crowd.now_s))
            self.latest_start_s = max(self.latest_start_s, self._crowd.now_s - arrival.at_s)
            thread = threading.Thread(target=self._crowd.visit, args=(arrival,), daemon=True)
            thread.start()
            self._threads.append(thread)
            if arrival.at_s - told_s > 30:
                told_s = arrival.at_s
                self._threads = [one for one in self._threads if one.is_alive()]
                say(f"{number} came, {len(self._threads)} are there: {_counted(self._crowd.visits)}")
        return number

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(2 * PATIENCE_S)


def _counted(visits: Sequence[Visit]) -> str:
    return ", ".join(f"{status} x {number}" for status, number in Counter(visit.status for visit in list(visits)).most_common(5))


def _probed(crowd: Crowd, clip: Seed, num: int) -> tuple[Probe, ...]:
    """One clip a second, whether the one before is answered or not."""
    began_s, probes = time.monotonic(), list[Probe]()

    def probe(number: int) -> Probe:
        visit = crowd.good(clip, Random(number))
        return Probe(float(number), visit.answer_s, visit.status, visit.wrong)

    with ThreadPoolExecutor(num) as threads:
        futures = []
        for number in range(num):
            time.sleep(max(0.0, began_s + number - time.monotonic()))
            futures.append(threads.submit(probe, number))
        probes = [future.result() for future in futures]
    return tuple(probes)


def _ends_of_jobs(port: int, crowd: Crowd) -> list[JobEnd]:
    until_s = time.monotonic() + JOBS_END_WITHIN_S
    say(f"waiting for {len(crowd.handed)} jobs")
    return [_end_of_job(port, crowd, handed, until_s) for handed in crowd.handed]


def _end_of_job(port: int, crowd: Crowd, handed: Handed, until_s: float) -> JobEnd:
    job = call(port, "GET", handed.location)
    while job.code in ("queued", "running") and time.monotonic() < until_s:
        time.sleep(LOOK_EVERY_S)
        job = call(port, "GET", handed.location)
    state = job.code if job.status == 200 else ""
    wrong = "lost" if not state else "not ended" if state in ("queued", "running") else ""
    if handed.clip and not wrong:
        result = call(port, "GET", f"{handed.location}/result")
        where = difference(findings(result.content), crowd.expected[handed.clip]) if result.status == 200 else f"a {result.outcome}"
        wrong = f"answered otherwise: {where}" if where else ""
    return JobEnd(handed, state, wrong, _took_s(job))


def _took_s(job: Answer) -> float:
    told = json.loads(job.content) if job.status == 200 else {}
    if not told.get("ended_at"):
        return math.nan
    return (datetime.fromisoformat(told["ended_at"]) - datetime.fromisoformat(told["asked_at"])).total_seconds()
