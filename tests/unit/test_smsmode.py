"""smsmode's words become ours: what was surely not taken, what never will be, what nobody can tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.common.errors import PermanentFailure, RelanceError, TemporaryFailure, UnknownOutcome
from libs.integrations.sms import SmsReply, SmsReport, SmsState
from libs.integrations.smsmode import Smsmode, read_callback
from libs.integrations.smsmode.answers import read_accepted


def answer(status: int, body: object = b"", **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_accepted(status, headers, content)


def test_a_201_that_names_the_sms_is_accepted() -> None:
    accepted = answer(201, {"messageId": "m-1", "body": {"messagePartCount": 2}})
    assert (accepted.provider_id, str(accepted)) == ("m-1", "201 m-1, 2 part(s)")


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (201, b"<h1>It works!</h1>", UnknownOutcome),
        (201, {"messageId": None}, UnknownOutcome),
        (200, {"messageId": "m-1"}, UnknownOutcome),
        (302, b"", TemporaryFailure),
        (400, {"message": "INVALID_PHONE_NUMBER"}, PermanentFailure),
        (401, b"", TemporaryFailure),
        (402, b"", TemporaryFailure),
        (403, {"message": "Channel type mismatch"}, TemporaryFailure),
        (404, b"", TemporaryFailure),
        (422, b"", PermanentFailure),
        (429, b"", TemporaryFailure),
        (500, b"", UnknownOutcome),
        (502, b"", UnknownOutcome),
        (503, b"", TemporaryFailure),
        (504, b"", UnknownOutcome),
        (999, b"\x00\xff" * 5000, UnknownOutcome),
    ],
)
def test_each_other_answer_has_its_outcome(status: int, body: object, failure: type[RelanceError]) -> None:
    with pytest.raises(failure) as caught:
        answer(status, body)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("30", 30.0), ("999999", 3600.0), ("soon", None), ("", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_a_wish_to_wait_is_read(header: str, seconds: float | None) -> None:
    with pytest.raises(TemporaryFailure) as caught:
        answer(429, b"", **{"retry-after": header})
    assert caught.value.retry_after_seconds == seconds


def report(**changes: Any) -> dict[str, Any]:
    return {
        "messageId": "m-1",
        "refClient": "ours",
        "direction": "MT",
        "recipient": {"to": "33612345678"},
        "status": {"value": "DELIVERED", "detail": ""},
        **changes,
    }


@pytest.mark.parametrize(
    ("value", "state"),
    [
        ("DELIVERED", SmsState.DELIVERED),
        ("UNDELIVERED", SmsState.UNDELIVERED),
        ("UNDELIVERABLE", SmsState.UNDELIVERED),
        ("ENROUTE", SmsState.UNDER_WAY),
        ("SCHEDULED", SmsState.UNDER_WAY),
        ("READ", SmsState.UNDER_WAY),
        ("SOMETHING NEW", SmsState.UNDER_WAY),
    ],
)
def test_a_word_that_nobody_knows_is_no_failure(value: str, state: SmsState) -> None:
    read = read_callback(report(status={"value": value}))
    assert isinstance(read, SmsReport)
    assert (read.state, read.reference, read.is_number_dead) == (state, "ours", False)


def test_a_number_that_is_none_is_said_to_be_dead() -> None:
    read = read_callback(report(status={"value": "UNDELIVERABLE", "detail": "INVALID_PHONE_NUMBER"}))
    assert isinstance(read, SmsReport)
    assert read.is_number_dead


@pytest.mark.parametrize(
    "places",
    [
        {"from": "33612345678", "recipient": {"to": "DISTRICALL"}},
        {"from": "DISTRICALL", "recipient": {"to": "+33612345678"}},
    ],
)
def test_a_reply_is_known_by_having_no_status_and_its_number_by_being_one(places: dict[str, Any]) -> None:
    said = {"messageId": "m-2", "direction": "MO", "body": {"text": "Stop"}, **places}
    assert read_callback(said) == SmsReply("m-2", "+33612345678", "Stop")


@pytest.mark.parametrize("said", [{}, {"messageId": 3}, {"messageId": "m"}, {"messageId": "m", "body": "x"}])
def test_what_is_neither_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(PermanentFailure):
        read_callback(said)


async def test_the_key_is_not_in_what_is_shown_of_it() -> None:
    smsmode = Smsmode("a-very-secret-key-1234", timeout_seconds=1, requests_per_second=10)
    assert "secret" not in repr(smsmode)
    assert "1234" in repr(smsmode)
    await smsmode.close()
