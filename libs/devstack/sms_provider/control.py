"""The stand-in as tests see it: what it took, and what it shall do next."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx

from libs.devstack.sms_provider.models import Books, Fate, Manner, TakenSms, Trouble


class SmsProviderControl:
    """`base_url` is its web address, and the API's. Raises httpx.HTTPError when it does not answer well."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx.AsyncClient(base_url=self.base_url, trust_env=False, timeout=10.0)

    async def __aenter__(self) -> SmsProviderControl:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def books(self) -> Books:
        response = await self._http.get("/api/books")
        return Books.model_validate(response.raise_for_status().json())

    async def sms(self, recipient: str | None = None) -> list[TakenSms]:
        """Newest first; `recipient` with or without its `+`."""
        wanted = recipient.lstrip("+") if recipient else None
        return [each for each in (await self.books()).sms if wanted in (None, each.recipient)]

    async def be(self, manner: Manner, **details: Any) -> None:
        """Orders what models.Trouble describes: `be("down", times=0, status=429)`."""
        trouble = Trouble(manner=manner, **details)
        (await self._http.post("/_sim/trouble", json=trouble.model_dump())).raise_for_status()

    async def fate(self, *words: str, **details: Any) -> None:
        """Orders what models.Fate describes, for all SMS taken from now on."""
        fate = Fate(words=words, **details)
        (await self._http.put("/_sim/fate", json=fate.model_dump())).raise_for_status()

    async def reply(self, number: str, text: str) -> None:
        answer = await self._http.post("/_sim/reply", json={"number": number, "text": text})
        answer.raise_for_status()

    async def behave(self) -> None:
        """Forgets every order."""
        (await self._http.delete("/_sim/trouble")).raise_for_status()
