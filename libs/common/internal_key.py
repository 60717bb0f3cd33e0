"""The key of the internal doors (`/internal/…`), for services among themselves."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Header, HTTPException
from pydantic import SecretStr


class InternalKey:
    """A FastAPI dependency. Closed by default: without a configured key, no key opens."""

    def __init__(self, key: SecretStr | None) -> None:
        self._key = key

    def __call__(self, x_api_key: Annotated[str | None, Header()] = None) -> None:
        expected = self._key.get_secret_value() if self._key else ""
        given = x_api_key or ""
        is_right = hmac.compare_digest(given.encode(), expected.encode())
        if not expected or not is_right:
            raise HTTPException(401, "this internal door opens with the header X-Api-Key (INTERNE_APIKEY)")
