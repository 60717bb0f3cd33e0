"""The links that mails carry: short, signed, and good for a while. No clock: moments are handed in.

`<purpose>.<subject>.<until>.<signature>`; the subject is an invoice of Stripe's or a company of ours, nothing
that names anybody.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from itsdangerous import Signer

PATH = "/pay/"
LONGEST_TOKEN = 400

# What else derives from APP_SECRET derives under another name, so that no signature serves twice.
_SALT = b"relance.billing.pay_link.v1"


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
        self._signer = Signer(app_secret, salt=_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
        self._public_url = public_url
        self._lifetime = timedelta(days=days)

    def url_of(self, purpose: Purpose, subject: object, now: datetime) -> str | None:
        if self._public_url is None:
            return None
        return f"{self._public_url}{PATH}{self.sign(PayLink(purpose, str(subject), now + self._lifetime))}"

    def sign(self, link: PayLink) -> str:
        said = f"{link.purpose}.{link.subject}.{int(link.until.timestamp())}"
        return f"{said}.{self._signature_of(said)}"

    def read(self, token: str) -> PayLink | None:
        """The link, expired or not; None for whatever was not signed here."""
        said, _, signature = token[:LONGEST_TOKEN].rpartition(".")
        # Signed whatever it looks like: what is nonsense takes as long as what is nearly right.
        expected = self._signature_of(said)
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
            return None
        purpose, subject, until = said.split(".")
        return PayLink(Purpose(purpose), subject, datetime.fromtimestamp(int(until), UTC))

    def _signature_of(self, said: str) -> str:
        return self._signer.get_signature(said.encode(errors="replace")).decode()
