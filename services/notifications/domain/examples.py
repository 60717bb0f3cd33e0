"""Facts made up for previews: what a kind would say to a company, before anything has happened."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from libs.common.events import Event
from libs.common.events.billing import OpenInvoice
from libs.common.events.event import uuid_of
from services.notifications.domain.deliveries import Contact
from services.notifications.domain.kinds import KINDS

COMPANY_ID = uuid_of("the company of previews")
CENTS = 2990


def example_contact() -> Contact:
    return Contact(name="Boulangerie Martin", email="compta@exemple.fr", phone="+33612345678")


def example_invoice(now: datetime, link: str) -> OpenInvoice:
    return OpenInvoice(
        invoice_id="in_apercu",
        number="APERCU-0001",
        amount_remaining_cents=CENTS,
        currency="eur",
        billing_cycle=f"{now:%Y-%m}",
        issued_at=now - timedelta(days=3),
        hosted_invoice_url=link,
    )


def example_fact(
    kind: str,
    company_id: UUID,
    contact: Contact,
    invoices: Sequence[OpenInvoice],
    *,
    now: datetime,
    link: str,
) -> Event:
    """A fact that makes a message of this kind, to this company. Links lead to `link`: they open nothing."""
    invoices = invoices or [example_invoice(now, link)]
    first = invoices[0]
    known: dict[str, Any] = {
        "company_id": company_id,
        "customer_name": contact.name or "",
        "name": contact.name or "",
        "customer_email": contact.email,
        "email": contact.email or "",
        "invoice_id": first.invoice_id,
        "anchor_invoice_id": first.invoice_id,
        "invoice_ids": tuple(invoice.invoice_id for invoice in invoices),
        "open_invoices": tuple(invoices),
        "unpaid_count": len(invoices),
        "total_due_cents": sum(invoice.amount_remaining_cents for invoice in invoices),
        "currency": first.currency,
        "billing_cycle": first.billing_cycle,
        "step": kind,
        "kind": kind,
        "stage": 2 if "reminder" in kind else 1,
        "days": 3,
        "attempts": ({"payment_method_id": "pm_1", "label": "Visa •••• 4242", "outcome": "declined"},),
        "failed": ({"payment_method_id": "pm_1", "label": "Visa •••• 4242", "outcome": "declined"},),
        "paid_with": {"payment_method_id": "pm_2", "label": "Mastercard •••• 4444", "outcome": "paid"},
        "label": "Visa •••• 4242",
        "plan": "Pro",
        "previous_plan": "Essentiel",
        "prefix": "01",
        "status": "active",
    }
    fact = KINDS[kind].fact
    values = {
        name: known[name] if name in known else _made_up(name, field.annotation, now, link)
        for name, field in fact.model_fields.items()
        if name in known or field.is_required() or name.endswith(_TOLD_THOUGH_OPTIONAL)
    }
    if "number" in fact.model_fields:
        values["number"] = first.number if "invoice_id" in fact.model_fields else "+33 1 84 80 00 00"
    return fact.model_validate(values)


_TOLD_THOUGH_OPTIONAL = ("_url", "_at", "_on", "_cents")
_LATER = ("expires", "deadline", "ends", "release", "until")


def _made_up(name: str, annotation: Any, now: datetime, link: str) -> object:
    kind_of = _plain(annotation)
    at = now + timedelta(days=3) if any(word in name for word in _LATER) else now
    simple: Mapping[object, object] = {
        datetime: at,
        date: at.date(),
        bool: False,
        int: CENTS if name.endswith("cents") else 1,
        float: 1.0,
        UUID: uuid_of(f"preview|{name}"),
        str: link if name.endswith("url") else f"{name}_apercu" if name.endswith("_id") else "exemple",
    }
    if kind_of in simple:
        return simple[kind_of]
    if get_origin(kind_of) in (tuple, list, frozenset, set):
        return ()
    if get_origin(kind_of) is dict or kind_of is dict:
        return {}
    if isinstance(kind_of, type) and issubclass(kind_of, BaseModel):
        return {
            inner: _made_up(inner, field.annotation, now, link)
            for inner, field in kind_of.model_fields.items()
            if field.is_required()
        }
    choices = get_args(kind_of)
    return choices[0] if choices else None


def _plain(annotation: Any) -> Any:
    """`X | None` without the None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(each for each in get_args(annotation) if each is not type(None))
    return annotation
