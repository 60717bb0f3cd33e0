"""What was heard of companies, and whose sign-up step is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events import provisional_company_id
from libs.common.events.directory import CompanyRegistered, StripeCustomerLinked
from libs.common.events.scheduler import SignupStepDue
from libs.common.router import Heard
from services.scheduler.domain import PARIS, Coming, Horizon, Occurrence, Status, Step, Why
from services.scheduler.domain.coming import FIRST_ID

# Sorted, as in every fold: two readers that raise the same companies then wait for each other, never both.
_FOLD_REGISTERED = text("""
    insert into companies as c (company_id, name, email, registered_at, directory_revision,
                                registered_event_id, traceparent)
    select distinct on (company_id) company_id, name, email, registered_at, revision, event_id, traceparent
    from unnest(
        cast(:company_ids as uuid[]), cast(:names as text[]), cast(:emails as text[]),
        cast(:registered_at as timestamptz[]), cast(:revisions as bigint[]), cast(:event_ids as uuid[]),
        cast(:traceparents as text[])
    ) as heard (company_id, name, email, registered_at, revision, event_id, traceparent)
    order by company_id, revision desc
    on conflict (company_id) do update set
        name = excluded.name, email = excluded.email, registered_at = excluded.registered_at,
        directory_revision = excluded.directory_revision,
        registered_event_id = excluded.registered_event_id, traceparent = excluded.traceparent
    where c.directory_revision is null or c.directory_revision < excluded.directory_revision
""")

# The first subscription is the one that counts, whichever was heard first.
_FOLD_SUBSCRIBED = text("""
    insert into companies as c (company_id, subscribed_at)
    select company_id, min(started_at)
    from unnest(cast(:company_ids as uuid[]), cast(:started_at as timestamptz[]))
        as heard (company_id, started_at)
    group by company_id order by company_id
    on conflict (company_id) do update set subscribed_at = excluded.subscribed_at
    where c.subscribed_at is null or c.subscribed_at > excluded.subscribed_at
""")

_ADD_LINKS = text("""
    insert into customer_links (company_id, provisional_company_id)
    select distinct company_id, provisional_company_id
    from unnest(cast(:company_ids as uuid[]), cast(:provisional_company_ids as uuid[]))
        as heard (company_id, provisional_company_id)
    order by company_id, provisional_company_id
    on conflict do nothing
""")


async def fold_registered(session: AsyncSession, heard: Sequence[Heard[CompanyRegistered]]) -> None:
    await session.execute(
        _FOLD_REGISTERED,
        {
            "company_ids": [h.event.company_id for h in heard],
            "names": [h.event.name for h in heard],
            "emails": [h.event.email for h in heard],
            "registered_at": [h.event.registered_at for h in heard],
            "revisions": [h.envelope.revision or 0 for h in heard],
            "event_ids": [h.envelope.event_id for h in heard],
            "traceparents": [h.envelope.traceparent for h in heard],
        },
    )
    await _add_links(
        session,
        [
            (h.event.company_id, provisional_company_id(h.event.stripe_customer_id))
            for h in heard
            if h.event.stripe_customer_id
        ],
    )


async def fold_linked(session: AsyncSession, heard: Sequence[Heard[StripeCustomerLinked]]) -> None:
    await _add_links(session, [(h.event.company_id, h.event.provisional_company_id) for h in heard])


async def _add_links(session: AsyncSession, links: Sequence[tuple[UUID, UUID]]) -> None:
    if links:
        company_ids, provisional_ids = zip(*links, strict=True)
        await session.execute(
            _ADD_LINKS,
            {"company_ids": list(company_ids), "provisional_company_ids": list(provisional_ids)},
        )


async def fold_subscribed(session: AsyncSession, begun: Sequence[tuple[UUID, datetime]]) -> None:
    """Companies, and since when each is subscribed."""
    if begun:
        company_ids, started_at = zip(*begun, strict=True)
        await session.execute(
            _FOLD_SUBSCRIBED, {"company_ids": list(company_ids), "started_at": list(started_at)}
        )


# A subscription may stand under the provisional company of a Stripe customer that was linked later. A scalar,
# not an EXISTS: the planner would hash all links and companies for it, and not look up the few that are due.
_IS_SUBSCRIBED_ELSEWHERE = """
    coalesce((select true from customer_links l join companies p on p.company_id = l.provisional_company_id
              where l.company_id = due.company_id and p.subscribed_at is not null limit 1), false)
