"""Which saved payment methods a cycle tries, in which order, and under which idempotency keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from libs.integrations.stripe import LastFailure, PaymentMethod
from services.billing.domain.policy import Policy, Reaction

OWN_KEY_PREFIX = "relance:"


class AttemptState(StrEnum):
    PLANNED = "planned"
    TRYING = "trying"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    PROCESSING = "processing"
    ALREADY_PAID = "already_paid"
    NOT_OPEN = "not_open"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One method of a cycle. `key_version` grows only on proof that the last key charged nothing."""

    position: int
    payment_method_id: str
    label: str
    fingerprint: str | None
    state: AttemptState
    why: str | None = None
    decline_code: str | None = None
    key_version: int = 1
    server_failures: int = 0
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PastDecline:
    """The last answer that a card gave in an earlier cycle."""

    decline_code: str
    at: datetime


def plan_attempts(
    methods: Sequence[PaymentMethod],
    *,
    just_failed: LastFailure | None,
    default_id: str | None,
    past_declines: Mapping[str, PastDecline],
    policy: Policy,
    now: datetime,
) -> list[Attempt]:
    """Every saved method once: default first, then newest; those left out are kept with why.

    `past_declines` is by fingerprint. The same card saved twice is one try. Of the one that just failed the
    decline is noted as if we had tried it: it may need the customer, or never be tried again.
    """
    failed_id = just_failed.payment_method_id if just_failed else None
    failed_cards = {m.fingerprint for m in methods if m.id == failed_id and m.fingerprint}
    ordered = sorted(methods, key=lambda m: m.created_at, reverse=True)
    ordered.sort(key=lambda m: m.id != default_id)
    seen: set[str] = set()
    attempts = []
    for position, method in enumerate(ordered):
        why = None
        if method.id == failed_id or method.fingerprint in failed_cards:
            why = "just_failed"
        elif method.fingerprint in seen:
            why = "same_card"
        elif policy.tries.skip_hopeless:
            why = _hopeless(past_declines.get(method.fingerprint or ""), policy, now)
        if why is None and method.fingerprint:
            seen.add(method.fingerprint)
        code = just_failed.decline_code if just_failed and method.id == failed_id else None
        attempts.append(_attempt(position, method, why, code))
    return attempts


def _attempt(position: int, method: PaymentMethod, why: str | None, decline_code: str | None) -> Attempt:
    return Attempt(
        position=position,
        payment_method_id=method.id,
        label=method.label,
        fingerprint=method.fingerprint,
        state=AttemptState.PLANNED if why is None else AttemptState.SKIPPED,
        why=why,
        decline_code=decline_code,
    )


def _hopeless(past: PastDecline | None, policy: Policy, now: datetime) -> str | None:
    if past is None:
        return None
    if policy.declines.reaction(past.decline_code) is Reaction.STOP:
        return "last_decline_is_final"
    if policy.tries.is_cooling(past.decline_code, now - past.at):
        return "cooling_down"
    return None


def needs_customer(attempts: Sequence[Attempt], policy: Policy) -> bool:
    """Whether a method would pay if the customer did something for it: he is asked, not warned."""
    return any(
        attempt.state is AttemptState.ACTION_REQUIRED
        or policy.declines.reaction(attempt.decline_code) is Reaction.ASK_THE_CUSTOMER
        for attempt in attempts
    )


def attempt_key(invoice_id: str, attempt_count: int, payment_method_id: str, key_version: int) -> str:
    """The Idempotency-Key of a try: the same for the same try, whoever makes it, however often."""
    key = f"{OWN_KEY_PREFIX}{invoice_id}:{attempt_count}:{payment_method_id}"
    return key if key_version == 1 else f"{key}:{key_version}"


def metadata_key(invoice_id: str, attempt_count: int, flag: str) -> str:
    return f"{OWN_KEY_PREFIX}meta:{invoice_id}:{attempt_count}:{flag}"


def is_own_key(idempotency_key: str | None) -> bool:
    """Whether an event is the echo of a call of ours: such a one never restarts anything."""
    return bool(idempotency_key) and str(idempotency_key).startswith(OWN_KEY_PREFIX)
