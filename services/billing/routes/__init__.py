"""Billing's HTTP doors: `ingress` for Stripe's webhooks, `internal` for the admin pages,
`pay` for the links in mails, `lines` for the phone platform."""

from services.billing.routes.internal import create_router
from services.billing.routes.lines import create_lines_router
from services.billing.routes.pay import create_pay_router

__all__ = ["create_lines_router", "create_pay_router", "create_router"]
