"""What people want done: told as facts, answered by the service whose it is; with who wants it, and why."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

from libs.common.database import Database
from libs.common.events import CompanyEvent, provisional_company_id
from libs.common.events.directory import (
    DunningExempted,
    LifetimeGranted,
    StripeCustomerLinked,
    StripeEventReplayRequested,
)
from services.admin_api import domain, queries
from services.admin_api.auth import Caller, CallerOf, api
from services.admin_api.domain import Role, Scope
from services.admin_api.forms import by
from services.admin_api.queries import Deed
from services.admin_api.routes.directory import CREDENTIALS, no_company

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
StripeEventId = Annotated[str, StringConstraints(pattern=r"^evt_\w+$", max_length=255)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LinkForm(_Form):
    """The Stripe customer that turned out to be the company."""

    stripe_customer_id: Annotated[str, by(domain.clean_stripe_customer_id)]


class _Wish(_Form):
    """Who wants it, and why: kept with what comes of it."""

    requested_by: Words
    reason: Words


class LifetimeForm(_Wish):
    """« Abonné à vie », or no longer."""

    is_granted: bool = True


class ExemptionForm(_Wish):
    """Until when a company is neither restricted nor cut; a moment that has passed ends it."""

    until: AwareDatetime


class ReplayForm(_Form):
    """State only, or with the effects that were not had yet."""

    requested_by: Words
    with_effects: bool = False


class Told(BaseModel):
    """The id of the fact that was told; what comes of it carries it as its cause."""

    event_id: UUID


def create_router(database: Database) -> APIRouter:
    router = APIRouter(prefix="/api", dependencies=CREDENTIALS)

    _add_wishes(router, database)
    _add_replay(router, database)
    return router


def _add_wishes(router: APIRouter, database: Database) -> None:
    async def tell(event: CompanyEvent, deed: Deed) -> Told:
        async with database.begin() as uow:
            if await queries.find_company(uow.session, event.company_id) is None:
                raise no_company(event.company_id)
            await uow.publish(event)
            await queries.add_audit(uow.session, deed, uow.now)
        return Told(event_id=event.event_id)

    @router.post("/companies/{company_id}/stripe-customers", status_code=202)
    @api(Role.BILLING, Scope.WISHES)
    async def link_stripe_customer(company_id: UUID, form: LinkForm, caller: CallerOf) -> Told:
        """From now on what Stripe says of this customer is the company's; what it missed is told again."""
        return await tell(
            StripeCustomerLinked(
                company_id=company_id,
                stripe_customer_id=form.stripe_customer_id,
                provisional_company_id=provisional_company_id(form.stripe_customer_id),
            ),
            caller.did(
                "wish.customer_linked", subject=f"customer:{form.stripe_customer_id}", company_id=company_id
            ),
        )

    @router.post("/companies/{company_id}/lifetime", status_code=202)
    @api(Role.BILLING, Scope.WISHES)
    async def grant_lifetime(company_id: UUID, form: LifetimeForm, caller: CallerOf) -> Told:
        return await tell(
            LifetimeGranted(
                company_id=company_id,
                granted_by=form.requested_by,
                reason=form.reason,
                granted_at=database.clock(),
                is_granted=form.is_granted,
            ),
            _wished(caller, "wish.lifetime", company_id, form, is_granted=form.is_granted),
        )

    @router.post("/companies/{company_id}/dunning-exemption", status_code=202)
    @api(Role.BILLING, Scope.WISHES)
    async def exempt_from_dunning(company_id: UUID, form: ExemptionForm, caller: CallerOf) -> Told:
        return await tell(
            DunningExempted(
                company_id=company_id,
                exempted_by=form.requested_by,
                reason=form.reason,
                exempted_at=database.clock(),
                until=form.until,
            ),
            _wished(caller, "wish.exemption", company_id, form, until=form.until.isoformat()),
        )


def _add_replay(router: APIRouter, database: Database) -> None:
    @router.post("/stripe-events/{stripe_event_id}/replay", status_code=202)
    @api(Role.BILLING, Scope.WISHES)
    async def replay_stripe_event(stripe_event_id: StripeEventId, form: ReplayForm, caller: CallerOf) -> Told:
        """Billing works it again; see first what it would do, at billing's `/internal/…/replay-preview`."""
        event = StripeEventReplayRequested(
            stripe_event_id=stripe_event_id,
            with_effects=form.with_effects,
            requested_by=form.requested_by,
            requested_at=database.clock(),
        )
        deed = caller.did(
            "wish.replay",
            subject=f"stripe_event:{stripe_event_id}",
            requested_by=form.requested_by,
            with_effects=form.with_effects,
        )
        async with database.begin() as uow:
            await uow.publish(event)
            await queries.add_audit(uow.session, deed, uow.now)
        return Told(event_id=event.event_id)


def _wished(caller: Caller, action: str, company_id: UUID, form: _Wish, **details: Any) -> Deed:
    """A program says for whom it asks: the audit keeps both."""
    by = form.requested_by
    return caller.did(action, company_id=company_id, reason=form.reason, requested_by=by, **details)
