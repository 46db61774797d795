"""Signing in on the page: a key is exchanged for a cookie that scripts cannot read and other pages cannot use."""

import asyncio

from fastapi import APIRouter, Request, Response

from service.access.door import SESSION_COOKIE, SESSION_S, Door
from service.access.principal import Principal
from service.api.job_schemas import PrincipalSchema, SignInSchema
from service.api.openapi import SESSION_DOCUMENTATION, SIGN_IN_DOCUMENTATION


def session_routes(door: Door) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/session", operation_id="session", response_model=PrincipalSchema, **SESSION_DOCUMENTATION)
    async def session(request: Request) -> PrincipalSchema:
        asker = await asyncio.to_thread(door.admit, request.headers)
        return _schema(asker.principal)

    @router.post("/v1/session", operation_id="sign_in", response_model=PrincipalSchema, **SIGN_IN_DOCUMENTATION)
    async def sign_in(request: Request, response: Response, given: SignInSchema) -> PrincipalSchema:
        value, key = await asyncio.to_thread(door.begin_session, given.key)
        is_tls = request.url.scheme == "https"
        response.set_cookie(SESSION_COOKIE, value, httponly=True, samesite="strict", secure=is_tls, path="/", max_age=SESSION_S)
        return _schema(key.principal)

    @router.delete("/v1/session", operation_id="sign_out", status_code=204, summary="Sign out: the page's cookie is taken back")
    async def sign_out(request: Request) -> Response:
        response = Response(status_code=204)
        response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")
        return response

    return router


def _schema(principal: Principal) -> PrincipalSchema:
    return PrincipalSchema(owner=principal.owner, scopes=sorted(principal.scopes))
