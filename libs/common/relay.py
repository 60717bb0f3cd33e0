"""The relay: from the outbox to Kafka, in order, as soon as a transaction committed."""

from __future__ import annotations

from libs.common import outbox
from libs.common.database import Database
from libs.common.producer import Producer
from libs.common.telemetry import EVENTS_TOLD

BATCH = 1000


async def relay_facts(database: Database, producer: Producer) -> int:
    """One batch; answers how many were relayed.

    The row locks are held while our own Kafka is written to (the one exception to rule 5): a second relay
    must wait its turn, or the order of a company's facts is lost. A crash between the append and the commit
    tells the batch again, under the same event ids.
    """
    async with database.begin() as uow:
        if not await outbox.try_relay_lock(uow.session):
            return 0
        untold = await outbox.list_untold(uow.session, source=f"/relance/{database.service}", limit=BATCH)
        if untold:
            await producer.append_all([(row.topic, row.envelope) for row in untold])
            await outbox.mark_told(uow.session, [row.seq for row in untold])
    EVENTS_TOLD.labels(database.service).inc(len(untold))
    return len(untold)
