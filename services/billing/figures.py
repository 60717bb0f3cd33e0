"""What the reconciliation shows: to people, to admin pages, to Prometheus."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import Gauge
from pydantic import BaseModel

from libs.common.database import Database, Uow
from services.billing import queries

MISSED = Gauge("relance_stripe_missed_events", "Stripe events found missing, by outcome", ["outcome"])
RECEIVED = Gauge("relance_stripe_events_received", "Stripe events taken in, of Stripe's 30 days")
NEWEST_SECONDS = Gauge("relance_stripe_newest_event_seconds", "Age of the newest event listed")
WALKED_SECONDS = Gauge("relance_stripe_walk_seconds", "Time since the last walk ended")
WALK_FAILURES = Gauge("relance_stripe_walk_failures", "Failures of the walk under way, one after the other")


class WalkFigures(BaseModel):
    """`missing`, ever found; `outstanding`, of those not taken in yet.

    `came_after_all`: found missing, but its webhook was only late. `too_large`: Kafka takes no such record.
    """

    missing: int
    recovered: int
    outstanding: int
    came_after_all: int
    too_large: int
    newest_event_at: datetime | None
    newest_event_age_seconds: float | None
    last_walk_began_at: datetime | None
    last_walk_ended_at: datetime | None
    outcome: str
    failures: int


class Figures(WalkFigures):
    """`received`, of Stripe's 30 days."""

    received: int


async def get_figures(uow: Uow) -> Figures:
    walked = await _get_walk_figures(uow)
    received = await queries.reconciliation.count_received(uow.session, uow.now)
    return Figures(received=received, **walked.model_dump())


async def _get_walk_figures(uow: Uow) -> WalkFigures:
    row = await queries.reconciliation.get_figures(uow.session)
    return WalkFigures(
        missing=row.missing,
        recovered=row.recovered,
        outstanding=row.missing - row.recovered - row.too_large,
        came_after_all=row.came_after_all,
        too_large=row.too_large,
        newest_event_at=row.newest_at,
        newest_event_age_seconds=_age(row.newest_at, uow.now),
        last_walk_began_at=row.began_at,
        last_walk_ended_at=row.finished_at,
        outcome=_outcome(row.stage, row.wanted_at, row.finished_at, row.last_failure),
        failures=row.failures,
    )


def _age(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())


def _outcome(
    stage: str, wanted_at: datetime | None, finished_at: datetime | None, failure: str | None
) -> str:
    if failure is not None:
        return f"failed, will go on: {failure}"
    if stage != "idle" or wanted_at is not None:
        return "under way"
    return "never asked for" if finished_at is None else "done"


async def count_received(database: Database) -> int:
    """For Prometheus; apart, because it counts all that came in a month."""
    async with database.begin() as uow:
        RECEIVED.set(await queries.reconciliation.count_received(uow.session, uow.now))
    return 0


async def take_figures(database: Database) -> int:
    """For Prometheus."""
    async with database.begin() as uow:
        figures = await _get_walk_figures(uow)
    MISSED.labels("recovered").set(figures.recovered)
    MISSED.labels("outstanding").set(figures.outstanding)
    MISSED.labels("came_after_all").set(figures.came_after_all)
    MISSED.labels("too_large").set(figures.too_large)
    WALK_FAILURES.set(figures.failures)
    NEWEST_SECONDS.set(figures.newest_event_age_seconds or 0)
    WALKED_SECONDS.set(_age(figures.last_walk_ended_at, uow.now) or 0)
    return 0
