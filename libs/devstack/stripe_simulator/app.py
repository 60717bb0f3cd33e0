"""The simulator, put together."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from libs.devstack.stripe_simulator import api, control_routes, errors, forms, pages, schedule
from libs.devstack.stripe_simulator.api import Call, Routes
from libs.devstack.stripe_simulator.errors import ApiError
from libs.devstack.stripe_simulator.forms import Params
from libs.devstack.stripe_simulator.resources import (
    account,
    catalog,
    customers,
    events,
    invoice_items,
    invoices,
    payment_methods,
    payment_records,
    portal,
    subscriptions,
)
from libs.devstack.stripe_simulator.settings import SimulatorSettings
from libs.devstack.stripe_simulator.world import Act, World, new_id

_CONFIGURED = "we_configured_"

logger = logging.getLogger(__name__)

_RESOURCES = (
    account,
    catalog,
    customers,
    events,
    invoice_items,
    invoices,
    payment_methods,
    payment_records,
    portal,
    subscriptions,
)


def create_simulator(settings: SimulatorSettings) -> FastAPI:
    """A Stripe-like server: the API under `/v1`, controls under `/_sim`, pages at `/`."""
    world = World(settings)
    _put_configured_endpoints(world)
    app = FastAPI(title="Stripe simulator", lifespan=_lifespan(world), openapi_url=None)
    app.state.world = world
    app.include_router(control_routes.router(world))
    app.include_router(pages.router(world))
    app.add_exception_handler(ApiError, _tell_refusal)
    _serve_api(app, world)
    return app


async def _tell_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status)


def _serve_api(app: FastAPI, world: World) -> None:
    routes = Routes()
    for resource in _RESOURCES:
        routes.include(resource.routes)

    @app.api_route("/v1/{path:path}", methods=["GET", "POST", "DELETE"])
    async def serve(request: Request) -> Response:
        request_id = new_id("req")
        world.requests[f"{request.method} {_without_ids(request.url.path)}"] += 1
        await world.chaos.before_answer()
        path = request.url.path
        try:
            call = await _read_call(world, request, request_id)
            if world.chaos.is_silent(path, after_effect=False):
                return await _say_nothing(request)
            result = await api.answer(world, routes, call)
            if world.chaos.is_silent(path, after_effect=True):
                return await _say_nothing(request)
        except ApiError as error:
            return JSONResponse(error.body, error.status, headers={"Request-Id": request_id})
        if call.is_payment and (await _is_answer_lost(world) or call.is_answer_lost):
            return LostAnswer()
        return JSONResponse(result.body, result.status, headers=_headers(call, request_id, result))


async def _read_call(world: World, request: Request, request_id: str) -> Call:
    _check_key(world, request)
    body = (await request.body()).decode(errors="replace") if request.method == "POST" else request.url.query
    key = request.headers.get("idempotency-key")
    return Call(
        act=Act(world, api.cause_of(request_id, key if request.method == "POST" else None)),
        method=request.method,
        path=request.url.path,
        params=Params(forms.decode(parse_qsl(body, keep_blank_values=True))),
        version=request.headers.get("stripe-version", world.settings.api_version),
    )


def _check_key(world: World, request: Request) -> None:
    wanted = world.settings.api_key
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if wanted and given != wanted:
        raise errors.wrong_key()


async def _is_answer_lost(world: World) -> bool:
    is_lost = await world.chaos.after_charge()
    world.commit()
    return is_lost


def _headers(call: Call, request_id: str, result: api.Answer) -> dict[str, str]:
    headers = {"Request-Id": request_id, "Stripe-Version": call.version}
    if call.act.cause.idempotency_key:
        headers["Idempotency-Key"] = call.act.cause.idempotency_key
    headers.update(result.headers)
    if result.replayed_from:
        headers.update({"Idempotent-Replayed": "true", "Original-Request": result.replayed_from})
    return headers


async def _say_nothing(request: Request) -> Response:
    """The connection stays open until the caller gives up."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
    return LostAnswer()


def _without_ids(path: str) -> str:
    """`/v1/invoices/in_1a2b/pay` as `/v1/invoices/{id}/pay`."""
    return re.sub(r"/[a-z]+_\w*\d\w*", "/{id}", path)


class LostAnswer(Response):
    """The connection breaks in the middle of the answer: the caller cannot know what happened."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": head})


def _put_configured_endpoints(world: World) -> None:
    """The endpoints of the settings keep their place: at another address they get what is still pending."""
    for number, target in enumerate(world.settings.webhooks, start=1):
        events.put_endpoint(Act(world), f"{_CONFIGURED}{number}", target)
    for endpoint in world.store.oldest_first("webhook_endpoint"):
        number_of_old = endpoint["id"].removeprefix(_CONFIGURED)
        if number_of_old.isdigit() and int(number_of_old) > len(world.settings.webhooks):
            Act(world).change(endpoint, status="disabled")
    world.commit()


def _lifespan(world: World) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        world.deliverer.start()
        ticking = asyncio.create_task(_tick(world))
        yield
        ticking.cancel()
        await world.deliverer.stop()
        world.store.close()

    return life


async def _tick(world: World) -> None:
    """Time passes by itself: what is due is done."""
    while world.settings.tick_seconds > 0:
        await asyncio.sleep(world.settings.tick_seconds)
        try:
            schedule.run_due(Act(world), world.clock.now())
        except Exception:
            logger.exception("What was due could not be done; trying again at the next tick")
        world.commit()
