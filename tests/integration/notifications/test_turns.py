"""Letters claimed ahead: what waited for its turn was certainly not sent, what was begun may have been."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.database import Database
from libs.integrations.smtp import Smtp
from services.notifications import queries
from services.notifications.domain import Letter
from services.notifications.jobs import expire_claims
from services.notifications.jobs.carriers import MailCarrier
from services.notifications.jobs.claiming import claim_due_deliveries
from tests.integration.notifications.office import SENDER, Office
from tests.unit.notifications.facts import Customer
from tests.world import until

LEASE_OVER = "update deliveries set lease_until = now() - interval '1 second' where status = 'sending'"


@asynccontextmanager
async def claimer(office: Office) -> AsyncIterator[Database]:
    settings = office.settings()
    url = settings.service_database_url("notifications")
    database = Database(url, service="notifications", teller="notifications", pool_size=4)
    try:
        yield database
    finally:
        await database.close()


async def claim(office: Office, database: Database, *, limit: int, at_once: int = 0) -> list[Letter]:
    """As a process does that is killed afterwards."""
    settings = office.settings()
    smtp = Smtp(office.catcher.dsn, size=1, timeout_seconds=1)
    letters: list[Letter] = []
    async with database.begin() as uow:
        await claim_due_deliveries(
            uow, MailCarrier(smtp, settings), settings, letters, limit=limit, at_once=at_once
        )
    return letters


async def mark_begun(database: Database, letters: list[Letter]) -> set[object]:
    async with database.begin() as uow:
        return set(await queries.mark_begun(uow.session, letters))


def receipts(count: int) -> list[Customer]:
    return [Customer(f"client{n}@exemple.fr") for n in range(count)]


async def test_what_waited_when_its_sender_was_killed_is_sent_by_the_next(office: Office) -> None:
    customers = receipts(6)
    await office.queue(*(customer.paid(f"in_{n}") for n, customer in enumerate(customers)))
    async with claimer(office) as database:
        letters = await claim(office, database, limit=6, at_once=2)
    begun = {letter.delivery.id for letter in letters[:2]}
    await office.world.rows("notifications", LEASE_OVER)
    async with office.open(SENDER):
        rows = await office.until_all(6, "accepted", "unknown")
    assert {row["id"] for row in rows if row["status"] == "unknown"} == begun
    assert {row["attempts"] for row in rows} == {1}
    assert len(await office.mails.mails()) == 4


async def test_who_was_paused_for_too_long_begins_nothing(office: Office) -> None:
    await office.queue(Customer().paid("in_1"))
    async with claimer(office) as database:
        old = await claim(office, database, limit=1)
        await office.world.rows("notifications", LEASE_OVER)
        await expire_claims(database)
        assert await mark_begun(database, old) == set()
        [new] = await claim(office, database, limit=1)
        assert await mark_begun(database, old) == set()
        assert await mark_begun(database, [new]) == {new.delivery.id}
        assert await mark_begun(database, [new]) == set()


async def test_a_turn_and_the_end_of_the_lease_at_once_one_of_them_wins(office: Office) -> None:
    customers = receipts(40)
    await office.queue(*(customer.paid(f"in_{n}") for n, customer in enumerate(customers)))
    async with claimer(office) as database:
        letters = await claim(office, database, limit=40)
        assert len(letters) == 40
        await office.world.rows("notifications", LEASE_OVER)
        begun: set[object] = set()

        async def take_turns() -> None:
            for start in range(0, 40, 4):
                begun.update(await mark_begun(database, letters[start : start + 4]))

        await asyncio.gather(take_turns(), expire_claims(database))
    states = {row["id"]: row["status"] for row in await office.deliveries()}
    given_back = {id_ for id_, status in states.items() if status == "pending"}
    assert begun.isdisjoint(given_back)
    assert begun | given_back == set(states)
    # What was listed as waiting and begun in between stays claimed, and is unknown at the next look.
    assert set(states.values()) <= {"pending", "sending", "unknown"}


async def test_a_server_that_becomes_slow_is_sent_everything_once(office: Office) -> None:
    customers = receipts(60)
    await office.queue(*(customer.paid(f"in_{n}") for n, customer in enumerate(customers)))
    for n in range(30, 34):
        await office.mails.answer_next(at="body", delay_seconds=2, recipient=f"client{n}@exemple.fr")
    async with office.open(SENDER, smtp_connections=2, smtp_timeout_seconds=5, lease_seconds=20):
        await office.until_all(60, "accepted")
    assert len(await office.mails.mails()) == 60
    [row] = await office.world.rows(
        "notifications", "select count(*) as n from delivery_states where status = 'unknown'"
    )
    assert row["n"] == 0


async def test_a_clean_stop_gives_back_what_waits(office: Office) -> None:
    customers = receipts(60)
    await office.queue(*(customer.paid(f"in_{n}") for n, customer in enumerate(customers)))
    async with office.open(SENDER, smtp_connections=2):
        await until(office.mails.mails, what="a first mail")
    states = {status for status, _ in (await office.statuses()).values()}
    assert states <= {"accepted", "pending"}
    async with office.open(SENDER, smtp_connections=2):
        await office.until_all(60, "accepted")
    assert len(await office.mails.mails()) == 60
