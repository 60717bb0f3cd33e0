"""Deliveries by set-based SQL: pending ones with all that their templates need, and old ones, settled."""

from __future__ import annotations

import json
from uuid import UUID

from services.notifications.domain import KINDS, messages
from tests.unit.notifications.facts import Customer
from tests.world import World

_ADD_PENDING = """
    with made as (
        select $2 || n as tag, gen_random_uuid() as company_id, gen_random_uuid() as id, n
        from generate_series(1, $1) as n
    ), companies as (
        insert into streams (key, revision) select company_id::text, 0 from made
    ), added as (
        insert into deliveries (id, dedup_key, company_id, kind, category, channel, recipient,
            recipient_name, invoice_id, invoice_ids, billing_cycle, context, status, due_at, expires_at,
            event_id, event_type, traceparent, created_at)
        select id, 'payment_receipt:' || tag, company_id, 'payment_receipt', $5, 'mail',
            'compta@' || tag || '.exemple.fr', 'Éts Ménard', tag, array[tag], $4,
            $3::jsonb || jsonb_build_object('invoice_id', tag, 'number', 'F-' || tag), 'pending', now(),
            now() + $6::interval, gen_random_uuid(), 'billing.invoice_paid.v1',
            '00-' || md5(tag) || '-' || left(md5('span' || tag), 16) || '-01', now()
        from made order by n
    )
    insert into delivery_states (delivery_id, status, at) select id, 'pending', now() from made
"""

# A company was written to ten times, over two years; what was said is forgotten, the record stays.
_ADD_SETTLED = """
    with made as (
        select n, md5('settled' || n)::uuid as id, md5('company' || n / 10)::uuid as company_id,
            now() - interval '730 days' * (1 - n::float / $1) - interval '1 hour' as at
        from generate_series(1, $1) as n
    )
    insert into deliveries (id, dedup_key, company_id, kind, category, channel, recipient, recipient_name,
        invoice_id, invoice_ids, context, status, attempts, due_at, expires_at, fence, message_id, answer,
        event_id, event_type, created_at, sending_at, settled_at, forgotten_at)
    select id, 'payment_receipt:old' || n, company_id, 'payment_receipt', $2, 'mail',
        'compta@old' || n || '.exemple.fr', 'Éts Ménard', 'old' || n, array['old' || n], '{}', 'accepted', 1,
        at, at + interval '7 days', nextval('delivery_fences'), '<' || id || '@relance.test>',
        '250 2.0.0 Ok: queued as 4D2C1F', md5('event' || n)::uuid, 'billing.invoice_paid.v1', at, at, at, at
    from made order by n
"""

_ADD_STATES = """
    insert into delivery_states (delivery_id, status, at)
    select d.id, s.status, d.created_at from deliveries d
    cross join (values ('pending'), ('sending'), ('accepted')) as s (status)
    order by d.created_at
"""


async def add_pending(world: World, count: int, *, tag: str) -> None:
    """Receipts, each of a company of its own, all due now. `tag`: letters and digits, new each time."""
    message = messages.payment_receipt(Customer(company_id=UUID(int=1)).paid("in_1"))
    assert message is not None
    kind = KINDS[message.kind]
    context, cycle = json.dumps(dict(message.context)), message.billing_cycle
    await world.rows(
        "notifications", _ADD_PENDING, count, tag, context, cycle, str(kind.category), kind.expires_after
    )


async def add_settled(world: World, count: int) -> None:
    """Accepted receipts of the last two years, each with its three states."""
    category = str(KINDS["payment_receipt"].category)
    await world.rows("notifications", _ADD_SETTLED, count, category)
    await world.rows("notifications", _ADD_STATES)
    await world.rows("notifications", "vacuum analyze deliveries")
    await world.rows("notifications", "vacuum analyze delivery_states")
