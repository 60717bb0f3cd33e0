"""When the team is told, of what, in which words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr, ValidationError

from libs.common.envelope import Envelope
from libs.common.events import Event
from libs.common.events.billing import DisputeOpened
from libs.common.events.directory import RoutineSilent
from libs.common.events.notifications import DeliveryFailed, DeliveryUnknown
from libs.common.events.operations import EventSetAside
from services.notifications import mail
from services.notifications.domain import digests
from services.notifications.domain.digests import Group, Plan, Told, Topic, Waiting
from services.notifications.jobs.slack_text import sections_of
from services.notifications.settings import NotificationsSettings

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BASE = timedelta(minutes=2)
NASTY = "<script>alert(1)</script> \u202e<!channel> 🚀 " + "x" * 500


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def planned(*waiting: Waiting, last: Told | None = None, now: datetime = NOW) -> Plan | None:
    return digests.plan(waiting, last, now=now, base=BASE, failures=10)


def test_a_burst_waits_once_and_is_told_once() -> None:
    plan = planned(Waiting(Topic.DEAD_LETTER, 1, NOW))
    assert plan is not None
    assert plan.due_at == NOW + BASE
    later = planned(Waiting(Topic.DEAD_LETTER, 200, NOW), now=at(60))
    assert later is not None
    assert later.due_at == plan.due_at


def test_while_a_flood_goes_on_each_digest_waits_twice_as_long() -> None:
    last, waits = None, []
    now = NOW
    for _ in range(8):
        plan = planned(Waiting(Topic.DEAD_LETTER, 9, now), last=last, now=now)
        assert plan is not None
        waits.append((plan.due_at - now).total_seconds())
        now, last = plan.due_at, Told(plan.due_at, plan.wait)
    assert waits == [120, 240, 480, 960, 1800, 1800, 1800, 1800]
    assert last is not None
    quiet = last.made_at + 2 * last.wait
    calm = planned(Waiting(Topic.DEAD_LETTER, 1, quiet), last=last, now=quiet)
    assert calm is not None
    assert (calm.due_at - quiet, calm.wait) == (BASE, BASE)


def test_few_failed_messages_are_nobodys_business_and_many_are() -> None:
    assert planned(Waiting(Topic.FAILED, 9, NOW), now=at(1)) is None
    many = planned(Waiting(Topic.FAILED, 10, NOW), now=at(1))
    assert many is not None
    assert many.topics == [Topic.FAILED]
    old = planned(Waiting(Topic.FAILED, 9, NOW), now=at(3601))
    assert old == Plan((), at(3601), BASE, [Topic.FAILED])
    both = planned(Waiting(Topic.FAILED, 9, NOW), Waiting(Topic.DISPUTE, 1, at(5)), now=at(6))
    assert both is not None
    assert both.topics == [Topic.DISPUTE]


def set_aside(cause: str = "ValueError: no") -> EventSetAside:
    return EventSetAside(
        service="billing", set_aside_event_id=uuid4(), set_aside_type="stripe.event_received.v1",
        set_aside_key="cus_1", cause=cause, attempts=12, set_aside_at=NOW,
    )  # fmt: skip


def unknown(kind: str = "unpaid") -> DeliveryUnknown:
    return DeliveryUnknown(
        company_id=uuid4(), delivery_id=uuid4(), kind=kind, channel="mail", unknown_at=NOW, answer="lost"
    )


def failed(kind: str = "unpaid") -> DeliveryFailed:
    return DeliveryFailed(
        company_id=uuid4(), delivery_id=uuid4(), kind=kind, channel="mail", failed_at=NOW, answer="550 no"
    )


def dispute() -> DisputeOpened:
    return DisputeOpened(
        company_id=uuid4(),
        dispute_id="dp_1",
        amount_cents=2990,
        currency="eur",
        reason="fraudulent",
        opened_at=NOW,
    )


def cause_of(event: Event) -> Envelope:
    return Envelope(event.event_id, event.type, "/relance/x", event.key, NOW, event.to_bytes())


def test_each_fact_is_a_notice_in_one_line() -> None:
    for event in (set_aside(NASTY + "\nsecond line"), unknown(), failed(), dispute()):
        notice = digests.notice_of(event, cause_of(event))
        assert notice is not None
        assert notice.id == event.event_id
        assert "\n" not in notice.line
        assert len(notice.line) <= digests.LONGEST_LINE
    told = digests.notice_of(dispute(), cause_of(dispute()))
    assert told is not None
    assert told.line == "29,90 EUR, motif « fraudulent », dp_1"
    assert told.link == "https://dashboard.stripe.com/disputes/dp_1"


def test_the_teams_own_mails_never_tell_of_themselves() -> None:
    for event in (unknown("team_digest"), failed("team_digest")):
        assert digests.notice_of(event, cause_of(event)) is None


def test_a_digest_says_how_many_and_shows_the_first_whatever_they_hold() -> None:
    groups = [
        Group(Topic.DEAD_LETTER, 200, [(NASTY, None)] * digests.SHOWN),
        Group(Topic.DISPUTE, 1, [("29,90 EUR", "https://dashboard.stripe.com/disputes/dp_1")]),
    ]
    content = digests.content_of(groups, "http://127.0.0.1:8000/")
    assert content["summary"] == "1 paiement contesté, 200 événements mis de côté"
    assert [group["others"] for group in content["groups"]] == [0, 195]
    written = mail.render("team_digest", content)
    assert written.subject == f"[Relance] {content['summary']}"
    assert "<script>" not in written.html
    assert "\u202e" not in written.html + written.text
    for text in (written.html, written.text):
        assert "195 de plus" in text
        assert "http://127.0.0.1:8000/api/set-aside" in text
        assert "disputes/dp_1" in text
    sections = sections_of(content)
    assert "<!channel>" not in "".join(sections)
    assert sections[2].splitlines()[-2:] == [
        "… et 195 de plus",
        "<http://127.0.0.1:8000/api/set-aside|Tout voir>",
    ]
    assert "peut-être déjà reçu" in sections_of(content, is_repeated=True)[0]
    bare = digests.content_of([Group(Topic.FAILED, 10, [])], None)
    assert mail.render("team_digest", bare).text
    assert sections_of(bare)[1] == "*10 messages non remis*\n… et 10 de plus"


def settings(**changes: object) -> NotificationsSettings:
    values: dict[str, object] = {
        "app_env": "dev", "app_secret": "a-secret-of-this-test", "kafka_bootstrap_servers": "127.0.0.1:1",
        "mailer_dsn": "smtp://127.0.0.1:1", "mail_sender": "a@b.fr", "login_url": "https://x.fr", **changes,
    }  # fmt: skip
    return NotificationsSettings(**values)  # type: ignore[arg-type]  # as from the environment


SLACK = "https://hooks.slack.com/services/T1/B1/SECRET"


@pytest.mark.parametrize(
    ("changes", "why_not"),
    [
        ({}, "not_configured"),
        ({"slack_webhook_url": ""}, "not_configured"),
        ({"slack_webhook_url": SLACK}, "not_allowed_outside_prod"),
        ({"slack_webhook_url": SLACK, "app_env": "test"}, "not_allowed_outside_prod"),
        ({"slack_webhook_url": SLACK, "slack_allow_list": SLACK[:-1]}, "not_allowed_outside_prod"),
        ({"slack_webhook_url": SLACK, "slack_allow_list": f"https://x.fr/y, {SLACK}"}, None),
        ({"slack_webhook_url": SLACK, "app_env": "prod"}, None),
        ({"slack_webhook_url": "http://127.0.0.1:8022/services/x"}, None),
        ({"slack_webhook_url": "http://localhost:8022/services/x"}, None),
        ({"slack_webhook_url": "https://127.0.0.1.evil.example/services/x"}, "not_allowed_outside_prod"),
    ],
)
def test_outside_production_slack_hears_nothing_by_accident(
    changes: dict[str, object], why_not: str | None
) -> None:
    assert settings(**changes).why_not_slack == why_not


def test_the_webhook_is_a_secret_and_must_be_one() -> None:
    made = settings(slack_webhook_url=SLACK, slack_allow_list=SLACK)
    assert "SECRET" not in repr(made) + str(made.model_dump(mode="json"))
    assert isinstance(made.slack_webhook_url, SecretStr)
    for wrong in ("hooks.slack.com", "http://hooks.slack.com/services/T/B/x", "ftp://127.0.0.1/x"):
        with pytest.raises(ValidationError):
            settings(slack_webhook_url=wrong, app_env="prod")
    with pytest.raises(ValidationError):
        settings(team_email="not an address")


def test_a_silent_routine_is_the_first_thing_that_is_said() -> None:
    silent = RoutineSilent(routine="check_unpaid", expected_by=NOW, noticed_at=NOW)
    notice = digests.notice_of(silent, cause_of(silent))
    assert notice is not None
    assert (notice.topic, notice.company_id) == (digests.Topic.SILENT, None)
    assert "check_unpaid, attendue avant le" in notice.line
    assert next(iter(digests.Topic)) is notice.topic
