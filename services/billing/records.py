"""A Stripe event as the record of `stripe.events`: the same whether its webhook came or it was fetched."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from libs.common.envelope import Envelope
from libs.common.events.stripe import StripeEventReceived, stripe_event_uuid, stripe_key
from libs.common.telemetry import new_traceparent

BY_WEBHOOK = "/stripe/webhook"
BY_RECONCILIATION = "/stripe/reconciliation"


def record_of(event: dict[str, Any], body: bytes, *, source: str, now: datetime) -> Envelope:
    """`body` is the event's JSON; `event` the same, read (`read_stripe_event`)."""
    return Envelope(
        event_id=stripe_event_uuid(event["id"]),
        type=StripeEventReceived.type,
        source=source,
        key=stripe_key(event),
        time=now,
        data=body,
        traceparent=new_traceparent(),
    )
