"""Stripe's events as Stripe sends them, signed as Stripe signs them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

CREATED = 1_795_000_000


def signed(body: bytes, secret: str, *, at: float | None = None, scheme: str = "v1") -> str:
    """The Stripe-Signature header for these bytes."""
    stamp = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},{scheme}={digest}"


def event(type_: str, thing: dict[str, Any], *, id_: str = "evt_1", **fields: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "object": "event",
        "type": type_,
        "created": CREATED,
        "livemode": False,
        "data": {"object": thing},
        "request": {"id": None, "idempotency_key": None},
        **fields,
    }


def invoice(id_: str = "in_1", *, customer: str = "cus_1", **fields: Any) -> dict[str, Any]:
    """An open invoice of 29.90 €, in today's shape."""
    return {
        "id": id_,
        "object": "invoice",
        "customer": customer,
        "customer_email": "client@example.fr",
        "customer_name": "Client",
        "status": "open",
        "currency": "eur",
        "amount_due": 2990,
        "amount_paid": 0,
        "amount_remaining": 2990,
        "attempt_count": 1,
        "number": "F-0001",
        "created": CREATED,
        "period_start": CREATED,
        "period_end": CREATED + 2_592_000,
        "parent": {"subscription_details": {"subscription": "sub_1"}},
        "lines": {"data": [{"period": {"start": CREATED, "end": CREATED + 2_592_000}}]},
        "hosted_invoice_url": "https://invoice.example/in_1",
        "status_transitions": {"paid_at": None},
        **fields,
    }


def body_of(event_: dict[str, Any]) -> bytes:
    return json.dumps(event_).encode()
