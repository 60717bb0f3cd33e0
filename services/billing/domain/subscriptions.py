"""The copy of a subscription: which of two is further on, and what of its life is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.common.events import Event
from libs.common.events.billing import (
    SubscriptionCanceled,
    SubscriptionChanged,
    SubscriptionStarted,
    TrialStarted,
)
from libs.integrations.stripe import Subscription

LIFETIME = "lifetime"
"""Our own status beside Stripe's: « Abonné à vie », granted by an admin."""


@dataclass(frozen=True, slots=True)
class SubscriptionCopy:
    """A subscription as Stripe had it at `seen_at`, told by an event, or fetched because events disagreed."""

    subscription: Subscription
    seen_at: datetime
    is_fetched: bool = False

    @property
    def _place(self) -> tuple[bool, datetime, bool, str]:
        # What ended never lives again. Two different copies of one second: the fetched one knows; until it is
        # there any order will do that is the same whichever came first.
        return self.subscription.is_ended, self.seen_at, self.is_fetched, repr(self.subscription)


def further(kept: SubscriptionCopy | None, seen: SubscriptionCopy) -> SubscriptionCopy:
    """The one of the two that is further on, whatever order they come in."""
    return seen if kept is None or seen._place > kept._place else kept


def must_ask(kept: SubscriptionCopy | None, seen: SubscriptionCopy) -> bool:
    """Whether only Stripe can say which of two is right: Stripe dates its events by the second."""
    return (
        kept is not None
        and kept.seen_at == seen.seen_at
        and kept.subscription != seen.subscription
        and kept.subscription.is_ended == seen.subscription.is_ended
        and not kept.is_fetched
    )


def told_of(
    company_id: UUID, kept: SubscriptionCopy | None, seen: SubscriptionCopy, *, has_another: bool
) -> list[Event]:
    """What a copy deserves to be told, beside what is kept. Beginnings and ends are told by whichever copy
    shows them, however late it comes; changes only by the one that is further on than what is kept."""
    told: list[Event] = [
        event
        for tell in (_trial, _start, _end)
        if (event := tell(company_id, seen, has_another=has_another)) is not None
    ]
    if further(kept, seen) is seen and _is_news(kept, seen):
        told.append(_change(company_id, kept, seen))
    return told


def _trial(company_id: UUID, seen: SubscriptionCopy, *, has_another: bool) -> TrialStarted | None:
    subscription = seen.subscription
    if subscription.status != "trialing" or subscription.trial_ends_at is None:
        return None
    return TrialStarted(
        company_id=company_id,
        subscription_id=subscription.id,
        started_at=subscription.started_at,
        trial_ends_at=subscription.trial_ends_at,
        plan=subscription.plan,
    )


def _start(company_id: UUID, seen: SubscriptionCopy, *, has_another: bool) -> SubscriptionStarted | None:
    if seen.subscription.status != "active":
        return None
    return SubscriptionStarted(
        company_id=company_id,
        subscription_id=seen.subscription.id,
        started_at=seen.subscription.started_at,
        plan=seen.subscription.plan,
    )


def _end(company_id: UUID, seen: SubscriptionCopy, *, has_another: bool) -> SubscriptionCanceled | None:
    subscription = seen.subscription
    if not subscription.is_ended:
        return None
    return SubscriptionCanceled(
        company_id=company_id,
        subscription_id=subscription.id,
        canceled_at=subscription.ended_at or seen.seen_at,
        reason=subscription.cancel_reason,
        has_another=has_another,
    )


_NEWS: tuple[Callable[[Subscription], object], ...] = (
    lambda s: s.status,
    lambda s: s.plan_id,
    lambda s: s.monthly_cents,
    lambda s: s.trial_ends_at,
    lambda s: s.ends_at,
)


def _is_news(kept: SubscriptionCopy | None, seen: SubscriptionCopy) -> bool:
    if kept is None:
        return True
    return any(look(kept.subscription) != look(seen.subscription) for look in _NEWS)


def _change(company_id: UUID, kept: SubscriptionCopy | None, seen: SubscriptionCopy) -> SubscriptionChanged:
    subscription, before = seen.subscription, kept.subscription if kept else None
    return SubscriptionChanged(
        company_id=company_id,
        subscription_id=subscription.id,
        status=subscription.status,
        previous_status=before.status if before else None,
        plan_id=subscription.plan_id,
        plan=subscription.plan,
        previous_plan=before.plan if before else None,
        monthly_cents=subscription.monthly_cents,
        currency=subscription.currency,
        trial_ends_at=subscription.trial_ends_at,
        ends_at=subscription.ends_at,
        changed_at=seen.seen_at,
    )
