"""The pages: what people see, a file for each place of the navigation."""

from services.admin_api.routes.pages import (
    account,
    assets,
    companies,
    deliveries,
    home,
    journal,
    routines,
    set_aside,
    sign_in,
)

__all__ = [
    "account",
    "assets",
    "companies",
    "deliveries",
    "home",
    "journal",
    "routines",
    "set_aside",
    "sign_in",
]
