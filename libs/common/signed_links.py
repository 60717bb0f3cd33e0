"""The links that mails carry: short, signed, and good for a while. No clock: moments are handed in.

`<purpose>.<subject>.<until>.<signature>`; a subject is an id of ours or of Stripe's: it names nobody.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from itsdangerous import Signer

LONGEST_TOKEN = 400


@dataclass(frozen=True, slots=True)
class SignedLink:
    """What a token said. `purpose` and `subject` hold no dot."""

    purpose: str
    subject: str
    until: datetime


class LinkSigner:
    """Signs and reads the tokens of one use. What else derives from the secret derives under another `use`,
    so that no signature serves twice."""

    def __init__(self, app_secret: str, *, use: str) -> None:
        self._signer = Signer(
            app_secret, salt=use.encode(), key_derivation="hmac", digest_method=hashlib.sha256
        )

    def sign(self, link: SignedLink) -> str:
        said = f"{link.purpose}.{link.subject}.{int(link.until.timestamp())}"
        return f"{said}.{self._signature_of(said)}"

    def read(self, token: str) -> SignedLink | None:
        """The link, expired or not; None for whatever was not signed here."""
        said, _, signature = token[:LONGEST_TOKEN].rpartition(".")
        # Signed whatever it looks like: what is nonsense takes as long as what is nearly right.
        expected = self._signature_of(said)
        if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
            return None
        purpose, subject, until = said.split(".")
        return SignedLink(purpose, subject, datetime.fromtimestamp(int(until), UTC))

    def _signature_of(self, said: str) -> str:
        return self._signer.get_signature(said.encode(errors="replace")).decode()
