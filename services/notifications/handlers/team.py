"""What the team is told in mails of their own, beside the digests."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from libs.common.database import Uow
from libs.common.events.billing import DisputeClosed
from libs.common.events.scheduler import DailyReportDue, FreeNumbersLow
from services.notifications import domain, queries
from services.notifications.domain import TEAM_ID
from services.notifications.handlers.queueing import lock, queue
from services.notifications.handlers.router import router
from services.notifications.mail.french import PARIS


@router.on(FreeNumbersLow)
async def queue_free_numbers_low_mail(event: FreeNumbersLow, uow: Uow) -> None:
    await uow.lock(str(TEAM_ID))
    await queue(domain.free_numbers_low(event), uow)


@router.on(DailyReportDue)
async def queue_daily_report_mail(event: DailyReportDue, uow: Uow) -> None:
    await uow.lock(str(TEAM_ID))
    since, until = (
        datetime.combine(day, time(), PARIS) for day in (event.report_on, event.report_on + timedelta(days=1))
    )
    deliveries = await queries.count_deliveries(uow.session, since=since, until=until)
    await queue(domain.daily_report(event, deliveries), uow)


@router.on(DisputeClosed)
async def queue_dispute_closed_mail(event: DisputeClosed, uow: Uow) -> None:
    await lock(event, uow)
    contact = await queries.find_contact(uow.session, event.company_id)
    await queue(domain.dispute_closed(event, contact), uow)
