"""Saved payment methods, and whose card expires soon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.integrations.stripe import PaymentMethod


@dataclass(frozen=True, slots=True)
class MethodCopy:
    """A payment method as Stripe had it at `seen_at`."""

    method: PaymentMethod
    is_detached: bool
    seen_at: datetime


# A detached one is never attached again; of two copies of one second the same wins, whichever came first.
_SAVE = text("""
    insert into payment_methods as m (payment_method_id, stripe_customer_id, label, fingerprint, expires_on,
                                      is_detached, created_at, seen_at, digest)
    select distinct on (id) * from unnest(
        cast(:ids as text[]), cast(:customer_ids as text[]), cast(:labels as text[]),
        cast(:fingerprints as text[]), cast(:expires_on as date[]), cast(:detached as boolean[]),
        cast(:created_at as timestamptz[]), cast(:seen_at as timestamptz[]), cast(:digests as text[])
    ) as s (id, customer_id, label, fingerprint, expires_on, is_detached, created_at, seen_at, digest)
    order by id, is_detached desc, seen_at desc, digest desc
    on conflict (payment_method_id) do update
    set (label, fingerprint, expires_on, is_detached, seen_at, digest)
        = (excluded.label, excluded.fingerprint, excluded.expires_on, excluded.is_detached, excluded.seen_at,
           excluded.digest),
        stripe_customer_id = coalesce(excluded.stripe_customer_id, m.stripe_customer_id)
    where (excluded.is_detached, excluded.seen_at, excluded.digest) > (m.is_detached, m.seen_at, m.digest)
""")


async def save_methods(session: AsyncSession, seen: Sequence[MethodCopy]) -> None:
    """Keep the furthest copy of each."""
    await session.execute(
        _SAVE,
        {
            "ids": [s.method.id for s in seen],
            "customer_ids": [s.method.customer_id for s in seen],
            "labels": [s.method.label for s in seen],
            "fingerprints": [s.method.fingerprint for s in seen],
            "expires_on": [s.method.expires_on for s in seen],
            "detached": [s.is_detached for s in seen],
            "created_at": [s.method.created_at for s in seen],
            "seen_at": [s.seen_at for s in seen],
            "digests": [sha256(repr(s.method).encode()).hexdigest()[:16] for s in seen],
        },
    )


@dataclass(frozen=True, slots=True)
class Check:
    """A morning's look at the cards; `after` is the last one that was looked at."""

    due_on: date
    causation_id: UUID
    traceparent: str | None
    after: tuple[date | None, str | None]


_ADD_CHECK = text("""
    insert into card_checks (due_on, causation_id, traceparent) values (:due_on, :causation_id, :traceparent)
    on conflict do nothing
""")

# Held until the end of the transaction, and none is begun before the one before it is finished: of several
# processes one at a time looks.
_CLAIM_CHECK = text("""
    select due_on, causation_id, traceparent, after_expires_on, after_id from card_checks
    where due_on = (select min(due_on) from card_checks where finished_at is null) and finished_at is null
    for update skip locked
""")

_SAVE_CHECK = text("""
    update card_checks
    set after_expires_on = cast(:after_expires_on as date), after_id = cast(:after_id as text),
        told = told + :told, finished_at = case when :is_finished then now() end
    where due_on = :due_on
""")


async def add_check(
    session: AsyncSession, due_on: date, *, causation_id: UUID, traceparent: str | None
) -> None:
    values = {"due_on": due_on, "causation_id": causation_id, "traceparent": traceparent}
    await session.execute(_ADD_CHECK, values)


async def claim_check(session: AsyncSession) -> Check | None:
    """The oldest that is not finished, unless another process is at it."""
    row = (await session.execute(_CLAIM_CHECK)).one_or_none()
    if row is None:
        return None
    return Check(row.due_on, row.causation_id, row.traceparent, (row.after_expires_on, row.after_id))


