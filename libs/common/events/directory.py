"""What admin_api tells: companies, contacts and numbers, and the wishes of the people who run Relance."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from libs.common.events.event import CompanyEvent, Event


class CompanyRegistered(CompanyEvent):
    """A company signed up, or was brought in from the old system."""

    type: ClassVar[str] = "directory.company_registered.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id",)

    name: str
    email: str
    phone: str | None = None
    stripe_customer_id: str | None = None
    legacy_enterprise_id: int | None = None
    registered_at: datetime


class StripeCustomerLinked(CompanyEvent):
    """A Stripe customer turned out to be this company; what was told of the provisional one is its own."""

    type: ClassVar[str] = "directory.stripe_customer_linked.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "stripe_customer_id")

    stripe_customer_id: str
    provisional_company_id: UUID


class CompanyUpdated(CompanyEvent):
    """A company's name or addresses changed; what is not given stays as it was."""

    type: ClassVar[str] = "directory.company_updated.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "updated_at")

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    updated_at: datetime


class NumberStocked(Event):
    """A phone number is ours to give."""

    type: ClassVar[str] = "directory.number_stocked.v1"
    identity: ClassVar[tuple[str, ...]] = ("number", "stocked_at")

    number: str
    stocked_at: datetime

    @property
    def key(self) -> str:
        return self.number


class NumberAssigned(CompanyEvent):
    """A phone number was given to a company."""

    type: ClassVar[str] = "directory.number_assigned.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "number", "assigned_at")

    number: str
    assigned_at: datetime
    legacy_contract_id: int | None = None


class NumberReleased(CompanyEvent):
    """A company's phone number was taken back."""

    type: ClassVar[str] = "directory.number_released.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "number", "released_at")

    number: str
    released_at: datetime
    why: str


class LifetimeGranted(CompanyEvent):
    """A company is subscribed for life (« Abonné à vie »): it is never dunned, nor asked to subscribe."""

    type: ClassVar[str] = "directory.lifetime_granted.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "granted_at")

    granted_by: str
    reason: str
    granted_at: datetime
    is_granted: bool = True


class DunningExempted(CompanyEvent):
    """A company is not restricted or cut for a while, or no longer spared (`until` in the past)."""

    type: ClassVar[str] = "directory.dunning_exempted.v1"
    identity: ClassVar[tuple[str, ...]] = ("company_id", "exempted_at")

    exempted_by: str
    reason: str
    exempted_at: datetime
    until: datetime


class StripeEventReplayRequested(Event):
    """Somebody wants a stored Stripe event worked again: its state only, or its effects too."""

    type: ClassVar[str] = "directory.stripe_event_replay_requested.v1"
    identity: ClassVar[tuple[str, ...]] = ("stripe_event_id", "requested_at")

    stripe_event_id: str
    with_effects: bool
    requested_by: str
    requested_at: datetime

    @property
    def key(self) -> str:
        return self.stripe_event_id


class RoutineSilent(Event):
    """A routine of the scheduler did not run in time: somebody must look why."""

    type: ClassVar[str] = "directory.routine_silent.v1"
    identity: ClassVar[tuple[str, ...]] = ("routine", "expected_by")

    routine: str
    expected_by: datetime
    noticed_at: datetime

    @property
    def key(self) -> str:
        return f"routine:{self.routine}"
