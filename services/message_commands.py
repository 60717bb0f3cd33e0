"""What `relance notifications` does with single messages: preview one, send a test, explain a delivery."""

from __future__ import annotations

import tempfile
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from libs.common.clock import utc_now
from libs.common.database import Database
from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome
from libs.common.jobs import brief
from libs.common.settings import load
from libs.integrations.smtp import Smtp, ascii_address
from services.notifications import previews
from services.notifications.explaining import explain as explained
from services.notifications.previews import Preview
from services.notifications.settings import NotificationsSettings

TEST_MARK = "[Essai] "


class RefusedError(Exception):
    """Not done; the message says why, and what to do, in French."""


@asynccontextmanager
async def _notifications() -> AsyncIterator[tuple[Database, NotificationsSettings]]:
    settings = load(NotificationsSettings)
    url = settings.service_database_url("notifications")
    database = Database(url, service="notifications", teller="notifications", pool_size=1)
    try:
        yield database, settings
    finally:
        await database.close()


async def preview(kind: str, company_id: UUID, folder: Path | None, *, is_opened: bool) -> list[str]:
    """Writes the files and says where. Raises RefusedError."""
    async with _notifications() as (database, settings):
        shown = await _shown(database, settings, kind, company_id)
        recipient = shown.delivery.recipient or "personne@exemple.fr"
        source = previews.build(
            shown, settings, recipient=recipient, message_id=_message_id(settings), date=utc_now()
        )
    folder = folder or Path(tempfile.mkdtemp(prefix=f"relance-{kind}-"))
    files = {
        folder / f"{kind}.html": shown.content.html.encode(),
        folder / f"{kind}.txt": shown.content.text.encode(),
        folder / f"{kind}.eml": source,
    }
    if shown.sms is not None:
        files[folder / f"{kind}.sms.txt"] = shown.sms.text.encode()
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        path.write_bytes(content)
    if is_opened:
        webbrowser.open((folder / f"{kind}.html").resolve().as_uri())
    return [
        f"Objet    {shown.content.subject}",
        f"À        {shown.delivery.recipient_name} <{shown.delivery.recipient or 'sans adresse'}>",
        f"Données  {shown.source}",
        *_sms_lines(shown),
        *(str(path) for path in files),
    ]


def _sms_lines(shown: Preview) -> list[str]:
    if shown.sms is None:
        return []
    measure = shown.sms.measure
    parts = "1 partie" if measure.parts == 1 else f"{measure.parts} parties"
    blamed = ", ".join(f"« {offender.letter} »" for offender in measure.offenders)
    blame = f", à cause de {blamed}" if blamed else ""
    return [f"SMS      {shown.sms.text!r}", f"         {measure.encoding}, {parts}{blame}"]


async def send_test(kind: str, address: str, company_id: UUID | None) -> str:
    """The mail server's answer. Raises RefusedError: outside prod a test goes no further than any mail."""
    async with _notifications() as (database, settings):
        try:
            recipient = ascii_address(address)
        except PermanentFailure as failure:
            raise RefusedError(f"{address!r} n'est pas une adresse : {failure}") from failure
        if not settings.allow_list.allows(recipient):
            raise RefusedError(
                f"rien n'est envoyé : hors production (APP_ENV={settings.app_env}) un mail ne part que vers "
                f"un serveur de cette machine ou une adresse de MAIL_ALLOW_LIST, et {recipient} n'y est pas"
            )
        shown = await _shown(database, settings, kind, company_id)
        content = previews.build(
            shown,
            settings,
            recipient=recipient,
            message_id=_message_id(settings),
            date=utc_now(),
            mark=TEST_MARK,
        )
        return await _send(settings, recipient, content)


async def _send(settings: NotificationsSettings, recipient: str, content: bytes) -> str:
    smtp = Smtp(settings.mailer_dsn.get_secret_value(), size=1, timeout_seconds=settings.smtp_timeout_seconds)
    try:
        sender = settings.mail_sender_address
        return str(await smtp.send(sender=sender, recipient=recipient, content=content))
    except (TemporaryFailure, PermanentFailure, UnknownOutcome) as failure:
        raise RefusedError(f"le serveur de mail ne l'a pas pris : {brief(failure)}") from failure
    finally:
        await smtp.close()


async def explain(word: str) -> list[str]:
    """Nothing, where there is no such delivery."""
    async with _notifications() as (database, _):
        return await explained(database, word)


async def _shown(
    database: Database, settings: NotificationsSettings, kind: str, company_id: UUID | None
) -> Preview:
    try:
        return await previews.preview(database, settings, kind, company_id)
    except PermanentFailure as failure:
        raise RefusedError(str(failure)) from failure


def _message_id(settings: NotificationsSettings) -> str:
    """Of its own each time: a test is nobody's delivery."""
    return f"<essai-{uuid4()}@{settings.mail_sender_address.rpartition('@')[2]}>"
