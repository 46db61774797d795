"""The table of a run, and whether every bound held."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.table import Row, Section, figure
from tests.soak.inputs import SENT
from tests.soak.sending import Limits, Sent
from tests.soak.watch import Look, growth

SETTLED_AFTER = 0.4
"""Share of the inputs after which memory must be flat: caches are full, every code path has been walked."""
MAX_GROWTH_MIB = 4.0
"""A thousand inputs. An allocator's noise on a run of 20,000 is under 1; a short run is noisier."""
MAX_TIMEOUTS, MAX_OVERLOADED = 0.005, 0.02
"""Shares of the inputs that may be answered 504 and 429."""
MAX_NEW_DESCRIPTORS = 16
"""Connections to the database are opened as they are needed, and kept."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What was found when it was over."""

    sent: tuple[Sent, ...]
    sound_answers: dict[str, int]
    expected_answer: str
    before: Look
    looks: tuple[Look, ...]
    after: Look
    max_processes: int
    """The service and a full pool of readers."""
    processes_lost: int
    processes_left: int
    jobs_failed: int
    files_left: tuple[str, ...]
    bugs_logged: int
    ended_as_told: bool
    seconds: float
    limits: Limits
    cage_memory_mib: int


@dataclass(frozen=True, slots=True)
class Bound:
    what: str
    found: str
    wanted: str
    holds: bool


def bounds(run: Ended) -> tuple[Bound, ...]:
    num = max(len(run.sent), 1)
    wrong = Counter(one.wrong for one in run.sent if one.wrong)
    timeouts, overloaded = (sum(one.answer.status == status for one in run.sent) for status in (504, 429))
    slowest = max((one.answer.answer_s for one in run.sent if one.input.target != "POST /v1/jobs"), default=0.0)
    allowed_s = run.limits.deadline_s + run.limits.margin_s
    rise = growth(list(run.looks), service_mib, SETTLED_AFTER).slope
    largest = max((look.largest_reader_mib for look in run.looks), default=0.0)
    more_descriptors = run.after.num_descriptors - run.before.num_descriptors
    others = {answer: count for answer, count in run.sound_answers.items() if answer != run.expected_answer}
    few = max(MAX_TIMEOUTS * num, 5), max(MAX_OVERLOADED * num, 5)
    processes = run.after.num_processes
    return (
        Bound("wrong answers", counted(wrong), "none", not wrong),
        Bound("bugs logged", str(run.bugs_logged), "0", run.bugs_logged == 0),
        Bound("sound clips between, answered otherwise", counted(Counter(others)), "none", not others),
        Bound("slowest answer", figure(slowest, "s", 1), f"{allowed_s:g} s", slowest <= allowed_s),
        Bound("answered 504 at a deadline", f"{timeouts} ({timeouts / num:.2%})", f"{MAX_TIMEOUTS:.1%}", timeouts <= few[0]),
        Bound("answered 429", f"{overloaded} ({overloaded / num:.2%})", f"{MAX_OVERLOADED:.0%}", overloaded <= few[1]),
        Bound("growth of the service", f"{rise:.2f} MiB / 1000", f"{_max_growth_mib(num):g} MiB / 1000", rise <= _max_growth_mib(num)),
        Bound("largest reader", figure(largest, "MiB", 0), f"{run.cage_memory_mib} MiB", largest <= run.cage_memory_mib),
        Bound("processes left behind", str(run.processes_left), "0", run.processes_left == 0),
        Bound("processes at the end", str(processes), f"at most {run.max_processes}", processes <= run.max_processes),
        Bound("descriptors more than before", str(more_descriptors), str(MAX_NEW_DESCRIPTORS), more_descriptors <= MAX_NEW_DESCRIPTORS),
        Bound("files left behind", ", ".join(run.files_left[:5]) or "0", "0", not run.files_left),
        Bound("jobs that failed by the service's fault", str(run.jobs_failed), "0", run.jobs_failed == 0),
        Bound("ends when told", "yes" if run.ended_as_told else "no", "yes", run.ended_as_told),
    )


def sections(run: Ended) -> tuple[Section, ...]:
    return _bounds(run), _kinds(run), memory_section(Taken(run.before, run.looks, run.after), run.processes_lost), _improper(run)


def _max_growth_mib(num_inputs: int) -> float:
    """A run of a few hundred inputs is all warm-up: its slope says little, so only a leak of a whole clip an input shows."""
    return MAX_GROWTH_MIB if num_inputs >= 5000 else 100.0


def _bounds(run: Ended) -> Section:
    per_s = len(run.sent) / run.seconds if run.seconds else 0.0
    note = f"{len(run.sent)} inputs in {run.seconds / 60:.1f} minutes, {per_s:.1f} a second; deadline {run.limits.deadline_s:g} s."
    return bounds_section(bounds(run), note)


