"""This node over HTTP, for whoever runs it: how it is, as JSON, and the page that shows it.

Every address here is the administrator's: who may ask is decided for this router, in one place.
"""

from dataclasses import asdict
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from service.api import node_schemas as wire
from service.api.node_desk import NodeDesk, View
from service.api.node_problems import health, problems
from service.pacs.desk.tables import as_json


def node_routes(desk: NodeDesk, web: Path) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/v1/node",
        operation_id="node",
        summary="How is this node?",
        description=(
            "Readiness, models, device, queue, jobs, disk, deliveries, the last failures, versions and settings; and what of it is wrong. "
            "Answered within 50 ms, also while the device, the disk or the database hangs. Nothing of a patient is in it."
        ),
    )
    async def node() -> wire.NodeSchema:
        return _on_the_wire(await desk.view(), desk)

    @router.get("/admin", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(web / "admin.html", media_type="text/html; charset=utf-8")

    return router


def _on_the_wire(view: View, desk: NodeDesk) -> wire.NodeSchema:
    settings = desk.settings()
    found = problems(view)
    return wire.NodeSchema(
        health=health(found),
        problems=found,
        node=settings["node"],
        at=view.at,
        started_at=view.started_at,
        versions=view.versions,
        models=_models(view),
        signs=_signs(view),
        device=_device(view),
        queue=_queue(view),
        processes=_processes(view),
        jobs=_jobs(view),
        disk=_disk(view),
        destinations=None if view.overview is None else as_json(view.overview)["destinations"],
        failures=[wire.FailureSchema.model_validate(asdict(failure)) for failure in view.failures],
        settings=settings,
    )


def _models(view: View) -> list[wire.ModelStandingSchema] | None:
    if view.reader is None:
        return None
    return [wire.ModelStandingSchema.model_validate(asdict(model) | {"default": model.is_default}) for model in view.reader.models]


def _signs(view: View) -> list[wire.SignStandingSchema] | None:
    if view.reader is None:
        return None
    return [wire.SignStandingSchema.model_validate(asdict(sign.model) | {"signs": list(sign.signs)}) for sign in view.reader.signs]


def _device(view: View) -> wire.DeviceSchema | None:
    if view.hardware is None:
        return None
    memory = view.hardware.memory
    return wire.DeviceSchema(
        name=view.hardware.name,
        cores=view.hardware.cores,
        memory_bytes=None if memory is None else memory.num_bytes,
        free_memory_bytes=None if memory is None else memory.free_bytes,
    )


def _queue(view: View) -> wire.ReadingQueueSchema:
    queue = view.queue
    return wire.ReadingQueueSchema(
        reading=queue.reading,
        waiting=queue.waiting,
        wait_s=round(queue.wait_s, 1),
        longest_read_s=round(queue.longest_read_s, 1),
        full=queue.is_full,
        stopping=queue.is_stopping,
        max_reading=queue.max_reading,
        max_waiting=queue.max_waiting,
        max_wait_s=queue.max_wait_s,
    )


def _processes(view: View) -> wire.ProcessesSchema | None:
    processes = None if view.reader is None else view.reader.processes
    return None if processes is None else wire.ProcessesSchema.model_validate(asdict(processes))


def _jobs(view: View) -> wire.JobsSchema | None:
    if view.jobs is None:
        return None
    counts = asdict(view.jobs)
    return wire.JobsSchema.model_validate(counts | {"oldest_waiting_s": round(view.jobs.oldest_waiting_s, 1)})


def _disk(view: View) -> wire.DiskSchema | None:
    if view.disk is None:
        return None
    return wire.DiskSchema(
        free_bytes=view.disk.free_bytes, total_bytes=view.disk.total_bytes, jobs_bytes=view.jobs_bytes, needed_bytes=view.needed_bytes
    )
