"""Clips a second, latency and refusals under load: Seashore against the same pipeline behind other servers."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.machine import available_cores
from tests.bench import clips
from tests.bench.loadgen import Outcome
from tests.bench.peers.servers import BEST, candidates
from tests.bench.plan import Plan, say
from tests.bench.servers import Running, Server, ServerFailed, running, seashore
from tests.bench.table import Row, Section, figure, millis
from tests.bench.timing import median, percentile

LEVELS = (1, 8, 32)
"""Clients that each wait for their answer before they ask again."""
TOLERANCE = 0.005
"""Between the probabilities of two servers: other batch sizes, other last digits."""


class ServersDisagree(RuntimeError):
    """What was timed was not the same work."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server in the setting that was best of its kind at these levels."""

    server: Server
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    clients: int


Results = dict[Key, list[Outcome]]
"""An outcome for each round."""


def measure(plan: Plan) -> Section:
    """Raises: ServersDisagree, ServerFailed."""
    clip = clips.phantom_clip()
    contestants, notes = _chosen(clip, plan)
    results: Results = defaultdict(list)
    for number in range(plan.rounds):
        for contestant in contestants:
            say(f"load, round {number + 1}: {contestant.server.name} ({contestant.server.setting})")
            with running(contestant.server) as server:
                _warm(server, clip)
                for clients in _wanted(contestant.levels, plan):
                    results[Key(contestant.server.name, clients)].append(server.ask(clip, clients=clients, seconds=_seconds(clients, plan)))
    _agree(results)
    names = list(dict.fromkeys(key.name for key in results))
    levels = _wanted(LEVELS, plan)
    rows = [row(Key(name, clients), results[Key(name, clients)]) for clients in levels for name in names]
    columns = ("clips/s", "p50", "p99", "p99 of one try", "answers", "other statuses")
    return Section("Under load (5 s phantom, saliency=none)", columns, tuple(rows), (*_ratios(results, names, levels), *notes))


def _seconds(clients: int, plan: Plan) -> float:
    return plan.of({1: 5.0, 8: 8.0}.get(clients, 12.0), 2.0)


def _wanted(levels: tuple[int, ...], plan: Plan) -> tuple[int, ...]:
    return tuple(clients for clients in levels if clients <= plan.of(max(LEVELS), 8))


def _warm(server: Running, clip: Path) -> None:
    server.ask(clip, clients=available_cores() * 2, seconds=2.0)


def _chosen(clip: Path, plan: Plan) -> tuple[list[Contestant], tuple[str, ...]]:
    """Every peer in its best setting at 1 client, and in its best at 8 for the higher levels: often another."""
    contestants, notes = [Contestant(seashore(), LEVELS)], []
    for name, servers in candidates(available_cores()).items():
        alone, loaded, said = _tuned(servers, clip) if plan.tune else (*(servers[number] for number in BEST[name]), "")
        if plan.quick:
            alone = loaded
        if alone == loaded:
            contestants.append(Contestant(loaded, LEVELS))
        else:
            contestants += [Contestant(alone, LEVELS[:1]), Contestant(loaded, LEVELS[1:])]
        notes.append(f"{name}: {alone.setting} with 1 client, {loaded.setting} with more.{said}")
    return contestants, tuple(notes)


def _tuned(servers: Sequence[Server], clip: Path) -> tuple[Server, Server, str]:
    """The best with 1 client, the best with 8, and what each did."""
    speeds = {server: _sieve(server, clip) for server in servers}
    said = "; ".join(f"{server.setting}: {figure(one)} and {figure(eight)}" for server, (one, eight) in speeds.items())
    best = [max(servers, key=lambda server: speeds[server][number]) for number in (0, 1)]
    return best[0], best[1], f" Tried, clips/s with 1 and with 8: {said}."


def _sieve(server: Server, clip: Path) -> tuple[float, float]:
    """Clips a second with 1 and with 8 clients; 0 for a setting that does not work here."""
    say(f"load: trying {server.name} ({server.setting})")
    try:
        with running(server) as started:
            _warm(started, clip)
            return started.ask(clip, clients=1, seconds=4.0).clips_a_second, started.ask(clip, clients=8, seconds=6.0).clips_a_second
    except ServerFailed as error:
        say(str(error))
        return 0.0, 0.0


def row(key: Key, outcomes: Sequence[Outcome]) -> Row:
    """Speed: median of the rounds. Latencies: of all answers, refusals and their waits counted from the first asking."""
    waits = [value for outcome in outcomes for value in outcome.wait_s]
    tries = [value for outcome in outcomes for value in outcome.answer_s]
    others: Counter[str] = Counter()
    for outcome in outcomes:
        others.update({status: count for status, count in outcome.statuses.items() if status != "200"})
    speed = median([outcome.clips_a_second for outcome in outcomes])
    said = ", ".join(f"{count} x {status}" for status, count in sorted(others.items())) or "none"
    latencies = millis(percentile(waits, 0.5)), millis(percentile(waits, 0.99)), millis(percentile(tries, 0.99))
    return Row(f"{key.name}, {key.clients} client{'s' * (key.clients > 1)}", (figure(speed), *latencies, str(len(waits)), said))


def _agree(results: Results) -> None:
    """Raises: ServersDisagree."""
    said = {key: value for key, outcomes in results.items() for outcome in outcomes for value in outcome.probabilities}
    known = [value for value in said.values() if value is not None]
    if len(known) != len(said) or not known or max(known) - min(known) > TOLERANCE:
        raise ServersDisagree(f"For one clip the servers said {said}.")


def _ratios(results: Results, names: Sequence[str], levels: Sequence[int]) -> tuple[str, ...]:
    """Seashore against the best of the others, level by level."""
    ours, sentences = names[0], []
    for clients in levels:
        speed = {name: median([outcome.clips_a_second for outcome in results[Key(name, clients)]]) for name in names}
        p99 = {name: percentile([s for outcome in results[Key(name, clients)] for s in outcome.wait_s], 0.99) for name in names}
        p50 = {name: percentile([s for outcome in results[Key(name, clients)] for s in outcome.wait_s], 0.5) for name in names}
        best = max(names[1:], key=lambda name: speed[name])
        sentences.append(
            f"With {clients}: {speed[ours] / speed[best]:.2f} times the clips a second of the best peer ({best}); "
            f"p50 {p50[ours] / min(p50[name] for name in names[1:]):.2f} and "
            f"p99 {p99[ours] / min(p99[name] for name in names[1:]):.2f} times the shortest of theirs."
        )
    return tuple(sentences)
