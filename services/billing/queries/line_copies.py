"""Copies of what the directory and notifications told, for decisions on lines: folds, right in any order and
however often, since each moment is kept and nothing is taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events.directory import (
    CompanyRegistered,
    DunningExempted,
    LifetimeGranted,
    NumberAssigned,
    NumberReleased,
)
from libs.common.events.notifications import DeliveryAccepted, DeliveryBounced
from libs.common.router import Heard

_FOLD_NOTICES = text("""
    insert into notices as n (delivery_id, company_id, kind, channel, invoice_ids, accepted_at, bounced_at)
    select distinct on (delivery_id) delivery_id, company_id, kind, channel,
           array(select json_array_elements_text(cast(invoice_ids as json))), accepted_at, bounced_at
    from unnest(
        cast(:delivery_ids as uuid[]), cast(:company_ids as uuid[]), cast(:kinds as text[]),
        cast(:channels as text[]), cast(:invoice_ids as text[]), cast(:accepted_at as timestamptz[]),
        cast(:bounced_at as timestamptz[])
    ) as heard (delivery_id, company_id, kind, channel, invoice_ids, accepted_at, bounced_at)
    order by delivery_id
    on conflict (delivery_id) do update set
        accepted_at = coalesce(n.accepted_at, excluded.accepted_at),
        bounced_at = coalesce(n.bounced_at, excluded.bounced_at),
        invoice_ids = case when excluded.accepted_at is null then n.invoice_ids else excluded.invoice_ids end
""")

NOTICES = ("unpaid", "unpaid_reminder", "cutoff_warning")
"""The kinds of messages that warn of a cut."""


async def fold_accepted(session: AsyncSession, heard: Sequence[Heard[DeliveryAccepted]]) -> None:
    await _fold_notices(session, [(h.event, h.event.accepted_at, None) for h in heard])


async def fold_bounced(session: AsyncSession, heard: Sequence[Heard[DeliveryBounced]]) -> None:
    await _fold_notices(session, [(h.event, None, h.event.bounced_at) for h in heard])


async def _fold_notices(session: AsyncSession, heard: Sequence[tuple[Any, Any, Any]]) -> None:
    kept = [(event, accepted, bounced) for event, accepted, bounced in heard if event.kind in NOTICES]
    if not kept:
        return
    values = {
        "delivery_ids": [event.delivery_id for event, _, _ in kept],
        "company_ids": [event.company_id for event, _, _ in kept],
        "kinds": [event.kind for event, _, _ in kept],
        "channels": [event.channel for event, _, _ in kept],
        "invoice_ids": [json.dumps(event.invoice_ids) for event, _, _ in kept],
        "accepted_at": [accepted for _, accepted, _ in kept],
        "bounced_at": [bounced for _, _, bounced in kept],
    }
    await session.execute(_FOLD_NOTICES, values)


_FOLD_EXEMPTIONS = text("""
    insert into exemptions (company_id, exempted_at, until, exempted_by, reason)
    select distinct on (company_id, exempted_at) * from unnest(
        cast(:company_ids as uuid[]), cast(:exempted_at as timestamptz[]), cast(:until as timestamptz[]),
        cast(:exempted_by as text[]), cast(:reasons as text[])
    ) as heard (company_id, exempted_at, until, exempted_by, reason)
    order by company_id, exempted_at
    on conflict do nothing
""")

_FOLD_LIFETIMES = text("""
    insert into lifetimes (company_id, granted_at, is_granted, granted_by, reason)
    select distinct on (company_id, granted_at) * from unnest(
        cast(:company_ids as uuid[]), cast(:granted_at as timestamptz[]), cast(:is_granted as boolean[]),
        cast(:granted_by as text[]), cast(:reasons as text[])
    ) as heard (company_id, granted_at, is_granted, granted_by, reason)
    order by company_id, granted_at
    on conflict do nothing
""")

# Who is spared gets his lines back now, not next morning. In sorted order, as in every fold.
_MARK_TOUCHED_DUE = text("""
    update company_lines l set due_at = now(), causation_id = h.event_id, traceparent = h.traceparent
    from (
        select distinct on (company_id) company_id, event_id, traceparent
        from unnest(cast(:company_ids as uuid[]), cast(:event_ids as uuid[]), cast(:traceparents as text[]))
            as heard (company_id, event_id, traceparent)
        join (
            select company_id from company_lines
            where company_id = any(cast(:company_ids as uuid[])) and state in ('restricted', 'cut')
            order by company_id for update
        ) touched using (company_id)
    ) h where l.company_id = h.company_id
