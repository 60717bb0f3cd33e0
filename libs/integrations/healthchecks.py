"""healthchecks.io, and whatever takes its pings: a GET says that a job began, ended or failed."""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

import httpx

from libs.common.errors import TemporaryFailure

ANSWER_SECONDS = 5.0


class Signal(StrEnum):
    """What is put behind a check's own path."""

    START = "/start"
    SUCCESS = ""
    FAIL = "/fail"


class Healthchecks:
    """One client for all checks; each URL names its own."""

    def __init__(self, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._http = httpx.AsyncClient(timeout=answer_seconds, follow_redirects=False)

    async def ping(self, url: str, signal: Signal) -> None:
        """Raises TemporaryFailure when it is not taken. The URL is a secret of sorts: no message holds it."""
        try:
            answer = await self._http.get(url_of(url, signal))
        except httpx.HTTPError as error:
            raise TemporaryFailure(f"no answer: {type(error).__name__}") from error
        if not answer.is_success:
            raise TemporaryFailure(f"answered {answer.status_code}")

    async def close(self) -> None:
        await self._http.aclose()


def url_of(url: str, signal: Signal) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + signal))