async def save_check(
    session: AsyncSession, check: Check, *, last: tuple[date, str] | None, told: int
) -> None:
    """How far it came; `last` None: it is finished."""
    after_expires_on, after_id = last or (None, None)
    values = {"due_on": check.due_on, "after_expires_on": after_expires_on, "after_id": after_id}
    await session.execute(_SAVE_CHECK, {**values, "told": told, "is_finished": last is None})


@dataclass(frozen=True, slots=True)
class Expiring:
    """A card in its last days. `is_needed`: a payment would be asked of it, and of no other good one."""

    payment_method_id: str
    stripe_customer_id: str
    label: str
    fingerprint: str | None
    expires_on: date
    is_needed: bool


# Asked first is, as in dunning, the subscription's default, else the customer's, else the newest. A default
# that was detached is none.
_LIST = text("""
    with soon as (
        select * from payment_methods
        where expires_on between :due_on and :until
          and not is_detached and told_expires_on is distinct from expires_on
          and (expires_on, payment_method_id) > (
              coalesce(cast(:after_expires_on as date), '-infinity'), coalesce(cast(:after_id as text), ''))
        order by expires_on, payment_method_id limit :limit
    )
    select soon.payment_method_id, soon.stripe_customer_id, soon.label, soon.fingerprint, soon.expires_on,
           soon.stripe_customer_id is not null and not coalesce(c.is_deleted, false)
           and not exists (  -- another default that stays good
               select from payment_methods d
               where d.payment_method_id = c.default_payment_method_id and not d.is_detached
                 and d.payment_method_id <> soon.payment_method_id
                 and (d.expires_on is null or d.expires_on > soon.expires_on))
           and not exists (  -- the same card with a new date
               select from payment_methods r
               where r.stripe_customer_id = soon.stripe_customer_id and not r.is_detached
                 and r.fingerprint = soon.fingerprint and r.expires_on > soon.expires_on)
           and exists (
               select from subscriptions s
               left join payment_methods own on own.payment_method_id = s.default_payment_method_id
               where s.stripe_customer_id = soon.stripe_customer_id
                 and s.status not in ('canceled', 'incomplete', 'incomplete_expired', 'lifetime')
                 and (s.ends_at is null
                      or s.ends_at > cast(soon.expires_on + 1 as timestamp) at time zone 'Europe/Paris')
                 and coalesce(
                     case when not coalesce(own.is_detached, false) then s.default_payment_method_id end,
                     case when not coalesce(theirs.is_detached, false) then c.default_payment_method_id end,
                     newest.payment_method_id) = soon.payment_method_id) as is_needed
    from soon
    left join customers c using (stripe_customer_id)
    left join payment_methods theirs on theirs.payment_method_id = c.default_payment_method_id
    left join lateral (
        select n.payment_method_id from payment_methods n
        where n.stripe_customer_id = soon.stripe_customer_id and not n.is_detached
        order by n.created_at desc, n.payment_method_id desc limit 1
    ) newest on true
    order by soon.expires_on, soon.payment_method_id
""")

_MARK_TOLD = text("""
    update payment_methods set told_expires_on = expires_on
    where payment_method_id in (
        select payment_method_id from payment_methods where payment_method_id = any(cast(:ids as text[]))
        order by payment_method_id for update
    )
""")


async def list_expiring(session: AsyncSession, check: Check, *, until: date, limit: int) -> list[Expiring]:
    """Of the cards whose last good day is from the check's day to `until`, the next ones not told of."""
    after_expires_on, after_id = check.after
    values = {"due_on": check.due_on, "until": until, "limit": limit}
    rows = await session.execute(
        _LIST, {**values, "after_expires_on": after_expires_on, "after_id": after_id}
    )
    return [Expiring(**row._mapping) for row in rows]


async def mark_told(session: AsyncSession, payment_method_ids: Sequence[str]) -> None:
    await session.execute(_MARK_TOLD, {"ids": list(payment_method_ids)})
