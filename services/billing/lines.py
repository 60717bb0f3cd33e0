"""Carrying out what was decided on a company's lines: state and facts, in one transaction.

Whoever comes here holds the company's stream.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from prometheus_client import Counter, Gauge

from libs.common.database import Uow
from libs.common.events.billing import LineCut, LineRestored, LineRestricted
from services.billing import domain, queries
from services.billing.domain import TOUCHED, Decision, Lines, LineState, Situation, Verdict
from services.billing.queries.situations import Addressee

log = logging.getLogger("relance.lines")

VERDICTS = Counter("relance_line_verdicts_total", "Decisions on companies' lines by verdict", ["verdict"])
QUESTIONS = Gauge("relance_line_questions", "Companies of which a person must decide")

# Rows from before policies had versions.
_NO_VERSION = "none"


@dataclass(frozen=True, slots=True)
class Change:
    """What is told of a change of a company's lines, beside the lines themselves."""

    company_id: UUID
    addressee: Addressee
    policy_version: str
    why: str
    causation_id: UUID | None
    traceparent: str | None
    invoice_ids: Sequence[str] = ()
    notice_delivery_id: UUID | None = None


async def end_episode_if_settled(
    uow: Uow, company_id: UUID, addressee: Addressee, *, causation_id: UUID, traceparent: str | None
) -> None:
    """A case was closed: if it was the company's last open one, its lines come back, at once and once."""
    if await queries.lines.count_open_cases(uow.session, company_id):
        return
    row = await queries.lines.find_lines(uow.session, company_id)
    if row is None or not row.lines.is_unpaid:
        return
    lines = domain.ended(row.lines, uow.now)
    version = row.policy_version or _NO_VERSION
    await queries.lines.save_lines(uow.session, company_id, lines, version)
    await queries.lines.settle_questions(uow.session, company_id, uow.now)
    if lines.state is LineState.RESTORED:
        change = Change(company_id, addressee, version, "paid", causation_id, traceparent)
        await _tell(uow, lines, change)


async def carry_out(uow: Uow, situation: Situation, decision: Decision, change: Change) -> None:
    """Store the decision and what it makes of the lines; tell it if it does something."""
    VERDICTS.labels(decision.verdict).inc()
    before, after = situation.lines, domain.after(situation, decision, uow.now)
    if after != before:
        await queries.lines.save_lines(uow.session, change.company_id, after, change.policy_version)
    if decision.verdict is Verdict.RESTORE:
        await _tell(uow, domain.ended(before, uow.now), change)
    elif after.state in TOUCHED and after.state is not before.state:
        await _tell(uow, after, change)
    if decision.verdict is Verdict.ASK_A_PERSON:
        await _ask(uow, change.company_id, after.episode, decision.why)
    elif decision.verdict is not Verdict.WAIT:
        await queries.lines.settle_questions(uow.session, change.company_id, uow.now)
    await queries.lines.mark_decided(uow.session, change.company_id, decision, uow.now)


async def _ask(uow: Uow, company_id: UUID, episode: int, why: str) -> None:
    if await queries.lines.add_question(uow.session, company_id, episode, why, uow.now):
        log.error("company %s is overdue and not cut: %s; a person must decide", company_id, why)


async def _tell(uow: Uow, lines: Lines, change: Change) -> None:
    await queries.lines.add_change(
        uow.session,
        change.company_id,
        lines,
        why=change.why,
        policy_version=change.policy_version,
        invoice_ids=change.invoice_ids,
        notice_delivery_id=change.notice_delivery_id,
        causation_id=change.causation_id,
    )
    fact = _fact(lines, change, uow)
    await uow.publish(fact, traceparent=change.traceparent, causation_id=change.causation_id)


def _fact(lines: Lines, change: Change, uow: Uow) -> LineRestricted | LineCut | LineRestored:
    about = {
        "company_id": change.company_id,
        "episode": lines.episode,
        "at": uow.now,
        "policy_version": change.policy_version,
        "why": change.why,
        "customer_name": change.addressee.name or "",
        "customer_email": change.addressee.email,
    }
    match lines.state:
        case LineState.RESTRICTED:
            return LineRestricted(**about, invoice_ids=tuple(change.invoice_ids))
        case LineState.CUT:
            return LineCut(
                **about, invoice_ids=tuple(change.invoice_ids), notice_delivery_id=change.notice_delivery_id
            )
        case _:
            return LineRestored(**about)
