"""`relance scheduler`: it only parses and calls (services/routines.py)."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import click

T = TypeVar("T")

MOMENT = click.DateTime(
    ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
)

BY = click.option("--by", default=getpass.getuser, show_default="who you are", help="Who asks for it.")
WHY = click.option("--why", required=True, help="Why, for whoever looks later.")


@click.group()
def scheduler() -> None:
    """Routines: how they stand, what they did, what they will tell; pause, resume, run, backfill.

    Moments are in the time of Paris unless they say otherwise, such as 2026-11-23T09:00.
    """


def _call(work: Coroutine[Any, Any, T]) -> T:
    from services.scheduler.control import RefusedError

    try:
        return asyncio.run(work)
    except RefusedError as error:
        raise click.ClickException(str(error)) from error


@scheduler.command("list")
def list_() -> None:
    """Every routine: when it is due, what its last run came to, whether it is paused."""
    from services import routines

    for line in _call(routines.list_lines()):
        click.echo(line)


@scheduler.command()
@click.argument("routine", required=False)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
def runs(routine: str | None, limit: int) -> None:
    """The last runs, of ROUTINE or of all: told and skipped, who asked for them, why they were skipped."""
    from services import routines

    for line in _call(routines.list_runs(routine, limit)):
        click.echo(line)


@scheduler.command()
@click.argument("routine")
@WHY
@BY
@click.option("--until", type=MOMENT, help="When it ends by itself; without it, at `resume`.")
def pause(routine: str, why: str, by: str, until: datetime | None) -> None:
    """Leave ROUTINE alone. What comes due meanwhile is skipped, and not made up for."""
    from services import routines

    _call(routines.pause(routine, until and routines.moment(until), by, why))
    click.echo(
        f"{routine} est en pause" + (f" jusqu’au {routines.local(routines.moment(until))}" if until else "")
    )


@scheduler.command()
@click.argument("routine")
@BY
def resume(routine: str, by: str) -> None:
    """End the pause of ROUTINE."""
    from services import routines

    _call(routines.resume(routine, by))
    click.echo(f"{routine} reprend")


@scheduler.command()
@click.argument("routine")
@WHY
@BY
def run(routine: str, why: str, by: str) -> None:
    """Have ROUTINE run now; a running scheduler begins it at once. What was told is not told again."""
    from services import routines

    due_at = _call(routines.run_now(routine, by, why))
    click.echo(f"{routine} passera pour {routines.local(due_at)} : voir `relance scheduler runs {routine}`")


@scheduler.command()
@click.argument("routine")
@click.option("--from", "since", type=MOMENT, required=True, help="The first moment.")
@click.option("--to", "until", type=MOMENT, required=True, help="The last moment.")
@click.option("--yes", is_flag=True, help="Do it. Without it, only what would be told is counted.")
@click.option("--why", help="Why, for whoever looks later. Needed with --yes.")
@BY
def backfill(routine: str, since: datetime, until: datetime, *, yes: bool, why: str | None, by: str) -> None:
    """The moments of ROUTINE in a range that were never worked: count what they would tell, then tell it."""
    from services import routines

    first, last = routines.moment(since), routines.moment(until)
    if not yes:
        _print(routines.preview(routine, first, last))
        click.echo("rien n’a été fait : ajoutez --yes --why …")
        return
    if not why:
        raise click.UsageError("say --why")
    _print(routines.backfill(routine, first, last, by, why))


def _print(work: Coroutine[Any, Any, list[str]]) -> None:
    for line in _call(work):
        click.echo(line)


@scheduler.command()
@click.option("--days", default=7.0, show_default=True, type=click.FloatRange(0, 366, min_open=True))
@click.option("--company", type=click.UUID, help="Of this company only.")
def forecast(days: float, company: UUID | None) -> None:
    """What will be told, to whom and why, in the coming days; by what is known now."""
    from services import routines

    async def print_all() -> int:
        count = 0
        async for line in routines.forecast(days, company):
            click.echo(line)
            count += 1
        return count

    if not _call(print_all()):
        click.echo("rien à dire")
