"""The links to pay that mails carry. No clock: moments are handed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from libs.common.signed_links import LinkSigner, SignedLink

PATH = "/pay/"


class Purpose(StrEnum):
    """What a link is for: to pay an invoice, or to change the card of a company."""

    PAY = "p"
    CARD = "c"


@dataclass(frozen=True, slots=True)
class PayLink:
    """`subject`: an invoice to be paid, or a company's UUID."""

    purpose: Purpose
    subject: str
    until: datetime


class PayLinks:
    """Makes links under `public_url` and reads them; without one, there are no links."""

    def __init__(self, app_secret: str, *, public_url: str | None, days: int) -> None:
        self._signer = LinkSigner(app_secret, use="relance.billing.pay_link.v1")
        self._public_url = public_url
        self._lifetime = timedelta(days=days)

    def url_of(self, purpose: Purpose, subject: object, now: datetime) -> str | None:
        if self._public_url is None:
            return None
        return f"{self._public_url}{PATH}{self.sign(PayLink(purpose, str(subject), now + self._lifetime))}"

    def sign(self, link: PayLink) -> str:
        return self._signer.sign(SignedLink(link.purpose, link.subject, link.until))

    def read(self, token: str) -> PayLink | None:
        """The link, expired or not; None for whatever was not signed here."""
        link = self._signer.read(token)
        return None if link is None else PayLink(Purpose(link.purpose), link.subject, link.until)
