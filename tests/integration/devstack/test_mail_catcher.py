"""The mail catcher, as a process: what it keeps, shows, counts and survives."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest

from libs.devstack.mail_catcher.process import RunningCatcher, running_catcher
from libs.devstack.mail_catcher.store import Envelope, MailStore


@pytest.fixture
async def catcher(tmp_path: Path) -> AsyncIterator[RunningCatcher]:
    async with running_catcher(tmp_path / "mails") as running:
        yield running


def mail(recipient: str, *, kind: str | None = None, cycle: str | None = None) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Équipe <a@example.com>", recipient, "Été 🦊"
    message["Message-ID"] = f"<{len(kind or '')}.{recipient}>"
    if kind is not None:
        message["X-Notification-Type"], message["X-Billing-Cycle"] = kind, cycle or ""
    message.set_content("du texte\n")
    message.add_alternative("<p>du <b>texte</b></p><script>alert(1)</script>", subtype="html")
    return message


async def send(catcher: RunningCatcher, *messages: EmailMessage) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=catcher.smtp_port) as smtp:
        for message in messages:
            await smtp.send_message(message)


async def test_mails_are_found_newest_first_by_recipient_and_kind(catcher: RunningCatcher) -> None:
    await send(
        catcher, mail("a@x.fr", kind="unpaid", cycle="c1"), mail("b@x.fr", kind="unpaid"), mail("a@x.fr")
    )
    assert [m.recipients for m in await catcher.control.mails()] == [("a@x.fr",), ("b@x.fr",), ("a@x.fr",)]
    (found,) = await catcher.control.mails(recipient="A@x.fr", kind="unpaid")
    assert (found.kind, found.billing_cycle, found.message_id) == ("unpaid", "c1", "<6.a@x.fr>")
    assert (found.from_, found.subject) == ("Équipe <a@example.com>", "Été 🦊")
    assert len(await catcher.control.mails(limit=1)) == 1


async def test_a_mail_is_read_in_all_its_parts(catcher: RunningCatcher) -> None:
    await send(catcher, mail("a@x.fr", kind="unpaid"))
    (found,) = await catcher.control.mails()
    full = await catcher.control.mail(found.id)
    assert full.text == "du texte\r\n"
    assert full.html is not None
    assert "<b>texte</b>" in full.html
    assert ("To", "a@x.fr") in full.all_headers
    assert b"X-Notification-Type: unpaid\r\n" in await catcher.control.source(found.id)


async def test_mails_are_counted_by_recipient_kind_and_cycle(catcher: RunningCatcher) -> None:
    twice = mail("a@x.fr", kind="unpaid", cycle="c1")
    await send(catcher, twice, twice, mail("a@x.fr", kind="unpaid", cycle="c2"), mail("b@x.fr"))
    assert await catcher.control.counts() == {
        ("a@x.fr", "unpaid", "c1"): 2,
        ("a@x.fr", "unpaid", "c2"): 1,
        ("b@x.fr", None, None): 1,
    }


async def test_an_acknowledged_mail_survives_a_kill(tmp_path: Path) -> None:
    async with running_catcher(tmp_path) as first:
        await send(first, mail("a@x.fr"))
        os.kill(first.process.pid, signal.SIGKILL)
        await first.process.wait()
    (tmp_path / "1.new").write_bytes(b"half")
    (tmp_path / "2.json").write_bytes(b"{not a mail")
    async with running_catcher(tmp_path) as second:
        await send(second, mail("b@x.fr"))
        assert [m.recipients for m in await second.control.mails()] == [("b@x.fr",), ("a@x.fr",)]
        await second.control.delete_all()
        assert await second.control.mails() == ()
    async with running_catcher(tmp_path) as third:
        assert await third.control.mails() == ()


async def test_mails_that_come_at_once_stay_in_their_order_over_a_restart(tmp_path: Path) -> None:
    store, envelope = MailStore(tmp_path), Envelope("a@example.com", ("b@example.com",))
    # The first ones take longest to reach the disk.
    contents = [b"Subject: nothing\r\n\r\n" + b"." * size for size in (20_000_000, 1_000_000, 10, 10)]
    kept = await asyncio.gather(*(store.keep(envelope, content) for content in contents))
    store.close()
    newest_first = [mail.id for mail in reversed(kept)]
    assert [mail.id for mail in store.search()] == newest_first
    assert [mail.id for mail in MailStore(tmp_path).search()] == newest_first


async def test_sigterm_ends_it_cleanly_while_somebody_is_connected(tmp_path: Path) -> None:
    async with running_catcher(tmp_path) as catcher:
        smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=catcher.smtp_port)
        await smtp.connect()
        catcher.process.terminate()
        assert await asyncio.wait_for(catcher.process.wait(), 10) == 0
        smtp.close()


async def test_orders_are_obeyed_once_and_can_be_forgotten(catcher: RunningCatcher) -> None:
    await catcher.control.answer_next("451 4.3.0 try later", recipient="a@x.fr", times=2)
    await send(catcher, mail("b@x.fr"))
    with pytest.raises(aiosmtplib.SMTPDataError) as refused:
        await send(catcher, mail("a@x.fr"))
    assert refused.value.code == 451
    assert [order.times for order in await catcher.control.orders()] == [1]
    await catcher.control.behave()
    await send(catcher, mail("a@x.fr"))
    assert len(await catcher.control.mails()) == 2


async def test_a_mail_that_no_reader_understands_is_kept_and_shown(catcher: RunningCatcher) -> None:
    nonsense = (
        b"Subject: =?x-none?q?=FF?=\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xff\xfe\x00\r\n"
    )
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=catcher.smtp_port) as smtp:
        await smtp.sendmail("a@x.fr", ["b@x.fr"], nonsense)
    (found,) = await catcher.control.mails()
    assert await catcher.control.source(found.id) == nonsense
    await catcher.control.mail(found.id)
    async with httpx.AsyncClient(base_url=catcher.control.base_url, trust_env=False) as browser:
        for tab in ("html", "text", "headers", "source"):
            assert (await browser.get(f"/mails/{found.id}", params={"tab": tab})).status_code == 200


async def test_pages_show_mails_and_run_nothing_of_theirs(catcher: RunningCatcher) -> None:
    await send(catcher, mail("a@x.fr", kind="<script>x"))
    (found,) = await catcher.control.mails()
    async with httpx.AsyncClient(base_url=catcher.control.base_url, trust_env=False) as browser:
        listed = await browser.get("/")
        assert "Été 🦊" in listed.text
        assert "<script>x" not in listed.text
        assert "default-src 'none'" in listed.headers["Content-Security-Policy"]
        page = await browser.get(f"/mails/{found.id}")
        assert f'src="/mails/{found.id}/html" sandbox=' in page.text
        html = await browser.get(f"/mails/{found.id}/html")
        assert html.headers["Content-Security-Policy"].startswith("sandbox allow-popups ")
        assert "allow-scripts" not in html.headers["Content-Security-Policy"] + page.text
        assert (await browser.get("/mails/404")).status_code == 404
        assert (await browser.get("/?text=été&page=0")).status_code == 200
        assert (await browser.get("/style.css")).headers["Content-Type"].startswith("text/css")
        assert (await browser.post("/delete")).status_code == 303
    assert await catcher.control.mails() == ()
