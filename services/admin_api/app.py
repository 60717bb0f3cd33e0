"""The admin API, put together."""

from __future__ import annotations

from datetime import timedelta

from fastapi import FastAPI

from libs.common.clock import Clock, utc_now
from libs.common.jobs import Job
from libs.common.service import ALL_DOORS, Door, Service
from services.admin_api import handlers, routes
from services.admin_api.auth import close_doors
from services.admin_api.jobs import RoutineWatch
from services.admin_api.problems import add_problem_answers
from services.admin_api.settings import AdminApiSettings


def create_app(
    settings: AdminApiSettings, *, doors: frozenset[Door] = ALL_DOORS, clock: Clock = utc_now
) -> FastAPI:
    service = Service("admin_api", settings, teller="directory", clock=clock, doors=doors)
    watch = RoutineWatch(service.database, patience_seconds=settings.routine_watch_seconds)
    app = service.app(
        handlers=handlers.router,
        jobs=[Job("watch_routines", watch.look, every_seconds=settings.routine_watch_seconds)],
        routes=[
            routes.create_pages(),
            routes.directory.create_router(service.database),
            routes.contacts.create_router(service.database),
            routes.numbers.create_router(service.database, rest=timedelta(days=settings.number_rest_days)),
            routes.wishes.create_router(service.database),
        ],
    )
    add_problem_answers(app)
    close_doors(app, settings.interne_apikey)
    return app
