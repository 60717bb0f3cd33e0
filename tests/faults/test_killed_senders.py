"""notifications killed with -9 at random instants while it sends: none doubled, none lost, unknown explained.

`RELANCE_KILLS` and `RELANCE_KILL_DELIVERIES`: how often and during how many; `make kills`: 200 during 20,000.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.directory import CompanyRegistered
from libs.devstack.sms_provider.control import SmsProviderControl
from libs.devstack.sms_provider.process import running_sms_provider
from tests.fakes.service_process import service_process
from tests.fakes.smtp_sink import SmtpSink, smtp_sink
from tests.unit.notifications.facts import AT, Customer
from tests.world import World, until

KILLS = int(os.environ.get("RELANCE_KILLS", "6"))
DELIVERIES = int(os.environ.get("RELANCE_KILL_DELIVERIES", "600"))
KEY = "sms-key-of-this-test"
CONNECTIONS = 8
LONGEST_LIFE_SECONDS = 0.6
# What a process may have had in hand: what was begun (mails: half as many again as connections), and the
# answers that were not noted yet.
MOST_BEGUN = CONNECTIONS + CONNECTIONS // 2 + CONNECTIONS
MOST_IN_HAND = MOST_BEGUN + 100

pytestmark = pytest.mark.timeout(5400)


@dataclass(frozen=True)
class Life:
    """One process: from its start to its kill."""

    began_at: datetime
    ended_at: datetime


@dataclass
class Slaughter:
    """What is sent to, who lived when."""

    world: World
    folder: Path
    sink: SmtpSink
    provider: SmsProviderControl
    rng: random.Random
    lives: list[Life] = field(default_factory=list)

    def settings(self) -> dict[str, object]:
        return {
            "mailer_dsn": self.sink.dsn,
            "mail_sender": "Relance <relance@relance.test>",
            "login_url": "https://app.relance.test/login",
            "smtp_connections": CONNECTIONS,
            "smtp_timeout_seconds": 1,
            "sms_mode_key": KEY,
            "smsmode_api_base": self.provider.base_url,
            "sms_connections": CONNECTIONS,
            "sms_requests_per_second": 200,
            "sms_timeout_seconds": 1,
            "settle_after_seconds": 0.5,
            "lease_seconds": 4,
        }

    async def live_and_be_killed(self, facts: list[Any]) -> None:
        """Facts come in while it starts; killed a random moment after its first mail, or before."""
        began_at, taken = datetime.now(UTC), self.sink.taken.total()
        async with service_process(self.world, "notifications", self.folder, **self.settings()) as process:
            await self.world.tell_all(facts)

            async def has_sent() -> bool:
                assert process.process.returncode is None, process.output.read_text()[-3000:]
                return self.sink.taken.total() > taken

            if self.rng.random() > 0.1:
                await until(has_sent, seconds=60, what="a first mail of this life")
            await asyncio.sleep(self.rng.uniform(0, LONGEST_LIFE_SECONDS))
            process.process.kill()
            await process.process.wait()
        self.lives.append(Life(began_at, datetime.now(UTC)))

    async def finish(self) -> None:
        """One more life, in peace."""
        async with service_process(self.world, "notifications", self.folder, **self.settings()) as last:
            await last.until_ready()
            await until(self.is_settled, seconds=600, what="everything settled")

    async def is_settled(self) -> bool:
        """Every fact heard and told on, nothing to be sent, every unknown SMS asked about twice."""
        [row] = await self.world.rows(
            "notifications",
            """select count(*) as n, count(*) filter (where status in ('pending', 'sending')) as waiting,
                count(*) filter (where channel = 'sms' and status = 'unknown' and asked < 2) as unasked,
                (select count(*) from outbox where told_at is null) as untold
            from deliveries""",
        )
        return bool(row["n"] == DELIVERIES and not row["waiting"] + row["unasked"] + row["untold"])

    async def judge(self) -> str:
        """The figures; fails for what was doubled, lost or cannot be explained."""
        deliveries = await self.world.rows("notifications", "select * from deliveries")
        sms = Counter(each.reference for each in await self.provider.sms())
        taken = self.sink.taken + sms
        assert len(deliveries) == DELIVERIES
        assert set(taken) <= {str(row["id"]) for row in deliveries}
        assert {one: count for one, count in taken.items() if count > 1} == {}, "doubled"
        assert {row["status"] for row in deliveries} <= {"accepted", "unknown"}
        accepted = [row for row in deliveries if row["status"] == "accepted"]
        assert [row for row in accepted if taken[str(row["id"])] != 1] == [], "lost"
        unknown = [row for row in deliveries if row["status"] == "unknown"]
        of_one_kill = Counter(self.explain(row) for row in unknown)
        assert max(of_one_kill.values(), default=0) <= MOST_IN_HAND
        [ever] = await self.world.rows(
            "notifications",
            "select count(distinct delivery_id) as n from delivery_states where status = 'unknown'",
        )
        left = sum(taken[str(row["id"])] for row in unknown)
        return (
            f"{len(self.lives)} kills, {len(deliveries)} deliveries ({sms.total()} SMS left): 0 doubled, "
            f"0 lost; {ever['n']} were unknown for a while, {len(unknown)} stay so: {left} had left and "
            f"their answer died with the process; {len(unknown) - left} were claimed and had not left; "
            f"{max(of_one_kill.values(), default=0)} at most by one kill"
        )

    def explain(self, row: dict[str, Any]) -> int:
        """The kill that cut it off: it was claimed in that life, and its lease ran out after it."""
        assert "lease ran out" in (row["answer"] or ""), row
        number = next(
            number
            for number, life in enumerate(self.lives)
            if life.began_at <= row["sending_at"] <= life.ended_at
        )
        assert row["settled_at"] > self.lives[number].ended_at
        return number


def slices() -> Iterator[list[Any]]:
    """The facts of each life: mostly receipts, by mail; one in ten a company's lines, by mail and SMS."""
    size, number = DELIVERIES // KILLS, 0
    for life in range(KILLS):
        wanted = size if life < KILLS - 1 else DELIVERIES - size * (KILLS - 1)
        facts: list[Any] = []
        while wanted > 0:
            number += 1
            customer = Customer(f"client{number}@exemple.fr")
            if number % 10 or wanted == 1:
                facts.append(customer.paid(f"in_{number}"))
                wanted -= 1
            else:
                facts += [registered(customer, number), customer.restored()]
                wanted -= 2
        yield facts


def registered(customer: Customer, number: int) -> CompanyRegistered:
    return CompanyRegistered(
        company_id=customer.company_id,
        name="Éts Ménard",
        email=customer.email or "",
        phone=f"06{12_000_000 + number}",
        registered_at=AT,
    )


async def test_killed_at_random_instants_none_is_doubled_and_none_is_lost(
    world: World, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    async with smtp_sink() as sink, running_sms_provider(tmp_path / "sms", KEY) as running:
        # It reports nothing by itself: what is unknown must be asked about.
        await running.control.fate()
        slaughter = Slaughter(world, tmp_path, sink, running.control, random.Random(seed))
        for facts in slices():
            await slaughter.live_and_be_killed(facts)
        await slaughter.finish()
        print(await slaughter.judge())
