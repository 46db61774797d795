"""What is wrong with this node, the gravest first: told from what was seen of it, and from nothing else."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain

from service import errors
from service.api.node_desk import View
from service.api.node_schemas import Health, NodeProblemSchema, ProblemKind
from service.pacs.desk.overview import Queue
from service.pacs.outgoing.delivery import Letter
from service.standing import Presence

LONG_WAIT_S = 15 * 60.0
RECENT = timedelta(hours=1)
STOPS = (ProblemKind.NOT_READY, ProblemKind.STARTING, ProblemKind.STOPPING)
OPERATORS = {kind.code for kind in errors.OperatorError.__subclasses__()} | {"internal_error"}
"""Codes of failures that are the node's and not a clip's or a crowd's."""


def health(problems: Iterable[NodeProblemSchema]) -> Health:
    kinds = {problem.kind for problem in problems}
    if kinds.intersection(STOPS):
        return Health.NOT_READY
    return Health.ATTENTION if kinds else Health.WELL


def problems(view: View) -> list[NodeProblemSchema]:
    of_clips = chain(_disk(view), _queue(view), _results(view), _jobs(view))
    return list(chain(_readiness(view), _unseen(view), of_clips, _reader(view), _failures(view), _signs(view)))


def _problem(kind: ProblemKind, subject: str = "", **more: object) -> NodeProblemSchema:
    fields = {"count": 0, "since": None, "code": "", "detail": "", **more}
    return NodeProblemSchema.model_validate({"kind": kind, "subject": subject, **fields})


def _readiness(view: View) -> Iterator[NodeProblemSchema]:
    if view.queue.is_stopping:
        yield _problem(ProblemKind.STOPPING)
    elif view.error is not None:
        yield _problem(ProblemKind.NOT_READY, code=view.error.code, detail=str(view.error))
    elif not view.is_ready:
        yield _problem(ProblemKind.STARTING, since=view.started_at)


def _unseen(view: View) -> Iterator[NodeProblemSchema]:
    for part, (code, detail) in view.unseen.items():
        yield _problem(ProblemKind.NO_ANSWER, part, code=code, detail=detail)


def _disk(view: View) -> Iterator[NodeProblemSchema]:
    if view.disk is not None and view.disk.free_bytes < view.needed_bytes:
        yield _problem(ProblemKind.DISK_LOW, "disk")


def _queue(view: View) -> Iterator[NodeProblemSchema]:
    if view.queue.longest_read_s > view.max_read_s:
        since = view.at - timedelta(seconds=view.queue.longest_read_s)
        yield _problem(ProblemKind.READING_HANGS, "queue", count=view.queue.reading, since=since)
    if view.queue.is_full:
        yield _problem(ProblemKind.QUEUE_FULL, "queue", count=view.queue.reading + view.queue.waiting)


def _results(view: View) -> Iterator[NodeProblemSchema]:
    """A letter whose first try has not come yet is no problem; one that was tried in vain is."""
    if view.overview is None:
        return
    refused = [letter for letter in view.overview.waiting if letter.detail]
    for queue in view.overview.queues:
        yield from _letters(ProblemKind.RESULTS_GIVEN_UP, queue, view.overview.dead)
        yield from _letters(ProblemKind.RESULTS_WAIT, queue, refused)
    unread = [instance for instance in view.overview.instances if instance.can_be_read_again]
    if unread:
        yield _problem(ProblemKind.CLIPS_NOT_READ, "destinations", count=len(unread), since=unread[-1].came_at, detail=unread[0].detail)


def _letters(kind: ProblemKind, queue: Queue, letters: Iterable[Letter]) -> Iterator[NodeProblemSchema]:
    mine = [letter for letter in letters if letter.destination == queue.destination]
    if mine:
        since = min(letter.asked_at for letter in mine)
        yield _problem(kind, queue.destination, count=len(mine), since=since, detail=mine[0].detail)


def _jobs(view: View) -> Iterator[NodeProblemSchema]:
    if view.jobs is not None and view.jobs.oldest_waiting_s > LONG_WAIT_S:
        since = view.at - timedelta(seconds=view.jobs.oldest_waiting_s)
        yield _problem(ProblemKind.JOBS_WAIT, "jobs", count=view.jobs.waiting, since=since)


def _reader(view: View) -> Iterator[NodeProblemSchema]:
    if view.reader is None:
        return
    for model in view.reader.models:
        if model.presence is Presence.REFUSED and not (model.is_default and view.error is not None):
            yield _problem(ProblemKind.MODEL_REFUSED, f"{model.name}:{model.version}", code=model.code, detail=model.detail)
    processes = view.reader.processes
    if processes is not None and processes.alive < processes.started:
        yield _problem(ProblemKind.PROCESSES_GONE, "processes", count=processes.started - processes.alive)


def _signs(view: View) -> Iterator[NodeProblemSchema]:
    """The least of all: sliding is read all the same."""
    for sign in () if view.reader is None else view.reader.signs:
        if sign.model.code:
            subject = f"{sign.model.name}:{sign.model.version}"
            yield _problem(ProblemKind.SIGNS_FAIL, subject, code=sign.model.code, detail=sign.model.detail)


def _failures(view: View) -> Iterator[NodeProblemSchema]:
    """Those of the PACS are told by themselves, until they are seen to."""
    of_jobs = () if view.jobs is None else view.jobs.failures
    recent = [one for one in (*view.request_failures, *of_jobs) if one.code in OPERATORS and view.at - one.at < RECENT]
    if recent:
        newest = max(recent, key=lambda one: one.at)
        since = min(one.at for one in recent)
        yield _problem(
            ProblemKind.FAILURES, "failures", count=sum(one.count for one in recent), since=since, code=newest.code, detail=newest.detail
        )
