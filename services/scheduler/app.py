"""The scheduler, put together."""

from __future__ import annotations

from fastapi import FastAPI

from libs.common.clock import Clock, utc_now
from libs.common.jobs import Job
from libs.common.service import ALL_DOORS, Door, Service
from services.scheduler import handlers, jobs, routes
from services.scheduler.control import Control
from services.scheduler.reading import Reading
from services.scheduler.settings import SchedulerSettings


def create_app(
    settings: SchedulerSettings, *, doors: frozenset[Door] = ALL_DOORS, clock: Clock = utc_now
) -> FastAPI:
    service = Service("scheduler", settings, clock=clock, doors=doors)
    works = jobs.works(settings)
    pings = jobs.Pings({name: url.get_secret_value() for name, url in settings.routine_ping_urls.items()})
    engine = jobs.Engine(
        service.database,
        settings.routines,
        works,
        settings,
        reading=Reading(handlers.router, settings),
        pings=pings,
        is_stopping=lambda: service.alarm.is_stopping,
    )
    control = Control(service.database, settings.routines, works)
    return service.app(
        handlers=handlers.router,
        jobs=[Job("tick", engine.tick, every_seconds=settings.poll_seconds, wake_on="runs")],
        routes=[routes.create_router(control, settings.interne_apikey)],
        closers=[pings.close],
    )
