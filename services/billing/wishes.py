"""What is wanted of companies' lines reaches the phone platform: claim, send, note, until it is confirmed.

Wishes of a company go one after the other, each under an id made of facts: whoever sends one again, after a
lost answer or a kill, sends the same bytes under the same id.
"""

from __future__ import annotations

import logging

from prometheus_client import Counter, Gauge

from libs.common.clock import Clock
from libs.common.database import Database, Uow, is_outage
from libs.common.errors import PermanentFailure, TemporaryFailure, UnknownOutcome
from libs.common.events.billing import LineStateConfirmed
from libs.common.jobs import backoff_seconds, brief, printable
from libs.common.telemetry import current_traceparent
from libs.integrations.platform import LineOrder, PhonePlatform, PlatformAnswer
from services.billing import domain, queries
from services.billing.domain import LineFact, WishState
from services.billing.queries.wishes import WishRow
from services.billing.settings import BillingSettings

log = logging.getLogger("relance.lines")

SENT = Counter("relance_line_wishes_total", "Answers of the phone platform", ["outcome"])
UNCONFIRMED = Gauge(
    "relance_line_wishes_unconfirmed", "Wishes not confirmed for longer than LINE_ALARM_SECONDS"
)
OLDEST_SECONDS = Gauge("relance_line_wishes_oldest_seconds", "Age of the oldest wish not confirmed")

ALARMS_A_TURN = 100


async def wish(fact: LineFact, uow: Uow) -> None:
    """A fact about lines is a wish; an older one that nobody has begun to send is wanted no more."""
    wanted = domain.wish_of(fact)
    await uow.lock(str(wanted.company_id))
    revision = (uow.cause.revision if uow.cause else None) or 0
    traceparent = uow.cause.traceparent if uow.cause else None
    await queries.wishes.add_wish(uow.session, wanted, revision=revision, traceparent=traceparent)
    await queries.wishes.mark_superseded(uow.session, wanted.company_id)