def bounds_section(found: Sequence[Bound], *notes: str) -> Section:
    rows = tuple(Row(bound.what, (bound.found, bound.wanted, "yes" if bound.holds else "NO")) for bound in found)
    return Section("What must hold", ("found", "bound", "holds"), rows, notes)


def _kinds(run: Ended) -> Section:
    plain = [one for one in run.sent if not _is_improper(one)]
    rows = _counts(plain, lambda one: one.input.kind, "sent otherwise than it should be", [one for one in run.sent if _is_improper(one)])
    targets = Counter(one.input.target for one in run.sent)
    notes = (f"Where they went: {', '.join(f'{target} {count}' for target, count in targets.most_common())}.", _outcomes(run.sent))
    return Section("What was sent, and how it was answered", COLUMNS, rows, notes)


COLUMNS = ("inputs", "200", "202", "400 to 413", "415", "422", "429", "504", "other 5xx", "no answer due", "slowest")


def _counts(sent: Sequence[Sent], name: Callable[[Sent], str], rest: str, others: Sequence[Sent]) -> tuple[Row, ...]:
    groups: dict[str, list[Sent]] = {}
    for one in sent:
        groups.setdefault(name(one), []).append(one)
    rows = [_row(kind, groups[kind]) for kind in sorted(groups)]
    return (*rows, *([_row(rest, others)] if others else []), _row("all", [*sent, *others]))


def _row(what: str, sent: Sequence[Sent]) -> Row:
    statuses = Counter(one.answer.status for one in sent)
    refused = sum(count for status, count in statuses.items() if 400 <= status < 415 or status in (416, 431))
    broken = sum(count for status, count in statuses.items() if status >= 500 and status != 504)
    unanswered = sum(count for status, count in statuses.items() if status <= 0)
    slowest = figure(max((one.answer.answer_s for one in sent), default=0.0), "s", 1)
    counts = (
        len(sent),
        statuses[200],
        statuses[202],
        refused,
        statuses[415],
        statuses[422],
        statuses[429],
        statuses[504],
        broken,
        unanswered,
    )
    return Row(what, (*map(str, counts), slowest))


def _outcomes(sent: Sequence[Sent]) -> str:
    counted = Counter(one.answer.outcome for one in sent)
    return "Outcomes: " + ", ".join(f"{outcome} {count}" for outcome, count in counted.most_common()) + "."


@dataclass(frozen=True, slots=True)
class Taken:
    """Of the machine."""

    before: Look
    looks: tuple[Look, ...]
    after: Look

    @property
    def middle(self) -> Look:
        return self.looks[len(self.looks) // 2] if self.looks else self.before


def memory_section(taken: Taken, processes_lost: int, per: str = "inputs") -> Section:
    names: dict[str, Callable[[Look], float]] = {"service": service_mib, "readers, all": _readers, "largest reader": _largest}
    rows = [_memory_row(name, of, taken) for name, of in names.items()]
    rows.append(_number_row("processes", lambda look: look.num_processes, taken))
    rows.append(_number_row("descriptors of the service", lambda look: look.num_descriptors, taken))
    notes = (
        f"Own memory (RssAnon). The fit is a line through the looks once a second after the first {SETTLED_AFTER:.0%} of the {per}.",
        f"Readers lost and replaced, because a clip ended them or they had to be ended: {processes_lost}.",
    )
    return Section("What it took", ("before", "middle", "after", "at most", f"growth / 1000 {per}", "R^2"), tuple(rows), notes)


def _memory_row(name: str, of: Callable[[Look], float], taken: Taken) -> Row:
    line = growth(list(taken.looks), of, SETTLED_AFTER)
    most = max((of(look) for look in taken.looks), default=0.0)
    values = (figure(value, "MiB", 0) for value in (of(taken.before), of(taken.middle), of(taken.after), most))
    return Row(name, (*values, figure(line.slope, "MiB"), figure(line.r_squared)))


def _number_row(name: str, of: Callable[[Look], int], taken: Taken) -> Row:
    most = max((of(look) for look in taken.looks), default=0)
    return Row(name, (str(of(taken.before)), str(of(taken.middle)), str(of(taken.after)), str(most), "", ""))


def _improper(run: Ended) -> Section:
    odd = [one for one in run.sent if _is_improper(one)]
    rows = _counts(odd, lambda one: one.input.kind.removeprefix(SENT), "", [])
    return Section("Sent otherwise than it should be", COLUMNS, rows)


def _is_improper(one: Sent) -> bool:
    return one.input.kind.startswith(SENT)


def service_mib(look: Look) -> float:
    return look.service_mib


def _readers(look: Look) -> float:
    return look.readers_mib


def _largest(look: Look) -> float:
    return look.largest_reader_mib


def counted(counts: Counter[str]) -> str:
    return ", ".join(f"{what}: {count}" for what, count in counts.most_common(6)) or "none"
