"""Unsafe requests that a browser's cookies carry come from our own pages, or are refused.

Two ways, both asked for: what the browser itself says of the request's origin (Sec-Fetch-Site, else Origin),
and a token that only our pages know, made of the session's id under APP_SECRET. See decision 0104.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit
from uuid import UUID

from starlette.datastructures import Headers

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FIELD, HEADER = "csrf_token", "x-csrf-token"


class Csrf:
    def __init__(self, app_secret: str) -> None:
        self._key = hashlib.sha256(b"admin csrf tokens\0" + app_secret.encode()).digest()

    def token(self, session_id: UUID) -> str:
        return hmac.new(self._key, session_id.bytes, hashlib.sha256).hexdigest()

    def is_right(self, token: str, session_id: UUID) -> bool:
        return hmac.compare_digest(token.encode(), self.token(session_id).encode())


def is_from_our_pages(headers: Headers) -> bool:
    """By what the browser says; every browser of these years says at least one of the two."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return (
        origin is not None
        and bool(urlsplit(origin).netloc)
        and urlsplit(origin).netloc == headers.get("host")
    )
