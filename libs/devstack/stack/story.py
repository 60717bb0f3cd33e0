"""What the demo saw: values read from the servers after the fact, nothing written beforehand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Tried:
    """One card asked to pay; `is_ours`: by Relance, else by Stripe's own schedule."""

    card: str
    is_ours: bool
    answer: str
    is_paid: bool


@dataclass(frozen=True)
class Fact:
    """A fact that a service stored and told."""

    service: str
    type: str
    at: datetime


@dataclass(frozen=True)
class Mail:
    """A mail in the catcher; `link` opens it there."""

    kind: str
    subject: str
    to: str
    link: str


@dataclass(frozen=True)
class Ending:
    """What must be there for a company's part to be complete."""

    fact: str
    mail: str


@dataclass
class CompanyStory:
    """One company of the demo. `invoice`: None for one without a subscription; `invoice_status`: Stripe's."""

    company_id: UUID
    name: str
    email: str
    ending: Ending
    invoice: str | None = None
    invoice_status: str = ""
    tried: list[Tried] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    deliveries: dict[str, str] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """In French, for people; empty when all that was waited for has been seen."""
        missing = []
        if self.ending.fact not in {fact.type for fact in self.facts}:
            missing.append(f"le fait {self.ending.fact}")
        if self.ending.mail not in {mail.kind for mail in self.mails}:
            missing.append(f"le courriel « {self.ending.mail} » pour {self.email}")
        if self.deliveries.get(self.ending.mail) != "accepted":
            missing.append(f"l'envoi « {self.ending.mail} » accepté, vu de l'administration")
        return missing


@dataclass(frozen=True)
class Story:
    """`skipped` says why nothing was played; else `companies`, as they were after so many seconds."""

    skipped: str | None = None
    companies: tuple[CompanyStory, ...] = ()
    seconds: float = 0.0

    def is_complete(self) -> bool:
        return not any(company.missing() for company in self.companies)