class Wishes:
    """Sends one wish a turn; as many turns at once as the platform may be told things."""

    def __init__(
        self, database: Database, platform: PhonePlatform, settings: BillingSettings, clock: Clock
    ) -> None:
        self._database = database
        self._platform = platform
        self._settings = settings
        self._clock = clock

    async def send_next(self) -> int:
        async with self._database.begin() as uow:
            claimed = await queries.wishes.claim_due_wish(
                uow.session, lease_seconds=self._settings.lease_seconds
            )
            if claimed is None:
                return 0
            if claimed.is_outdated:
                await queries.wishes.mark_outdated(uow.session, claimed)
                return 1
            body = claimed.body or await self._write(claimed, uow)
        current_traceparent.set(claimed.traceparent)
        await self._send(claimed, body)
        return 1

    async def _write(self, claimed: WishRow, uow: Uow) -> bytes:
        """Once: a repetition under the same id must say the same."""
        numbers = await queries.wishes.list_numbers(uow.session, claimed.company_id)
        order = LineOrder(
            wish_id=claimed.wish_id,
            company_id=claimed.company_id,
            wanted=claimed.wanted,
            order=claimed.order,
            since_at=claimed.since_at,
            why=claimed.why,
            episode=claimed.episode,
            numbers=[claimed.number] if claimed.number else numbers,
            reachable=domain.EMERGENCY_NUMBERS,
        )
        body = order.to_bytes()
        await queries.wishes.save_body(uow.session, claimed, body)
        return body

    async def _send(self, claimed: WishRow, body: bytes) -> None:
        try:
            answer = await self._platform.tell(claimed.wish_id, body, now=self._clock())
        except PermanentFailure as failure:
            await self._settle(claimed, WishState.REFUSED, str(failure))
        except Exception as error:
            await self._postpone(claimed, error)
        else:
            await self._note(claimed, answer)

    async def _note(self, claimed: WishRow, answer: PlatformAnswer) -> None:
        if answer.is_confirmed:
            await self._settle(claimed, WishState.CONFIRMED, answer.text)
        else:
            await self._ask_again(claimed, f"taken, not confirmed: {answer.text}", is_accepted=True)

    async def _settle(self, claimed: WishRow, state: WishState, answer: str) -> None:
        """Kept and told. A no is for a person: asking the same again would get the same answer."""
        text = _shown(answer)
        async with self._database.begin() as uow:
            await uow.lock(str(claimed.company_id))
            if not await queries.wishes.mark_settled(uow.session, claimed, state, text):
                _warn_of_lost_claim(claimed)
                return
            confirmed = LineStateConfirmed(
                company_id=claimed.company_id,
                wish_id=claimed.wish_id,
                wanted=claimed.wanted,
                is_done=state is WishState.CONFIRMED,
                answer=text,
                confirmed_at=uow.now,
            )
            await uow.publish(confirmed, traceparent=claimed.traceparent, causation_id=claimed.since)
        SENT.labels(state).inc()
        if state is WishState.REFUSED:
            log.error("%s is refused and not asked again: %s", _named(claimed), text)

    async def _postpone(self, claimed: WishRow, error: Exception) -> None:
        is_expected = is_outage(error) or isinstance(error, UnknownOutcome)
        if not is_expected:
            log.error("%s failed", _named(claimed), exc_info=error)
        wish_seconds = error.retry_after_seconds if isinstance(error, TemporaryFailure) else None
        await self._ask_again(claimed, brief(error), at_least_seconds=wish_seconds or 0)

    async def _ask_again(
        self, claimed: WishRow, answer: str, *, at_least_seconds: float = 0, is_accepted: bool = False
    ) -> None:
        longest = self._settings.retry_longest_seconds
        wait_seconds = backoff_seconds(
            claimed.tries - 1, first=self._settings.retry_first_seconds, longest=longest
        )
        wait_seconds = max(wait_seconds, min(at_least_seconds, longest))
        async with self._database.begin() as uow:
            await uow.lock(str(claimed.company_id))
            is_ours = await queries.wishes.mark_postponed(
                uow.session, claimed, _shown(answer), wait_seconds=wait_seconds, is_accepted=is_accepted
            )
            await queries.wishes.mark_superseded(uow.session, claimed.company_id)
        if not is_ours:
            _warn_of_lost_claim(claimed)
            return
        SENT.labels("accepted" if is_accepted else "postponed").inc()
        log.warning("%s is sent again in %.1f s: %s", _named(claimed), wait_seconds, _shown(answer))


class WishWatch:
    """What is not confirmed in time is counted, and said once."""

    def __init__(self, database: Database, settings: BillingSettings) -> None:
        self._database = database
        self._settings = settings

    async def look(self) -> int:
        alarm_seconds = self._settings.line_alarm_seconds
        async with self._database.begin() as uow:
            figures = await queries.wishes.get_figures(uow.session, alarm_seconds=alarm_seconds)
            alarms = await queries.wishes.claim_alarms(
                uow.session, alarm_seconds=alarm_seconds, limit=ALARMS_A_TURN
            )
        UNCONFIRMED.set(figures.unconfirmed)
        OLDEST_SECONDS.set(figures.oldest_seconds)
        for late in alarms:
            log.error(
                "line wish %s (%s for company %s): not confirmed within %.0f s, after %s tries: %s",
                late.wish_id,
                late.wanted,
                late.company_id,
                alarm_seconds,
                late.tries,
                late.last_answer or "no answer yet",
            )
        return len(alarms) == ALARMS_A_TURN


def _named(claimed: WishRow) -> str:
    return f"line wish {claimed.wish_id} ({claimed.wanted} for company {claimed.company_id})"


def _shown(answer: str) -> str:
    return printable(" ".join(answer.split()))[:500]


def _warn_of_lost_claim(claimed: WishRow) -> None:
    log.warning("%s: another process took it over, its answer is the one that counts", _named(claimed))
