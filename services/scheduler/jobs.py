"""What the clock starts: look for what is due, write it down, tell it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from libs.common.database import Database
from libs.common.events.scheduler import CardCheckDue, StripeReconciliationDue, SubscriptionCheckDue
from services.scheduler import domain, queries
from services.scheduler.domain import ReminderStage, Status, Step
from services.scheduler.reading import Reading
from services.scheduler.settings import SchedulerSettings

log = logging.getLogger("relance.scheduler")

BATCH = 1000
# One look at how far was read serves many batches; few enough that a clean stop need not wait long.
BATCHES_A_TURN = 10


async def scan_signup(database: Database, reading: Reading, step: Step) -> int:
    """Tells a sign-up step to all for whom it is due; answers how many companies were looked at."""
    due_until = await reading.read_up_to(database.clock())
    claimed = 0
    for _ in range(BATCHES_A_TURN):
        in_batch = await _tell_batch(database, step, due_until)
        claimed += in_batch
        if in_batch < BATCH:
            break
    return claimed


async def _tell_batch(database: Database, step: Step, due_until: datetime) -> int:
    """Occurrences and facts in one transaction."""
    async with database.begin() as uow:
        claimed, occurrences = await queries.add_due_occurrences(
            uow.session, step, now=due_until, limit=BATCH
        )
        told = [each for each in occurrences if each.status is Status.TOLD]
        for occurrence in told:
            await uow.publish(
                domain.signup_step_due(step, occurrence),
                traceparent=occurrence.traceparent,
                causation_id=occurrence.registered_event_id,
            )
    if occurrences:
        log.info("%s: %s told, %s skipped", step.name, len(told), len(occurrences) - len(told))
    return claimed


class CheckUnpaid:
    """Each working morning: reminders of who owes, and whose deadline has passed."""

    def __init__(self, database: Database, reading: Reading, settings: SchedulerSettings) -> None:
        self._database = database
        self._reading = reading
        self._hour = settings.unpaid_check_hour
        self._stages = settings.reminder_stages
        self._done: datetime | None = None

    async def run(self) -> int:
        """Answers how many companies were looked at; 0 when this morning is done. What a process that was off
        missed is told by its first morning."""
        morning = domain.working_morning(self._database.clock(), self._hour)
        if morning == self._done:
            return 0
        # Never on old knowledge: whoever paid before now is not reminded, and not cut.
        await self._reading.read_up_to(self._database.clock())
        looked_at = 0
        for _ in range(BATCHES_A_TURN):
            in_batch = await self._tell_batch(morning)
            looked_at += in_batch
            if in_batch == 0:
                self._done = morning
                break
        return looked_at

    async def _tell_batch(self, morning: datetime) -> int:
        claimed = [await self._remind(stage, morning) for stage in self._stages]
        return sum(claimed) + await self._tell_cutoffs(morning)

    async def _remind(self, stage: ReminderStage, morning: datetime) -> int:
        """Occurrences and facts in one transaction."""
        async with self._database.begin() as uow:
            claimed, reminders = await queries.add_due_reminders(
                uow.session, stage, morning=morning, now=uow.now, limit=BATCH
            )
            told = [each for each in reminders if each.status is Status.TOLD]
            for reminder in told:
                await uow.publish(
                    domain.unpaid_reminder_due(stage, reminder),
                    traceparent=reminder.traceparent,
                    causation_id=reminder.event_id,
                )
        if reminders:
            log.info(
                "unpaid notice %s: %s told, %s skipped", stage.stage, len(told), len(reminders) - len(told)
            )
        return claimed

    async def _tell_cutoffs(self, morning: datetime) -> int:
        async with self._database.begin() as uow:
            claimed, cutoffs = await queries.add_due_cutoffs(
                uow.session, morning=morning, now=uow.now, limit=BATCH
            )
            for cutoff in cutoffs:
                await uow.publish(
                    domain.cutoff_due(cutoff, morning),
                    traceparent=cutoff.traceparent,
                    causation_id=cutoff.event_id,
                )
        if cutoffs:
            log.info("%s deadlines have passed, told for %s", len(cutoffs), morning.date())
        return claimed


async def tell_reconciliation(database: Database, period: timedelta) -> int:
    """Asks for the walk through Stripe's events, once for each moment of the routine."""
    async with database.begin() as uow:
        due_at = domain.latest_slot(uow.now, period)
        if await queries.add_slot(uow.session, domain.RECONCILE_STRIPE, due_at=due_at, now=uow.now):
            before = due_at - domain.SLOTS_KEPT
            await queries.delete_old_slots(uow.session, domain.RECONCILE_STRIPE, before=before)
            await uow.publish(StripeReconciliationDue(due_at=due_at))
    return 0


async def tell_card_check(database: Database, hour: int) -> int:
    """Asks each morning whose card expires soon. A morning that was slept through is not made up for: a card
    is in its last days on the next one too."""
    async with database.begin() as uow:
        due_at = domain.latest_morning(uow.now, hour)
        if await queries.add_slot(uow.session, domain.CHECK_CARDS, due_at=due_at, now=uow.now):
            before = due_at - domain.SLOTS_KEPT
            await queries.delete_old_slots(uow.session, domain.CHECK_CARDS, before=before)
            await uow.publish(CardCheckDue(due_on=due_at.date()))
    return 0


async def tell_subscription_checks(database: Database, reading: Reading) -> int:
    """On the 1st and the 15th, for each subscription that was heard of; answers how many were told."""
    due_at = domain.latest_subscription_check(database.clock())
    if due_at is None:
        return 0
    async with database.begin() as uow:
        if not await queries.has_due_checks(uow.session, due_at, due_at.date()):
            return 0
    await reading.read_up_to(database.clock())
    async with database.begin() as uow:
        claimed = await queries.claim_due_checks(uow.session, due_at, due_at.date(), limit=BATCH)
        for row in claimed:
            await uow.publish(
                SubscriptionCheckDue(
                    company_id=row.company_id, subscription_id=row.subscription_id, due_on=due_at.date()
                )
            )
    log.info("%s: %s told", domain.CHECK_SUBSCRIPTIONS, len(claimed))
    return len(claimed)
