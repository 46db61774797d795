"""Whether the process is alive (`/healthz`: else restart it) and ready (`/readyz`: else send it nothing), each with a reason.

Whatever may hang is looked at in threads of its own: a disk that hangs must not hang the answer that says so.
"""

import asyncio
import time
from collections.abc import Callable

from fastapi import APIRouter, Response

from service.api.backroom import BackRoom
from service.api.glance import Glance, look
from service.api.openapi import ALIVE_DOCUMENTATION, READY_DOCUMENTATION
from service.api.problems import Problem, http_problem, not_well, problem_of, problem_response
from service.api.room import ReadingRoom
from service.api.schemas import StatusSchema
from service.standing import ReaderStanding

BEAT_EVERY_S = 1.0
LOOP_STUCK_S = 30.0
ENGINE_STUCK_S = 180.0
"""Of one batch: seconds on a slow processor. What heals by itself has done so by then."""
STARTED_WITHIN_S = 2
"""What is told to whoever asks while the model is loaded."""
WITHIN_S = 0.3
"""How long an answer waits for its parts; probes wait for a second."""
KEPT_S = 2.0
NO_JOB = "0" * 32


class Health:
    """Looks at the process's own pulse, at its engine, its disk, its ledger and the processes that read."""

    def __init__(self, room: ReadingRoom, back: BackRoom | None) -> None:
        self._room = room
        self._back = back
        self._beaten_s: float | None = None
        self._next_beat: asyncio.TimerHandle | None = None
        self._standing: Glance[ReaderStanding] = Glance(room.reader.standing, KEPT_S)
        looks: list[Callable[[], None]] = [room.check_room, self._readers]
        if back is not None:
            looks.append(self._ledger)
        self._looks: list[Glance[None]] = [Glance(one, KEPT_S) for one in looks]

    def beat(self) -> None:
        """On the loop, which calls it again and again: a loop that does not is stuck."""
        self._beaten_s = time.monotonic()
        self._next_beat = asyncio.get_running_loop().call_later(BEAT_EVERY_S, self.beat)

    def stop(self) -> None:
        if self._next_beat is not None:
            self._next_beat.cancel()

    @property
    def loop_lag_s(self) -> float:
        """How much later than it should the loop comes round."""
        return 0.0 if self._beaten_s is None else max(0.0, time.monotonic() - self._beaten_s - BEAT_EVERY_S)

    async def alive(self) -> Problem | None:
        """What only a restart puts right; None where nothing is known."""
        await look([self._standing], WITHIN_S)
        return self._stuck()

    async def ready(self) -> Problem | None:
        """Why a clip that is sent now would not be read, or not be kept."""
        if self._room.readiness.is_ready:
            await look([self._standing, *self._looks], WITHIN_S)
        return self.unready()

    def unready(self) -> Problem | None:
        """As it was seen last. Does not wait."""
        at_once = self._prepared() or self._stuck() or self._device() or self._engine_lost()
        return at_once or next(filter(None, map(_found, self._looks)), None)

    def retry_after_s(self, problem: Problem) -> int | None:
        """Where it is known."""
        trouble = self._room.reader.trouble()
        return STARTED_WITHIN_S if problem.code == "starting" else None if trouble is None else trouble.retry_after_s

    def _prepared(self) -> Problem | None:
        readiness = self._room.readiness
        if self._room.queue.standing().is_stopping:
            return not_well("stopping", "The service is stopping.")
        if readiness.error is not None:
            return problem_of(readiness.error)
        return None if readiness.is_ready else http_problem("starting", "The model is being loaded and checked.")

    def _stuck(self) -> Problem | None:
        if self.loop_lag_s > LOOP_STUCK_S:
            return not_well("loop_stuck", f"The service has done nothing for {self.loop_lag_s:.0f} s.")
        standing = self._standing.seen().value
        works = [] if standing is None else [model.work for model in standing.models if model.work is not None]
        longest_s = max((work.longest_batch_s for work in works), default=0.0)
        if longest_s > ENGINE_STUCK_S:
            return not_well("engine_stuck", f"The model has been at one batch for {longest_s:.0f} s.")
        return None

    def _engine_lost(self) -> Problem | None:
        is_lost = self._room.failures.is_engine_lost
        return not_well("engine_failed", "The last clips could not be run on the model, one after the other.") if is_lost else None

    def _ledger(self) -> None:
        """Raises: LedgerUnavailable."""
        assert self._back is not None
        self._back.office.ledger.find(NO_JOB)

    def _device(self) -> Problem | None:
        """While it is opened again."""
        trouble = self._room.reader.trouble()
        return None if trouble is None else problem_of(trouble)

    def _readers(self) -> None:
        """Where no process that reads lives any more, one is started. Raises: EngineFailed."""
        processes = self._room.reader.standing().processes
        if processes is not None and processes.alive == 0:
            self._room.reader.load(self._room.reader.find(None))


def _found(glance: Glance[None]) -> Problem | None:
    seen = glance.seen()
    return not_well(seen.code, seen.detail) if seen.code else None


def health_routes(health: Health) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz", operation_id="healthz", response_model=StatusSchema, **ALIVE_DOCUMENTATION)
    async def healthz() -> StatusSchema | Response:
        problem = await health.alive()
        return StatusSchema(status="ok") if problem is None else problem_response(problem)

    @router.get("/readyz", operation_id="readyz", response_model=StatusSchema, **READY_DOCUMENTATION)
    async def readyz() -> StatusSchema | Response:
        problem = await health.ready()
        if problem is None:
            return StatusSchema(status="ready")
        retry_after_s = health.retry_after_s(problem)
        return problem_response(problem, None if retry_after_s is None else {"retry-after": str(retry_after_s)})

    return router
