"""What admin_api tells: companies, contacts and numbers, and the wishes of the people who run Relance."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from libs.common.events.event import CompanyEvent


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
