"""The envelope: what is told is what is read; what is not an event of ours says which header is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
OFFSETS = st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-1439, 1439))
ENVELOPES = st.builds(
    Envelope,
    event_id=st.uuids(),
    type=TEXT,
    source=TEXT,
    key=TEXT,
    time=st.datetimes(timezones=OFFSETS),
    data=st.binary(),
    revision=st.none() | st.integers(0, 2**63 - 1),
    traceparent=st.none() | TEXT,
    causation_id=st.none() | st.uuids(),
)


@given(ENVELOPES)
def test_what_is_told_is_what_is_read(envelope: Envelope) -> None:
    assert Envelope.read(envelope.key.encode(), envelope.data, envelope.headers()) == envelope
    assert Envelope.read(None, envelope.data, envelope.headers()) == envelope


def headers_with(**changed: bytes | None) -> list[tuple[str, bytes]]:
    envelope = Envelope(
        event_id=uuid4(),
        type="billing.invoice_paid.v1",
        source="/relance/billing",
        key="company",
        time=datetime.now(UTC),
        data=b"{}",
        revision=7,
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        causation_id=UUID(int=1),
    )
    headers = dict(envelope.headers()) | changed
    return [(name, value) for name, value in headers.items() if value is not None]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, None) for name in ("ce_id", "ce_type", "ce_source", "ce_time")),
        *((name, b"") for name in ("ce_id", "ce_type", "ce_source", "ce_time", "ce_revision")),
        *((name, b"\xff\xfe") for name in ("ce_id", "ce_type", "ce_time", "traceparent", "ce_causationid")),
        ("ce_id", b"not-a-uuid"),
        ("ce_causationid", b"not-a-uuid"),
        ("ce_time", b"yesterday"),
        ("ce_time", b"2026-11-23T10:00:00"),  # no offset from UTC
        ("ce_revision", b"seven"),
        ("ce_revision", b"-1"),
        ("ce_revision", str(2**63).encode()),
        ("ce_revision", b"9" * 5000),
    ],
)
def test_a_header_that_is_wrong_is_named(name: str, value: bytes | None) -> None:
    with pytest.raises(PermanentFailure, match=f"the header '{name}'"):
        Envelope.read(b"company", b"{}", headers_with(**{name: value}))


@pytest.mark.parametrize("key", [None, b""])
def test_without_key_the_subject_is_the_key(key: bytes | None) -> None:
    assert Envelope.read(key, b"{}", headers_with()).key == "company"
    with pytest.raises(PermanentFailure, match="the header 'ce_subject' is missing"):
        Envelope.read(key, b"{}", headers_with(ce_subject=None))


def test_a_key_that_is_not_text_is_named() -> None:
    with pytest.raises(PermanentFailure, match="'key' does not parse"):
        Envelope.read(b"\xff", b"{}", headers_with())


@given(st.none() | st.binary(), st.none() | st.binary(), st.dictionaries(st.text(), st.binary()))
def test_anything_else_fails_for_good_and_in_no_other_way(
    key: bytes | None, value: bytes | None, headers: dict[str, bytes]
) -> None:
    with pytest.raises(PermanentFailure):
        Envelope.read(key, value, headers.items())


def test_a_type_that_nobody_declared_is_named() -> None:
    envelope = Envelope.read(b"k", b"{}", headers_with(ce_type=b"billing.nothing.v9"))
    with pytest.raises(PermanentFailure, match=r"'billing\.nothing\.v9'"):
        envelope.event()
