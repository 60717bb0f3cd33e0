"""The admin API's tables; `migrations/` makes them, a test compares."""

from services.admin_api.models import admins
from services.admin_api.models.directory import Model

__all__ = ["Model", "admins"]
