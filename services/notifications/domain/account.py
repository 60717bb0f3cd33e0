"""Messages about a company's account: its subscription, its trial, its phone numbers."""

from __future__ import annotations

from datetime import datetime, timedelta

from libs.common.events import CompanyEvent
from libs.common.events.billing import SubscriptionCanceled, SubscriptionChanged, SubscriptionStarted
from libs.common.events.directory import NumberAssigned, NumberReleased
from libs.common.events.scheduler import NumberReleaseWarningDue, TrialEnded, TrialEndingSoon
from services.notifications.domain.deliveries import Message


def subscription_started(event: SubscriptionStarted) -> Message:
    key = f"subscription_started:{event.company_id}:{event.subscription_id}"
    return _message("subscription_started", key, event, event.started_at, "subscription_id", "plan")


def subscription_changed(event: SubscriptionChanged) -> Message | None:
    """None unless one plan took the place of another in a subscription that goes on: Stripe tells of more."""
    is_another = event.previous_plan is not None and event.plan not in {None, event.previous_plan}
    if not is_another or event.status not in {"active", "trialing", "past_due"}:
        return None
    fields = ("subscription_id", "plan", "previous_plan", "monthly_cents", "currency", "changed_at")
    key = f"subscription_changed:{event.company_id}:{event.subscription_id}:{event.changed_at.isoformat()}"
    return _message("subscription_changed", key, event, event.changed_at, *fields)


def subscription_canceled(event: SubscriptionCanceled) -> Message:
    key = f"subscription_canceled:{event.company_id}:{event.subscription_id}"
    return _message("subscription_canceled", key, event, event.canceled_at, "canceled_at", "has_another")


def trial_ending_soon(event: TrialEndingSoon) -> Message:
    """Each of its days is a message of its own, which must not come when there are fewer left."""
    expires_at = event.trial_ends_at - timedelta(days=event.days - 1)
    key = f"trial_ending_soon:{event.company_id}:{event.subscription_id}:{event.days}"
    fields = ("subscription_id", "days", "trial_ends_at", "plan")
    return _message("trial_ending_soon", key, event, None, *fields, expires_at=expires_at)


def trial_ended(event: TrialEnded) -> Message:
    key = f"trial_ended:{event.company_id}:{event.subscription_id}"
    return _message("trial_ended", key, event, None, "subscription_id", "trial_ended_at", "plan")


def number_assigned(event: NumberAssigned) -> Message:
    key = f"number_assigned:{event.company_id}:{event.number}:{event.assigned_at.isoformat()}"
    return _message("number_assigned", key, event, event.assigned_at, "number")


def number_release_warning(event: NumberReleaseWarningDue) -> Message:
    key = f"number_release_warning:{event.company_id}:{event.number}:{event.release_at.isoformat()}"
    fields = ("number", "release_at")
    return _message("number_release_warning", key, event, None, *fields, expires_at=event.release_at)


def number_released(event: NumberReleased) -> Message:
    key = f"number_released:{event.company_id}:{event.number}:{event.released_at.isoformat()}"
    return _message("number_released", key, event, event.released_at, "number", "released_at")


def _message(
    kind: str,
    dedup_key: str,
    event: CompanyEvent,
    happened_at: datetime | None,
    *fields: str,
    expires_at: datetime | None = None,
) -> Message:
    """Whom to write to is as the fact says where it does, else as the directory says when it is queued."""
    context = event.model_dump(mode="json", include=set(fields))
    if happened_at is not None:
        context["happened_at"] = happened_at.isoformat()
    return Message(
        kind=kind,
        dedup_key=dedup_key,
        company_id=event.company_id,
        recipient=getattr(event, "customer_email", None),
        recipient_name=getattr(event, "customer_name", ""),
        expires_at=expires_at,
        context=context,
    )
