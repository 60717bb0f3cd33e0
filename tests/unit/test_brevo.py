"""Brevo's webhooks, as they were seen live, and what they say of a delivery."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from libs.common.errors import PermanentFailure
from libs.integrations.brevo import read_webhook
from services.notifications.domain import Status
from services.notifications.domain.reports import Verdict
from services.notifications.provider_words import BREVO, read_word

DELIVERY = uuid4()


def said(event: str, **changes: Any) -> dict[str, Any]:
    return {
        "event": event,
        "email": "compta@exemple.fr",
        "id": 26224,
        "date": "2026-03-02 09:30:05",
        "ts": 1772440205,
        "ts_event": 1772440205,
        "ts_epoch": 1772440205123,
        "message-id": f"<{DELIVERY}@relance.test>",
        "subject": "Votre facture",
        "X-Mailin-custom": str(DELIVERY),
        **changes,
    }


NO_SUCH_USER = "550 5.1.1 <compta@exemple.fr>: Recipient address rejected: User unknown"


@pytest.mark.parametrize(
    ("event", "reason", "status", "verdict"),
    [
        ("request", "", Status.ACCEPTED, None),
        ("delivered", "", Status.DELIVERED, None),
        ("hard_bounce", NO_SUCH_USER, Status.BOUNCED, Verdict.BOUNCES),
        ("hard_bounce", "552 5.2.2 mailbox full", Status.BOUNCED, None),
        ("soft_bounce", "451 4.7.1 greylisted", None, None),
        ("deferred", "421 4.7.0 try later", None, None),
        ("deferred", NO_SUCH_USER, Status.BOUNCED, Verdict.BOUNCES),
        ("deferred", "550 user unknown", Status.BOUNCED, Verdict.BOUNCES),
        ("blocked", "blocked : due to blacklist user", Status.BOUNCED, None),
        ("invalid_email", "", Status.BOUNCED, Verdict.BOUNCES),
        ("error", "", Status.BOUNCED, None),
        ("spam", "", Status.DELIVERED, Verdict.COMPLAINED),
        ("unsubscribe", "", None, Verdict.UNSUBSCRIBED),
        ("unique_proxy_open", "", None, None),
        ("proxy_open", "", None, None),
        ("opened", "", None, None),
        ("click", "", None, None),
        ("something_new", "", None, None),
    ],
)
def test_each_event_says_what_it_says(
    event: str, reason: str, status: Status | None, verdict: Verdict | None
) -> None:
    word = read_word(BREVO, said(event, reason=reason))
    assert (word.report.status, word.report.verdict) == (status, verdict)
    assert word.delivery_id == DELIVERY


def test_the_same_word_has_the_same_key_and_another_word_another() -> None:
    keys = {
        read_webhook(each).dedup_key
        for each in (
            said("delivered"),
            said("delivered", id=999, subject="autrement"),
            said("delivered", email="COMPTA@exemple.fr"),
        )
    }
    assert len(keys) == 1
    others = {read_webhook(said("request")).dedup_key, read_webhook(said("delivered", ts_epoch=1)).dedup_key}
    assert len(keys | others) == 3


def test_a_message_id_names_the_delivery_where_a_relay_dropped_the_header() -> None:
    assert read_word(BREVO, said("delivered", **{"X-Mailin-custom": ""})).delivery_id == DELIVERY
    assert (
        read_word(BREVO, said("delivered", **{"X-Mailin-custom": "", "message-id": "<x@y>"})).delivery_id
        is None
    )


@pytest.mark.parametrize("wrong", [{}, {"event": "delivered"}, {"message-id": "<x@y>"}, {"event": ["x"]}])
def test_what_is_no_webhook_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PermanentFailure):
        read_word(BREVO, wrong)
