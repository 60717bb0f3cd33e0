"""What `relance dunning` says, in French: plain text from plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest

from services.billing.domain.facts import deadline_of
from services.billing.domain.lines import Decision, LineState, Situation, Verdict
from services.billing.domain.past import Past, PastCase, PastCycle, PastTry
from services.billing.domain.policy import Policy
from services.billing.domain.simulation import Deed, Happening

STATES = {
    LineState.NORMAL: "normales",
    LineState.RESTRICTED: "restreintes (appels sortants)",
    LineState.CUT: "coupées",
    LineState.RESTORED: "rétablies",
}
VERDICTS = {
    Verdict.WAIT: "attendre",
    Verdict.RESTRICT: "restreindre",
    Verdict.CUT: "couper",
    Verdict.RESTORE: "rétablir",
    Verdict.ASK_A_PERSON: "demander à une personne",
}
DEEDS = {
    Deed.WARNED: "avertie",
    Deed.RESTRICTED: "restreinte",
    Deed.CUT: "coupée",
    Deed.RESTORED: "rétablie",
    Deed.ASKED: "soumise à une personne",
}
WHYS = {
    "paid": "tout est réglé",
    "lifetime": "abonnée à vie",
    "exempted": "exemptée",
    "being_tried": "un paiement est en cours d’essai",
    "payment_under_way": "un paiement est en cours de traitement",
    "already_cut": "déjà coupée",
    "already_restricted": "déjà restreinte, la coupure n’est pas encore due",
    "not_due_yet": "rien n’est encore dû",
    "restricted_today": "restreinte aujourd’hui même",
    "overdue": "l’échéance est passée",
    "no_valid_notice": "aucun avis valable",
    "notice_too_recent": "l’avis est trop récent",
    "weekend": "week-end",
    "public_holiday": "jour férié",
    "eve_of_public_holiday": "veille de jour férié",
    "friday_afternoon": "vendredi après-midi",
}
_DATE_WIDTH = 58


@dataclass(frozen=True, slots=True)
class Now:
    """The present of a company: what is so, what was decided last, what comes next."""

    at: datetime
    situation: Situation
    last_decision: Decision | None
    last_decided_at: datetime | None
    decision: Decision
    coming: Happening | None
    coming_warning_at: datetime | None


def moment_text(moment: datetime | None, policy: Policy) -> str:
    return "?" if moment is None else f"{moment.astimezone(policy.zone):%d/%m/%Y %H:%M:%S}"


def why_text(why: str) -> str:
    return WHYS.get(why, why)


def next_warning_at(situation: Situation, policy: Policy, now: datetime) -> datetime | None:
    """When the next reminder is due, counted from the earliest unpaid invoice."""
    if not situation.counted:
        return None
    due = [situation.counted[0].since + timedelta(days=day) for day in policy.warning_days]
    return next((moment for moment in due if moment > now), None)


def explanation(past: Past, now: Now, policy: Policy) -> list[str]:
    """State, what led to it, what comes next and when."""
    return [*_head(past, now, policy), *_led(past, policy), *_next(now, policy)]


def _head(past: Past, now: Now, policy: Policy) -> Iterator[str]:
    number = "" if past.legacy_enterprise_id is None else f", ancien n° {past.legacy_enterprise_id}"
    lines = now.situation.lines
    yield f"{past.name or 'Entreprise sans nom'} ({past.company_id}{number})"
    yield f"Le {moment_text(now.at, policy)}, politique {policy.version}"
    yield ""
    since = f" depuis le {moment_text(lines.changed_at, policy)}" if lines.changed_at else ""
    yield f"Lignes : {STATES[lines.state]}, épisode {lines.episode}{since}"
    counted = now.situation.counted
    if counted:
        deadline = deadline_of(counted[0].since, policy.deadline_days)
        yield f"Impayées : {len(now.situation.unpaid)}, la plus ancienne {counted[0].invoice_id}"
        yield f"Échéance : {moment_text(deadline, policy)}"
    elif now.situation.unpaid:
        yield f"Impayées : {len(now.situation.unpaid)}, un paiement est en cours"
    else:
        yield "Impayées : aucune"
    if (spared := now.situation.sparing.why(now.at)) is not None:
        until = now.situation.sparing.exempted_until
        end = f" jusqu’au {moment_text(until, policy)}" if spared == "exempted" else ""
        yield f"Épargnée : {why_text(spared)}{end}"


def _led(past: Past, policy: Policy) -> Iterator[str]:
    yield ""
    yield "Ce qui y a mené :"
    for case in past.cases:
        yield from _case(case, policy)
    for each in past.notices:
        notice = each.notice
        came_back = f", revenu le {moment_text(notice.bounced_at, policy)}" if notice.bounced_at else ""
        yield (
            f"  avis {notice.delivery_id} ({each.kind}, {each.channel}) accepté le "
            f"{moment_text(notice.accepted_at, policy)}{came_back} : {', '.join(sorted(notice.invoice_ids))}"
        )
    for exemption in past.exemptions:
        yield (
            f"  exemptée le {moment_text(exemption.at, policy)} jusqu’au "
            f"{moment_text(exemption.until, policy)} par {exemption.by} : {exemption.reason}"
        )
    for lifetime in past.lifetimes:
        word = "abonnée à vie" if lifetime.is_granted else "plus abonnée à vie"
        yield f"  {word} le {moment_text(lifetime.at, policy)} par {lifetime.by} : {lifetime.reason}"
    for change in past.changes:
        notice_id = f", avis {change.notice_delivery_id}" if change.notice_delivery_id else ""
        yield (
            f"  lignes {STATES[change.state]} le {moment_text(change.at, policy)} : {why_text(change.why)}, "
            f"épisode {change.episode}, politique {change.policy_version}{notice_id}, "
            f"causé par {change.causation_id}"
        )


def _case(case: PastCase, policy: Policy) -> Iterator[str]:
    amount = f"{case.amount_cents / 100:.2f} {case.currency.upper()}".replace(".", ",")
    number = f" ({case.number})" if case.number else ""
    end = ""
    if case.closed_at is not None:
        end = f", clos le {moment_text(case.closed_at, policy)} ({case.closed_why})"
    yield (
        f"  facture {case.invoice_id}{number}, {amount} : dossier {case.state} ouvert le "
        f"{moment_text(case.opened_at, policy)}{end}, causé par {case.causation_id}"
    )
    for cycle in case.cycles:
        yield from _cycle(cycle, policy)


def _cycle(cycle: PastCycle, policy: Policy) -> Iterator[str]:
    end = f", fini le {moment_text(cycle.finished_at, policy)}" if cycle.finished_at else ""
    yield (
        f"    cycle {cycle.attempt_count} ouvert le {moment_text(cycle.opened_at, policy)}{end} : "
        f"{cycle.outcome or 'en cours'}, causé par {cycle.causation_id}"
    )
    for attempt in cycle.tries:
        yield f"      {_try(attempt, policy)}"


def _try(attempt: PastTry, policy: Policy) -> str:
    at = f" le {moment_text(attempt.settled_at, policy)}" if attempt.settled_at else ""
    reason = attempt.why or attempt.decline_code
    meaning = f", {policy.declines.reaction(attempt.decline_code)}" if attempt.decline_code else ""
    return f"{attempt.label} : {attempt.state}{at}" + (f" ({reason}{meaning})" if reason else "")


def _next(now: Now, policy: Policy) -> Iterator[str]:
    yield ""
    if now.last_decision is not None:
        last = now.last_decision
        yield (
            f"Dernière décision, le {moment_text(now.last_decided_at, policy)} : "
            f"{VERDICTS[last.verdict]} ({why_text(last.why)})"
        )
    yield f"Décidé maintenant, ce serait : {VERDICTS[now.decision.verdict]} ({why_text(now.decision.why)})"
    yield "La suite, si rien ne change :"
    if now.coming_warning_at is not None:
        yield f"  rappel dû le {moment_text(now.coming_warning_at, policy)}"
    if now.coming is None:
        yield "  rien dans les 60 jours"
    else:
        at = moment_text(now.coming.at, policy)
        yield f"  {DEEDS[now.coming.deed]} le {at} ({why_text(now.coming.about)})"


def comparison(
    past: Past, imagined: Sequence[Happening], real: Sequence[Happening], policy: Policy
) -> list[str]:
    """What the policy would have done, beside what happened."""
    left = [_happening(happening, policy) for happening in imagined]
    right = [_happening(happening, policy) for happening in real]
    rows = zip_longest(left, right, fillvalue="")
    return [
        f"{past.name or 'Entreprise sans nom'} ({past.company_id})",
        *(f"  {one:<{_DATE_WIDTH}} | {other}".rstrip() for one, other in rows),
    ]


def comparison_head(policy: Policy) -> list[str]:
    title = f"politique {policy.version}"
    return [f"  {title:<{_DATE_WIDTH}} | ce qui s’est passé"]


def _happening(happening: Happening, policy: Policy) -> str:
    about = f" ({why_text(happening.about)})" if happening.about else ""
    return f"{moment_text(happening.at, policy)} {DEEDS[happening.deed]}{about}"


def totals(imagined: Mapping[Deed, int], real: Mapping[Deed, int]) -> list[str]:
    """How many of each, both ways."""
    lines = ["", f"{'':<26}{'politique':>10}{'réel':>10}"]
    for deed, word in DEEDS.items():
        lines.append(f"{word:<26}{imagined.get(deed, 0):>10}{real.get(deed, 0):>10}")
    return lines
