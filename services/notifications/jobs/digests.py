"""Telling the team: notices become a digest, a digest one mail and one message on Slack."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID, uuid4

from prometheus_client import Counter

from libs.common.database import Database, Uow
from libs.common.envelope import Envelope
from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome
from libs.common.jobs import backoff_seconds, brief
from libs.integrations.slack import Slack, SlackRefused
from services.notifications import queries
from services.notifications.domain import TEAM_ID, digests
from services.notifications.domain.deliveries import Message
from services.notifications.domain.digests import Plan
from services.notifications.jobs.slack_text import sections_of
from services.notifications.queries.digests import Claimed, First
from services.notifications.settings import NotificationsSettings

log = logging.getLogger("relance.notifications")

DIGESTS = Counter("relance_team_digests_total", "Digests to the team", ["channel", "outcome"])

SPACING = timedelta(seconds=1.1)
"""Slack takes about a message a second and channel, of all our processes together."""


class Digesting:
    """Makes digests of the notices that wait; each notice is in one digest."""

    def __init__(self, database: Database, settings: NotificationsSettings) -> None:
        self._database = database
        self._settings = settings

    async def make_digest(self) -> int:
        """Answers 1 when one was made. Of several processes one does it."""
        settings = self._settings
        async with self._database.begin() as uow:
            if not await queries.try_lock(uow.session, "digest"):
                return 0
            waiting = await queries.list_waiting(uow.session)
            if not waiting:
                return 0
            plan = digests.plan(
                waiting,
                await queries.find_last_digest(uow.session),
                now=uow.now,
                base=timedelta(seconds=settings.team_digest_seconds),
                failures=settings.team_failures,
            )
            if plan is None:
                return 0
            await queries.drop_notices(uow.session, plan.dropped, now=uow.now)
            if not plan.topics or uow.now < plan.due_at:
                return 0
            return await self._make(uow, plan)

    async def _make(self, uow: Uow, plan: Plan) -> int:
        settings, digest_id = self._settings, uuid4()
        await uow.lock(str(TEAM_ID))  # before rows, as every writer of deliveries
        groups, first = await queries.take_notices(uow.session, digest_id, plan.topics)
        content = digests.content_of(groups, settings.admin_url)
        mail = await self._queue_mail(
            uow, digests.digest_mail(digest_id, settings.team_email or "", content), first
        )
        await queries.add_digest(
            uow.session,
            digest_id,
            content,
            notices=sum(group.count for group in groups),
            wait=plan.wait,
            mail_delivery_id=mail,
            slack_why_not=settings.why_not_slack,
            now=uow.now,
            expires_at=uow.now + timedelta(hours=settings.team_expiry_hours),
        )
        if mail is None and settings.why_not_slack:
            log.warning("nobody is told (TEAM_EMAIL, SLACK_WEBHOOK_URL): %s", content["summary"])
        return 1

    async def _queue_mail(self, uow: Uow, message: Message, first: First) -> UUID | None:
        if not message.recipient:
            return None
        cause = Envelope(
            event_id=first.event_id,
            type=first.event_type,
            source="",
            key=str(TEAM_ID),
            time=uow.now,
            data=b"",
            traceparent=first.traceparent,
        )
        await queries.add_delivery(uow.session, message, cause=cause, now=uow.now)
        return message.delivery_id


class Posting:
    """Claim, post, note, one at a time; no transaction waits for Slack."""

    def __init__(self, database: Database, slack: Slack, settings: NotificationsSettings) -> None:
        self._database = database
        self._slack = slack
        self._settings = settings

    async def post_digests(self) -> int:
        """Answers 1 when one was tried."""
        claimed = await self._claim()
        if claimed is None:
            return 0
        sections = sections_of(claimed.content, is_repeated=claimed.is_repeated)
        try:
            answer = await self._slack.post(sections[0], sections)
        except TemporaryFailure as failure:
            await self._postpone(claimed, failure)
        except UnknownOutcome as lost:
            await self._again(claimed, brief(lost), self._wait(claimed), why="answer_lost")
        except PermanentFailure as failure:
            log.error("digest %s cannot be told on Slack: %s", claimed.id, brief(failure))  # noqa: TRY400
            await self._settle(claimed, "failed", brief(failure))
        else:
            await self._settle(claimed, "sent", answer)
        return 1

    async def _claim(self) -> Claimed | None:
        async with self._database.begin() as uow:
            if not await queries.try_lock(uow.session, "slack"):
                return None
            expired = await queries.expire_posts(uow.session, now=uow.now)
            for digest_id in expired:
                DIGESTS.labels("slack", "expired").inc()
                log.error("digest %s was never taken by Slack and has expired", digest_id)
            return await queries.claim_post(
                uow.session,
                now=uow.now,
                lease_until=uow.now + timedelta(seconds=self._settings.lease_seconds),
                spacing=SPACING,
            )

    async def _postpone(self, claimed: Claimed, failure: TemporaryFailure) -> None:
        if isinstance(failure, SlackRefused):
            log.error("%s", brief(failure))
            DIGESTS.labels("slack", "refused").inc()
        wait = max(self._wait(claimed), failure.retry_after_seconds or 0)
        why = "answer_lost" if claimed.is_repeated else None
        await self._again(claimed, brief(failure), wait, why=why)

    def _wait(self, claimed: Claimed) -> float:
        return backoff_seconds(
            claimed.attempts - 1,
            first=self._settings.retry_first_seconds,
            longest=self._settings.retry_longest_seconds,
        )

    async def _again(self, claimed: Claimed, answer: str, wait_seconds: float, *, why: str | None) -> None:
        log.warning("Slack, try %s, again in %.1f s: %s", claimed.attempts, wait_seconds, answer)
        async with self._database.begin() as uow:
            until = uow.now + timedelta(seconds=wait_seconds)
            await queries.note_post(
                uow.session, claimed, "pending", answer, now=uow.now, why=why, due_at=until
            )
            await queries.hold_posts(uow.session, until=until)

    async def _settle(self, claimed: Claimed, status: str, answer: str) -> None:
        DIGESTS.labels("slack", status).inc()
        async with self._database.begin() as uow:
            await queries.note_post(uow.session, claimed, status, answer, now=uow.now)
