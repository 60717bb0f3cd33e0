"""The one way a delivery ends or moves on: marked, written down, counted and told, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from prometheus_client import Counter, Gauge

from libs.common.database import Uow
from libs.common.envelope import Envelope
from services.notifications import domain, queries, suppressions
from services.notifications.domain import Delivery, Outcome, Reason, Result, Scope, Status
from services.notifications.domain.reports import Report, Verdict, after_report
from services.notifications.queries import Found

DELIVERIES = Counter("relance_deliveries_total", "Deliveries by what became of them", ["kind", "outcome"])
UNKNOWN = Gauge("relance_deliveries_unknown", "Deliveries of which nobody can tell whether they left")
HELD = Gauge("relance_deliveries_held", "Of those, the ones that no provider settled within the hour")
VERDICTS = Counter(
    "relance_address_verdicts_total", "What providers said of addresses and numbers", ["channel", "verdict"]
)

SUPPRESSES: Mapping[Verdict, tuple[Reason, Scope]] = {
    Verdict.BOUNCES: (Reason.HARD_BOUNCE, Scope.ALL),
    Verdict.COMPLAINED: (Reason.COMPLAINT, Scope.MARKETING),
    Verdict.STOPPED: (Reason.STOP, Scope.MARKETING),
    Verdict.UNSUBSCRIBED: (Reason.UNSUBSCRIBED, Scope.MARKETING),
}
"""What a provider's words about an address hold back from now on."""

_IN_VAIN = frozenset({Status.FAILED, Status.EXPIRED, Status.BOUNCED})


async def lock_companies(uow: Uow, company_ids: Sequence[UUID], *, limit: int) -> list[UUID]:
    """At most `limit` that nobody holds; if all are held, the first one, waited for while holding nothing.

    Whoever settles several companies in one transaction locks them so: it can be in no deadlock.
    """
    locked = await queries.lock_free_companies(uow.session, company_ids, limit=limit)
    if not locked:
        locked = list(company_ids[:1])
        await uow.lock(str(locked[0]))
    return locked


async def settle(
    uow: Uow, results: Sequence[Result], *, from_statuses: Sequence[Status], only_waiting: bool = False
) -> list[Delivery]:
    """The deliveries whose outcome was taken: not one that has moved on. Their companies must be locked."""
    if not results:
        return []
    marked = await queries.mark_outcomes(
        uow.session, results, now=uow.now, from_statuses=from_statuses, only_waiting=only_waiting
    )
    taken = [(delivery, outcome) for delivery, outcome in results if delivery.id in marked]
    in_vain = [delivery.id for delivery, outcome in taken if outcome.status in _IN_VAIN]
    await queries.delete_listed_invoices(uow.session, in_vain)
    for delivery, outcome in taken:
        await _tell(uow, delivery, outcome)
        DELIVERIES.labels(delivery.kind, outcome.status).inc()
    return [delivery for delivery, _ in taken]


async def apply_report(uow: Uow, found: Found, report: Report) -> list[Status]:
    """The steps taken, none for news that is none. The delivery's company must be locked, and `found` read
    since."""
    steps = after_report(found.status, report)
    standing = found.status
    for outcome in steps:
        await settle(uow, [(found.delivery, outcome)], from_statuses=[standing])
        standing = outcome.status
    return [outcome.status for outcome in steps]


async def note_verdict(
    uow: Uow, verdict: Verdict, reason: str, *, channel: str, address: str, delivery_id: UUID | None
) -> None:
    """What was said of an address beyond the one message: kept, and held to from now on."""
    await queries.add_verdict(
        uow.session, channel, address, verdict, reason=reason, delivery_id=delivery_id, now=uow.now
    )
    VERDICTS.labels(channel, verdict).inc()
    targets = domain.targets_of(channel, address)
    if targets:
        suppression_reason, scope = SUPPRESSES[verdict]
        await suppressions.add(
            uow,
            targets[0],
            reason=suppression_reason,
            scope=scope,
            by="the provider",
            note=reason.replace("\x00", ""),
            delivery_id=delivery_id,
        )


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
