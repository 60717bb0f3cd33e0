"""What providers told is worked: each word moves its delivery forward, or changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from uuid import UUID

from libs.common.database import Database, Uow
from libs.common.errors import PermanentFailure
from services.notifications import ledger, queries
from services.notifications.provider_words import Word, read_word
from services.notifications.queries import Found, ProviderEvent

log = logging.getLogger("relance.notifications")

LARGEST_BATCH = 50


async def work_provider_events(database: Database) -> int:
    """One turn: the oldest that wait, as far as nobody else holds them or their companies."""
    async with database.begin() as uow:
        waiting = await queries.list_provider_events(uow.session, limit=LARGEST_BATCH)
        if not waiting:
            return 0
        words = {event.seq: _read(event) for event in waiting}
        mine = await _lock(uow, words)
        for event in waiting:
            if event.seq in mine:
                await _work(uow, event, words[event.seq])
    return len(waiting)


def _read(event: ProviderEvent) -> Word | None:
    try:
        return read_word(event.provider, event.body)
    except PermanentFailure as failure:
        log.warning("a callback of %s (%s) makes no sense: %s", event.provider, event.seq, failure)
        return None


async def _lock(uow: Uow, words: Mapping[int, Word | None]) -> set[int]:
    """Companies before rows, as everywhere; the events that may be worked now."""
    about = {word.delivery_id for word in words.values() if word and word.delivery_id}
    found = await queries.find_deliveries(uow.session, about)
    company_ids = sorted({each.delivery.company_id for each in found.values()})
    locked: set[UUID] = set()
    if company_ids:
        locked = set(await ledger.lock_companies(uow, company_ids, limit=len(company_ids)))

    def is_free(word: Word | None) -> bool:
        of = found.get(word.delivery_id) if word and word.delivery_id else None
        return of is None or of.delivery.company_id in locked

    free = [seq for seq, word in words.items() if is_free(word)]
    return await queries.lock_provider_events(uow.session, free)


async def _work(uow: Uow, event: ProviderEvent, word: Word | None) -> None:
    about: Found | None = None
    if word and word.delivery_id:
        # Read now: the words before this one may have moved it.
        about = (await queries.find_deliveries(uow.session, {word.delivery_id})).get(word.delivery_id)
    outcome = await _apply(uow, word, about)
    delivery_id = about.delivery.id if about else None
    await queries.mark_provider_event(
        uow.session, event.seq, outcome, delivery_id=delivery_id, is_ignored=word is None, now=uow.now
    )
    log.info("%s about delivery %s: %s", event.provider, delivery_id, outcome)


async def _apply(uow: Uow, word: Word | None, about: Found | None) -> str:
    """What it changed, in words for people."""
    if word is None:
        return "makes no sense"
    changes: list[str] = []
    if about is not None:
        changes += await ledger.apply_report(uow, about, word.report)
    verdict = word.report.verdict
    address = (about.delivery.recipient if about else None) or word.address
    if verdict is not None and address:
        await ledger.note_verdict(
            uow,
            verdict,
            word.report.text,
            channel=word.channel,
            address=address,
            delivery_id=word.delivery_id,
        )
        changes.append(verdict)
    return ", ".join(changes) or ("no news" if about else "about no delivery of ours")
