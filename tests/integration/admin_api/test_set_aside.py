"""What some service could not work is shown, whichever service it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from libs.common.events.operations import EventSetAside
from services.admin_api import handlers
from tests.integration.admin_api.builders import NOW, admin, admin_database, heard
from tests.world import World, until


def set_aside(
    service: str, *, event_id: UUID | None = None, attempts: int = 1, at: datetime = NOW
) -> EventSetAside:
    return EventSetAside(
        service=service,
        set_aside_event_id=event_id or uuid4(),
        set_aside_type="billing.invoice_paid.v1",
        set_aside_key=str(uuid4()),
        cause="PermanentFailure: no such customer",
        attempts=attempts,
        set_aside_at=at,
    )


async def test_what_any_service_set_aside_is_listed(world: World) -> None:
    async with admin(world) as http:
        for teller in ("billing", "notifications", "scheduler", "directory"):
            envelope = heard(set_aside(teller)).envelope
            await world.tell_raw(
                f"{teller}.events",
                key=envelope.key.encode(),
                value=envelope.data,
                headers=envelope.headers(),
            )

        async def all_four() -> bool:
            rows = (await http.get("/api/set-aside")).json()["set_aside"]
            return {row["service"] for row in rows} == {"billing", "notifications", "scheduler", "directory"}

        await until(all_four, what="all four")


async def test_an_event_set_aside_again_is_listed_once_with_its_last_cause(world: World) -> None:
    event_id = uuid4()
    later = NOW + timedelta(hours=1)
    facts = [
        heard(set_aside("billing", event_id=event_id, attempts=12)),
        heard(set_aside("billing", event_id=event_id, attempts=13, at=later)),
        heard(set_aside("notifications", event_id=event_id, attempts=1)),
    ]
    fold = handlers.router.folds[EventSetAside.type]
    async with admin_database(world) as database:
        for batch in (facts, facts[::-1], facts[1:2] * 3, facts[:1]):
            async with database.begin() as uow:
                await fold(batch, uow.session)
    async with admin(world) as http:
        first = (await http.get("/api/set-aside", params={"limit": 1})).json()
        second = (await http.get("/api/set-aside", params={"limit": 1, "after": first["next"]})).json()
    assert [(row["service"], row["attempts"]) for row in first["set_aside"]] == [("billing", 13)]
    assert [(row["service"], row["attempts"]) for row in second["set_aside"]] == [("notifications", 1)]
    assert second["next"] is None
