"""Peak memory and time as the clip grows, and as clips come all at once."""

import http.client
import json
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench import clips
from tests.bench.clips import CLIP_S
from tests.bench.plan import Plan, say
from tests.bench.servers import Running, ServerFailed, running, seashore
from tests.bench.table import Row, Section, figure
from tests.bench.timing import fit_line

AT_ONCE = (1, 8, 64)
SETTINGS = {"SEASHORE_DEADLINE_S": "600", "SEASHORE_MAX_SECONDS": "125", "SEASHORE_MAX_UPLOAD_BYTES": str(2**30)}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one clip."""

    clip_s: float
    seconds: float
    over_idle_mib: float


def measure(plan: Plan) -> tuple[Section, Section]:
    return _lengths(plan), _at_once(plan)


def _lengths(plan: Plan) -> Section:
    with running(seashore(SETTINGS)) as server:
        server.ask(clips.phantom_clip(), max_requests=2)  # what is made once is not the clip's
        idle_mib = server.resident_mib()
        answered = [_answered(server, seconds, idle_mib) for seconds in ((2.0, 10.0) if plan.quick else (2.0, 10.0, 60.0, 120.0))]
    with running(seashore(SETTINGS)) as server:  # a fresh one: what an allocator keeps of the clips before would hide a job's own
        _job(server, clips.phantom_clip(), CLIP_S, 0.0)
        idle_mib = server.resident_mib()
        jobs = [_long_job(server, seconds, idle_mib) for seconds in ((5.0, 10.0) if plan.quick else (60.0, 200.0, 600.0))]
    rows = [_row("640x480, answered at once", cost) for cost in answered] + [_row("1920x1080, as a job", cost) for cost in jobs]
    notes = (_fitted("640x480", answered), _fitted("1920x1080 as a job", jobs), f"Idle after a first clip: {idle_mib:.0f} MiB.")
    columns = ("time", "time / clip", "peak over idle")
    return Section("As the clip grows (saliency=none)", columns, tuple(rows), notes)


def _row(what: str, cost: Cost) -> Row:
    figures = figure(cost.seconds, "s"), figure(cost.seconds / cost.clip_s, digits=3), figure(cost.over_idle_mib, "MiB", 0)
    return Row(f"{cost.clip_s:g} s, {what}", figures)


def _fitted(what: str, costs: list[Cost]) -> str:
    line = fit_line([(cost.clip_s, cost.seconds) for cost in costs])
    return f"{what}: time = {line.slope:.4f} x length + {line.intercept:.2f} s, R^2 {line.r_squared:.4f}."


def _answered(server: Running, seconds: float, idle_mib: float) -> Cost:
    say(f"growth: {seconds:g} s, 640x480")
    clip = clips.long_clip(seconds)
    server.reset_peak()
    outcome = server.ask(clip, max_requests=1)
    if outcome.statuses != {"200": 1}:
        raise ServerFailed(f"The clip of {seconds:g} s was answered {outcome.statuses}.")
    return Cost(seconds, outcome.answer_s[0], server.peak_mib() - idle_mib)


def _long_job(server: Running, seconds: float, idle_mib: float) -> Cost:
    say(f"growth: {seconds:g} s, 1920x1080, as a job")
    return _job(server, clips.long_clip(seconds, width=1920, height=1080), seconds, idle_mib)


def _job(server: Running, clip: Path, seconds: float, idle_mib: float) -> Cost:
    server.reset_peak()
    began_s = time.perf_counter()
    made = _call(server, "POST", "/v1/jobs?saliency=none", clip)
    while made["state"] in ("queued", "running"):
        time.sleep(0.2)
        made = _call(server, "GET", f"/v1/jobs/{made['id']}")
    if made["state"] != "done":
        raise ServerFailed(f"The job of {seconds:g} s ended as {made['state']}: {made.get('problem')}.")
    return Cost(seconds, time.perf_counter() - began_s, server.peak_mib() - idle_mib)


def _call(server: Running, method: str, path: str, clip: Path | None = None) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        if clip is None:
            connection.request(method, path)
        else:
            with clip.open("rb") as body:  # in pieces: the bench's own memory is not the service's, but the machine's it is
                headers = {"Content-Type": "application/octet-stream", "Content-Length": str(clip.stat().st_size)}
                connection.request(method, path, body, headers)
        answer: dict[str, str] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


def _at_once(plan: Plan) -> Section:
    rows = [row for queue in (None, 4) for row in _crowds(queue)]
    columns = ("200", "429", "429 without Retry-After", "other", "Retry-After", "slowest answer", "peak over idle")
    return Section("Clips all at once (5 s phantom, saliency=none)", columns, tuple(rows))


def _crowds(max_queued: int | None) -> list[Row]:
    settings = {"SEASHORE_MAX_QUEUED": str(max_queued)} if max_queued else {}
    with running(seashore(settings)) as server:
        server.ask(clips.phantom_clip(), max_requests=2)
        idle_mib = server.resident_mib()
        return [_crowd(server, clients, "queue of 4" if max_queued else "queue as shipped", idle_mib) for clients in AT_ONCE]


def _crowd(server: Running, clients: int, queue: str, idle_mib: float) -> Row:
    say(f"growth: {clients} clips at once, {queue}")
    server.reset_peak()
    outcome = server.ask(clips.phantom_clip(), clients=clients, once=True)
    statuses = outcome.statuses
    other = sum(count for status, count in statuses.items() if status not in ("200", "429"))
    waits = f"{min(outcome.retry_after_s):.0f} to {max(outcome.retry_after_s):.0f} s" if outcome.retry_after_s else "-"
    counts = statuses.get("200", 0), statuses.get("429", 0), outcome.refused_without_retry_after, other
    slowest = figure(max(outcome.answer_s, default=float("nan")), "s")
    return Row(f"{clients}, {queue}", (*map(str, counts), waits, slowest, figure(server.peak_mib() - idle_mib, "MiB", 0)))
