"""What `relance scheduler` does: the same as the scheduler's internal door, from the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.database import Database
from libs.common.settings import load
from services.scheduler import jobs
from services.scheduler.control import Control, Slot, Standing
from services.scheduler.domain import PARIS
from services.scheduler.domain.coming import Place
from services.scheduler.settings import SchedulerSettings

PAGE = 500


@asynccontextmanager
async def control() -> AsyncIterator[Control]:
    settings = load(SchedulerSettings)
    url = settings.service_database_url("scheduler")
    database = Database(url, service="scheduler", teller="scheduler", pool_size=2)
    try:
        yield Control(database, settings.routines, jobs.works(settings))
    finally:
        await database.close()


async def list_lines() -> list[str]:
    async with control() as asked:
        standings = await asked.list_standings()
    return [line for standing in standings for line in _standing(standing)]


def _standing(standing: Standing) -> list[str]:
    days = " (jours ouvrés)" if standing.working_days_only else ""
    next_at = "à l’arrêt" if standing.next_at is None else f"prochain passage {local(standing.next_at)}"
    lines = [f"{standing.name:38}{standing.schedule}{days} · {next_at}", f"    {standing.sentence}"]
    if standing.last is not None:
        last = standing.last
        why = f" ({last.why})" if last.why else ""
        lines.append(
            f"    dernier passage {local(last.due_at)} : {last.status}{why}, {last.told} faits, "
            f"{last.skipped} écartés"
        )
    if standing.running_since is not None:
        lines.append(f"    en cours : {local(standing.running_since)}")
    if standing.pause is not None:
        end = "sans fin" if standing.pause.until_at is None else f"jusqu’au {local(standing.pause.until_at)}"
        lines.append(f"    EN PAUSE {end}, par {standing.pause.by} : {standing.pause.why}")
    return lines


async def list_runs(routine: str | None, limit: int) -> list[str]:
    async with control() as asked:
        rows = await asked.list_runs(routine=routine, limit=limit)
    return [
        f"{local(row.due_at)}  {row.routine:38}{row.status:9}{row.told:>8} faits {row.skipped:>8} écartés"
        + (f"  {row.why}" if row.why else "")
        + (f"  {row.trigger} par {row.triggered_by} : {row.triggered_why}" if row.triggered_by else "")
        for row in rows
    ]


async def pause(name: str, until: datetime | None, by: str, why: str) -> None:
    async with control() as asked:
        await asked.pause(name, until=until, by=by, why=why)


async def resume(name: str, by: str) -> None:
    async with control() as asked:
        await asked.resume(name, by=by)


async def run_now(name: str, by: str, why: str) -> datetime:
    async with control() as asked:
        return await asked.run_now(name, by=by, why=why)


async def preview(name: str, since: datetime, until: datetime) -> list[str]:
    async with control() as asked:
        slots = await asked.preview(name, since=since, until=until)
    told, skipped = sum(slot.told or 0 for slot in slots), sum(slot.skipped or 0 for slot in slots)
    return [*_slots(slots), f"en tout : {told} faits, {skipped} écartés"]


async def backfill(name: str, since: datetime, until: datetime, by: str, why: str) -> list[str]:
    async with control() as asked:
        return _slots(await asked.backfill(name, since=since, until=until, by=by, why=why))


def _slots(slots: Sequence[Slot]) -> list[str]:
    return [
        f"{local(slot.due_at)}  {slot.state or 'jamais passé':13}"
        + ("" if slot.is_worked else " rien à faire")
        + ("" if slot.told is None else f" {slot.told} faits, {slot.skipped} écartés")
        for slot in slots
    ]


async def forecast(days: float, company_id: UUID | None) -> AsyncIterator[str]:
    """All pages, one after another."""
    after: Place | None = None
    async with control() as asked:
        while True:
            _, told, after = await asked.forecast(
                until=timedelta(days=days), company_id=company_id, after=after, limit=PAGE
            )
            for each in told:
                line = each.coming
                to = " ".join(word for word in (line.name, line.email and f"<{line.email}>") if word)
                yield (
                    f"{local(each.tells_at)}  {line.fact.split('.')[1]:24}{line.step:32}"
                    f"{to or line.company_id}  {line.why}"
                )
            if after is None:
                return


def local(moment: datetime) -> str:
    return f"{moment.astimezone(PARIS):%d/%m/%Y %H:%M}"


def moment(given: datetime) -> datetime:
    """What was typed is the time of Paris, unless it says otherwise."""
    return given if given.tzinfo is not None else given.replace(tzinfo=PARIS)
