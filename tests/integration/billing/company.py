"""A company that does not pay, and a billing whose clock a test moves: from the first decline to the cut."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid4

from libs.common.events import provisional_company_id
from libs.common.events.billing import InvoiceUnpaid, LineCut, LineRestored, LineRestricted
from libs.common.events.notifications import DeliveryAccepted, DeliveryBounced
from libs.common.events.scheduler import CutoffDue
from libs.devstack.stripe_simulator.control import RenewalMade
from services.billing.domain.policy import next_morning
from services.billing.settings import load_policy
from tests.integration.billing.conftest import Billing, Clock
from tests.world import until

POLICY = load_policy(None)
LINE_FACTS = (LineRestricted, LineCut, LineRestored)


def move_to_morning(clock: Clock, *, days: int, after: datetime) -> None:
    """To the first morning on which lines may be cut, so many days later."""
    clock.move_to(next_morning(POLICY, after + timedelta(days=days)) + timedelta(minutes=1))


@dataclass
class Company:
    """One whose renewal failed, and what is told about it."""

    billing: Billing
    company_id: UUID
    made: RenewalMade
    unpaid_at: datetime

    @classmethod
    async def that_does_not_pay(
        cls, billing: Billing, company_id: UUID | None = None, *, is_linked: bool = True
    ) -> Company:
        company_id = company_id or uuid4()
        made = await billing.stripe.renewal_fails(
            name="Boulangerie Le Goff", email="legoff@example.fr", cards=["decline"],
            metadata={"company_id": str(company_id)} if is_linked else {},
        )  # fmt: skip
        if not is_linked:
            company_id = provisional_company_id(made.customer)

        async def is_unpaid() -> bool:
            told = await billing.world.told(InvoiceUnpaid)
            return any(u.invoice_id == made.invoice for u in told)

        await until(is_unpaid, what="InvoiceUnpaid")
        return cls(billing, company_id, made, datetime.now(UTC))

    def accepted(self, *, at: datetime | None = None, delivery_id: UUID | None = None) -> DeliveryAccepted:
        return DeliveryAccepted(
            company_id=self.company_id,
            delivery_id=delivery_id or uuid4(),
            kind="unpaid",
            channel="mail",
            invoice_ids=(self.made.invoice,),
            accepted_at=at or self.unpaid_at,
            answer="250 taken",
        )

    def bounced(self, accepted: DeliveryAccepted) -> DeliveryBounced:
        about = accepted.model_dump(exclude={"accepted_at"})
        return DeliveryBounced(**about, bounced_at=accepted.accepted_at + timedelta(minutes=1))

    async def tell_and_fold(self, *events: DeliveryAccepted | DeliveryBounced, copies: int = 1) -> None:
        """Until billing has kept what it was told of notices."""
        for event in events:
            await self.billing.world.tell(event, copies=copies)

        async def is_kept() -> bool:
            rows = await self.billing.world.rows("billing", "select * from notices")
            kept = {
                (r["delivery_id"], name) for r in rows for name in ("accepted_at", "bounced_at") if r[name]
            }
            return all(
                (e.delivery_id, "accepted_at" if isinstance(e, DeliveryAccepted) else "bounced_at") in kept
                for e in events
            )

        await until(is_kept, what="the notices")

    async def cutoff_due(self, clock: Clock, *, copies: int = 1) -> None:
        """This working morning's CutoffDue, and until billing has decided on it."""
        moment = clock()
        event = CutoffDue(
            company_id=self.company_id,
            due_on=moment.astimezone(POLICY.zone).date(),
            deadline_at=datetime.combine(moment.date(), time(), UTC),
        )
        await self.billing.world.tell(event, copies=copies)

        async def is_decided() -> bool:
            [row] = await self.billing.world.rows(
                "billing",
                """select (select count(*) from inbox where event_id = $1 and status = 'done') as heard,
                          (select count(*) from company_lines
                           where company_id = $2 and due_at is null and causation_id = $1) as decided""",
                event.event_id,
                self.company_id,
            )
            return bool(row["heard"] and row["decided"])

        await until(is_decided, what="the decision")

    async def lines(self) -> dict[str, object]:
        [row] = await self.billing.world.rows(
            "billing",
            "select state, episode, is_unpaid, verdict, why from company_lines where company_id = $1",
            self.company_id,
        )
        return row

    async def told(self) -> list[str]:
        """The facts of its lines, in order, with their episodes."""
        names = {cls.type: cls.__name__ for cls in LINE_FACTS}
        classes = {cls.type: cls for cls in LINE_FACTS}
        return [
            f"{names[e.type]} {classes[e.type].from_bytes(e.data).episode}"
            for e in await self.billing.world.envelopes("billing")
            if e.type in names and e.key == str(self.company_id)
        ]

    async def has_told(self, *facts: str) -> None:
        async def look() -> bool:
            return await self.told() == list(facts)

        await until(look, what=f"{facts}")

    async def pays(self) -> None:
        await self.billing.stripe.behave(self.made.payment_methods[0], "pay")
        await self.billing.stripe.attempt(self.made.invoice)
