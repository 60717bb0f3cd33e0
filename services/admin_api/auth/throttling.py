"""How often somebody may try to sign in: by account and by address, counted in the database."""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Database
from services.admin_api import queries
from services.admin_api.settings import AdminApiSettings

IPV6_NETWORK_BITS = 64
"""Whoever has one address of such a network has all of them."""


class Wait(NamedTuple):
    """How long; `is_news`: whether this is the first try that has to."""

    time: timedelta
    is_news: bool


class Throttling:
    """A try is counted before its password is looked at, so that a hundred at once are a hundred tries."""

    def __init__(self, database: Database, settings: AdminApiSettings) -> None:
        self._database = database
        self._window = timedelta(seconds=settings.login_window_seconds)
        self._per_account = settings.login_tries_per_account
        self._per_address = settings.login_tries_per_address

    async def take(self, email: str, address: str) -> Wait | None:
        """Counts a try; how long to wait when it is one too many, None when it may be made."""
        wait: Wait | None = None
        # The address first, always: two rows locked in one order are never locked in the other.
        async with self._database.begin() as uow:
            for subject, most in (
                (_of_address(address), self._per_address),
                (_of_account(email), self._per_account),
            ):
                tries = await queries.take_try(uow.session, subject, now=uow.now, window=self._window)
                if tries.tries > most:
                    longest = max(tries.until - uow.now, wait.time if wait else timedelta())
                    wait = Wait(longest, tries.tries == most + 1 and (wait is None or wait.is_news))
        return wait

    async def clear(self, session: AsyncSession, email: str, address: str) -> None:
        """After signing in: the account begins anew, and the try was none of those that count against the
        address."""
        await queries.give_try_back(session, _of_address(address))
        await queries.forget_tries(session, _of_account(email))


def _of_account(email: str) -> str:
    """Hashed: whatever somebody typed, be it a password in the wrong field, is not kept."""
    return f"account:{hashlib.sha256(email.strip().lower().encode()).hexdigest()}"


def _of_address(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"address:{hashlib.sha256(address.encode()).hexdigest()}"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, ipaddress.IPv6Address):
        return f"address:{ipaddress.ip_network((parsed, IPV6_NETWORK_BITS), strict=False)}"
    return f"address:{parsed}"
