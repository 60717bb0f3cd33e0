"""A delivery told in French, step by step: what made it, what happened to it, what comes next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")

STATUSES: Mapping[str, str] = {
    "pending": "en attente",
    "sending": "en cours d'envoi",
    "accepted": "accepté par le serveur",
    "delivered": "remis",
    "bounced": "revenu, non remis",
    "failed": "échoué",
    "suppressed": "volontairement non envoyé",
    "unknown": "inconnu : nul ne sait s'il est parti",
    "expired": "expiré",
}

WHYS: Mapping[str, str] = {
    "no_address": "l'entreprise n'a pas d'adresse",
    "paid": "tout est payé",
    "already_listed": "la facture a déjà été signalée ce cycle",
    "recent_notice": "un avis d'impayé est parti il y a moins de 72 h",
    "subscribed": "l'entreprise s'est abonnée",
    "not_allowed_outside_prod": "hors production, cette adresse n'est pas sur la liste permise",
    "expired": "le délai au-delà duquel personne n'en veut plus est passé",
    "refused": "le serveur l'a refusé pour de bon",
    "no_mobile": "l'entreprise n'a pas de numéro de mobile",
    "not_a_number": "ce n'est pas un numéro",
    "test_number": "c'est un numéro d'essai",
    "channel_off": "ce canal n'est pas réglé",
    "cannot_be_built": "il n'a pas pu être écrit (voir le journal)",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One state, with what the other side's server said."""

    status: str
    why: str | None
    answer: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Fact:
    """An event as it was heard; `topic` None: it is only known by its id."""

    event_id: UUID
    type: str | None = None
    topic: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """All that is known of a delivery."""

    delivery_id: UUID
    kind: str
    category: str
    channel: str
    recipient: str | None
    recipient_name: str
    company_id: UUID
    invoice_ids: Sequence[str]
    dedup_key: str
    status: str
    why: str | None
    attempts: int
    due_at: datetime
    expires_at: datetime
    lease_until: datetime | None
    message_id: str | None
    forgotten_at: datetime | None
    has_content: bool
    template_version: str | None
    fact: Fact
    cause: Fact | None
    steps: Sequence[Step]


def explanation(story: Story) -> Iterator[str]:
    """Line by line."""
    yield f"{story.kind} ({story.category}, {story.channel}) {story.delivery_id}"
    yield f"  à           {story.recipient_name} <{story.recipient or 'sans adresse'}>".replace("  <", " <")
    yield f"  entreprise  {story.company_id}"
    if story.invoice_ids:
        yield f"  factures    {', '.join(story.invoice_ids)}"
    yield f"  clé         {story.dedup_key}"
    yield f"  Message-ID  {story.message_id or 'aucun encore'}"
    if story.template_version:
        yield f"  modèle      {story.template_version}"
    yield f"  contenu     {_content(story)}"
    yield ""
    yield f"État : {STATUSES.get(story.status, story.status)}{_because(story.why)}"
    yield f"Né du fait {_told(story.fact)}"
    if story.cause is not None:
        yield f"  lui-même causé par {_told(story.cause)}"
    yield ""
    yield "Étapes"
    for step in story.steps:
        yield f"  {_moment(step.at, seconds=True)}  {step.status}{_because(step.why)}"
        if step.answer:
            yield f"      réponse : {step.answer}"
    yield ""
    yield f"Ensuite : {_next(story)}"


def _content(story: Story) -> str:
    if story.forgotten_at is not None:
        return f"oublié le {_moment(story.forgotten_at)}, seule la trace reste"
    return "gardé, tel qu'il est parti" if story.has_content else "pas encore écrit"


def _because(why: str | None) -> str:
    return "" if why is None else f" ({WHYS.get(why, why)})"


def _told(fact: Fact) -> str:
    if fact.type is None:
        return str(fact.event_id)
    heard = "" if fact.at is None else f", {_moment(fact.at)}"
    return f"{fact.type} {fact.event_id}{heard}"


def _next(story: Story) -> str:
    match story.status:
        case "pending":
            again = "un nouvel essai" if story.attempts else "un premier essai"
            return (
                f"{again} à partir du {_moment(story.due_at, seconds=True)} ; les conditions sont revues "
                f"juste avant. Abandon le {_moment(story.expires_at)}."
            )
        case "sending":
            until = (
                "bientôt" if story.lease_until is None else f"le {_moment(story.lease_until, seconds=True)}"
            )
            return f"la réponse du serveur ; sans elle, il devient « inconnu » {until}."
        case "unknown":
            return (
                "il n'est jamais renvoyé de lui-même. Une réponse tardive ou l'avis du fournisseur le règle, "
                "sinon une personne : cherchez son Message-ID dans le journal du fournisseur."
            )
        case "accepted":
            return "rien de notre part ; un avis de remise ou de non-remise peut encore arriver."
        case _:
            return "rien."


def _moment(at: datetime, *, seconds: bool = False) -> str:
    return f"{at.astimezone(PARIS):{'%d/%m/%Y %H:%M:%S' if seconds else '%d/%m/%Y %H:%M'}}"
