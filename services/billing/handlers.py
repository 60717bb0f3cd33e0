"""What a fact starts in billing: the copy of Stripe's objects follows, dunning cases open and close."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.database import Uow
from libs.common.errors import PermanentFailure
from libs.common.events.billing import LineCut, LineRestored, LineRestricted
from libs.common.events.directory import (
    CompanyRegistered,
    DunningExempted,
    LifetimeGranted,
    NumberAssigned,
    NumberReleased,
    StripeCustomerLinked,
    StripeEventReplayRequested,
)
from libs.common.events.notifications import DeliveryAccepted, DeliveryBounced
from libs.common.events.scheduler import (
    CardCheckDue,
    CutoffDue,
    StripeReconciliationDue,
    SubscriptionCheckDue,
)
from libs.common.events.stripe import StripeEventReceived
from libs.common.router import EventRouter, Heard, Taken
from libs.integrations.stripe import StripeEvent, read_event
from services.billing import domain, intake, links, queries, replay, wishes
from services.billing.domain import KNOWN_AND_IGNORED, Change
from services.billing.queries.events import Arrived

router = EventRouter("billing")


@router.fold(StripeEventReceived)
async def keep_events(heard: Sequence[Heard[StripeEventReceived]], session: AsyncSession) -> None:
    """What came, when and how often, whether or not it can be worked."""
    await queries.events.keep_events(session, [_arrived(h) for h in heard])


def _arrived(heard: Heard[StripeEventReceived]) -> Arrived:
    body = json.loads(heard.event.body)
    return Arrived(
        stripe_event_id=heard.event.stripe_event_id,
        event_id=heard.envelope.event_id,
        type=body["type"],
        api_version=body.get("api_version"),
        stripe_customer_id=heard.event.stripe_key,
        body=heard.event.body,
        created_at=read_event(body).created_at,
        offset=heard.offset,
    )


@router.on_batch(StripeEventReceived)
async def take_in(batch: Sequence[Taken[StripeEventReceived]]) -> None:
    """Each Stripe event acts once; what it did is noted beside it. What they need is read for all at once."""
    events = [read_event(json.loads(taken.event.body)) for taken in batch]
    changes = [domain.translate(event) for event in events]
    uow = batch[0].uow
    known = await intake.store([c for its_changes in changes for c in its_changes], uow.session, uow.now)
    outcomes: dict[str, str] = {}
    for taken, event, its_changes in zip(batch, events, changes, strict=True):
        taken.resume_trace()
        did = [await intake.act(change, known, taken.uow) for change in its_changes]
        outcomes[event.id] = "; ".join(did) or _ignored(event, its_changes)
    await queries.events.note_outcomes(uow.session, outcomes)


def _ignored(event: StripeEvent, changes: Sequence[Change]) -> str:
    if event.type in KNOWN_AND_IGNORED or event.type.startswith("invoice."):
        return "known and ignored"
    return "not known and ignored"


@router.on(StripeEventReplayRequested)
async def replay_event(request: StripeEventReplayRequested, uow: Uow) -> None:
    """Effects already had have keys of their own: they are not had again."""
    body = await queries.events.find_body(uow.session, request.stripe_event_id)
    if body is None:
        raise PermanentFailure(f"no Stripe event {request.stripe_event_id} is kept: it cannot be replayed")
    outcome = await replay.replay(body, uow, with_effects=request.with_effects)
    await queries.events.note_outcomes(uow.session, {request.stripe_event_id: f"replayed: {outcome}"})


@router.on(StripeCustomerLinked)
async def link_customer(linked: StripeCustomerLinked, uow: Uow) -> None:
    await links.link(linked.stripe_customer_id, linked.company_id, uow)


@router.on(LifetimeGranted)
async def keep_lifetime(granted: LifetimeGranted, uow: Uow) -> None:
    await links.grant_lifetime(granted, uow)


@router.on(LineRestricted)
async def wish_restriction(restricted: LineRestricted, uow: Uow) -> None:
    await wishes.wish(restricted, uow)


@router.on(LineCut)
async def wish_cut(cut: LineCut, uow: Uow) -> None:
    await wishes.wish(cut, uow)


@router.on(LineRestored)
async def wish_restoration(restored: LineRestored, uow: Uow) -> None:
    await wishes.wish(restored, uow)


@router.on(NumberReleased)
async def wish_release(released: NumberReleased, uow: Uow) -> None:
    await wishes.wish(released, uow)


@router.on(SubscriptionCheckDue)
async def ask_for_check(event: SubscriptionCheckDue, uow: Uow) -> None:
    assert uow.cause is not None, "a check is asked for by a fact"
    await queries.subscription_checks.add_check(
        uow.session, event, causation_id=uow.cause.event_id, traceparent=uow.cause.traceparent
    )


@router.on(StripeReconciliationDue)
async def ask_for_walk(event: StripeReconciliationDue, uow: Uow) -> None:
    assert uow.cause is not None, "a walk is asked for by a fact"
    await queries.reconciliation.mark_wanted(
        uow.session, uow.now, causation_id=uow.cause.event_id, traceparent=uow.cause.traceparent
    )


@router.on(CardCheckDue)
async def ask_for_card_check(event: CardCheckDue, uow: Uow) -> None:
    """The job looks: there may be thousands, and each company must be held."""
    assert uow.cause is not None, "a look is asked for by a fact"
    await queries.methods.add_check(
        uow.session, event.due_on, causation_id=uow.cause.event_id, traceparent=uow.cause.traceparent
    )


@router.fold(CompanyRegistered)
async def copy_companies(heard: Sequence[Heard[CompanyRegistered]], session: AsyncSession) -> None:
    """Names and addresses to write to; a company is registered once, so the first telling stays."""
    await queries.stripe_copy.add_companies(session, [h.event for h in heard])
    await queries.line_copies.keep_enterprise_ids(session, heard)


@router.on_batch(CutoffDue)
async def mark_lines_due(batch: Sequence[Taken[CutoffDue]]) -> None:
    """The job decides: live invoices are looked at first, and no transaction waits for Stripe."""
    causes = {taken.event.company_id: taken.uow.cause for taken in batch}
    await queries.lines.mark_due(batch[0].uow.session, causes)


@router.fold(DeliveryAccepted)
async def keep_notices(heard: Sequence[Heard[DeliveryAccepted]], session: AsyncSession) -> None:
    await queries.line_copies.fold_accepted(session, heard)


@router.fold(DeliveryBounced)
async def keep_bounces(heard: Sequence[Heard[DeliveryBounced]], session: AsyncSession) -> None:
    await queries.line_copies.fold_bounced(session, heard)


@router.fold(DunningExempted)
async def keep_exemptions(heard: Sequence[Heard[DunningExempted]], session: AsyncSession) -> None:
    await queries.line_copies.fold_exempted(session, heard)


@router.fold(LifetimeGranted)
async def keep_lifetimes(heard: Sequence[Heard[LifetimeGranted]], session: AsyncSession) -> None:
    await queries.line_copies.fold_lifetimes(session, heard)


@router.fold(NumberAssigned)
async def keep_contracts(heard: Sequence[Heard[NumberAssigned]], session: AsyncSession) -> None:
    await queries.line_copies.fold_assigned(session, heard)
    await queries.wishes.save_assigned(session, [h.event for h in heard])


@router.fold(NumberReleased)
async def keep_releases(heard: Sequence[Heard[NumberReleased]], session: AsyncSession) -> None:
    await queries.line_copies.fold_released(session, heard)
    await queries.wishes.save_released(session, [h.event for h in heard])
