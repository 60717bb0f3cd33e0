"""All that stands at the doors, put together."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.database import Database
from services.admin_api.auth.api_keys import ApiKeys
from services.admin_api.auth.cookies import Cookies
from services.admin_api.auth.csrf import Csrf
from services.admin_api.auth.keys import Tokens, load_keys
from services.admin_api.auth.passwords import Passwords
from services.admin_api.auth.sessions import Sessions
from services.admin_api.auth.throttling import Throttling
from services.admin_api.auth.totp import Totp
from services.admin_api.settings import AdminApiSettings


@dataclass(frozen=True, slots=True)
class Guards:
    keys: ApiKeys
    sessions: Sessions
    cookies: Cookies
    csrf: Csrf
    throttling: Throttling
    passwords: Passwords
    totp: Totp

    @classmethod
    def of(cls, database: Database, settings: AdminApiSettings) -> Guards:
        """Raises MisconfiguredError when the key that signs tokens is not there."""
        app_secret = settings.app_secret.get_secret_value()
        passwords, totp = Passwords(), Totp(app_secret)
        throttling = Throttling(database, settings)
        tokens = Tokens(load_keys(settings))
        sessions = Sessions(
            database=database,
            settings=settings,
            tokens=tokens,
            passwords=passwords,
            totp=totp,
            throttling=throttling,
        )
        return cls(
            keys=ApiKeys(database, settings.interne_apikey),
            sessions=sessions,
            cookies=Cookies(settings),
            csrf=Csrf(app_secret),
            throttling=throttling,
            passwords=passwords,
            totp=totp,
        )
