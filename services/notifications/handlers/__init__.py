"""What a fact makes notifications do, a file for each service that tells."""

from services.notifications.handlers import (
    billing,
    digests,
    directory,
    numbers,
    scheduler,
    subscriptions,
    team,
)
from services.notifications.handlers.router import router

__all__ = ["billing", "digests", "directory", "numbers", "router", "scheduler", "subscriptions", "team"]
