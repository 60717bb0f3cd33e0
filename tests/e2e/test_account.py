"""What `relance up` prints is true: compared with the mail catcher, the Stripe simulator and the database."""

from __future__ import annotations

import html
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from libs.devstack.stack.environment import SERVICES
from tests.e2e.lives import Home
from tests.e2e.printed import PrintedCompany, addresses_in, companies_in
from tests.fakes.stack import Stack

FRENCH: Mapping[str, str] = {"open": "impayée", "paid": "payée"}


def get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, trust_env=False, timeout=10)


def stripe_has(stack: Stack, path: str) -> dict[str, Any]:
    """From Stripe's own API, with the key that the stack made for itself."""
    secrets = (stack.data / "secrets.env").read_text().splitlines()
    [key] = [line.partition("=")[2] for line in secrets if line.startswith("STRIPE_SK=")]
    answer = get(stack.addresses["stripe"] + path, Authorization=f"Bearer {key}").raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


async def facts_of(stack: Stack, email: str) -> list[str]:
    """All that was told about the company, in the order in which it happened."""
    [company] = await stack.rows("select company_id from admin_api.companies where email = $1", email)
    told = [
        row
        for service in SERVICES
        for row in await stack.rows(
            f"select type, occurred_at, revision from {service}.outbox where key = $1",
            str(company["company_id"]),
        )
    ]
    return [row["type"] for row in sorted(told, key=lambda row: (row["occurred_at"], row["revision"]))]


async def tries_at(stack: Stack, invoice: str) -> list[tuple[str, str, str]]:
    """In the words of the account: who, which card, what came of it."""
    tries = []
    for it in await stack.stripe.payments(invoice):
        card = stripe_has(stack, f"/v1/payment_methods/{it.payment_method}")["card"]
        answer = "payé" if it.outcome == "pay" else f"refusé ({it.decline_code})"
        who = "Stripe" if it.is_automatic else "Relance"
        tries.append((who, f"{card['brand'].capitalize()} •••• {card['last4']}", answer))
    return tries


async def assert_true(stack: Stack, company: PrintedCompany) -> None:
    if company.invoice is not None:
        invoice = stripe_has(stack, f"/v1/invoices/{company.invoice}")
        assert FRENCH[invoice["status"]] == company.state
        assert invoice["customer_email"] == company.email
        assert await tries_at(stack, company.invoice) == company.tried

    mails = await stack.mails.mails(recipient=company.email)
    assert [(it.subject, it.to) for it in reversed(mails)] == [(it[0], it[1]) for it in company.mails]
    for subject, _, link in company.mails:
        assert f"<h1>{html.escape(subject)}</h1>" in get(link).raise_for_status().text

    told = await facts_of(stack, company.email)
    assert [fact for fact in told if fact in company.facts] == company.facts


async def test_the_printed_account_of_the_demo_is_true(home: Home) -> None:
    life = await home.life()
    companies = companies_in(home.lives[0].printed())
    async with life.stack() as stack:
        for company in companies:
            await assert_true(stack, company)
        sent = await stack.rows("select recipient, status from notifications.deliveries")
    demo = [row["status"] for row in sent if row["recipient"] in {it.email for it in companies}]
    assert demo == ["accepted"] * 5

    unpaid, recovered, welcomed = companies
    assert [answer.partition(" ")[0] for _, _, answer in unpaid.tried] == ["refusé"] * 3
    assert [who for who, _, _ in unpaid.tried] == ["Stripe", "Relance", "Relance"]
    assert unpaid.state == "impayée"
    assert "billing.invoice_unpaid.v1" in unpaid.facts
    assert [answer.partition(" ")[0] for _, _, answer in recovered.tried] == ["refusé", "refusé", "payé"]
    assert recovered.state == "payée"
    assert "billing.payment_recovered.v1" in recovered.facts
    assert "scheduler.signup_step_due.v1" in welcomed.facts
    assert [len(company.mails) for company in companies] == [2, 2, 1], "two were thanked for subscribing"


async def test_every_printed_address_answers(home: Home) -> None:
    life = await home.life()
    addresses = addresses_in(life.printed())
    webhooks = addresses.pop("Webhooks Stripe (billing)")
    # Nobody but Stripe gets in.
    assert httpx.post(webhooks, content=b"{}", trust_env=False).status_code == 400
    assert webhooks == f"http://127.0.0.1:{home.base + 1}/webhooks/stripe" == life.addresses["webhooks"]
    email, password = addresses.pop("compte, mot de passe").split()
    with httpx.Client(base_url=addresses.pop("Administration (admin_api)"), trust_env=False) as browser:
        browser.headers.update({"Sec-Fetch-Site": "same-origin", "Accept": "text/html"})
        form = {"email": email, "password": password}
        assert browser.post("/connexion", data=form).headers["location"] == "/"
        assert "Accueil" in browser.get("/").text
    for label in ("Notifications", "Horloge (scheduler)"):
        assert get(addresses.pop(label)).status_code == 200, label
    assert "Boulangerie Martin" in get(addresses.pop("Simulateur Stripe")).text
    assert "Votre facture" in get(addresses.pop("Boîte aux lettres")).text
    assert "Aucune entreprise" in get(addresses.pop("Plateforme tél.")).text
    assert "Aucun SMS" in get(addresses.pop("SMS (smsmode simulé)")).text
    assert "Rien à signaler" in get(addresses.pop("Slack de l'équipe")).text
    assert "app.districall.com/login" in get(addresses.pop("TinyURL")).text
    for label in ("Kafka", "SMTP", "PostgreSQL"):
        place = urlsplit(addresses[label] if "://" in addresses[label] else f"//{addresses.pop(label)}")
        assert place.hostname is not None
        socket.create_connection((place.hostname, place.port or 0), timeout=5).close()
    for label in ("mot de passe", "Secrets de dév.", "Journaux"):
        assert addresses[label].startswith(str(home.data))


async def test_progress_is_told_while_one_waits_and_the_last_line_is_for_machines(home: Home) -> None:
    await home.life()
    printed = home.lives[0].printed()
    assert printed.startswith(f"Relance démarre ; ses données sont dans {home.data}.\n")
    before, _, after = printed.partition("RELANCE READY ")
    for part in (
        "Kafka",
        "PostgreSQL",
        "Boîte aux lettres",
        "Simulateur Stripe",
        "Plateforme tél.",
        "SMS (smsmode simulé)",
        "Slack de l'équipe",
        "TinyURL",
        "Migrations",
        *SERVICES,
    ):
        assert f"✓ {part}" in before, part
    words = dict(word.split("=", 1) for word in after.splitlines()[0].split())
    stand_ins = {"stripe", "mails", "platform", "sms", "slack", "tinyurl"}
    assert {*SERVICES, *stand_ins, "webhooks", "kafka", "data"} == words.keys()


@pytest.mark.parametrize("page", ["/", "/?text=nobody", "/style.css"])
async def test_the_mail_catchers_pages_answer(home: Home, page: str) -> None:
    life = await home.life()
    assert get(life.addresses["mails"] + page).status_code == 200
