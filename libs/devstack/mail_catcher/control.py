"""The catcher as tests and `relance up` see it: what was caught, and what it shall do next."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx
from pydantic import TypeAdapter

from libs.devstack.mail_catcher.models import Answer, FullMail, Mail, MailCount, MailPage, Moment

_COUNTS = TypeAdapter(list[MailCount])
_ANSWERS = TypeAdapter(list[Answer])


class MailCatcherControl:
    """`base_url` is the catcher's web address. Raises httpx.HTTPError when it does not answer well."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx.AsyncClient(base_url=self.base_url, trust_env=False, timeout=10.0)

    async def __aenter__(self) -> MailCatcherControl:
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

    async def page(
        self, *, recipient: str | None = None, kind: str | None = None, limit: int = 1000, offset: int = 0
    ) -> MailPage:
        wanted = {"recipient": recipient, "kind": kind, "limit": limit, "offset": offset}
        params = {name: value for name, value in wanted.items() if value is not None}
        return MailPage.model_validate(await self._get("/api/mails", params))

    async def mails(
        self, *, recipient: str | None = None, kind: str | None = None, limit: int = 1000
    ) -> tuple[Mail, ...]:
        """Newest first."""
        return (await self.page(recipient=recipient, kind=kind, limit=limit)).mails

    async def counts(self) -> dict[tuple[str, str | None, str | None], int]:
        """How many mails for each (recipient, X-Notification-Type, X-Billing-Cycle)."""
        rows = _COUNTS.validate_python(await self._get("/api/counts"))
        return {(row.recipient, row.kind, row.billing_cycle): row.count for row in rows}

    async def mail(self, mail_id: str) -> FullMail:
        return FullMail.model_validate(await self._get(f"/api/mails/{mail_id}"))

    async def source(self, mail_id: str) -> bytes:
        response = await self._http.get(f"/api/mails/{mail_id}/source")
        return response.raise_for_status().content

    async def delete_all(self) -> None:
        (await self._http.delete("/api/mails")).raise_for_status()

    async def answer_next(
        self,
        reply: str | None = None,
        *,
        at: Moment = "body",
        times: int = 1,
        drop: bool = False,
        keep: bool = False,
        delay_seconds: float = 0.0,
        recipient: str | None = None,
    ) -> None:
        """Orders what models.Answer describes: `answer_next("451 4.3.0 try later")`."""
        answer = Answer(
            at=at,
            times=times,
            reply=reply,
            drop=drop,
            keep=keep,
            delay_seconds=delay_seconds,
            recipient=recipient,
        )
        (await self._http.post("/_sim/answer", json=answer.model_dump())).raise_for_status()

    async def orders(self) -> list[Answer]:
        """What was ordered and has not happened yet."""
        return _ANSWERS.validate_python(await self._get("/_sim/answer"))

    async def behave(self) -> None:
        """Forgets every order."""
        (await self._http.delete("/_sim/answer")).raise_for_status()

    async def _get(self, path: str, params: dict[str, str | int] | None = None) -> Any:
        response = await self._http.get(path, params=params)
        return response.raise_for_status().json()
