"""Whose debt it is: Stripe customers and the companies that they are to us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.events import provisional_company_id
from libs.integrations.stripe import Invoice


@dataclass(frozen=True, slots=True)
class Debtor:
    """Whom a Stripe customer is to us: a company of the directory, or a provisional one."""

    stripe_customer_id: str
    company_id: UUID
    known_name: str | None
    known_email: str | None

    def name(self, invoice: Invoice) -> str:
        """The invoice's own name and address fill what nobody else knows."""
        return self.known_name or invoice.customer_name or self.stripe_customer_id

    def email(self, invoice: Invoice) -> str | None:
        return self.known_email or invoice.customer_email


# Known by metadata or a link; else as it was told before, so that what was told of one customer stays
# together; else by an e-mail address that one company alone has; else as a provisional company.
# Resolved and locked in one round trip, in sorted order: nothing may be decided about a company that is not
# held, and two batches with the same companies must not wait for each other.
_LOCK_DEBTORS = text("""
    with asked as (
        select distinct on (id) id, provisional, lower(email) as email
        from unnest(cast(:customer_ids as text[]), cast(:provisionals as uuid[]), cast(:emails as text[]))
            as a (id, provisional, email)
        order by id, email
    ), resolved as (
        select asked.id as stripe_customer_id, customer.told_as,
               coalesce(customer.company_id, linked.company_id, customer.told_as, named.company_id,
                        asked.provisional) as company_id,
               customer.name as customer_name, customer.email as customer_email
        from asked
        left join customers customer on customer.stripe_customer_id = asked.id
        left join lateral (
            select company_id from companies where stripe_customer_id = asked.id order by company_id limit 1
        ) linked on true
        left join lateral (
            select (array_agg(company_id))[1] as company_id from companies
            where lower(email) = coalesce(lower(customer.email), asked.email)
              and customer.company_id is null and linked.company_id is null and customer.told_as is null
            having count(*) = 1
        ) named on true
    ), locked as (
        insert into streams (key, revision)
        select distinct cast(company_id as text) as key, 0 from resolved order by key
        on conflict (key) do update set revision = streams.revision
        returning key
    ), noted as (
        insert into customers as c (stripe_customer_id, told_as)
        select stripe_customer_id, company_id from resolved where told_as is null order by 1
        on conflict (stripe_customer_id) do update set told_as = excluded.told_as where c.told_as is null
    )
    select resolved.stripe_customer_id, resolved.company_id,
           coalesce(own.name, resolved.customer_name) as name,
           coalesce(own.email, resolved.customer_email) as email
    from resolved join locked on locked.key = cast(resolved.company_id as text)
    left join companies own on own.company_id = resolved.company_id
""")


async def lock_debtors(session: AsyncSession, emails: Mapping[str, str | None]) -> dict[str, Debtor]:
    """By Stripe customer, whose debt is whose; all held until the end of the transaction. `emails` has every
    customer that is asked for, with the address that an invoice names, if one does."""
    values = {
        "customer_ids": list(emails),
        "provisionals": [provisional_company_id(id_) for id_ in emails],
        "emails": list(emails.values()),
    }
    return {
        row.stripe_customer_id: Debtor(row.stripe_customer_id, row.company_id, row.name, row.email)
        for row in await session.execute(_LOCK_DEBTORS, values)
    }


async def lock_debtor(session: AsyncSession, stripe_customer_id: str) -> Debtor:
    return (await lock_debtors(session, {stripe_customer_id: None}))[stripe_customer_id]


_NAME_CUSTOMERS = text("""
    insert into customers as c (stripe_customer_id, company_id, company_seen_at)
    select distinct on (id) id, company_id, cast(:at as timestamptz)
    from unnest(cast(:ids as text[]), cast(:company_ids as uuid[])) as n (id, company_id)
    order by id, company_id
    on conflict (stripe_customer_id) do update
    set company_id = excluded.company_id, company_seen_at = excluded.company_seen_at
    where c.company_id is null or cast(:is_final as boolean)
""")


async def name_customers(
    session: AsyncSession, companies: Sequence[tuple[str, UUID]], *, at: datetime, is_final: bool
) -> None:
    """Say whose Stripe customers these are; `is_final` also where metadata said something else."""
    values = {"ids": [c for c, _ in companies], "company_ids": [i for _, i in companies]}
    await session.execute(_NAME_CUSTOMERS, values | {"at": at, "is_final": is_final})


_LIST_MISPLACED = text("""
    select stripe_customer_id, company_id from customers
    where stripe_customer_id = any(cast(:ids as text[])) and company_id <> told_as
""")

_SET_TOLD_AS = text("""
    update customers set told_as = :company_id where stripe_customer_id = :customer_id
""")


async def list_misplaced(session: AsyncSession, stripe_customer_ids: Sequence[str]) -> dict[str, UUID]:
    """By Stripe customer, whose it is, where facts were told of another company before that was known."""
    rows = await session.execute(_LIST_MISPLACED, {"ids": list(stripe_customer_ids)})
    return {row.stripe_customer_id: row.company_id for row in rows}


_MOVE_CASES = text("""
    update dunning_cases set company_id = :company_id
    where stripe_customer_id = :customer_id and company_id <> :company_id and state <> 'closed'
""")

_MOVE_SUBSCRIPTIONS = text("""
    update subscriptions set company_id = :company_id
    where stripe_customer_id = :customer_id and company_id <> :company_id
    returning subscription_id
""")


async def move_to_company(session: AsyncSession, stripe_customer_id: str, company_id: UUID) -> list[str]:
    """What is open of a customer is the company's from now on; answers with the subscriptions that moved."""
    values = {"customer_id": stripe_customer_id, "company_id": company_id}
    await session.execute(_SET_TOLD_AS, values)
    await session.execute(_MOVE_CASES, values)
    return list((await session.execute(_MOVE_SUBSCRIPTIONS, values)).scalars())


_LIST_UNMATCHED = text("""
    select c.stripe_customer_id, c.name, c.email, c.told_as, c.seen_at,
           coalesce(array_agg(cast(same.company_id as text) order by same.company_id)
                    filter (where same.company_id is not null), '{}') as same_email
    from customers c left join companies same on lower(same.email) = lower(c.email)
    where c.company_id is null and not c.is_deleted
      and not exists (select from companies l where l.stripe_customer_id = c.stripe_customer_id)
      and not exists (select from companies t where t.company_id = c.told_as)
      and c.stripe_customer_id > :after
    group by c.stripe_customer_id order by c.stripe_customer_id limit :limit
""")


async def list_unmatched(session: AsyncSession, *, after: str, limit: int) -> list[Row[Any]]:
    """Stripe customers of whom nobody knows whose they are, with the companies of the same address."""
    return list(await session.execute(_LIST_UNMATCHED, {"after": after, "limit": limit}))
