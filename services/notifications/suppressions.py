"""The one way a suppression begins and ends: whoever adds or lifts one, for whatever reason, calls this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from libs.common.database import Uow
from services.notifications import queries
from services.notifications.domain import Reason, Scope, Suppression, check_scope, target_of


@dataclass(frozen=True, slots=True)
class Added:
    """A suppression as it is kept, and whether it is a new one."""

    suppression: Suppression
    is_new: bool


async def add(
    uow: Uow,
    target: str,
    *,
    reason: Reason,
    by: str,
    scope: str = Scope.ALL,
    note: str | None = None,
    until: datetime | None = None,
    delivery_id: UUID | None = None,
) -> Added:
    """From the commit on, nothing of that scope is claimed for the target, as far as the reason goes
    (`domain.suppressions.REACH`). The same one again (target, scope, reason) changes at most its end.

    `target`: an address, an `@domain` or a number, as people write them. `until` None: until it is lifted.
    Call it last, after the companies concerned are locked: it waits for the claims in hand, a few ms.
    Raises NoTargetError, ScopeError.
    """
    target = target_of(target)
    check_scope(scope, target)
    suppression = Suppression(
        id=uuid4(),
        target=target,
        scope=scope,
        reason=reason,
        note=note,
        added_by=by,
        added_at=uow.now,
        until=until,
        delivery_id=delivery_id,
    )
    await queries.lock_suppressions(uow.session)
    kept = await queries.add_suppression(uow.session, suppression)
    return Added(kept, is_new=kept.id == suppression.id)


async def lift(uow: Uow, ids: Sequence[UUID], *, by: str, note: str | None = None) -> list[Suppression]:
    """Those of them that were in force."""
    await queries.lock_suppressions(uow.session)
    return await queries.lift_suppressions(uow.session, ids, by=by, note=note, now=uow.now)
