"""The admin API's HTTP doors: `directory` for what it owns and shows, `wishes` for what people want done."""

from services.admin_api.routes import directory, wishes
from services.admin_api.routes.directory import create_pages

__all__ = ["create_pages", "directory", "wishes"]
