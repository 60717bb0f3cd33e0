"""What a fact makes notifications do, a file for each service that tells."""

from services.notifications.handlers import billing, directory, scheduler, team
from services.notifications.handlers.router import router

__all__ = ["billing", "directory", "router", "scheduler", "team"]
