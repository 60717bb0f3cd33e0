"""Billing, put together."""

from __future__ import annotations

from fastapi import FastAPI

from libs.common.clock import Clock, utc_now
from libs.common.jobs import Job
from libs.common.service import ALL_DOORS, Door, Service
from libs.integrations.stripe import Stripe
from services.billing import handlers, routes
from services.billing.jobs import Dunning
from services.billing.refreshes import Refreshes
from services.billing.routes import ingress
from services.billing.settings import BillingSettings


def create_app(
    settings: BillingSettings, *, doors: frozenset[Door] = ALL_DOORS, clock: Clock = utc_now
) -> FastAPI:
    service = Service("billing", settings, clock=clock, doors=doors)
    stripe = Stripe(
        settings.stripe_sk.get_secret_value(),
        api_base=settings.stripe_api_base,
        timeout_seconds=settings.stripe_timeout_seconds,
        requests_per_second=settings.stripe_requests_per_second,
    )
    dunning = Dunning(service.database, stripe, settings, clock)
    job = Job(
        "dunning",
        dunning.work_due_case,
        every_seconds=settings.poll_seconds,
        wake_on="dunning_cycles",
        workers=settings.dunning_workers,
    )
    refreshes = Refreshes(service.database, stripe, settings, clock)
    fetching = Job("refreshes", refreshes.fetch_next, settings.poll_seconds, wake_on="refreshes")
    return service.app(
        handlers=handlers.router,
        jobs=[job, fetching],
        routes=[
            routes.create_router(service.database, settings),
            routes.create_pay_router(service.database, stripe, settings, clock),
        ],
        doorways={ingress.PATH: ingress.Ingress(settings, service.producer, clock)},
        closers=[stripe.close],
    )
