"""Waiting, and the one line that people read of an error."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from libs.common.database import is_outage
from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome
from libs.common.jobs import Alarm, Job, backoff_seconds, brief, keep_running


@given(st.integers(0, 10_000), st.floats(0.001, 60), st.floats(60, 100_000))
def test_a_wait_doubles_within_its_bounds(failures: int, first: float, longest: float) -> None:
    whole = min(longest, first * 2 ** min(failures, 60))
    assert whole / 2 <= backoff_seconds(failures, first=first, longest=longest) <= whole


def test_those_who_failed_together_come_back_apart() -> None:
    assert len({backoff_seconds(3, first=1, longest=60) for _ in range(50)}) > 40


@given(st.text())
def test_a_cause_is_one_storable_line(text: str) -> None:
    line = brief(ValueError(text))
    assert line.startswith("ValueError: ")
    assert "\x00" not in line
    assert len(line.splitlines()) == 1
    line.encode()


def test_a_cause_has_an_end() -> None:
    assert len(brief(ValueError("x" * 1_000_000))) == 500


def _caused_by(cause: Exception) -> Exception:
    error = RuntimeError("as a library wraps it")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        TemporaryFailure("the provider is away"),
        ConnectionRefusedError(),
        TimeoutError(),
        PoolTimeoutError(),
        asyncpg.AdminShutdownError("terminating connection"),
        asyncpg.DeadlockDetectedError("deadlock"),
        asyncpg.TooManyConnectionsError("sorry"),
        asyncpg.InterfaceError("connection is closed"),
    ],
)
def test_what_is_down_is_an_outage(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        KeyError("id"),
        PermanentFailure("never"),
        UnknownOutcome("who knows"),
        asyncpg.UniqueViolationError("twice"),
        asyncpg.CharacterNotInRepertoireError("NUL"),
        asyncpg.DataError("value out of int64 range"),
        _caused_by(asyncpg.DataError("value out of int64 range")),
    ],
)
def test_what_the_work_itself_did_wrong_is_none(error: Exception) -> None:
    assert not is_outage(error)


async def test_a_ring_during_a_turn_is_not_missed() -> None:
    alarm = Alarm()
    turns: list[int] = []

    async def turn() -> int:
        turns.append(len(turns))
        alarm.ring("door")
        if len(turns) == 3:
            alarm.stop()
        return 0

    job = Job("test", turn, every_seconds=3600, wake_on="door")
    await asyncio.wait_for(keep_running(job, alarm, service="test", first=1, longest=2), timeout=10)
    assert turns == [0, 1, 2]


async def test_a_job_that_fails_goes_on() -> None:
    alarm = Alarm()
    turns: list[int] = []

    async def turn() -> int:
        turns.append(len(turns))
        if len(turns) == 4:
            alarm.stop()
        raise ValueError("again")

    job = Job("test", turn, every_seconds=3600)
    await asyncio.wait_for(keep_running(job, alarm, service="test", first=0.01, longest=0.02), timeout=10)
    assert len(turns) == 4
