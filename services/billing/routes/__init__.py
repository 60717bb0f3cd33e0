"""Billing's HTTP doors: `ingress` for Stripe's webhooks, `internal` for the admin pages."""

from services.billing.routes.internal import create_router

__all__ = ["create_router"]
