"""Stripe's webhook signature: `t=<unix>,v1=<hex>[,v1=…]`, HMAC-SHA256 over `<t>.<body>`.

Source: docs.stripe.com/webhooks and stripe-python's `_webhook.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from stripe import SignatureVerificationError, WebhookSignature

_TIMESTAMPS = re.compile(r"(?:^|,)\s*t=([0-9]+)")


class SignatureRefused(Exception):
    """Why a body is not believed to come from Stripe, now."""


def verify_signature(
    body: bytes, header: str | None, secrets: Sequence[str], *, tolerance_seconds: int, now: float
) -> None:
    """Raises SignatureRefused unless one of the secrets signed these bytes within the tolerance of now.

    Several secrets, because both live while one is being rolled. Stripe's library refuses only what is too
    old; a timestamp from the future is refused here.
    """
    if not header:
        raise SignatureRefused("the Stripe-Signature header is missing")
    if not header.isascii():
        raise SignatureRefused("the Stripe-Signature header has letters that Stripe never writes")
    _check_not_from_the_future(header, tolerance_seconds, now)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise SignatureRefused("the body is not UTF-8, so Stripe did not sign it") from None
    reason = ""
    for secret in secrets:
        try:
            WebhookSignature.verify_header(text, header, secret, tolerance_seconds)
        except SignatureVerificationError as error:
            reason = str(error)
        else:
            return
    raise SignatureRefused(reason or "no secret is configured")


def _check_not_from_the_future(header: str, tolerance_seconds: int, now: float) -> None:
    for stamp in _TIMESTAMPS.findall(header):
        if int(stamp) > now + tolerance_seconds:
            raise SignatureRefused(f"Timestamp in the future ({stamp}): is a clock wrong?")
