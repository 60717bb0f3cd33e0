"""Unknown outcomes of a provider that can be asked: it is asked, a few times, ever more rarely."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.database import Database
from libs.common.errors import TemporaryFailure
from libs.common.jobs import brief
from libs.integrations.sms import SmsProvider, SmsReport
from services.notifications import ledger, queries
from services.notifications.domain import Channel
from services.notifications.provider_words import sms_word

log = logging.getLogger("relance.notifications")

AT_ONCE = 5
MOST_TIMES = 6
"""After the sixth, an hour on with the first after a minute, it is for a person to settle."""
CLOCKS_APART = timedelta(minutes=5)


class Asking:
    """`first_seconds`: how long after the send the first question is put; providers list with a delay."""

    def __init__(self, database: Database, provider: SmsProvider, *, first_seconds: float) -> None:
        self._database = database
        self._provider = provider
        self._first_seconds = first_seconds

    async def ask_about_unknown(self) -> int:
        """One turn. That the provider lists none proves nothing: the delivery stays unknown."""
        async with self._database.begin() as uow:
            questions = await queries.claim_questions(
                uow.session,
                Channel.SMS,
                now=uow.now,
                first_seconds=self._first_seconds,
                most_times=MOST_TIMES,
                limit=AT_ONCE,
            )
        for delivery_id, sending_at, asked in questions:
            await self._ask(delivery_id, sending_at, asked)
        return len(questions)

    async def _ask(self, delivery_id: UUID, sending_at: datetime, asked: int) -> None:
        try:
            report = await self._provider.find(str(delivery_id), since=sending_at - CLOCKS_APART)
        except TemporaryFailure as failure:
            log.warning("nobody can say yet what became of delivery %s: %s", delivery_id, brief(failure))
            return
        if report is not None:
            await self._settle(delivery_id, report)
        elif asked >= MOST_TIMES:
            log.warning("delivery %s: the provider lists none of it; a person must settle it", delivery_id)

    async def _settle(self, delivery_id: UUID, report: SmsReport) -> None:
        async with self._database.begin() as uow:
            found = (await queries.find_deliveries(uow.session, {delivery_id})).get(delivery_id)
            if found is None:
                return
            await uow.lock(str(found.delivery.company_id))
            found = (await queries.find_deliveries(uow.session, {delivery_id}))[delivery_id]
            steps = await ledger.apply_report(uow, found, sms_word(report).report)
        log.info("delivery %s was asked about: %s", delivery_id, ", ".join(steps) or "no news")
