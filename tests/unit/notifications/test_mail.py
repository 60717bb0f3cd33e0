"""What our mails say and what their bytes hold, for the usual, the emptiest and the nastiest data."""

from __future__ import annotations

import email
import re
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import PermanentFailure
from services.notifications.mail import MailContent, build_mail, render
from services.notifications.mail.french import long_date, money, web_link
from services.notifications.mail.rendering import kinds

DELIVERY_ID = UUID("6f1c1c1e-0000-4000-8000-000000000001")
NASTY = (
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "شركة الاتصالات",
    "a\u202egnp.exe",
    "🦊🦊🦊",
    "N" * 200,
    'Dupont & Fils "L\'Épi" <x>',
    "two\r\nlines\u2028three",
    "\ud800",
    "",
)


def invoice(
    number: str | None = "DC-1", cents: int = 1290, url: str | None = "https://pay.test/1"
) -> dict[str, Any]:
    return {
        "invoice_id": "in_1",
        "number": number,
        "amount_remaining_cents": cents,
        "currency": "eur",
        "billing_cycle": "sub_1:2026-11",
        "issued_at": "2026-11-22T23:30:00Z",
        "hosted_invoice_url": url,
    }


def method(label: str) -> dict[str, Any]:
    return {"payment_method_id": "pm_1", "label": label, "outcome": "declined", "decline_code": None}


def contexts(name: str = "Boulangerie Martin", text: str | None = "DC-1") -> dict[str, dict[str, Any]]:
    """A context for each kind, as the facts tell it; `text` stands wherever data may be text."""
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
        "total_due_cents": 124746,
        "currency": "eur",
    }
    return {
        "unpaid": {
            "customer_name": name,
            "open_invoices": [invoice(text), invoice("DC-2", 123456, "https://pay.test/2")],
            "total_due_cents": 124746,
            "currency": "eur",
            "deadline_at": "2026-12-01T09:00:00Z",
            "attempts": [method(text or "")],
        },
        "unpaid_reminder": {**owing, "deadline_at": "2026-12-01T09:00:00Z", "stage": 2},
        "line_restricted": owing,
        "line_cut": owing,
        "line_restored": {"customer_name": name},
        "payment_recovered": {
            **about_one,
            "failed": [method("Visa •••• 0341")],
            "paid_with": method(text or ""),
        },
        "payment_receipt": about_one,
        "payment_action_required": {key: value for key, value in about_one.items() if key != "paid_at"},
        "card_expiring": {
            "customer_name": name,
            "label": text or "",
            "expires_on": "2026-12-31",
            "card_url": "https://pay.test/c",
        },
        "signup_first_step": {"customer_name": name, "login_url": "https://app.test/login"},
        "team_digest": {
            "customer_name": name,
            "summary": text or "",
            "groups": [
                {
                    "title": text or "",
                    "lines": [
                        {"text": text or "", "link": "https://stripe.test/1"},
                        {"text": "", "link": None},
                    ],
                    "others": 3,
                    "link": "https://admin.test/set-aside",
                }
            ],
        },
    }


def built(content: MailContent = MailContent("s", "<p>h</p>", "t\n"), **values: Any) -> EmailMessage:  # noqa: B008
    return email.message_from_bytes(built_bytes(content, **values), policy=policy.default)


