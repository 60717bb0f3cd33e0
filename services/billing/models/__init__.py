"""Billing's tables; `migrations/` makes them, a test compares."""

from services.billing.models import lines, methods, payments, reconciliation
from services.billing.models.base import Model

__all__ = ["Model", "lines", "methods", "payments", "reconciliation"]
