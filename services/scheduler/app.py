"""The scheduler, put together."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from fastapi import FastAPI

from libs.common.clock import Clock, utc_now
from libs.common.jobs import Job
from libs.common.service import ALL_DOORS, Door, Service
from services.scheduler import domain, handlers, jobs, routes
from services.scheduler.reading import Reading
from services.scheduler.settings import SchedulerSettings


def create_app(
    settings: SchedulerSettings, *, doors: frozenset[Door] = ALL_DOORS, clock: Clock = utc_now
) -> FastAPI:
    service = Service("scheduler", settings, clock=clock, doors=doors)
    step = settings.signup_first_step
    scan = partial(jobs.scan_signup, service.database, Reading(handlers.router, settings), step)
    check = jobs.CheckUnpaid(service.database, Reading(handlers.router, settings), settings)
    reconcile = partial(
        jobs.tell_reconciliation, service.database, timedelta(seconds=settings.reconcile_stripe_seconds)
    )
    scheduled = [
        Job("signup_scan", scan, every_seconds=settings.signup_scan_seconds),
        Job("check_unpaid", check.run, every_seconds=settings.unpaid_check_seconds),
        Job(domain.RECONCILE_STRIPE, reconcile, every_seconds=settings.poll_seconds),
    ]
    check_cards = partial(jobs.tell_card_check, service.database, settings.card_check_hour)
    scheduled.append(Job(domain.CHECK_CARDS, check_cards, every_seconds=settings.poll_seconds))
    if settings.check_stripe_enterprise_subscription:
        compare = partial(jobs.tell_subscription_checks, service.database, Reading(handlers.router, settings))
        scheduled.append(Job(domain.CHECK_SUBSCRIPTIONS, compare, every_seconds=settings.poll_seconds))
    return service.app(
        handlers=handlers.router,
        jobs=scheduled,
        routes=[routes.create_router(service.database, step, settings.interne_apikey)],
    )
