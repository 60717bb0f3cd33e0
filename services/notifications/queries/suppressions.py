"""Whom nothing, or not everything, is sent to; and how often a company was written to for marketing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Table, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.notifications import models
from services.notifications.domain import KINDS, Category, Delivery, Reason, Suppression, targets_of

table: Table = models.Model.metadata.tables["suppressions"]

# Whoever decides on deliveries shares the lock and never waits for it; whoever changes suppressions has it
# alone. So a change that was answered counts for every delivery that is claimed after it, by whomever.
_TRY_LOOK = text("select pg_try_advisory_xact_lock_shared(hashtext(current_schema() || '.suppressions'))")
_CHANGE = text("select pg_advisory_xact_lock(hashtext(current_schema() || '.suppressions'))")


async def try_to_look(session: AsyncSession) -> bool:
    """Whether nobody is changing suppressions; if so, nobody does until the transaction ends."""
    return bool((await session.execute(_TRY_LOOK)).scalar())


async def lock_suppressions(session: AsyncSession) -> None:
    """Alone with them until the transaction ends: claims that have looked at them are finished by then."""
    await session.execute(_CHANGE)


# One whose time is over makes room, so that adding it again begins anew.
_END_WHAT_IS_OVER = text("""
    update suppressions set lifted_at = until, lifted_by = 'its end'
    where target = :target and scope = :scope and reason = :reason and lifted_at is null and until <= :now
""")

_ADD = text("""
    insert into suppressions as s
        (id, target, scope, reason, note, added_by, added_at, until, delivery_id)
    values (:id, :target, :scope, :reason, :note, :added_by, :added_at, :until, :delivery_id)
    on conflict (target, scope, reason) where lifted_at is null do update
    set until = case when s.until is null or excluded.until is null then null
                     else greatest(s.until, excluded.until) end
    returning *
""")


async def add_suppression(session: AsyncSession, suppression: Suppression) -> Suppression:
    """As it is kept: the one that was there before (its id tells), for the longer of the two."""
    values = {
        "id": suppression.id,
        "target": suppression.target,
        "scope": suppression.scope,
        "reason": suppression.reason,
        "note": suppression.note,
        "added_by": suppression.added_by,
        "added_at": suppression.added_at,
        "until": suppression.until,
        "delivery_id": suppression.delivery_id,
        "now": suppression.added_at,
    }
    await session.execute(_END_WHAT_IS_OVER, values)
    return _suppression((await session.execute(_ADD, values)).one())


async def lift_suppressions(
    session: AsyncSession, ids: Sequence[UUID], *, by: str, note: str | None, now: datetime
) -> list[Suppression]:
    """Those that were in force; a lifted one is left as it is."""
    statement = (
        table.update()
        .where(table.c.id.in_(ids), table.c.lifted_at.is_(None))
        .values(lifted_at=now, lifted_by=by, lift_note=note)
        .returning(*table.c)
    )
    return [_suppression(row) for row in await session.execute(statement)]


async def find_suppression(session: AsyncSession, suppression_id: UUID) -> Suppression | None:
    row = (await session.execute(select(*table.c).where(table.c.id == suppression_id))).one_or_none()
    return None if row is None else _suppression(row)


async def list_in_force(
    session: AsyncSession, targets: Collection[str], *, now: datetime
) -> list[Suppression]:
    """Of any of these, oldest first."""
    if not targets:
        return []
    statement = (
        select(*table.c)
        .where(table.c.target.in_(targets), table.c.lifted_at.is_(None))
        .where(table.c.until.is_(None) | (table.c.until > now))
        .order_by(table.c.added_at, table.c.id)
    )
    return [_suppression(row) for row in await session.execute(statement)]


async def list_suppressions(
    session: AsyncSession,
    *,
    targets: Collection[str] | None,
    with_lifted: bool,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Suppression]:
    """Newest first."""
    statement = select(*table.c).order_by(table.c.added_at.desc(), table.c.id.desc()).limit(limit)
    if targets is not None:
        statement = statement.where(table.c.target.in_(targets))
    if not with_lifted:
        statement = statement.where(table.c.lifted_at.is_(None))
    if after is not None:
        statement = statement.where(tuple_(table.c.added_at, table.c.id) < after)
    return [_suppression(row) for row in await session.execute(statement)]


def _suppression(row: Row[Any]) -> Suppression:
    return Suppression(**{**row._mapping, "reason": Reason(row.reason)})


async def suppressions_of(
    session: AsyncSession, deliveries: Sequence[Delivery], *, now: datetime
) -> dict[UUID, list[Suppression]]:
    """Those in force that name a delivery's recipient, by delivery id."""
    targets = {delivery.id: targets_of(delivery.channel, delivery.recipient) for delivery in deliveries}
    by_target: dict[str, list[Suppression]] = defaultdict(list)
    wanted = {target for each in targets.values() for target in each}
    for suppression in await list_in_force(session, wanted, now=now):
        by_target[suppression.target].append(suppression)
    return {
        delivery_id: [suppression for target in each for suppression in by_target[target]]
        for delivery_id, each in targets.items()
    }


# What nobody can tell of counts: rather one too few than one too many. The same message by another channel
# is not another one.
_LIST_MARKETING = text("""
    select d.id, other.sending_at
    from unnest(cast(:ids as uuid[]), cast(:company_ids as uuid[]), cast(:event_ids as uuid[]))
        as d (id, company_id, event_id)
    cross join lateral (
        select event_id, min(sending_at) as sending_at from deliveries
        where company_id = d.company_id and category = 'marketing' and event_id <> d.event_id
          and sending_at > cast(:now as timestamptz) - interval '9 days'
          and status not in ('pending', 'failed', 'suppressed', 'expired')
        group by event_id
    ) other
""")


async def marketing_sent_at(
    session: AsyncSession, deliveries: Sequence[Delivery], *, now: datetime
) -> dict[UUID, list[datetime]]:
    """When the companies of marketing deliveries were sent other marketing lately, by delivery id."""
    marketing = [each for each in deliveries if KINDS[each.kind].category is Category.MARKETING]
    found: dict[UUID, list[datetime]] = defaultdict(list)
    if marketing:
        values = {
            "ids": [each.id for each in marketing],
            "company_ids": [each.company_id for each in marketing],
            "event_ids": [each.event_id for each in marketing],
            "now": now,
        }
        for row in await session.execute(_LIST_MARKETING, values):
            found[row.id].append(row.sending_at)
    return found
