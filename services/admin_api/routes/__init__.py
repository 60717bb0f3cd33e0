"""The admin API's HTTP doors: what it owns and shows (`directory`, `contacts`, `numbers`), what is wanted
(`wishes`), signing in (`sessions`); the pages are in `pages`."""

from services.admin_api.routes import contacts, directory, numbers, sessions, wishes

__all__ = ["contacts", "directory", "numbers", "sessions", "wishes"]
