"""The table of an overload, and whether every bound held."""

import math
from collections import Counter
from collections.abc import Sequence

from tests.bench.table import Row, Section, figure
from tests.bench.timing import median, percentile
from tests.soak.crowd import GOOD
from tests.soak.overload import Overloaded, Probe
from tests.soak.report import SETTLED_AFTER, Bound, Taken, bounds_section, counted, memory_section, service_mib
from tests.soak.visiting import RETURNING, Visit
from tests.soak.watch import growth

RECOVERS_WITHIN_S = 10.0
NORMAL = 1.5
"""Times the median at rest."""
IN_A_ROW = 3
"""Clips that are answered so quickly, for the service to be itself again: one alone may be luck."""
LEAST_SHARE = 0.5
"""Of the capacity that must still be answered under load: a service that only refuses is of no use."""
MAX_GROWTH_MIB_AN_HOUR = 60.0
SHORT_S = 300.0
"""A load of less is all warm-up: only a leak of a whole clip a visit shows."""
MAX_GROWTH_MIB_SHORT = 100.0
MAX_NEW_DESCRIPTORS = 16


def recovered_after_s(run: Overloaded) -> float:
    """When the first of IN_A_ROW clips was sent that were all answered as at rest, since the load ended. Infinite: never."""
    limit_s = NORMAL * median([probe.seconds for probe in run.rest])
    well = [probe.status == 200 and probe.seconds <= limit_s for probe in run.afterwards]
    starts = (number for number in range(len(well) - IN_A_ROW + 1) if all(well[number : number + IN_A_ROW]))
    return next((run.afterwards[number].at_s for number in starts), math.inf)


def growth_mib_an_hour(run: Overloaded) -> float:
    visits_an_hour = 3600 * run.looks[-1].num_inputs / run.load_s if run.looks else 0.0
    return growth(list(run.looks), service_mib, SETTLED_AFTER).slope * visits_an_hour / 1000


def bounds(run: Overloaded) -> tuple[Bound, ...]:
    wrong = Counter(f"{visit.kind}: {visit.wrong}" for visit in run.visits if visit.wrong)
    wrong += Counter(f"alone: {probe.wrong}" for probe in (*run.rest, *run.afterwards) if probe.wrong)
    unknown = run.num_arrivals - sum(visit.kind != RETURNING for visit in run.visits)
    jobs = Counter(job.wrong for job in run.jobs if job.wrong)
    share = _answered_per_s(run) / run.capacity_per_s
    recovered_s, largest = recovered_after_s(run), max((look.largest_reader_mib for look in run.looks), default=0.0)
    rise, most = growth_mib_an_hour(run), MAX_GROWTH_MIB_AN_HOUR if run.load_s >= SHORT_S else math.inf
    rise_a_visit = growth(list(run.looks), service_mib, SETTLED_AFTER).slope
    grows = rise > most or rise_a_visit > MAX_GROWTH_MIB_SHORT
    more_descriptors = run.after.num_descriptors - run.before.num_descriptors
    processes = run.after.num_processes
    return (
        Bound("answers that must not be", counted(wrong), "none", not wrong),
        Bound("visits of which nothing is known", str(unknown), "0", unknown == 0),
        Bound("jobs that were accepted and not answered right", counted(jobs), "none", not jobs),
        Bound("bugs logged", str(run.bugs_logged), "0", run.bugs_logged == 0),
        Bound("good clips answered, of the capacity", f"{share:.0%}", f"at least {LEAST_SHARE:.0%}", share >= LEAST_SHARE),
        Bound("normal again after", figure(recovered_s, "s", 0), f"{RECOVERS_WITHIN_S:g} s", recovered_s <= RECOVERS_WITHIN_S),
        Bound("growth of the service", f"{rise:.1f} MiB an hour", f"{most:g} MiB an hour", not grows),
        Bound("largest reader", figure(largest, "MiB", 0), f"{run.cage_memory_mib} MiB", largest <= run.cage_memory_mib),
        Bound("processes left behind", str(run.processes_left), "0", run.processes_left == 0),
        Bound("processes at the end", str(processes), f"at most {run.max_processes}", processes <= run.max_processes),
        Bound("descriptors more than before", str(more_descriptors), str(MAX_NEW_DESCRIPTORS), more_descriptors <= MAX_NEW_DESCRIPTORS),
        Bound("files left behind", ", ".join(run.files_left[:5]) or "0", "0", not run.files_left),
        Bound("ends when told", "yes" if run.ended_as_told else "no", "yes", run.ended_as_told),
    )


