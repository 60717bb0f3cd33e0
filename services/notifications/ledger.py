"""The one way a delivery ends or moves on: marked, written down, counted and told, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from prometheus_client import Counter, Gauge

from libs.common.database import Uow
from libs.common.envelope import Envelope
from services.notifications import domain, queries
from services.notifications.domain import Delivery, Outcome, Result, Status

DELIVERIES = Counter("relance_deliveries_total", "Deliveries by what became of them", ["kind", "outcome"])
UNKNOWN = Gauge("relance_deliveries_unknown", "Deliveries of which nobody can tell whether they left")


async def lock_companies(uow: Uow, company_ids: Sequence[UUID], *, limit: int) -> list[UUID]:
    """At most `limit` that nobody holds; if all are held, the first one, waited for while holding nothing.

    Whoever settles several companies in one transaction locks them so: it can be in no deadlock.
    """
    locked = await queries.lock_free_companies(uow.session, company_ids, limit=limit)
    if not locked:
        locked = list(company_ids[:1])
        await uow.lock(str(locked[0]))
    return locked


async def settle(uow: Uow, results: Sequence[Result], *, from_statuses: Sequence[Status]) -> list[Delivery]:
    """The deliveries whose outcome was taken: not one that has moved on. Their companies must be locked."""
    if not results:
        return []
    marked = await queries.mark_outcomes(uow.session, results, now=uow.now, from_statuses=from_statuses)
    taken = [(delivery, outcome) for delivery, outcome in results if delivery.id in marked]
    failed = [delivery.id for delivery, outcome in taken if outcome.status is Status.FAILED]
    await queries.delete_listed_invoices(uow.session, failed)
    for delivery, outcome in taken:
        await _tell(uow, delivery, outcome)
        DELIVERIES.labels(delivery.kind, outcome.status).inc()
    return [delivery for delivery, _ in taken]


async def _tell(uow: Uow, delivery: Delivery, outcome: Outcome) -> None:
    fact = domain.fact_of(delivery, outcome, now=uow.now)
    if fact is not None:
        teller = uow if uow.cause else uow.caused_by(cause_of(delivery))
        await teller.publish(fact)


def cause_of(delivery: Delivery) -> Envelope:
    """The fact that made a delivery, so that what is told of it leads back there."""
    return Envelope(
        event_id=delivery.event_id,
        type=delivery.event_type,
        source="",
        key=str(delivery.company_id),
        time=delivery.created_at,
        data=b"",
        traceparent=delivery.traceparent,
    )
