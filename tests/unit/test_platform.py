"""What the phone platform is told, how it is signed, and what its answers mean."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from libs.common.errors import PermanentFailure, TemporaryFailure
from libs.common.events.billing import LineCut, LineRestored, LineRestricted
from libs.common.events.directory import NumberReleased
from libs.integrations.platform import LineOrder, read_answer, webhook_id
from services.billing.domain import EMERGENCY_NUMBERS, Wanted, wish_of

COMPANY = UUID("0d9e6ac0-7f1b-4c52-9b0e-3f5d8a1c2e44")
AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ID = webhook_id(COMPANY)


def test_the_signature_is_that_of_the_specifications_own_example() -> None:
    """github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md and the libraries' tests."""
    signer = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)
    signed = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def line(fact: type[Any], episode: int = 3) -> Any:
    return fact(company_id=COMPANY, episode=episode, at=AT, policy_version="1", why="impayé")


def test_a_wish_is_named_by_company_episode_and_transition() -> None:
    cut, restored = wish_of(line(LineCut)), wish_of(line(LineRestored))
    assert (cut.wanted, restored.wanted) == (Wanted.CUT, Wanted.NORMAL)
    assert wish_of(line(LineRestricted)).wanted is Wanted.RESTRICTED
    again = LineCut(company_id=COMPANY, episode=3, at=datetime.now(UTC), policy_version="2", why="autre")
    assert wish_of(again).wish_id == cut.wish_id
    assert len({cut.wish_id, restored.wish_id, wish_of(line(LineCut, 4)).wish_id}) == 3


def test_a_release_is_named_by_company_number_and_moment() -> None:
    fact = NumberReleased(company_id=COMPANY, number="+33970700001", released_at=AT, why="résilié")
    wish = wish_of(fact)
    assert (wish.wanted, wish.number, wish.episode) == (Wanted.NUMBER_RELEASED, "+33970700001", None)
    later = fact.model_copy(update={"released_at": datetime.now(UTC)})
    assert wish_of(later).wish_id != wish.wish_id


def test_the_body_names_the_numbers_and_what_stays_reachable() -> None:
    order = LineOrder(
        wish_id=COMPANY, company_id=COMPANY, wanted="cut", order=7, since_at=AT, why="impayé", episode=3,
        numbers=["+33970700001"], reachable=EMERGENCY_NUMBERS,
    )  # fmt: skip
    said = json.loads(order.to_bytes())
    assert (said["type"], said["timestamp"]) == ("line.cut", AT.isoformat())
    assert said["data"]["numbers"] == ["+33970700001"]
    assert said["data"]["reachable"] == ["15", "17", "18", "112", "114", "115", "119", "196"]
    assert said["data"]["id"] == ID
    assert "." not in ID, "the id, the moment and the body are joined by dots before they are signed"


def answered(status: int, body: object = b"", **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(ID, status, {k.replace("_", "-"): v for k, v in headers.items()}, raw)


def test_only_its_own_id_and_a_plain_yes_confirm() -> None:
    assert answered(200, {"id": ID, "is_done": True, "answer": "fait"}).is_confirmed
    for body in (
        b"", b"ok", b"null", b"[]", b"<html>", b"\xff\xfe", b"[" * 50_000, {"id": ID}, {"is_done": True},
        {"id": "wish_other", "is_done": True}, {"id": ID, "is_done": 1}, {"id": ID, "is_done": "true"},
    ):  # fmt: skip
        assert not answered(202, body).is_confirmed


def test_a_no_and_every_lasting_4xx_are_refusals() -> None:
    with pytest.raises(PermanentFailure, match="ligne inconnue"):
        answered(200, {"id": ID, "is_done": False, "answer": "ligne inconnue"})
    for status in (400, 401, 403, 404, 405, 413, 422):
        with pytest.raises(PermanentFailure):
            answered(status)


@pytest.mark.parametrize("status", [301, 302, 408, 409, 410, 425, 429, 500, 502, 503, 504])
def test_what_passes_is_asked_again(status: int) -> None:
    with pytest.raises(TemporaryFailure):
        answered(status)


@pytest.mark.parametrize(
    ("wish", "seconds"), [("7", 7.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("bald", None), ("-1", None)]
)
def test_the_platforms_own_wish_to_wait_is_read(wish: str, seconds: float | None) -> None:
    with pytest.raises(TemporaryFailure) as failure:
        answered(503, retry_after=wish)
    assert failure.value.retry_after_seconds == seconds


@given(st.binary(max_size=300), st.integers(min_value=200, max_value=299))
def test_no_answer_confirms_by_accident(body: bytes, status: int) -> None:
    assert not read_answer(ID, status, {}, body).is_confirmed


def test_a_key_as_the_development_stack_makes_it_is_a_key() -> None:
    key = "whsec_" + "0123456789abcdef" * 3
    assert len(base64.b64decode(key.removeprefix("whsec_"), validate=True)) >= 24
    assert Webhook(key).sign("id", AT, "{}")
