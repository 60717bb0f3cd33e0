"""`relance notifications …`: what a person does about single deliveries."""

from __future__ import annotations

import asyncio
import getpass
from uuid import UUID

import click


@click.group()
def notifications() -> None:
    """Single messages: what one would say, a test of one, why a delivery went as it did, what became of those
    of which nobody can tell whether they left."""


@notifications.command("unknown")
@click.option("--limit", default=100, show_default=True, help="At most so many, oldest first.")
def list_unknown(limit: int) -> None:
    """Deliveries of which nobody can tell whether they left, and what is known of each."""
    from services.notifications.settling import list_unknown as unknown
    from services.service_database import database_of

    async def lines() -> list[str]:
        async with database_of("notifications") as database:
            return await unknown(database, limit=limit)

    for line in asyncio.run(lines()) or ["nothing is unknown"]:
        click.echo(line)


@notifications.command()
@click.argument("delivery", type=click.UUID)
@click.argument("outcome", type=click.Choice(["sent", "not-sent"]))
@click.option("--by", default=getpass.getuser, help="Who found it out; kept in its history. [default: you]")
def settle(delivery: UUID, outcome: str, by: str) -> None:
    """Say what became of DELIVERY, of which nobody could tell whether it left.

    sent: it counts as accepted. not-sent: it is sent, unless nobody would want it any more.
    """
    from services.notifications.settling import NotUnknownError, Settled, settle_unknown
    from services.service_database import database_of

    async def settled() -> str:
        async with database_of("notifications") as database:
            return await settle_unknown(database, delivery, Settled(outcome), by=by)

    try:
        status = asyncio.run(settled())
    except NotUnknownError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{delivery} is {status}")
