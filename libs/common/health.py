"""Is the process alive (`/healthz`), can it work (`/readyz`), what does it count (`/metrics`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from libs.common.database import Database
from libs.common.jobs import brief
from libs.common.producer import Producer


def create_router(database: Database, producer: Producer, is_started: Callable[[], bool]) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz")
    async def say_alive() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def say_ready() -> JSONResponse:
        """200 when database and Kafka answer and everything started; else 503 with what is missing."""
        answers = {
            "database": await _ask(lambda: check_database(database)),
            "kafka": await _ask(producer.check),
            "started": "ok" if is_started() else "still starting",
        }
        is_ready = all(answer == "ok" for answer in answers.values())
        return JSONResponse(answers, status_code=200 if is_ready else 503)

    @router.get("/metrics")
    async def show_metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


async def check_database(database: Database) -> None:
    async with database.engine.connect() as connection:
        await connection.execute(text("select 1"))


async def _ask(check: Callable[[], Awaitable[None]]) -> str:
    try:
        await check()
    except Exception as error:
        return brief(error)
    return "ok"
