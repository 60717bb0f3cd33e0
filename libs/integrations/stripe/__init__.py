"""Stripe: the signature on its webhooks, the shape of its objects, its API. Its words stop in this folder."""

from libs.integrations.stripe.answers import Charge, ChargeOutcome, refusal
from libs.integrations.stripe.client import Stripe
from libs.integrations.stripe.objects import (
    Customer,
    Invoice,
    LastFailure,
    PaymentMethod,
    StripeEvent,
    read_customer,
    read_event,
    read_invoice,
    read_payment_method,
)
from libs.integrations.stripe.signature import SignatureRefused, verify_signature
from libs.integrations.stripe.subscriptions import (
    Dispute,
    Refund,
    Subscription,
    read_dispute,
    read_refund,
    read_subscription,
)

__all__ = [
    "Charge",
    "ChargeOutcome",
    "Customer",
    "Dispute",
    "Invoice",
    "LastFailure",
    "PaymentMethod",
    "Refund",
    "SignatureRefused",
    "Stripe",
    "StripeEvent",
    "Subscription",
    "read_customer",
    "read_dispute",
    "read_event",
    "read_invoice",
    "read_payment_method",
    "read_refund",
    "read_subscription",
    "refusal",
    "verify_signature",
]
