"""The links of a mail by which its reader objects: signed, naming nobody, good for long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from urllib.parse import quote
from uuid import UUID

from libs.common.signed_links import LinkSigner, SignedLink
from services.notifications.domain.deliveries import Category, Delivery
from services.notifications.domain.kinds import KINDS

UNSUBSCRIBE_PATH = "/u/"
PREFERENCES_PATH = "/preferences/"


class Purpose(StrEnum):
    """What a link is for: to unsubscribe with one click, or to see and change one's preferences."""

    UNSUBSCRIBE = "u"
    PREFERENCES = "p"


@dataclass(frozen=True, slots=True)
class Objecting:
    """How the reader of one message objects to more of them; what is not there, is not offered."""

    unsubscribe_url: str | None = None
    preferences_url: str | None = None
    address: str | None = None

    @property
    def list_unsubscribe(self) -> tuple[str, ...]:
        """The addresses of RFC 2369's header, the one-click one (RFC 8058) first; none: no such header."""
        if self.address is None:
            return ()
        mailto = f"mailto:{self.address}?subject={quote('Désinscription')}"
        return (self.unsubscribe_url, mailto) if self.unsubscribe_url else (mailto,)

    @property
    def context(self) -> dict[str, str]:
        """What the foot of the mail needs."""
        values = {
            "unsubscribe_url": self.unsubscribe_url,
            "preferences_url": self.preferences_url,
            "unsubscribe_address": None if self.unsubscribe_url else self.address,
        }
        return {name: value for name, value in values.items() if value}


class PreferenceLinks:
    """Makes them under `public_url` and reads them; without one, people write to `address`."""

    def __init__(self, app_secret: str, *, public_url: str | None, address: str, days: int) -> None:
        self._signer = LinkSigner(app_secret, use="relance.notifications.preference_link.v1")
        self._public_url = public_url
        self._address = address
        self._lifetime = timedelta(days=days)

    def objecting(self, delivery: Delivery) -> Objecting:
        """The same at every try. Nobody is offered to unsubscribe from what is sent all the same."""
        category = KINDS[delivery.kind].category
        if category is Category.INTERNAL:
            return Objecting()
        preferences = self._url(PREFERENCES_PATH, Purpose.PREFERENCES, delivery)
        if category is not Category.MARKETING:
            return Objecting(preferences_url=preferences)
        unsubscribe = self._url(UNSUBSCRIBE_PATH, Purpose.UNSUBSCRIBE, delivery)
        return Objecting(unsubscribe, preferences, self._address)

    def _url(self, path: str, purpose: Purpose, delivery: Delivery) -> str | None:
        if self._public_url is None:
            return None
        until = delivery.created_at + self._lifetime
        return f"{self._public_url}{path}{self._signer.sign(SignedLink(purpose, str(delivery.id), until))}"

    def read(self, token: str, purpose: Purpose) -> SignedLink | None:
        """The link, expired or not; None for whatever was not signed here, for this purpose."""
        link = self._signer.read(token)
        return link if link is not None and link.purpose == purpose else None

    def for_preferences(self, link: SignedLink) -> str:
        """The token with which who may unsubscribe sees their preferences, for as long."""
        return self._signer.sign(SignedLink(Purpose.PREFERENCES, link.subject, link.until))

    @staticmethod
    def delivery_id(link: SignedLink) -> UUID:
        return UUID(link.subject)
