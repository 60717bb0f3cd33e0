"""Tables of notifications; `migrations/` makes them, a test compares."""

from services.notifications.models import consent, deliveries, knowledge, team
from services.notifications.models.base import Model

__all__ = ["Model", "consent", "deliveries", "knowledge", "team"]