def sections(run: Overloaded) -> tuple[Section, ...]:
    taken = Taken(run.before, run.looks, run.after)
    return (_bounds(run), _visits(run), _jobs(run), _recovery(run), memory_section(taken, run.processes_lost, per="visits"))


def _bounds(run: Overloaded) -> Section:
    offered = _of(run, GOOD)
    offered_per_s, others_per_s = len(offered) / run.load_s, (run.num_arrivals - len(offered)) / run.load_s
    note = (
        f"Capacity {run.capacity_per_s:.1f} clips a second (8 clients that each wait for their answer), {run.capacity_after_per_s:.1f} "
        f"afterwards. Offered, for "
        f"{run.load_s / 60:.1f} minutes: {offered_per_s:.1f} good clips a second, {others_per_s:.1f} other visits a second, and whoever "
        f"came back; answered: {_answered_per_s(run):.1f} good clips a second. No visit began later than {run.latest_start_s:.2f} s after "
        "it was due."
    )
    return bounds_section(bounds(run), note)


COLUMNS = ("visits", "200", "202", "400 to 422", "429", "503", "504", "hung up", "left", "p50 of 200", "p99 of 200")


def _visits(run: Overloaded) -> Section:
    kinds = sorted({visit.kind for visit in run.visits}, key=lambda kind: (kind not in (GOOD, RETURNING), kind))
    rows = tuple(_row(kind, _of(run, kind)) for kind in kinds)
    return Section("Who came, and how they were answered", COLUMNS, rows, (_retry_after(run),))


def _row(kind: str, visits: Sequence[Visit]) -> Row:
    statuses = Counter(visit.status for visit in visits)
    refused = sum(number for status, number in statuses.items() if 400 <= status <= 422)
    seconds = [visit.answer_s for visit in visits if visit.status == 200]
    numbers = (len(visits), statuses[200], statuses[202], refused, statuses[429], statuses[503], statuses[504], statuses[0], statuses[-2])
    return Row(kind, (*map(str, numbers), figure(percentile(seconds, 0.5), "s"), figure(percentile(seconds, 0.99), "s")))


def _retry_after(run: Overloaded) -> str:
    told = [visit.told_s for visit in _of(run, GOOD) if visit.told_s is not None]
    back = _of(run, RETURNING)
    if not told:
        return "No good clip was refused."
    let_in = sum(visit.status == 200 for visit in back)
    share = f"{let_in / len(back):.0%}" if back else "none"
    return (
        f"Retry-After: {min(told):.0f} to {max(told):.0f} s, median {median(told):.0f} s. Each good clip that was refused came back once, "
        f"just when it was told to: {len(back)} did, and {let_in} of them ({share}) were read; {run.num_not_returned} were told a time "
        "after the load's end. While more comes than can be read, new clips and those that come back have the same chance, and no time "
        "is right for all."
    )


def _jobs(run: Overloaded) -> Section:
    groups = {"sound clips": [job for job in run.jobs if job.handed.clip], "garbage": [job for job in run.jobs if not job.handed.clip]}
    rows = []
    for name, jobs in groups.items():
        states = Counter(job.state for job in jobs)
        took = [job.took_s for job in jobs if not math.isnan(job.took_s)]
        lost = sum(bool(job.wrong) for job in jobs)
        longest = figure(max(took, default=math.nan), "s", 1)
        numbers = len(jobs), states["done"], states["failed"], lost
        rows.append(Row(name, (*map(str, numbers), figure(median(took), "s", 1), longest)))
    return Section("Jobs", ("accepted", "done", "refused by their clip", "lost or wrong", "time, median", "longest"), tuple(rows))


def _recovery(run: Overloaded) -> Section:
    rest = [probe.seconds for probe in run.rest]
    shown = run.afterwards[:15]
    rows = (Row("answered in", tuple(_shown(probe) for probe in shown)),)
    times = f"median {figure(median(rest), 's')}, at most {figure(max(rest), 's')}"
    note = f"At rest: {times}. One clip a second, whether the one before is answered or not; a number alone is a status."
    return Section("One clip a second, since the load ended", tuple(f"{probe.at_s:.0f} s" for probe in shown), rows, (note,))


def _shown(probe: Probe) -> str:
    return figure(probe.seconds, "s") if probe.status == 200 else str(probe.status)


def _of(run: Overloaded, kind: str) -> list[Visit]:
    return [visit for visit in run.visits if visit.kind == kind]


def _answered_per_s(run: Overloaded) -> float:
    """Within the time of the load."""
    within = [visit for visit in (*_of(run, GOOD), *_of(run, RETURNING)) if visit.at_s + visit.answer_s <= run.load_s]
    return sum(visit.status == 200 for visit in within) / run.load_s
