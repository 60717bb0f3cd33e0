"""A stand-in as tests see it: what it was sent, and what it shall do next."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel

from libs.devstack.stand_ins.trouble import Manner, Trouble

B = TypeVar("B", bound=BaseModel)


class Control(Generic[B]):
    """`base_url` is its web address. Raises httpx.HTTPError when it does not answer well."""

    def __init__(self, base_url: str, books: type[B]) -> None:
        self.base_url = base_url.rstrip("/")
        self._books = books
        self._http = httpx.AsyncClient(base_url=self.base_url, trust_env=False, timeout=10.0)

    async def __aenter__(self) -> Control[B]:
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

    async def books(self) -> B:
        response = await self._http.get("/api/books")
        return self._books.model_validate(response.raise_for_status().json())

    async def be(self, manner: Manner, **details: Any) -> None:
        """Orders what `Trouble` describes: `be("down", times=0)`."""
        trouble = Trouble(manner=manner, **details)
        (await self._http.post("/_sim/trouble", json=trouble.model_dump())).raise_for_status()

    async def behave(self) -> None:
        """Forgets every order."""
        (await self._http.delete("/_sim/trouble")).raise_for_status()