""")


async def fold_exempted(session: AsyncSession, heard: Sequence[Heard[DunningExempted]]) -> None:
    values = {
        "company_ids": [h.event.company_id for h in heard],
        "exempted_at": [h.event.exempted_at for h in heard],
        "until": [h.event.until for h in heard],
        "exempted_by": [h.event.exempted_by for h in heard],
        "reasons": [h.event.reason for h in heard],
    }
    await session.execute(_FOLD_EXEMPTIONS, values)
    await _mark_touched_due(session, heard)


async def fold_lifetimes(session: AsyncSession, heard: Sequence[Heard[LifetimeGranted]]) -> None:
    values = {
        "company_ids": [h.event.company_id for h in heard],
        "granted_at": [h.event.granted_at for h in heard],
        "is_granted": [h.event.is_granted for h in heard],
        "granted_by": [h.event.granted_by for h in heard],
        "reasons": [h.event.reason for h in heard],
    }
    await session.execute(_FOLD_LIFETIMES, values)
    await _mark_touched_due(session, heard)


async def _mark_touched_due(session: AsyncSession, heard: Sequence[Heard[Any]]) -> None:
    values = {
        "company_ids": [h.event.company_id for h in heard],
        "event_ids": [h.envelope.event_id for h in heard],
        "traceparents": [h.envelope.traceparent for h in heard],
    }
    await session.execute(_MARK_TOUCHED_DUE, values)


_FOLD_CONTRACTS = text("""
    insert into line_contracts as l (company_id, number, assigned_at, legacy_contract_id, released_at)
    select company_id, number, max(assigned_at),
           (array_agg(legacy_contract_id order by assigned_at desc nulls last))[1], max(released_at)
    from unnest(
        cast(:company_ids as uuid[]), cast(:numbers as text[]), cast(:assigned_at as timestamptz[]),
        cast(:legacy_contract_ids as bigint[]), cast(:released_at as timestamptz[])
    ) as heard (company_id, number, assigned_at, legacy_contract_id, released_at)
    group by company_id, number order by company_id, number
    on conflict (company_id, number) do update set
        legacy_contract_id = case
            when excluded.assigned_at >= coalesce(l.assigned_at, excluded.assigned_at)
            then excluded.legacy_contract_id else l.legacy_contract_id end,
        assigned_at = greatest(l.assigned_at, excluded.assigned_at),
        released_at = greatest(l.released_at, excluded.released_at)
""")


async def fold_assigned(session: AsyncSession, heard: Sequence[Heard[NumberAssigned]]) -> None:
    values = {
        "company_ids": [h.event.company_id for h in heard],
        "numbers": [h.event.number for h in heard],
        "assigned_at": [h.event.assigned_at for h in heard],
        "legacy_contract_ids": [h.event.legacy_contract_id for h in heard],
        "released_at": [None for _ in heard],
    }
    await session.execute(_FOLD_CONTRACTS, values)


async def fold_released(session: AsyncSession, heard: Sequence[Heard[NumberReleased]]) -> None:
    values = {
        "company_ids": [h.event.company_id for h in heard],
        "numbers": [h.event.number for h in heard],
        "assigned_at": [None for _ in heard],
        "legacy_contract_ids": [None for _ in heard],
        "released_at": [h.event.released_at for h in heard],
    }
    await session.execute(_FOLD_CONTRACTS, values)


_KEEP_ENTERPRISES = text("""
    update companies c set legacy_enterprise_id = heard.legacy_enterprise_id
    from unnest(cast(:company_ids as uuid[]), cast(:legacy_enterprise_ids as bigint[]))
        as heard (company_id, legacy_enterprise_id)
    where c.company_id = heard.company_id and c.legacy_enterprise_id is null
""")


async def keep_enterprise_ids(session: AsyncSession, heard: Sequence[Heard[CompanyRegistered]]) -> None:
    """Of companies that are there already."""
    kept = [h.event for h in heard if h.event.legacy_enterprise_id is not None]
    if kept:
        values = {
            "company_ids": [event.company_id for event in kept],
            "legacy_enterprise_ids": [event.legacy_enterprise_id for event in kept],
        }
        await session.execute(_KEEP_ENTERPRISES, values)
