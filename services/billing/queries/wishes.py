"""What is wanted of companies' lines, and which numbers they have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.directory import NumberAssigned, NumberReleased
from services.billing.domain import Wanted, Wish, WishState


@dataclass(frozen=True, slots=True)
class WishRow:
    """A claimed wish. `order` is its place among the company's; a write under an older fence does nothing."""

    wish_id: UUID
    company_id: UUID
    order: int
    wanted: Wanted
    number: str | None
    episode: int | None
    why: str
    since: UUID
    since_at: datetime
    body: bytes | None
    fence: int
    tries: int
    traceparent: str | None
    is_outdated: bool


# Of a company's lines only the newest wish counts: billing numbers its facts (`revision`), so that a late
# replay of an old one is known for what it is. Numbers that are released are another matter.
_NEWER = """
    select from line_wishes newer
    where newer.company_id = w.company_id and newer.number is null and w.number is null
      and (newer.revision, newer.seq) > (w.revision, w.seq)
"""

_ADD = text("""
    insert into line_wishes (wish_id, company_id, wanted, number, episode, key, why, since, since_at,
                             revision, state, traceparent)
    values (:wish_id, :company_id, :wanted, :number, :episode, :key, :why, :since, :since_at, :revision,
            'pending', :traceparent)
    on conflict do nothing
""")

_MARK_SUPERSEDED = text(f"""
    update line_wishes w
    set state = 'superseded', settled_at = now(), lease_until = null, superseded_by = (
        select wish_id from line_wishes n where n.company_id = w.company_id and n.number is null
        order by n.revision desc, n.seq desc limit 1
    )
    where w.company_id = :company_id and w.state = 'pending' and exists ({_NEWER})
    returning w.wish_id, w.wanted
""")  # noqa: S608

_CLAIM = text(f"""
    update line_wishes w
    set state = 'sending', fence = w.fence + 1, tries = w.tries + 1,
        first_sent_at = coalesce(first_sent_at, now()),
        lease_until = now() + make_interval(secs => :lease_seconds)
    where w.wish_id in (
        select due.wish_id from line_wishes due
        where due.state in ('pending', 'sending') and due.due_at <= now()
          and (due.lease_until is null or due.lease_until <= now())
          and not exists (
              select from line_wishes older
              where older.company_id = due.company_id and older.seq < due.seq
                and older.state in ('pending', 'sending')
          )
        order by due.due_at limit 1 for update skip locked
    )
    returning w.wish_id, w.company_id, w.seq, w.wanted, w.number, w.episode, w.why, w.since, w.since_at,
        w.body, w.fence, w.tries, w.traceparent,
        exists ({_NEWER}) or exists (
            select from numbers n where n.company_id = w.company_id and n.number = w.number
              and n.assigned_at > w.since_at
        ) as is_outdated
""")  # noqa: S608

_MARK_OUTDATED = text("""
    update line_wishes w
    set state = 'superseded', settled_at = now(), lease_until = null, tries = tries - 1, superseded_by = (
        select wish_id from line_wishes n
        where w.number is null and n.company_id = w.company_id and n.number is null
        order by n.revision desc, n.seq desc limit 1
    )
    where w.wish_id = :wish_id
""")

_SET_BODY = text("update line_wishes set body = :body where wish_id = :wish_id")

_SETTLE = text("""
    update line_wishes
    set state = :state, settled_at = now(), lease_until = null, last_answer = :answer
    where wish_id = :wish_id and fence = :fence and state = 'sending'
    returning wish_id
""")

_POSTPONE = text("""
    update line_wishes
    set state = 'pending', lease_until = null, last_answer = :answer,
        due_at = now() + make_interval(secs => :wait_seconds),
        accepted_at = case when :is_accepted then coalesce(accepted_at, now()) else accepted_at end
    where wish_id = :wish_id and fence = :fence and state = 'sending'
    returning wish_id
""")


async def add_wish(session: AsyncSession, wish: Wish, *, revision: int, traceparent: str | None) -> None:
    """Hold the company's stream first: the order in which wishes are stored is the order of sending."""
    values = {
        "wish_id": wish.wish_id,
        "company_id": wish.company_id,
        "wanted": wish.wanted,
        "number": wish.number,
        "episode": wish.episode,
        "key": wish.key,
        "why": wish.why,
        "since": wish.since,
        "since_at": wish.since_at,
        "revision": revision,
        "traceparent": traceparent,
    }
    await session.execute(_ADD, values)


async def mark_superseded(session: AsyncSession, company_id: UUID) -> list[UUID]:
    """Nobody wants any more what a newer wish replaces; one that is just being sent is waited for."""
    return [row.wish_id for row in await session.execute(_MARK_SUPERSEDED, {"company_id": company_id})]


async def claim_due_wish(session: AsyncSession, *, lease_seconds: float) -> WishRow | None:
    """The oldest open wish of some company, if it is due: what is older is waited for, company by company."""
    row = (await session.execute(_CLAIM, {"lease_seconds": lease_seconds})).one_or_none()
    if row is None:
        return None
    values = dict(row._mapping)
    return WishRow(order=values.pop("seq"), wanted=Wanted(values.pop("wanted")), **values)


async def mark_outdated(session: AsyncSession, wish: WishRow) -> None:
    """A claimed wish that nobody wants any more: its sender was killed while a newer one came, or the number
    that it releases was given again."""
    await session.execute(_MARK_OUTDATED, {"wish_id": wish.wish_id})


