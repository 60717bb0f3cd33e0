"""The platform as tests see it: what it did, and what it shall do next."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx

from libs.devstack.phone_platform.models import Books, Lines, Manner, Received, Trouble
from libs.devstack.phone_platform.webhooks import PATH


class PlatformControl:
    """`base_url` is the platform's web address. Raises httpx.HTTPError when it does not answer well."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx.AsyncClient(base_url=self.base_url, trust_env=False, timeout=10.0)

    async def __aenter__(self) -> PlatformControl:
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

    @property
    def webhook_url(self) -> str:
        return self.base_url + PATH

    async def books(self) -> Books:
        response = await self._http.get("/api/books")
        return Books.model_validate(response.raise_for_status().json())

    async def lines(self, company_id: object) -> Lines | None:
        """None for a company of which nothing came."""
        return next((li for li in (await self.books()).lines if li.company_id == str(company_id)), None)

    async def received(self, company_id: object = None) -> list[Received]:
        """Oldest first."""
        all_ = reversed((await self.books()).received)
        return [each for each in all_ if company_id is None or each.company_id == str(company_id)]

    async def be(self, manner: Manner, **details: Any) -> None:
        """Orders what models.Trouble describes: `be("down", times=0)`."""
        if "company_id" in details:
            details["company_id"] = str(details["company_id"])
        trouble = Trouble(manner=manner, **details)
        (await self._http.post("/_sim/trouble", json=trouble.model_dump())).raise_for_status()

    async def behave(self) -> None:
        """Forgets every order."""
        (await self._http.delete("/_sim/trouble")).raise_for_status()
