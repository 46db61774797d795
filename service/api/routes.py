"""The addresses of the service. Nothing is computed here."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

from service.api import caller
from service.api import room as reading
from service.api.negotiation import form_of, negotiate
from service.api.openapi import PREDICT_DOCUMENTATION
from service.api.parameters import (
    ModelOption,
    RegionOption,
    RowsOption,
    SaliencyOption,
    ScaleOption,
    ScratchFolder,
    SignsOption,
    refuse_unknown_options,
)
from service.api.queue import CallerGone
from service.api.responses import response_of
from service.api.room import ReadingRoom
from service.api.schemas import AnswerSchema, ModelEntrySchema, ModelsSchema, SignModelSchema
from service.api.upload import receive_clip
from service.cine.sniff import is_dicom
from service.errors import SeashoreError
from service.options import parse_options
from service.telemetry import METRICS_MEDIA_TYPE


def api_routes(room: ReadingRoom) -> APIRouter:
    router = APIRouter()
    _add_predict(router, room)
    _add_models(router, room)
    _add_metrics(router, room)
    return router


def _add_predict(router: APIRouter, room: ReadingRoom) -> None:
    async def predict(
        request: Request,
        folder: ScratchFolder,
        saliency: SaliencyOption = None,
        model: ModelOption = None,
        rows: RowsOption = None,
        region: RegionOption = None,
        mm_per_px: ScaleOption = None,
        signs: SignsOption = None,
    ) -> Response:
        outcome = "internal_error"
        try:
            form = negotiate(request.headers.get("accept"))
            refuse_unknown_options(request)
            options = parse_options(saliency, rows, region, mm_per_px, signs)
            await room.refuse_untold(options.signs)
            wanted = reading.Request(room.reader.find(model), options, form)
            response = await _answer(room, request, wanted, folder)
            outcome = "ok"
            return response
        except SeashoreError as error:
            outcome = error.code
            raise
        except (CallerGone, ClientDisconnect):
            outcome = "caller_gone"
            return caller.gone()
        finally:
            room.metrics.count_request(outcome)

    documented = dict(PREDICT_DOCUMENTATION, response_model=AnswerSchema)
    router.add_api_route("/v1/predict", predict, methods=["POST"], operation_id="predict", **documented)
    router.add_api_route("/predict", predict, methods=["POST"], operation_id="predict_unversioned", **documented)


def _add_models(router: APIRouter, room: ReadingRoom) -> None:
    @router.get("/v1/models", summary="The models that can be asked", operation_id="models")
    async def models() -> ModelsSchema:
        entries = [
            ModelEntrySchema(name=entry.name, version=entry.version, default=entry.is_default, loaded=entry.is_loaded)
            for entry in room.reader.models()
        ]
        signs = [
            SignModelSchema(name=entry.name, version=entry.version, signs=list(entry.signs), loaded=entry.is_loaded)
            for entry in await asyncio.to_thread(room.reader.signs)
        ]
        return ModelsSchema(models=entries, signs=signs)


def _add_metrics(router: APIRouter, room: ReadingRoom) -> None:
    @router.get(
        "/metrics",
        summary="Counters for Prometheus",
        operation_id="metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text format."}},
    )
    async def metrics() -> Response:
        return Response(await asyncio.to_thread(room.metrics.exposition), media_type=METRICS_MEDIA_TYPE)  # the ledger may be slow


def page_routes(web: Path) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page() -> FileResponse:
        return FileResponse(web / "index.html", media_type="text/html; charset=utf-8")

    return router


async def _answer(room: ReadingRoom, request: Request, wanted: reading.Request, folder: Path) -> Response:
    room.queue.refuse_when_full()
    await asyncio.to_thread(room.refuse_in_trouble, wanted.entry)
    settings = room.settings
    upload = await receive_clip(request, folder / "clip", max_bytes=settings.max_upload_bytes, deadline_s=settings.upload_deadline_s)
    room.metrics.observe_upload(upload.num_bytes)
    wanted = replace(wanted, form=form_of(request.headers.get("accept"), lies_in_a_study=is_dicom(upload.path)))
    answer = await room.queue.run(partial(room.answer, upload, wanted, folder), caller_leaves=partial(caller.leaves, request))
    return response_of(answer, wanted.form)
