"""Trace context: one trace from the webhook to the SMTP answer, a span of its own for each step."""

from __future__ import annotations

import re

import pytest

from libs.common.telemetry import child_of, new_traceparent, trace_id

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_child_keeps_the_trace_and_has_a_span_of_its_own() -> None:
    child = child_of(PARENT)
    assert trace_id(child) == trace_id(PARENT) == "0af7651916cd43dd8448eb211c80319c"
    assert child != PARENT
    assert child_of(PARENT) != child


@pytest.mark.parametrize(
    "wrong",
    [None, "", "garbage", PARENT.upper(), PARENT + "\n", PARENT[:-1], "ff" + PARENT[2:],
     "00-" + "0" * 32 + "-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01"],
)  # fmt: skip
def test_what_is_no_trace_begins_a_new_one(wrong: str | None) -> None:
    assert trace_id(wrong) is None
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", child_of(wrong))


def test_new_traces_are_new() -> None:
    assert trace_id(new_traceparent()) != trace_id(new_traceparent())
