"""The doors of the admin API: who calls, what each may, and how one signs in."""

from services.admin_api.auth.callers import (
    Caller,
    CallerOf,
    api,
    caller_of,
    open_api,
    open_page,
    own_api,
    page,
)
from services.admin_api.auth.doors import SIGN_IN_PATH, close_doors
from services.admin_api.auth.guards import Guards
from services.admin_api.auth.sessions import Issued, Origin, SignInRefused

__all__ = [
    "SIGN_IN_PATH",
    "Caller",
    "CallerOf",
    "Guards",
    "Issued",
    "Origin",
    "SignInRefused",
    "api",
    "caller_of",
    "close_doors",
    "open_api",
    "open_page",
    "own_api",
    "page",
]
