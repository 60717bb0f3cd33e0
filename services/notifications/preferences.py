"""What the reader of a message wants to be sent: seen and changed by a link, counted as suppressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from libs.common.database import Uow
from libs.common.events.notifications import RecipientResubscribed, RecipientUnsubscribed
from services.notifications import queries, suppressions
from services.notifications.domain import Category, Channel, Reason, Scope, Suppression, targets_of
from services.notifications.domain.suppressions import OWN_WISHES

HIMSELF = "the recipient"


@dataclass(frozen=True, slots=True)
class Reader:
    """To whom a delivery went: by which channel, and where their company is reached by each."""

    delivery_id: UUID
    company_id: UUID
    channel: Channel
    targets: Mapping[Channel, str]


@dataclass(frozen=True, slots=True)
class Preference:
    """Whether marketing is wanted by a channel. Not changeable: it is not their wish that holds it back."""

    channel: Channel
    target: str
    is_wanted: bool
    is_changeable: bool
    wishes: tuple[Suppression, ...] = ()


async def find_reader(uow: Uow, delivery_id: UUID) -> Reader | None:
    """None for a delivery that is not known, or went nowhere."""
    addressed = await queries.find_addressed(uow.session, delivery_id)
    if addressed is None:
        return None
    own = Channel(addressed.channel)
    contact = await queries.find_contact(uow.session, addressed.company_id)
    written = {Channel.MAIL: contact.email, Channel.SMS: contact.phone, own: addressed.recipient}
    targets = {
        channel: found[0] for channel in Channel if (found := targets_of(channel, written.get(channel)))
    }
    if own not in targets:
        return None
    return Reader(delivery_id, addressed.company_id, own, targets)


async def list_preferences(uow: Uow, reader: Reader) -> list[Preference]:
    return [await _preference(uow, channel, target) for channel, target in reader.targets.items()]


async def _preference(uow: Uow, channel: Channel, target: str) -> Preference:
    in_force = await queries.list_in_force(uow.session, targets_of(channel, target), now=uow.now)
    holding = [
        each
        for each in in_force
        if each.holds_back(kind="", channel=channel, category=Category.MARKETING, now=uow.now)
    ]
    wishes = tuple(each for each in holding if each.reason in OWN_WISHES and each.target == target)
    return Preference(
        channel, target, is_wanted=not holding, is_changeable=len(wishes) == len(holding), wishes=wishes
    )


async def unsubscribe(uow: Uow, reader: Reader, channel: Channel, *, how: str) -> None:
    """From marketing by this channel; again, it changes nothing. `how`: `one_click` or `preferences`."""
    await uow.lock(str(reader.company_id))
    added = await suppressions.add(
        uow,
        reader.targets[channel],
        reason=Reason.UNSUBSCRIBED,
        scope=Scope.MARKETING,
        by=HIMSELF,
        note=how,
        delivery_id=reader.delivery_id,
    )
    if added.is_new:
        await uow.publish(RecipientUnsubscribed(**_about(uow, reader, channel, added.suppression)))


async def change(uow: Uow, reader: Reader, wanted: Mapping[Channel, bool]) -> None:
    """What is not changeable stays as it is, and so does what is so already."""
    await uow.lock(str(reader.company_id))
    for preference in await list_preferences(uow, reader):
        is_wanted = wanted.get(preference.channel, preference.is_wanted)
        if is_wanted == preference.is_wanted or not preference.is_changeable:
            continue
        if not is_wanted:
            await unsubscribe(uow, reader, preference.channel, how="preferences")
            continue
        lifted = await suppressions.lift(
            uow, [wish.id for wish in preference.wishes], by=HIMSELF, note="preferences"
        )
        for wish in lifted:
            await uow.publish(RecipientResubscribed(**_about(uow, reader, preference.channel, wish)))


def _about(uow: Uow, reader: Reader, channel: Channel, wish: Suppression) -> dict[str, object]:
    return {
        "company_id": reader.company_id,
        "suppression_id": wish.id,
        "delivery_id": reader.delivery_id,
        "channel": channel,
        "category": Category.MARKETING,
        "at": uow.now,
    }
