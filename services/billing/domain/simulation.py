"""A policy run over the recorded past: whom it would have warned, restricted, cut and restored, and when.

The notices are those that were really accepted: another policy would have sent others, but nobody knows
whether those would have arrived.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.billing.domain.lines import (
    TOUCHED,
    Lines,
    Situation,
    Verdict,
    after,
    begun,
    decide,
    ended,
)
from services.billing.domain.past import Past
from services.billing.domain.policy import Policy, next_morning


class Deed(StrEnum):
    """What happens to a company."""

    WARNED = "warned"
    RESTRICTED = "restricted"
    CUT = "cut"
    RESTORED = "restored"
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Happening:
    """One deed, real or imagined."""

    at: datetime
    deed: Deed
    about: str = ""


_DEEDS = {
    Verdict.RESTRICT: Deed.RESTRICTED,
    Verdict.CUT: Deed.CUT,
    Verdict.RESTORE: Deed.RESTORED,
    Verdict.ASK_A_PERSON: Deed.ASKED,
}


def happened(past: Past, since: datetime) -> list[Happening]:
    """What really happened, as far as it is recorded."""
    warned = [
        Happening(n.notice.accepted_at, Deed.WARNED, ", ".join(sorted(n.notice.invoice_ids)))
        for n in past.notices
        if n.notice.accepted_at is not None
    ]
    changed = [Happening(c.at, Deed(c.state), c.why) for c in past.changes]
    return sorted((h for h in [*warned, *changed] if h.at >= since), key=lambda h: h.at)


def simulate(past: Past, policy: Policy, since: datetime, until: datetime) -> list[Happening]:
    """What this policy would have done between the two moments."""
    life = _Life(past, policy)
    for moment in _moments(past, policy, until):
        life.live(moment)
    return [happening for happening in life.happenings if since <= happening.at]


def foresee(situation: Situation, policy: Policy, now: datetime, *, days: int = 60) -> Happening | None:
    """The next deed if nothing else happens; None if there is none within so many days."""
    moment = now
    while moment < now + timedelta(days=days):
        decision = decide(situation, policy, moment)
        if decision.verdict in _DEEDS:
            return Happening(moment, _DEEDS[decision.verdict], decision.why)
        moment = next_morning(policy, moment + timedelta(seconds=1))
    return None


def _moments(past: Past, policy: Policy, until: datetime) -> list[datetime]:
    """Everything that could make a difference: what happened, and the working mornings of open cases."""
    moments = {case.opened_at for case in past.cases} | {e.at for e in past.exemptions}
    moments |= {lifetime.at for lifetime in past.lifetimes}
    for case in past.cases:
        moments |= {case.closed_at} if case.closed_at is not None else set()
        moments |= set(_mornings(policy, case.opened_at, case.closed_at or until))
    return sorted(moment for moment in moments if moment <= until)


def _mornings(policy: Policy, first: datetime, last: datetime) -> Iterator[datetime]:
    morning = next_morning(policy, first)
    while morning < last:
        yield morning
        morning = next_morning(policy, morning + timedelta(seconds=1))


class _Life:
    """A company under the policy, moment after moment."""

    def __init__(self, past: Past, policy: Policy) -> None:
        self._past = past
        self._policy = policy
        self._lines = Lines()
        self._open: set[str] = set()
        self._warned: set[tuple[str, int]] = set()
        self.happenings: list[Happening] = []

    def live(self, moment: datetime) -> None:
        situation = self._past.situation_at(moment, self._lines)
        self._open_and_close(situation, moment)
        if not self._open:
            return
        situation = replace(situation, lines=self._lines)
        is_morning = moment == next_morning(self._policy, moment)
        if is_morning:
            self._remind(situation, moment)
        if is_morning or self._lines.state in TOUCHED:
            self._decide(situation, moment)

    def _open_and_close(self, situation: Situation, moment: datetime) -> None:
        open_now = {invoice.invoice_id for invoice in situation.unpaid}
        for invoice_id in sorted(open_now - self._open):
            self._lines = begun(self._lines, moment)
            self._tell(moment, Deed.WARNED, invoice_id)
        if self._open and not open_now:
            if self._lines.state in TOUCHED:
                self._tell(moment, Deed.RESTORED, "paid")
            self._lines = ended(self._lines, moment)
        self._open = open_now

    def _remind(self, situation: Situation, moment: datetime) -> None:
        """The latest reminder that is due; one that it replaces is not made up for."""
        anchor = min(situation.unpaid, key=lambda invoice: (invoice.since, invoice.invoice_id))
        age = moment - anchor.since
        due = [day for day in self._policy.warning_days if day > 0 and age >= timedelta(days=day)]
        if due and (anchor.invoice_id, due[-1]) not in self._warned:
            self._warned.add((anchor.invoice_id, due[-1]))
            self._tell(moment, Deed.WARNED, anchor.invoice_id)

    def _decide(self, situation: Situation, moment: datetime) -> None:
        decision = decide(situation, self._policy, moment)
        deed = _DEEDS.get(decision.verdict)
        is_known = deed is Deed.ASKED and (self._episode, 0) in self._warned
        if deed is not None and not is_known:
            self._tell(moment, deed, decision.why)
        if deed is Deed.ASKED:
            self._warned.add((self._episode, 0))
        self._lines = after(situation, decision, moment)

    @property
    def _episode(self) -> str:
        return f"episode {self._lines.episode}"

    def _tell(self, moment: datetime, deed: Deed, about: str) -> None:
        self.happenings.append(Happening(moment, deed, about))
