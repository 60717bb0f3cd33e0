"""The admin API, put together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from fastapi import APIRouter, FastAPI

from libs.common.clock import Clock, utc_now
from libs.common.housekeeping import Keeping
from libs.common.jobs import Job
from libs.common.service import ALL_DOORS, Door, Service
from services.admin_api import handlers, queries, routes
from services.admin_api.auth import Guards, close_doors
from services.admin_api.jobs import RoutineWatch
from services.admin_api.peers import Peers
from services.admin_api.problems import add_problem_answers
from services.admin_api.routes import pages
from services.admin_api.screens import Screens
from services.admin_api.settings import AdminApiSettings

KEEPINGS = (
    Keeping("admin_sessions", 90, queries.delete_old_sessions),
    Keeping("login_throttles", 1, queries.delete_old_throttles),
)


def create_app(
    settings: AdminApiSettings, *, doors: frozenset[Door] = ALL_DOORS, clock: Clock = utc_now
) -> FastAPI:
    """Raises MisconfiguredError when what signs tokens is not there, in a process with the HTTP door."""
    service = Service("admin_api", settings, teller="directory", clock=clock, doors=doors)
    watch = RoutineWatch(service.database, patience_seconds=settings.routine_watch_seconds)
    jobs = [Job("watch_routines", watch.look, every_seconds=settings.routine_watch_seconds)]
    if Door.HTTP not in doors:
        return service.app(handlers=handlers.router, jobs=jobs, keepings=KEEPINGS)
    guards = Guards.of(service.database, settings)
    screens = Screens(guards.csrf, clock=clock)
    peers = Peers(settings)
    app = service.app(
        handlers=handlers.router,
        jobs=jobs,
        routes=[*_api(service, settings, guards), *_pages(service, screens, guards, peers)],
        keepings=KEEPINGS,
        closers=[peers.close],
    )
    add_problem_answers(app, screens.answer)
    close_doors(app, settings, guards, screens.answer)
    return app


def _api(service: Service, settings: AdminApiSettings, guards: Guards) -> Sequence[APIRouter]:
    return [
        routes.directory.create_router(service.database),
        routes.contacts.create_router(service.database),
        routes.numbers.create_router(service.database, rest=timedelta(days=settings.number_rest_days)),
        routes.wishes.create_router(service.database),
        routes.sessions.create_router(guards, access_seconds=settings.access_seconds),
    ]


def _pages(service: Service, screens: Screens, guards: Guards, peers: Peers) -> Sequence[APIRouter]:
    return [
        pages.assets.create_router(screens),
        pages.sign_in.create_router(screens, guards),
        pages.home.create_router(service.database, screens),
        pages.account.create_router(service.database, screens, guards),
        pages.companies.create_router(service.database, screens, peers),
        pages.deliveries.create_router(service.database, screens, peers),
        pages.set_aside.create_router(service.database, screens),
        pages.routines.create_router(service.database, screens, peers),
        pages.journal.create_router(service.database, screens),
    ]
