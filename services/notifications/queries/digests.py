"""What the team is told: notices that wait, digests made of them, and what Slack answered."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.jobs import printable
from services.notifications.domain import digests
from services.notifications.domain.digests import Group, Notice, Told, Topic, Waiting

_ADD_NOTICES = text("""
    insert into team_notices
        (id, topic, company_id, line, link, event_id, event_type, traceparent, at, added_at)
    values (:id, :topic, :company_id, :line, :link, :id, :event_type, :traceparent, :at, :added_at)
    on conflict (id) do nothing
""")


async def add_notices(session: AsyncSession, notices: Sequence[Notice], *, now: datetime) -> None:
    """Each fact once."""
    names = ("id", "topic", "company_id", "link", "event_type", "traceparent", "at")
    values = [
        {**{name: getattr(notice, name) for name in names}, "line": printable(notice.line), "added_at": now}
        for notice in notices
    ]
    if values:
        await session.execute(_ADD_NOTICES, values)


# The lock goes with the transaction: of several processes one digests, one posts.
_TRY_LOCK = text("select pg_try_advisory_xact_lock(hashtext(current_schema() || :name))")


async def try_lock(session: AsyncSession, name: str) -> bool:
    return bool((await session.execute(_TRY_LOCK, {"name": f".team.{name}"})).scalar_one())


_LIST_WAITING = text("""
    select topic, count(*) as number, min(added_at) as first_at from team_notices
    where digest_id is null and dropped_at is null group by topic
""")

_FIND_LAST = text("select made_at, wait_seconds from team_digests order by made_at desc limit 1")


async def list_waiting(session: AsyncSession) -> list[Waiting]:
    rows = await session.execute(_LIST_WAITING)
    return [Waiting(Topic(row.topic), row.number, row.first_at) for row in rows]


async def find_last_digest(session: AsyncSession) -> Told | None:
    row = (await session.execute(_FIND_LAST)).one_or_none()
    return None if row is None else Told(row.made_at, timedelta(seconds=row.wait_seconds))


_DROP = text("""
    update team_notices set dropped_at = :now
    where digest_id is null and dropped_at is null and topic = any(cast(:topics as text[]))
""")


async def drop_notices(session: AsyncSession, topics: Collection[Topic], *, now: datetime) -> None:
    if topics:
        await session.execute(_DROP, {"topics": list(topics), "now": now})


@dataclass(frozen=True, slots=True)
class First:
    """The fact of the oldest notice of a digest: it is what the digest's mail is made by."""

    event_id: UUID
    event_type: str
    traceparent: str | None


_TAKE = text("""
    with taken as (
        update team_notices set digest_id = :digest_id
        where digest_id is null and dropped_at is null and topic = any(cast(:topics as text[]))
        returning topic, line, link, company_id, at, id, event_type, traceparent
    ), placed as (
        select taken.*, count(*) over (partition by topic) as number,
            row_number() over (partition by topic order by at, id) as place
        from taken
    )
    select placed.*, c.name from placed left join companies c using (company_id)
    where place <= :shown order by topic, place
""")


async def take_notices(
    session: AsyncSession, digest_id: UUID, topics: Collection[Topic]
) -> tuple[list[Group], First]:
    """All that wait of these topics belong to the digest from now on; the first few as lines."""
    values = {"digest_id": digest_id, "topics": list(topics), "shown": digests.SHOWN}
    rows = list(await session.execute(_TAKE, values))
    oldest = min(rows, key=lambda row: (row.at, row.id))
    groups = []
    for topic, each in groupby(rows, key=lambda row: row.topic):
        of_topic = list(each)
        lines = [(f"{row.name} : {row.line}" if row.name else row.line, row.link) for row in of_topic]
        groups.append(Group(Topic(topic), of_topic[0].number, lines))
    return groups, First(oldest.id, oldest.event_type, oldest.traceparent)


