"""Billing, put together."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI

from libs.common.clock import Clock, utc_now
from libs.common.jobs import Job
from libs.common.service import ALL_DOORS, Door, Service
from libs.integrations.breaker import Breaker
from libs.integrations.stripe import Stripe
from services.billing import handlers, routes
from services.billing.figures import take_figures
from services.billing.jobs import Dunning
from services.billing.reconciliation import Reconciliation
from services.billing.settings import BillingSettings
from services.billing.subscription_checks import SubscriptionChecks

FIGURES_SECONDS = 30.0


def create_app(
    settings: BillingSettings, *, doors: frozenset[Door] = ALL_DOORS, clock: Clock = utc_now
) -> FastAPI:
    service = Service("billing", settings, clock=clock, doors=doors)
    stripe = Stripe(
        settings.stripe_sk.get_secret_value(),
        api_base=settings.stripe_api_base,
        timeout_seconds=settings.stripe_timeout_seconds,
        requests_per_second=settings.stripe_requests_per_second,
        breaker=Breaker(
            failures=settings.stripe_breaker_failures, rest_seconds=settings.stripe_breaker_rest_seconds
        ),
    )
    dunning = Dunning(service.database, stripe, settings, clock)
    job = Job(
        "dunning",
        dunning.begin_due_cases,
        every_seconds=settings.poll_seconds,
        wake_on="dunning_cycles",
    )
    reconciliation = Reconciliation(service.database, stripe, service.producer, settings, clock)
    walk = Job(
        "reconciliation", reconciliation.go_on, every_seconds=settings.poll_seconds, wake_on="stripe_walk"
    )
    figures = Job(
        "reconciliation_figures", partial(take_figures, service.database), every_seconds=FIGURES_SECONDS
    )
    checks = SubscriptionChecks(service.database, stripe, settings)
    check = Job(
        "subscription_checks",
        checks.work_due_check,
        every_seconds=settings.poll_seconds,
        wake_on="subscription_checks",
    )
    return service.app(
        handlers=handlers.router,
        jobs=[job, walk, figures, check],
        routes=[routes.create_router(service.database, settings.interne_apikey)],
        doorways={routes.PATH: routes.Ingress(settings, service.producer, clock)},
        closers=[dunning.close, stripe.close],
    )
