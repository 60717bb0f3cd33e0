"""`relance notifications preview|send-test|explain`: what people type."""

from __future__ import annotations

import asyncio
import email
import email.policy
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner

from services.cli import relance
from services.notifications import mail
from services.notifications.domain import KINDS, Channel
from tests.integration.notifications.office import READER, Office
from tests.integration.notifications.test_contacts import registered
from tests.unit.notifications.facts import Customer
from tests.world import until


@pytest.fixture
def environment(office: Office, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    settings = office.settings()
    for name, value in {
        "APP_ENV": "test",
        "APP_SECRET": settings.app_secret.get_secret_value(),
        "NOTIFICATIONS_DATABASE_URL": settings.service_database_url("notifications"),
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "MAILER_DSN": office.catcher.dsn,
        "MAIL_SENDER": settings.mail_sender,
        "LOGIN_URL": settings.login_url,
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


async def typed(*words: object, code: int = 0) -> str:
    arguments = ["notifications", *map(str, words)]
    result = await asyncio.to_thread(CliRunner().invoke, relance, arguments)
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


async def knows(office: Office, customer: Customer) -> None:
    await office.world.tell(registered(customer.company_id, email=customer.email))

    async def look() -> object:
        return await office.world.rows(
            "notifications", "select 1 from companies where company_id = $1", customer.company_id
        )

    await until(look, what="the company being known")


async def rows_of(office: Office) -> tuple[int, int, int]:
    [row] = await office.world.rows(
        "notifications",
        "select (select count(*) from deliveries) as d, (select count(*) from delivery_states) as s, "
        "(select count(*) from outbox) as o",
    )
    return row["d"], row["s"], row["o"]


async def test_every_kind_can_be_previewed_with_a_real_companys_data_and_leaves_no_trace(
    office: Office, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    customer = Customer()
    async with office.open(READER):
        await knows(office, customer)
    before = await rows_of(office)
    assert set(KINDS) == mail.rendering.kinds()
    for kind in KINDS:
        folder = tmp_path / kind
        said = await typed("preview", kind, "--company", customer.company_id, "--folder", folder)
        assert str(folder / f"{kind}.html") in said
        text, html = (folder / f"{kind}.txt").read_text(), (folder / f"{kind}.html").read_text()
        assert "Éts Ménard" in said + text or kind == "team_digest"
        parsed = email.message_from_bytes((folder / f"{kind}.eml").read_bytes(), policy=email.policy.default)
        assert f"Objet    {parsed['Subject']}" in said.replace("\n", " ") or parsed["Subject"] in said
        for part in (text, html):
            assert "None" not in part, kind
            assert "_apercu" not in part.replace("dispute_id_apercu", ""), kind
        assert ("SMS " in said) == (Channel.SMS in KINDS[kind].channels)
        if "SMS " in said:
            assert "GSM-7" in said or "UCS-2" in said
            assert (folder / f"{kind}.sms.txt").read_text() in said
    assert await rows_of(office) == before


async def test_a_preview_says_what_a_company_was_really_told(
    office: Office, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    customer = Customer()
    async with office.open():
        await knows(office, customer)
        await office.world.tell(customer.unpaid("in_7", "in_8"))
        await office.until_all(1, "accepted")
    opened: list[str] = []
    environment.setattr("webbrowser.open", opened.append)
    said = await typed("preview", "unpaid", "--company", customer.company_id, "--folder", tmp_path, "--open")
    assert "ce qui lui a été écrit le" in said
    text = (tmp_path / "unpaid.txt").read_text()
    assert "F-in_7" in text
    assert "F-in_8" in text
    assert opened == [(tmp_path / "unpaid.html").resolve().as_uri()]
    reminder = await typed(
        "preview", "unpaid_reminder", "--company", customer.company_id, "--folder", tmp_path
    )
    assert "un exemple, au nom de Éts Ménard" in reminder
    assert "F-in_7" in (tmp_path / "unpaid_reminder.txt").read_text()


async def test_what_cannot_be_previewed_is_said(office: Office, environment: pytest.MonkeyPatch) -> None:
    assert "il y a : unpaid" in await typed("preview", "nonsense", "--company", uuid4(), code=1)
    assert "ne nomme pas d'entreprise" in await typed("preview", "unpaid", "--company", uuid4(), code=1)


async def test_a_test_is_sent_marked_as_one_and_is_nobodys_delivery(
    office: Office, environment: pytest.MonkeyPatch
) -> None:
    said = await typed("send-test", "payment_receipt", "--to", "dev@relance.test")
    assert "250" in said
    [caught] = await office.mails.mails(recipient="dev@relance.test")
    assert caught.subject.startswith("[Essai] ")
    assert await office.deliveries() == []
    for kind in KINDS:
        await typed("send-test", kind, "--to", f"{kind}@relance.test")
    assert len(await office.mails.mails(recipient="line_cut@relance.test")) == 1


async def test_outside_production_a_test_goes_no_further_than_any_mail(
    office: Office, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("MAILER_DSN", "smtp://smtp-relay.example:587")
    refused = await typed("send-test", "unpaid", "--to", "client@exemple.fr", code=1)
    assert "rien n'est envoyé : hors production (APP_ENV=test)" in refused
    assert "MAIL_ALLOW_LIST" in refused
    assert "n'est pas une adresse" in await typed("send-test", "unpaid", "--to", "a\r\nBcc: b@c.fr", code=1)


async def test_a_refused_test_says_what_the_server_said(
    office: Office, environment: pytest.MonkeyPatch
) -> None:
    await office.mails.answer_next("550 5.1.1 no such user", at="rcpt")
    said = await typed("send-test", "unpaid", "--to", "nobody@relance.test", code=1)
    assert "550" in said


async def test_a_delivery_is_explained_from_its_fact_to_the_servers_answer(
    office: Office, environment: pytest.MonkeyPatch
) -> None:
    customer = Customer()
    await office.mails.answer_next("451 4.3.0 try later")
    async with office.open():
        envelope = await office.world.tell(customer.unpaid("in_1"))
        delivery = await office.until_status("unpaid:in_1:1", "accepted")
    said = await typed("explain", delivery["id"])
    assert await typed("explain", delivery["message_id"]) == said
    assert await typed("explain", "unpaid:in_1:1") == said
    assert "État : accepté par le serveur" in said
    assert f"Né du fait billing.invoice_unpaid.v1 {envelope.event_id}" in said
    assert delivery["message_id"] in said
    assert "451 4.3.0 try later" in said
    steps = [line.split()[2] for line in said.splitlines() if line.startswith("  ") and "/20" in line[:12]]
    assert steps == ["pending", "sending", "pending", "sending", "accepted"]
    assert "compta@exemple.fr" in said
    assert "Ensuite : rien de notre part" in said


async def test_an_unknown_delivery_and_a_suppressed_one_say_why_and_what_comes_next(
    office: Office, environment: pytest.MonkeyPatch
) -> None:
    await office.mails.answer_next(at="body", drop=True, keep=True)
    async with office.open():
        await office.world.tell(Customer().unpaid("in_1"))
        await office.until_status("unpaid:in_1:1", "unknown")
        await office.world.tell(Customer(email=None).unpaid("in_2"))
        await office.until_status("unpaid:in_2:1", "suppressed")
    unknown = await typed("explain", "unpaid:in_1:1")
    assert "jamais renvoyé de lui-même" in unknown
    suppressed = await typed("explain", "unpaid:in_2:1")
    assert "l'entreprise n'a pas d'adresse" in suppressed
    assert "Ensuite : rien." in suppressed
    assert "ne connaît pas de message" in await typed("explain", uuid4(), code=1)
