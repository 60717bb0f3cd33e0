"""The second factor: codes of six digits (RFC 6238), their secrets sealed in the database."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
from datetime import datetime

import pyotp
import segno
from cryptography.fernet import Fernet, InvalidToken

ISSUER = "Relance"
STEP_SECONDS = 30
DRIFT_STEPS = 1
"""A phone's clock may be so many steps ahead or behind."""


class Totp:
    """`app_secret` seals the secrets: a copy of the database alone makes no codes."""

    def __init__(self, app_secret: str) -> None:
        key = hashlib.sha256(b"admin totp secrets\0" + app_secret.encode()).digest()
        self._seal = Fernet(base64.urlsafe_b64encode(key))

    def new_secret(self) -> bytes:
        """Sealed."""
        return self._seal.encrypt(pyotp.random_base32().encode())

    def secret(self, sealed: bytes) -> str | None:
        """None when it was sealed with another APP_SECRET."""
        try:
            return self._seal.decrypt(sealed).decode()
        except InvalidToken:
            return None

    def step_of(self, sealed: bytes, code: str, now: datetime) -> int | None:
        """The step whose code this is, near now; None for a wrong one."""
        secret = self.secret(sealed)
        digits = code.replace(" ", "")
        if secret is None or not digits.isascii() or not digits.isdigit():
            return None
        totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
        present = int(now.timestamp()) // STEP_SECONDS
        right = [
            step
            for step in range(present - DRIFT_STEPS, present + DRIFT_STEPS + 1)
            if hmac.compare_digest(totp.generate_otp(step), digits)
        ]
        return right[-1] if right else None


def address(secret: str, email: str) -> str:
    """The `otpauth://` address that a phone's application reads."""
    return pyotp.TOTP(secret, interval=STEP_SECONDS).provisioning_uri(name=email, issuer_name=ISSUER)


def qr_code(text: str) -> str:
    """An inline SVG without styles of its own: dark on white in every scheme, or phones do not read it."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, nl=False, scale=5, border=3, dark="#000", light="#fff",
        svgclass="qr", lineclass=None, omitsize=True,
    )  # fmt: skip
    return out.getvalue().decode()
