"""Billing's HTTP doors: `ingress` for Stripe's webhooks, `internal` for the admin pages,
`pay` for the links in mails."""

from services.billing.routes.internal import create_router
from services.billing.routes.pay import create_pay_router

__all__ = ["create_pay_router", "create_router"]