def built_bytes(content: MailContent, **values: Any) -> bytes:
    usual: dict[str, Any] = {
        "message_id": f"<{DELIVERY_ID}@example.fr>",
        "sender": "Équipe <bonjour@example.fr>",
        "recipient": "client@example.fr",
        "recipient_name": "Boulangerie Martin",
        "kind": "unpaid",
        "billing_cycle": "sub_1:2026-11",
        "delivery_id": DELIVERY_ID,
        "date": datetime(2026, 11, 23, 10, tzinfo=UTC),
        "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    }
    return build_mail(content=content, **{**usual, **values})


def test_every_kind_has_a_sample_here() -> None:
    assert kinds() == set(contexts())


def test_an_unpaid_mail_lists_every_open_invoice_with_its_link() -> None:
    content = render("unpaid", contexts()["unpaid"])
    assert content.subject == "2 factures restent à régler\u00a0: 1\u202f247,46\u00a0€"
    for part in (content.html, content.text):
        for said in ("DC-1", "DC-2", "12,90\u00a0€", "1\u202f234,56\u00a0€", "https://pay.test/2"):
            assert said in part
        assert "23\u00a0novembre\u00a02026" in part, "the day in Paris"
        assert "1er\u00a0décembre\u00a02026" in part
        assert "Boulangerie Martin" in part
    assert content.html.count("RÉGLER MA FACTURE") == 2, "once for Outlook, once for everyone else"
    assert "<v:roundrect" in content.html


def test_an_unpaid_mail_without_any_link_or_number_still_says_what_to_do() -> None:
    bare = {
        **contexts()["unpaid"],
        "customer_name": "",
        "attempts": [],
        "open_invoices": [invoice(None, 1, None)],
    }
    content = render("unpaid", bare)
    for part in (content.html, content.text):
        assert "contactez-nous" in part
        assert "None" not in part
    assert "RÉGLER MA FACTURE" not in content.html


@pytest.mark.parametrize("kind", ["unpaid", "unpaid_reminder", "line_restricted", "line_cut"])
def test_what_asks_for_money_lists_every_open_invoice_and_says_that_emergency_calls_work(kind: str) -> None:
    content = render(kind, contexts()[kind])
    for part in (content.html, content.text):
        for said in ("DC-1", "DC-2", "1\u202f247,46\u00a0€", "https://pay.test/2", "numéros d’urgence"):
            assert said in part
    assert content.html.count("RÉGLER MA FACTURE") == 2, "once for Outlook, once for everyone else"
    bare = {**contexts()[kind], "customer_name": "", "open_invoices": [invoice(None, 1, None)]}
    for part in (render(kind, bare).html, render(kind, bare).text):
        assert "contactez-nous" in part
        assert "None" not in part


@pytest.mark.parametrize("kind", ["unpaid_reminder", "line_restricted", "line_cut", "line_restored"])
def test_the_emergency_numbers_are_named(kind: str) -> None:
    content = render(kind, contexts()[kind])
    for part in (content.html, content.text):
        assert "15, 17, 18 et 112" in part


def test_the_last_reminder_says_that_it_is_the_last() -> None:
    context = contexts()["unpaid_reminder"]
    second, third = (render("unpaid_reminder", {**context, "stage": stage}) for stage in (2, 3))
    assert second.subject.startswith("Rappel\u00a0: 2 factures restent à régler")
    assert third.subject.startswith("Dernier rappel\u00a0: 2 factures restent à régler")
    assert "Dernier rappel avant la restriction" in third.html


def test_our_own_links_go_before_stripes() -> None:
    ours = {**invoice(), "pay_url": "https://ours.test/pay/1"}
    unpaid = {
        **contexts()["unpaid"],
        "open_invoices": [ours, invoice("DC-2", 1, "https://pay.test/2")],
        "card_url": "https://ours.test/pay/card",
    }
    required = {**contexts()["payment_action_required"], "pay_url": "https://ours.test/pay/1"}
    for content in (render("unpaid", unpaid), render("payment_action_required", required)):
        for part in (content.html, content.text):
            assert "https://ours.test/pay/1" in part
            assert "https://pay.test/1" not in part
    for part in (render("unpaid", unpaid).html, render("unpaid", unpaid).text):
        assert "https://pay.test/2" in part
        assert "https://ours.test/pay/card" in part


def test_a_recovered_mail_says_which_card_failed_and_which_paid_once_each() -> None:
    context = contexts(text="Mastercard •••• 4444")["payment_recovered"]
    content = render("payment_recovered", {**context, "failed": context["failed"] * 2})
    assert content.text.count("Visa •••• 0341\u00a0: refusé") == 1
    assert "Mastercard •••• 4444\u00a0: accepté" in content.text


@pytest.mark.parametrize("kind", sorted(contexts()))
@pytest.mark.parametrize("text", NASTY)
def test_data_stays_data(kind: str, text: str) -> None:
    content = render(kind, contexts(text, text)[kind])
    assert "<script" not in content.html
    assert "{{" not in content.html.replace("{{ 7 * 7 }}", "")
    assert not re.search("[\u202a-\u202e\u2028\ud800-\udfff]", content.html + content.text + content.subject)
    assert "\n" not in content.subject
    parsed = built(content, recipient_name=text)
    assert parsed["Subject"] == content.subject
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize("kind", sorted(contexts()))
def test_html_and_text_survive_the_wire(kind: str) -> None:
    content = render(kind, contexts()[kind])
    raw = built_bytes(content)
    parsed = email.message_from_bytes(raw, policy=policy.default)
    text, html = (part.get_content().replace("\r\n", "\n") for part in parsed.iter_parts())
    assert (text, html.rstrip("\n")) == (content.text, "\n".join(content.html.splitlines()).rstrip("\n"))
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("kind", sorted(contexts()))
def test_html_is_made_for_every_reader(kind: str) -> None:
    html = render(kind, contexts()[kind]).html
    for wanted in (
        'lang="fr"',
        'name="color-scheme"',
        "prefers-color-scheme: dark",
        "[if mso",
        "max-width:600px",
    ):
        assert wanted in html
    assert "{%" not in html
    assert "<img" not in html, "a picture needs an alt text"


@pytest.mark.parametrize(
    ("kind", "missing"), [(kind, name) for kind, context in contexts().items() for name in context]
)
def test_a_missing_value_is_refused_by_name(kind: str, missing: str) -> None:
    context = {name: value for name, value in contexts()[kind].items() if name != missing}
    with pytest.raises(PermanentFailure, match=f"'{missing}' is undefined"):
        render(kind, context)


def test_the_house_signs_by_its_name_where_it_has_one() -> None:
    context = contexts()["payment_receipt"]
    named = render("payment_receipt", {**context, "brand_name": "Ligne & Co", "support_email": "aide@x.fr"})
    assert "L’équipe Ligne &amp; Co" in named.html
    assert "L’équipe Ligne & Co" in named.text
    assert 'href="mailto:aide@x.fr"' in named.html
    for nameless in (context, {**context, "brand_name": "", "support_email": None}):
        assert "Votre service de téléphonie" in render("payment_receipt", nameless).text


def test_an_unknown_kind_is_refused() -> None:
    for kind in ("nothing", "../unpaid", ""):
        with pytest.raises(PermanentFailure):
            render(kind, {})


def test_only_web_addresses_become_links() -> None:
    context = {**contexts()["payment_receipt"], "hosted_invoice_url": "javascript:alert(1)"}
    content = render("payment_receipt", context)
    assert "javascript" not in content.html + content.text
    assert web_link("https://x.fr/a?b=c&d") == "https://x.fr/a?b=c&d"
    for url in (None, "", "data:text/html,x", "https://", "//x.fr", "https://x.fr/\nfoo", "http://[x"):
        assert web_link(url) is None


def test_headers_tell_machines_what_this_is() -> None:
    mail = built()
    assert {name: mail[name] for name in ("From", "To", "Auto-Submitted", "X-Auto-Response-Suppress")} == {
        "From": "Équipe <bonjour@example.fr>",
        "To": "Boulangerie Martin <client@example.fr>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    assert mail["X-Notification-Type"] == "unpaid"
    assert mail["X-Billing-Cycle"] == "sub_1:2026-11"
    assert mail["X-Mailin-custom"] == str(DELIVERY_ID)
    assert mail["Message-ID"] == f"<{DELIVERY_ID}@example.fr>"
    assert mail["Date"] == "Mon, 23 Nov 2026 10:00:00 +0000"
    assert "X-Billing-Cycle" not in built(billing_cycle=None)


def test_the_same_delivery_is_the_same_bytes() -> None:
    content = render("unpaid", contexts()["unpaid"])
    assert built_bytes(content) == built_bytes(content)


@pytest.mark.parametrize("recipient", ["", "x", "é@x.fr", "a@x.fr\r\nBcc: b@x.fr", "a@x.fr,b@x.fr"])
def test_an_address_that_cannot_be_written_to_is_refused(recipient: str) -> None:
    with pytest.raises(PermanentFailure):
        built(recipient=recipient)


def test_a_malformed_message_id_is_refused() -> None:
    for message_id in ("", "x@y", "<x@y>\r\nBcc: z@y", "<x y@z>"):
        with pytest.raises(ValueError, match="Message-ID"):
            built(message_id=message_id)


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=80), st.text(max_size=300))
def test_no_value_can_add_a_header(subject: str, name: str, cycle: str, body: str) -> None:
    injected = "\r\nBcc: evil@example.fr\r\n\r\n"
    raw = built_bytes(
        MailContent(subject + injected + subject, f"<p>{body}</p>", body),
        recipient_name=name + injected,
        billing_cycle=cycle + injected,
        kind="unpaid" + injected,
        traceparent=injected,
        sender='"x" <bonjour@example.fr>',
    )
    parsed = email.message_from_bytes(raw, policy=policy.compat32)
    usual = email.message_from_bytes(built_bytes(MailContent("s", "h", "t")), policy=policy.compat32)
    assert parsed.keys() == usual.keys()
    assert len(parsed.get_payload()) == 2
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    ("cents", "currency", "text"),
    [
        (1290, "eur", "12,90\u00a0€"),
        (5, "EUR", "0,05\u00a0€"),
        (0, "eur", "0,00\u00a0€"),
        (-1290, "eur", "−12,90\u00a0€"),
        (123456789, "eur", "1\u202f234\u202f567,89\u00a0€"),
        (1290, "jpy", "1\u202f290\u00a0JPY"),
        (1290, "sek", "12,90\u00a0SEK"),
    ],
)
def test_money_is_written_as_the_french_write_it(cents: int, currency: str, text: str) -> None:
    assert money(cents, currency) == text


def test_dates_are_paris_days() -> None:
    assert long_date("2026-11-23T23:30:00Z") == "24\u00a0novembre\u00a02026"
    assert long_date(datetime(2026, 8, 1, tzinfo=UTC)) == "1er\u00a0août\u00a02026"
    with pytest.raises(ValueError, match="time zone"):
        long_date("2026-11-23T23:30:00")