# While the channel is held, it is held for this one too.
_ADD_DIGEST = text("""
    insert into team_digests (id, made_at, wait_seconds, notices, content, mail_delivery_id, slack_status,
        slack_why, slack_due_at, expires_at)
    select :id, :now, :wait_seconds, :notices, cast(:content as jsonb), :mail_delivery_id, :slack_status,
        :slack_why, greatest(:now, max(slack_due_at)), :expires_at
    from team_digests where slack_status = 'pending'
""")


async def add_digest(
    session: AsyncSession,
    digest_id: UUID,
    content: Mapping[str, Any],
    *,
    notices: int,
    wait: timedelta,
    mail_delivery_id: UUID | None,
    slack_why_not: str | None,
    now: datetime,
    expires_at: datetime,
) -> None:
    values = {
        "id": digest_id,
        "now": now,
        "wait_seconds": wait.total_seconds(),
        "notices": notices,
        "content": json.dumps(content),
        "mail_delivery_id": mail_delivery_id,
        "slack_status": "not_sent" if slack_why_not else "pending",
        "slack_why": slack_why_not,
        "expires_at": expires_at,
    }
    await session.execute(_ADD_DIGEST, values)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A digest about to be posted; `is_repeated`: an earlier post of it may have arrived."""

    id: UUID
    content: Mapping[str, Any]
    attempts: int
    is_repeated: bool


# A post whose process died is made again, and says so: rather twice than never.
_FREE_LOST = text("""
    update team_digests set slack_status = 'pending', slack_why = 'answer_lost', slack_lease_until = null
    where slack_status = 'sending' and slack_lease_until < :now
""")

_EXPIRE = text("""
    update team_digests
    set slack_status = 'expired', slack_settled_at = :now
    where slack_status = 'pending' and expires_at <= :now
    returning id
""")

_CLAIM = text("""
    update team_digests
    set slack_status = 'sending', slack_attempts = slack_attempts + 1, slack_claimed_at = :now,
        slack_lease_until = :lease_until
    where id = (
        select id from team_digests where slack_status = 'pending' and slack_due_at <= :now
            and not exists (select from team_digests where slack_claimed_at > :not_since)
        order by made_at limit 1
    )
    returning id, content, slack_attempts, slack_why
""").columns(content=JSONB)


async def expire_posts(session: AsyncSession, *, now: datetime) -> list[UUID]:
    """Those that Slack never took; whose post was lost on the way wait again."""
    await session.execute(_FREE_LOST, {"now": now})
    return list((await session.execute(_EXPIRE, {"now": now})).scalars())


async def claim_post(
    session: AsyncSession, *, now: datetime, lease_until: datetime, spacing: timedelta
) -> Claimed | None:
    """The oldest that is due, unless one was posted a moment ago by anybody. Right only under the lock."""
    values = {"now": now, "lease_until": lease_until, "not_since": now - spacing}
    row = (await session.execute(_CLAIM, values)).one_or_none()
    if row is None:
        return None
    return Claimed(row.id, row.content, row.slack_attempts, row.slack_why == "answer_lost")


_NOTE = text("""
    update team_digests
    set slack_status = :status, slack_why = :why, slack_answer = :answer, slack_lease_until = null,
        slack_due_at = coalesce(cast(:due_at as timestamptz), slack_due_at),
        slack_settled_at = case when cast(:status as text) <> 'pending' then cast(:now as timestamptz) end
    where id = :id and slack_status = 'sending' and slack_attempts = :attempts
""")

_HOLD_ALL = text("""
    update team_digests set slack_due_at = greatest(slack_due_at, :until) where slack_status = 'pending'
""")


async def note_post(
    session: AsyncSession,
    claimed: Claimed,
    status: str,
    answer: str,
    *,
    now: datetime,
    why: str | None = None,
    due_at: datetime | None = None,
) -> None:
    """What came of a post, by whoever still holds it; `due_at`: when it is tried again."""
    values = {"id": claimed.id, "attempts": claimed.attempts, "status": status, "why": why, "answer": answer}
    await session.execute(_NOTE, {**values, "now": now, "due_at": due_at})


async def hold_posts(session: AsyncSession, *, until: datetime) -> None:
    """The channel is ours alone: whoever asks to wait means every digest."""
    await session.execute(_HOLD_ALL, {"until": until})
