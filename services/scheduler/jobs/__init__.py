"""What the clock starts: the engine, and what each routine does when its moment comes."""

from __future__ import annotations

from collections.abc import Mapping

from services.scheduler import domain
from services.scheduler.jobs.engine import Engine
from services.scheduler.jobs.pings import Pings
from services.scheduler.jobs.signup import scan_signup
from services.scheduler.jobs.stripe import CHECK_CARDS, CHECK_SUBSCRIPTIONS, RECONCILE_STRIPE
from services.scheduler.jobs.unpaid import check_unpaid
from services.scheduler.jobs.work import BATCH, Batch, Work
from services.scheduler.settings import SchedulerSettings

__all__ = ["BATCH", "Batch", "Engine", "Pings", "Work", "works"]


def works(settings: SchedulerSettings) -> Mapping[str, Work]:
    """What each routine of the table does, by its name."""
    return {
        domain.SIGNUP_ROUTINE: scan_signup(settings.signup_steps),
        domain.CHECK_UNPAID: check_unpaid(settings.reminder_stages),
        domain.RECONCILE_STRIPE: RECONCILE_STRIPE,
        domain.CHECK_SUBSCRIPTIONS: CHECK_SUBSCRIPTIONS,
        domain.CHECK_CARDS: CHECK_CARDS,
    }