"""

# One statement: whoever is due is locked, written down and moved on. Not `skip locked`: a fold that is at a
# company's row for a moment must not make the routine believe that nothing is left.
_ADD_OCCURRENCES = text(f"""
    with due as materialized (
        select company_id, name, email, registered_at, registered_event_id, traceparent from companies
        where signup_steps_decided = :position and subscribed_at is null
          and registered_at <= cast(:newest_due as timestamptz)
        order by registered_at, company_id limit :limit for update
    ), judged as (
        select company_id, case
            when {_IS_SUBSCRIBED_ELSEWHERE} then 'subscribed'
            when registered_at <= cast(:newest_expired as timestamptz) then 'too_late' end as why
        from due
    ), moved_on as (
        update companies c set signup_steps_decided = :position + 1
        from due where c.company_id = due.company_id
    ), added as (
        insert into occurrences (routine, company_id, step, due_at, expires_at, status, why, decided_at)
        select :routine, company_id, :step, registered_at + cast(:due_after as interval),
               registered_at + cast(:expires_after as interval),
               case when why is null then 'told' else 'skipped' end, why, :now
        from due join judged using (company_id)
        order by company_id
        on conflict (routine, company_id, step) do nothing
        returning company_id, due_at, expires_at, status, why
    )
    select due.company_id, name, email, registered_event_id, traceparent, due_at, expires_at, status, why
    from due left join added using (company_id)
    order by registered_at, due.company_id
""")  # noqa: S608 - our own fragment


async def add_due_occurrences(
    session: AsyncSession, step: Step, *, due_until: datetime, now: datetime, limit: int
) -> tuple[int, list[Occurrence]]:
    """Claims at most `limit` companies for whom the step was due by then, and skips those for whom it is too
    late now; answers with how many, and what is new."""
    rows = (
        await session.execute(
            _ADD_OCCURRENCES,
            {
                "routine": step.routine,
                "step": step.name,
                "position": step.position,
                "newest_due": step.newest_due_anchor(due_until),
                "newest_expired": step.newest_expired_anchor(now),
                "due_after": step.offset,
                "expires_after": step.offset + step.too_late,
                "now": now,
                "limit": limit,
            },
        )
    ).all()
    return len(rows), [_occurrence(row) for row in rows if row.status is not None]


def _occurrence(row: Row[Any]) -> Occurrence:
    return Occurrence(
        company_id=row.company_id,
        name=row.name,
        email=row.email,
        due_at=row.due_at,
        expires_at=row.expires_at,
        status=Status(row.status),
        why=None if row.why is None else Why(row.why),
        registered_event_id=row.registered_event_id,
        traceparent=row.traceparent,
    )


# Companies by how many steps were decided, so that each look is in the index's order and ends at the limit.
_LIST_COMING = text(f"""
    select company_id, name, email, registered_at, position
    from unnest(cast(:positions as smallint[]), cast(:offsets as interval[]), cast(:too_late as interval[]))
        as step (position, due_after, too_late)
    cross join lateral generate_series(0, position) as decided (count)
    cross join lateral (
        select company_id, name, email, registered_at from companies due
        where signup_steps_decided = decided.count and subscribed_at is null
          and registered_at > cast(:now as timestamptz) - due_after - too_late
          and registered_at <= cast(:until as timestamptz) - due_after
          and (registered_at, company_id)
              >= (cast(:after_at as timestamptz) - due_after, cast(:after_id as uuid))
          and (cast(:company_id as uuid) is null or company_id = :company_id)
          and not {_IS_SUBSCRIBED_ELSEWHERE}
        order by registered_at, company_id limit :limit
    ) coming
    order by registered_at + due_after, company_id limit :limit
""")  # noqa: S608 - our own fragment

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


async def list_coming_steps(session: AsyncSession, steps: Sequence[Step], horizon: Horizon) -> list[Coming]:
    """What will be told until then, soonest first."""
    after_at, after_id, _ = horizon.after or (LONG_AGO, FIRST_ID, "")
    values = {
        "positions": [step.position for step in steps],
        "offsets": [step.offset for step in steps],
        "too_late": [step.too_late for step in steps],
        "now": horizon.now,
        "until": horizon.until,
        "after_at": after_at,
        "after_id": after_id,
        "company_id": horizon.company_id,
        # One more: a place names a step too, and the line that it is of comes again.
        "limit": horizon.limit + 1,
    }
    by_position = {step.position: step for step in steps}
    rows = (await session.execute(_LIST_COMING, values)).all()
    coming = [_coming(by_position[row.position], row) for row in rows]
    after = horizon.after
    return [line for line in coming if after is None or line.place > after][: horizon.limit]


def _coming(step: Step, row: Row[Any]) -> Coming:
    return Coming(
        routine=step.routine,
        step=step.name,
        company_id=UUID(str(row.company_id)),
        fact=SignupStepDue.type,
        due_at=step.due_at(row.registered_at),
        expires_at=step.expires_at(row.registered_at),
        name=row.name,
        email=row.email,
        why=f"inscrite le {row.registered_at.astimezone(PARIS):%d/%m/%Y à %H:%M}, pas abonnée",
    )
