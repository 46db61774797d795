"""The hospital's side over HTTP: clips fetched from the archive, and the queues. Nothing of a patient is answered."""

import asyncio
import logging

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from service.api.openapi import ANALYSE_DOCUMENTATION, QUEUE_DOCUMENTATION, RETRY_DOCUMENTATION
from service.api.pacs_schemas import AgainSchema, PulledSchema, QueueSchema, WantedSchema
from service.jobs.office import JobOffice
from service.pacs.desk.again import again, named
from service.pacs.desk.overview import Watch
from service.pacs.desk.tables import as_json
from service.pacs.node import PacsNode
from service.pacs.outgoing.pull import Puller
from service.pacs.outgoing.remote import Wanted

log = logging.getLogger(__name__)


def pacs_routes(node: PacsNode, office: JobOffice, watch: Watch) -> APIRouter:
    router = APIRouter(tags=["PACS"])
    puller = Puller(node.site, node.inbox)

    @router.post("/pacs/analyse", status_code=202, operation_id="pacs_analyse", **ANALYSE_DOCUMENTATION)
    async def analyse(wanted: WantedSchema) -> PulledSchema:
        pulled = await asyncio.to_thread(puller.pull, Wanted(wanted.study, wanted.series, wanted.instance))
        log.info("fetched %d clips from the archive, %d not", len(pulled.jobs), len(pulled.problems))
        return PulledSchema(jobs=list(pulled.jobs), problems=list(pulled.problems))

    @router.get("/pacs/queue", operation_id="pacs_queue", **QUEUE_DOCUMENTATION)
    async def queue() -> QueueSchema:
        return QueueSchema.model_validate(as_json(await asyncio.to_thread(watch.overview)))

    @router.post("/pacs/retry/{id}", operation_id="pacs_retry", **RETRY_DOCUMENTATION)
    async def retry(id: str) -> AgainSchema:
        return AgainSchema(done=await asyncio.to_thread(_again, node, office, watch, id))

    @router.get("/pacs", include_in_schema=False)
    async def page() -> RedirectResponse:
        """Where it was before the administrator had one page."""
        return RedirectResponse("admin#pacs")

    return router


def _again(node: PacsNode, office: JobOffice, watch: Watch, id: str) -> str:
    """Of the ledger as it is now: a second click finds that the first has done it. Raises: UnknownJob, LedgerUnavailable."""
    done = again(office.ledger, node.audit, named(watch.overview(max_age_s=0.0), id))
    watch.overview(max_age_s=0.0)
    return done
