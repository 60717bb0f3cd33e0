"""What the template of each kind gets, for the usual, the emptiest, the longest and the nastiest data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from libs.common.events.billing import (
    DisputeClosed,
    SubscriptionCanceled,
    SubscriptionChanged,
    SubscriptionStarted,
)
from libs.common.events.directory import NumberAssigned, NumberReleased
from libs.common.events.scheduler import (
    DailyReportDue,
    FreeNumbersLow,
    NumberReleaseWarningDue,
    TrialEnded,
    TrialEndingSoon,
)
from libs.common.signup_steps import SIGNUP_STEPS
from services.notifications import domain
from services.notifications.domain import INTERNAL, KINDS, Contact, Message, Status
from tests.unit.notifications.facts import AT

COMPANY_ID = UUID(int=7)
LOGIN_URL = "https://app.test/login"
NASTY = (
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "شركة الاتصالات",
    "a\u202egnp.exe",
    "🦊🦊🦊",
    "N" * 200,
    'Dupont & Fils "L\'Épi" <x>',
    "x\r\nBcc: evil@example.fr\r\n\r\n<b>",
    "two\r\nlines\u2028three",
    "\ud800",
    "",
)


def invoice(
    number: str | None = "DC-1",
    cents: int = 1290,
    url: str | None = "https://pay.test/1",
    currency: str = "eur",
) -> dict[str, Any]:
    return {
        "invoice_id": "in_1",
        "number": number,
        "amount_remaining_cents": cents,
        "currency": currency,
        "billing_cycle": "sub_1:2026-11",
        "issued_at": "2026-11-22T23:30:00Z",
        "hosted_invoice_url": url,
    }


def method(label: str) -> dict[str, Any]:
    return {"payment_method_id": "pm_1", "label": label, "outcome": "declined", "decline_code": None}


def contexts(name: str = "Boulangerie Martin", text: str | None = "DC-1") -> dict[str, dict[str, Any]]:
    """A context for each kind, as the facts tell it; `text` stands wherever data may be text."""
    return {**_about_money(name, text), **_about_accounts(name, text), **_to_the_team(name, text)}


def _about_money(name: str, text: str | None) -> dict[str, dict[str, Any]]:
    about_one = {
        "customer_name": name,
        "number": text,
        "amount_cents": 1290,
        "currency": "eur",
        "paid_at": "2026-11-23T10:00:00Z",
        "hosted_invoice_url": "https://pay.test/1",
    }
    owing = {
        "customer_name": name,
        "open_invoices": [invoice(text), invoice("DC-2", 123456, "https://pay.test/2")],
    }
    return {
        "unpaid": {
            **owing,
            "deadline_at": "2026-12-01T09:00:00Z",
            "attempts": [method(text or "")],
            "stage": 1,
        },
        "unpaid_reminder": {**owing, "deadline_at": "2026-12-01T09:00:00Z", "stage": 2},
        "cutoff_warning": {**owing, "cutoff_at": "2026-12-01T09:00:00Z"},
        "line_restricted": owing,
        "line_cut": owing,
        "line_restored": {"customer_name": name},
        "card_expiring": {
            "customer_name": name,
            "label": text or "",
            "expires_on": "2026-12-31",
            "card_url": "https://ours.test/pay/card",
        },
        "payment_recovered": {
            **about_one,
            "failed": [method("Visa •••• 0341")],
            "paid_with": method(text or ""),
        },
        "payment_receipt": about_one,
        "payment_action_required": {key: value for key, value in about_one.items() if key != "paid_at"},
    }


def _about_accounts(name: str, text: str | None) -> dict[str, dict[str, Any]]:
    """As the facts make them; what only decisions look at is not for the templates."""
    about = {"company_id": COMPANY_ID}
    trial = {**about, "subscription_id": "sub_1", "plan": text}
    number = {**about, "number": text or "+33140000000"}
    messages: list[Message | None] = [
        domain.subscription_started(SubscriptionStarted(**trial, started_at=AT)),
        domain.subscription_changed(
            SubscriptionChanged(
                **about, subscription_id="sub_1", status="active", plan=(text or "Pro"), previous_plan="Solo",
                monthly_cents=2990, currency="eur", changed_at=AT,
            )
        ),
        domain.subscription_canceled(
            SubscriptionCanceled(**about, subscription_id="sub_1", canceled_at=AT)
        ),
        domain.trial_ending_soon(TrialEndingSoon(**trial, days=3, trial_ends_at=AT + timedelta(days=3))),
        domain.trial_ended(TrialEnded(**trial, trial_ended_at=AT)),
        domain.number_assigned(NumberAssigned(**number, assigned_at=AT)),
        domain.number_release_warning(NumberReleaseWarningDue(**number, release_at=AT)),
        domain.number_released(NumberReleased(**number, released_at=AT, why="no_subscription")),
    ]  # fmt: skip
    drip = {step.name: {"customer_name": name, "login_url": LOGIN_URL} for step in SIGNUP_STEPS}
    house = {"customer_name": name, "login_url": LOGIN_URL}
    written = {message.kind: {**house, **_for_templates(message.context)} for message in messages if message}
    del written["number_released"]["login_url"]  # it leads nowhere
    return {**written, **drip}


def _to_the_team(name: str, text: str | None) -> dict[str, dict[str, Any]]:
    contact = Contact(name, "client@exemple.fr")
    dispute: dict[str, Any] = {"company_id": COMPANY_ID, "dispute_id": "du_1"}
    messages = [
        domain.free_numbers_low(
            FreeNumbersLow(prefix=text or "", free_count=7, threshold=20, due_on=date(2026, 11, 24))
        ),
        domain.daily_report(
            DailyReportDue(
                report_on=date(2026, 11, 23), companies_registered=4, subscriptions_started=2,
                subscriptions_canceled=0, invoices_unpaid=3, unpaid_cents=8970, lines_restricted=1,
                lines_cut=0, events_set_aside=0,
            ),
            {Status.ACCEPTED: 41, Status.FAILED: 1},
        ),
        domain.dispute_closed(DisputeClosed(**dispute, outcome=text or "lost", closed_at=AT), contact),
    ]  # fmt: skip
    written = {
        message.kind: {"is_internal": message.kind in INTERNAL, **_for_templates(message.context)}
        for message in messages
    }
    return {**written, "team_digest": _digest(text)}


def _digest(text: str | None) -> dict[str, Any]:
    lines = [{"text": text or "", "link": "https://stripe.test/1"}, {"text": "", "link": None}]
    group = {
        "title": text or "",
        "lines": lines,
        "others": 3,
        "link": "https://admin.test/set-aside",
    }
    return {"is_internal": True, "summary": text or "", "groups": [group]}


FOR_LACK_OF_BETTER = {"is_internal", "company_id"}
"""What no template needs: it stands in for something else."""


def _for_templates(context: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in context.items() if name not in {"happened_at", "subscription_id"}}


assert set(contexts()) == set(KINDS), "every kind of message has a sample"
