"""Many deliveries that are held, and a mail server that says when each of them came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from aiosmtpd.smtp import SMTP, Envelope, Session

from libs.devstack.ports import free_port
from tests.world import World

_HOLD = """
    with held as (
        select n, gen_random_uuid() as company_id, gen_random_uuid() as id from generate_series(1, $1) as n
    ), companies as (
        insert into streams (key, revision) select company_id::text, 0 from held
    )
    insert into deliveries (id, dedup_key, company_id, kind, category, channel, recipient, recipient_name,
        invoice_ids, context, status, why, due_at, expires_at, event_id, event_type, created_at)
    select id, 'held:' || n, company_id, 'signup_first_step', 'marketing', 'mail',
        'c' || n || '@exemple.fr', '', '{}', '{"customer_name": "Essai"}', 'pending', 'outside_hours',
        $2::timestamptz + $3::interval * (n / $4::int), $2::timestamptz + interval '9 days',
        gen_random_uuid(), 'test', $2::timestamptz - interval '1 day' + n * interval '1 millisecond'
    from held order by random()
"""


async def hold(world: World, count: int, *, due_at: datetime, step_seconds: float, together: int) -> None:
    """`c1@exemple.fr`… in order of due time: `together` of them at each moment, a step apart; stored
    shuffled."""
    await world.rows("notifications", _HOLD, count, due_at, timedelta(seconds=step_seconds), together)
    await world.rows("notifications", "analyze deliveries")


class Sink:
    """A mail server that takes everything; `arrivals`: when, whose number, `busiest` how many at once."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[float, int]] = []
        self.busiest = 0
        self._talking = 0

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        envelope.mail_from = address
        self._talking += 1
        self.busiest = max(self.busiest, self._talking)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self._talking -= 1
        [recipient] = envelope.rcpt_tos
        self.arrivals.append((time.perf_counter(), int(recipient.partition("@")[0][1:])))
        return "250 taken"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The DSN that leads here."""
        port = free_port(27_000)
        server = await asyncio.get_running_loop().create_server(lambda: SMTP(self), "127.0.0.1", port)
        try:
            yield f"smtp://127.0.0.1:{port}"
        finally:
            server.close()

    @property
    def order(self) -> list[int]:
        return [number for _, number in self.arrivals]

    def most_within(self, seconds: float) -> int:
        """The most that came within so many seconds."""
        moments = [at for at, _ in self.arrivals]
        first, most = 0, 0
        for last, at in enumerate(moments):
            while moments[first] < at - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most
