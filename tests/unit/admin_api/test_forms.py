"""Cursors come back as they went out, and nothing else is taken for one."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.admin_api.forms import delivery_place, set_aside_place, to_cursor
from services.admin_api.problems import Problem


@given(
    at=st.datetimes(timezones=st.just(UTC)),
    id_=st.uuids(),
    service=st.from_regex(r"[a-z_]{1,30}", fullmatch=True),
)
def test_a_cursor_comes_back_as_the_place_it_was_made_of(at: datetime, id_: UUID, service: str) -> None:
    assert delivery_place(to_cursor(at, id_)) == (at, id_)
    assert set_aside_place(to_cursor(at, id_, service)) == (at, id_, service)


@given(st.text(max_size=60))
def test_anything_else_is_a_clear_problem(text: str) -> None:
    with pytest.raises(Problem) as refused:
        delivery_place(text)
    assert refused.value.body["errors"][0]["code"] == "cursor_invalid"


@pytest.mark.parametrize(
    "cursor",
    [
        to_cursor("2026-11-23T10:00:00", UUID(int=1)),
        to_cursor("0001-01-01T00:00:00+14:00", UUID(int=1)),
        to_cursor(datetime(2026, 1, 1, tzinfo=UTC), "x"),
        to_cursor(datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_cursor_with_an_impossible_place_is_refused(cursor: str) -> None:
    with pytest.raises(Problem):
        delivery_place(cursor)
