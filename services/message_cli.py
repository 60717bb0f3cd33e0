"""`relance notifications …`: preview a message, send a test, explain a delivery. It only parses and calls."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import click

from services.notification_commands import notifications

__all__ = ["notifications"]

T = TypeVar("T")


@notifications.command()
@click.argument("kind")
@click.option(
    "--company", "company_id", type=click.UUID, required=True, help="Whose data it is written with."
)
@click.option("--open", "is_opened", is_flag=True, help="Show it in the browser.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="Where to write. [default: a new one]"
)
def preview(kind: str, company_id: UUID, *, is_opened: bool, folder: Path | None) -> None:
    """Write what a message of KIND would say to a company: subject, HTML, text, and the mail itself.

    With what it was last told, else with a fact made up for it. Nothing is queued, nothing is sent.
    """
    from services import message_commands

    for line in _done(message_commands.preview(kind, company_id, folder, is_opened=is_opened)):
        click.echo(line)


@notifications.command("send-test")
@click.argument("kind")
@click.option("--to", "address", required=True, help="The one address that it goes to.")
@click.option("--company", "company_id", type=click.UUID, help="Whose data. [default: an example's]")
def send_test(kind: str, address: str, company_id: UUID | None) -> None:
    """Send a message of KIND to an address, its subject marked as a test.

    Outside prod only to a mail server of this machine, or where MAIL_ALLOW_LIST names the address.
    """
    from services import message_commands

    click.echo(_done(message_commands.send_test(kind, address, company_id)))


@notifications.command("explain")
@click.argument("delivery")
def explain_delivery(delivery: str) -> None:
    """What became of DELIVERY, why, every step with its time and the server's answer, and what comes next.

    DELIVERY: its id, its Message-ID, or its dedup key such as unpaid:in_1:1.
    """
    from services import message_commands

    lines = _done(message_commands.explain(delivery))
    if not lines:
        raise click.ClickException(f"notifications ne connaît pas de message {delivery!r}")
    for line in lines:
        click.echo(line)


def _done(work: Coroutine[object, object, T]) -> T:
    from services.message_commands import RefusedError

    try:
        return asyncio.run(work)
    except RefusedError as error:
        raise click.ClickException(str(error)) from error
