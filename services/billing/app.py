"""Billing, put together."""

from __future__ import annotations

import logging
from functools import partial

from fastapi import FastAPI

from libs.common.clock import Clock, utc_now
from libs.common.housekeeping import Keeping
from libs.common.jobs import Job
from libs.common.service import ALL_DOORS, Closer, Door, Service
from libs.integrations.breaker import Breaker
from libs.integrations.platform import PhonePlatform
from libs.integrations.stripe import Stripe
from services.billing import handlers, queries, routes
from services.billing.expiring_cards import ExpiringCards
from services.billing.figures import count_received, take_figures
from services.billing.jobs import Cutoffs, Dunning
from services.billing.reconciliation import Reconciliation
from services.billing.refreshes import Refreshes
from services.billing.routes import ingress
from services.billing.settings import BillingSettings
from services.billing.subscription_checks import SubscriptionChecks
from services.billing.wishes import Wishes, WishWatch

log = logging.getLogger("relance.billing")

FIGURES_SECONDS = 30.0
COUNT_SECONDS = 600.0
COMPANIES_AT_ONCE = 4


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
    dun = Job("dunning", dunning.begin_due_cases, settings.poll_seconds, wake_on="dunning_cycles")
    cutoffs = Cutoffs(service.database, stripe, settings)
    decisions = Job(
        "cutoffs",
        cutoffs.decide_due_lines,
        every_seconds=settings.poll_seconds,
        wake_on="company_lines",
        workers=COMPANIES_AT_ONCE,
    )
    refreshes = Refreshes(service.database, stripe, settings, clock)
    fetching = Job("refreshes", refreshes.fetch_next, settings.poll_seconds, wake_on="refreshes")
    checks = SubscriptionChecks(service.database, stripe, settings)
    check = Job(
        "subscription_checks", checks.work_due_check, settings.poll_seconds, wake_on="subscription_checks"
    )
    cards = ExpiringCards(service.database, settings)
    looking = Job("expiring_cards", cards.look, every_seconds=settings.poll_seconds, wake_on="card_checks")
    wishing, platform_closers = _tell_platform(service, settings, clock)
    return service.app(
        handlers=handlers.router,
        jobs=[
            *(dun, decisions, fetching, check, looking),
            *_reconcile(service, stripe, settings, clock),
            *wishing,
        ],
        routes=[
            routes.create_router(service.database, settings),
            routes.create_pay_router(service.database, stripe, settings, clock),
            routes.create_lines_router(service.database, settings),
        ],
        doorways={ingress.PATH: ingress.Ingress(settings, service.producer, clock)},
        keepings=[
            Keeping("stripe_events", settings.stripe_events_kept_days, queries.events.delete_old_events)
        ],
        closers=[dunning.close, stripe.close, *platform_closers],
    )


def _reconcile(service: Service, stripe: Stripe, settings: BillingSettings, clock: Clock) -> list[Job]:
    reconciliation = Reconciliation(service.database, stripe, service.producer, settings, clock)
    figures, count = partial(take_figures, service.database), partial(count_received, service.database)
    return [
        Job("reconciliation", reconciliation.go_on, settings.poll_seconds, wake_on="stripe_walk"),
        Job("reconciliation_figures", figures, every_seconds=FIGURES_SECONDS),
        Job("received_figure", count, every_seconds=COUNT_SECONDS),
    ]


def _tell_platform(
    service: Service, settings: BillingSettings, clock: Clock
) -> tuple[list[Job], list[Closer]]:
    """Nothing where there is no platform: what is wanted of lines is kept until there is."""
    if settings.platform_webhook_url is None:
        log.warning("PLATFORM_WEBHOOK_URL is not set: what is wanted of lines is kept, and sent to nobody")
        return [], []
    platform = PhonePlatform(
        settings.platform_webhook_url,
        settings.platform_secrets(),
        timeout_seconds=settings.platform_timeout_seconds,
    )
    wishes = Wishes(service.database, platform, settings, clock)
    sending = Job(
        "line_wishes",
        wishes.send_next,
        every_seconds=settings.poll_seconds,
        wake_on="line_wishes",
        workers=settings.platform_workers,
    )
    watch = WishWatch(service.database, settings)
    return [sending, Job("line_wishes_watch", watch.look, settings.poll_seconds)], [platform.close]
