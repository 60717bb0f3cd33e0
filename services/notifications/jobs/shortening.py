"""Short links are made ahead of the messages that carry them: no message waits for TinyURL."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import timedelta

from libs.common.database import Database, Uow
from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.common.jobs import backoff_seconds, brief
from libs.integrations.tinyurl import TinyUrl
from services.notifications import queries
from services.notifications.domain import Delivery
from services.notifications.domain.links import links_in
from services.notifications.settings import NotificationsSettings

log = logging.getLogger("relance.notifications")


class Shortening:
    """Shortens what was wanted, one link a turn: claim, ask, note. No transaction waits for TinyURL."""

    def __init__(self, database: Database, tinyurl: TinyUrl, settings: NotificationsSettings) -> None:
        self._database = database
        self._tinyurl = tinyurl
        self._settings = settings
        self._is_house_wanted = False

    async def shorten_links(self) -> int:
        """Answers 1 when one was tried."""
        if not self._tinyurl.has_room():
            return 0
        async with self._database.begin() as uow:
            if not self._is_house_wanted:
                await queries.add_wanted_links(uow.session, links_in(self._settings.house), now=uow.now)
            lease_until = uow.now + timedelta(seconds=self._settings.lease_seconds)
            wanted = await queries.claim_wanted_link(uow.session, now=uow.now, lease_until=lease_until)
        self._is_house_wanted = True
        if wanted is None:
            self._tinyurl.give_back()
            return 0
        await self._shorten(wanted.url, wanted.attempts)
        return 1

    async def _shorten(self, url: str, attempts: int) -> None:
        try:
            short_url = await self._tinyurl.shorten(url)
        except PermanentFailure as failure:
            log.warning("a link stays long: %s", brief(failure))
            async with self._database.begin() as uow:
                await queries.mark_link_trouble(uow.session, url, brief(failure), now=uow.now, due_at=None)
        except TemporaryFailure as failure:
            log.warning("a link stays long for now: %s", brief(failure))
            async with self._database.begin() as uow:
                due_at = uow.now + timedelta(seconds=self._wait(attempts, failure))
                await queries.mark_link_trouble(uow.session, url, brief(failure), now=uow.now, due_at=due_at)
        else:
            async with self._database.begin() as uow:
                await queries.mark_short(uow.session, url, short_url, now=uow.now)

    def _wait(self, attempts: int, failure: TemporaryFailure) -> float:
        wait = backoff_seconds(
            attempts - 1,
            first=self._settings.retry_first_seconds,
            longest=self._settings.retry_longest_seconds,
        )
        return max(wait, failure.retry_after_seconds or 0)


async def known_short_links(
    uow: Uow, settings: NotificationsSettings, deliveries: Sequence[Delivery]
) -> dict[str, str]:
    """For what is being claimed: short by long, as far as they are known by now. The others are wanted from
    now on; these messages carry the long ones."""
    shortening = [each for each in deliveries if settings.shortens(each.kind, each.channel)]
    if not shortening:
        return {}
    urls: Collection[str] = set().union(
        links_in(settings.house), *(links_in(each.context) for each in shortening)
    )
    short = await queries.list_short_links(uow.session, urls)
    await queries.add_wanted_links(uow.session, urls - short.keys(), now=uow.now)
    return short