async def save_body(session: AsyncSession, wish: WishRow, body: bytes) -> None:
    await session.execute(_SET_BODY, {"wish_id": wish.wish_id, "body": body})


async def mark_settled(session: AsyncSession, wish: WishRow, state: WishState, answer: str) -> bool:
    """False when another process took the wish over."""
    values = {"wish_id": wish.wish_id, "fence": wish.fence, "state": state, "answer": answer}
    return (await session.execute(_SETTLE, values)).first() is not None


async def mark_postponed(
    session: AsyncSession, wish: WishRow, answer: str, *, wait_seconds: float, is_accepted: bool
) -> bool:
    """False when another process took the wish over."""
    values = {
        "wish_id": wish.wish_id,
        "fence": wish.fence,
        "answer": answer,
        "wait_seconds": wait_seconds,
        "is_accepted": is_accepted,
    }
    return (await session.execute(_POSTPONE, values)).first() is not None


@dataclass(frozen=True, slots=True)
class Figures:
    """`unconfirmed` are those that wait for longer than they should."""

    unconfirmed: int
    oldest_seconds: float


_FIGURES = text("""
    select count(*) filter (where created_at <= now() - make_interval(secs => :alarm_seconds)) as unconfirmed,
           coalesce(extract(epoch from now() - min(created_at)), 0) as oldest_seconds
    from line_wishes where state in ('pending', 'sending')
""")

_CLAIM_ALARMS = text("""
    update line_wishes set alarmed_at = now()
    where wish_id in (
        select wish_id from line_wishes
        where state in ('pending', 'sending') and alarmed_at is null
          and created_at <= now() - make_interval(secs => :alarm_seconds)
        order by created_at limit :limit for update skip locked
    )
    returning wish_id, company_id, wanted, number, tries, last_answer
""")


async def get_figures(session: AsyncSession, *, alarm_seconds: float) -> Figures:
    row = (await session.execute(_FIGURES, {"alarm_seconds": alarm_seconds})).one()
    return Figures(row.unconfirmed, float(row.oldest_seconds))


async def claim_alarms(session: AsyncSession, *, alarm_seconds: float, limit: int) -> list[Row[Any]]:
    """Wishes that wait for too long and of which nobody was told yet: each once, whoever asks."""
    values = {"alarm_seconds": alarm_seconds, "limit": limit}
    return list(await session.execute(_CLAIM_ALARMS, values))


_SHOWN = "wish_id, wanted, number, episode, why, state, since_at, tries, last_answer, accepted_at, settled_at"

_LIST_LATEST = text(f"""
    (select {_SHOWN}, 'wanted' as place from line_wishes where company_id = :company_id and number is null
     order by revision desc, seq desc limit 1)
    union all
    (select {_SHOWN}, 'confirmed' from line_wishes
     where company_id = :company_id and number is null and state = 'confirmed'
     order by settled_at desc, seq desc limit 1)
    union all
    (select {_SHOWN}, 'release' from line_wishes
     where company_id = :company_id and number is not null and state <> 'superseded'
     order by seq desc limit :releases)
""")  # noqa: S608


async def list_latest(session: AsyncSession, company_id: UUID, *, releases: int) -> list[Row[Any]]:
    """Of one company, by `place`: what is wanted, what was confirmed last, its released numbers."""
    return list(await session.execute(_LIST_LATEST, {"company_id": company_id, "releases": releases}))


_SAVE_ASSIGNED = text("""
    insert into numbers as n (company_id, number, assigned_at, legacy_contract_id)
    select distinct on (company_id, number) * from unnest(
        cast(:company_ids as uuid[]), cast(:numbers as text[]), cast(:assigned_at as timestamptz[]),
        cast(:legacy_contract_ids as bigint[])
    ) as a (company_id, number, assigned_at, legacy_contract_id)
    order by company_id, number, assigned_at desc
    on conflict (company_id, number) do update
    set assigned_at = excluded.assigned_at, legacy_contract_id = excluded.legacy_contract_id
    where n.assigned_at is null or n.assigned_at < excluded.assigned_at
""")

_SAVE_RELEASED = text("""
    insert into numbers as n (company_id, number, released_at)
    select company_id, number, max(released_at) from unnest(
        cast(:company_ids as uuid[]), cast(:numbers as text[]), cast(:released_at as timestamptz[])
    ) as r (company_id, number, released_at)
    group by company_id, number order by company_id, number
    on conflict (company_id, number) do update set released_at = greatest(n.released_at, excluded.released_at)
""")

_LIST_NUMBERS = text("""
    select number from numbers
    where company_id = :company_id and assigned_at > coalesce(released_at, '-infinity') order by number
""")


async def save_assigned(session: AsyncSession, events: Sequence[NumberAssigned]) -> None:
    values = {
        "company_ids": [e.company_id for e in events],
        "numbers": [e.number for e in events],
        "assigned_at": [e.assigned_at for e in events],
        "legacy_contract_ids": [e.legacy_contract_id for e in events],
    }
    await session.execute(_SAVE_ASSIGNED, values)


async def save_released(session: AsyncSession, events: Sequence[NumberReleased]) -> None:
    values = {
        "company_ids": [e.company_id for e in events],
        "numbers": [e.number for e in events],
        "released_at": [e.released_at for e in events],
    }
    await session.execute(_SAVE_RELEASED, values)


async def list_numbers(session: AsyncSession, company_id: UUID) -> list[str]:
    """The numbers that a company has now."""
    return list((await session.execute(_LIST_NUMBERS, {"company_id": company_id})).scalars())
