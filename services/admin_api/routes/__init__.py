"""The admin API's HTTP doors: what it owns and shows (`directory`, `contacts`, `numbers`), what is wanted
(`wishes`)."""

from services.admin_api.routes import contacts, directory, numbers, wishes
from services.admin_api.routes.directory import create_pages

__all__ = ["contacts", "create_pages", "directory", "numbers", "wishes"]
