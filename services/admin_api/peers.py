"""The internal doors of the other services, as the pages ask them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx

from services.admin_api.settings import AdminApiSettings

ANSWER_SECONDS = 3.0


class PeerDown(Exception):
    """Nobody answers, or not in time, or only that something is wrong there: pages say « indisponible »."""


class PeerRefused(Exception):
    """It answered that this cannot be; `detail` is its reason, in its words."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Peers:
    """Raises PeerDown for every outage; PeerRefused where the method says so."""

    def __init__(self, settings: AdminApiSettings) -> None:
        headers = {"X-Api-Key": settings.interne_apikey.get_secret_value()}

        def client(url: str) -> httpx.AsyncClient:
            # Our own servers: whatever proxy the environment names is not for them.
            return httpx.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False)

        self._billing = client(settings.billing_internal_url)
        self._notifications = client(settings.notifications_internal_url)
        self._scheduler = client(settings.scheduler_internal_url)

    async def find_delivery(self, delivery_id: UUID) -> dict[str, Any] | None:
        """With its steps (`states`) and the fact behind it; None when notifications has none of that id."""
        return await _found(self._notifications, f"/internal/deliveries/{delivery_id}")

    async def find_content(self, delivery_id: UUID) -> bytes | None:
        """The message byte for byte as it was sent; None where there is none, or none any more."""
        response = await _ask(self._notifications, "GET", f"/internal/deliveries/{delivery_id}/content")
        if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return None
        _check(response)
        return response.content

    async def explain(self, company_id: UUID) -> list[str]:
        """Lines in French: how a company stands, why, and what comes next; none where billing knows nothing
        of it."""
        found = await _found(self._billing, f"/internal/companies/{company_id}/explanation")
        return [] if found is None else list(found["lines"])

    async def list_coming(self, company_id: UUID, *, days: int) -> list[dict[str, Any]]:
        """What will be told of a company in the coming days, soonest first."""
        params = {"company_id": str(company_id), "days": str(days)}
        response = await _ask(self._scheduler, "GET", "/internal/scheduler/forecast", params=params)
        _check(response)
        rows: list[dict[str, Any]] = response.json()["coming"]
        return rows

    async def list_routines(self) -> list[dict[str, Any]]:
        response = await _ask(self._scheduler, "GET", "/internal/scheduler/routines")
        _check(response)
        rows: list[dict[str, Any]] = response.json()
        return rows

    async def list_runs(self, routine: str, *, limit: int) -> list[dict[str, Any]]:
        """Latest first. Raises PeerRefused for a routine that there is not."""
        params = {"routine": routine, "limit": str(limit)}
        response = await _ask(self._scheduler, "GET", "/internal/scheduler/runs", params=params)
        _check(response)
        rows: list[dict[str, Any]] = response.json()
        return rows

    async def ask_routine(self, routine: str, wish: str, said: Mapping[str, Any]) -> None:
        """`wish`: pause, resume or run. Raises PeerRefused when it cannot be."""
        path = f"/internal/scheduler/routines/{routine}/{wish}"
        _check(await _ask(self._scheduler, "POST", path, json=dict(said)))

    async def close(self) -> None:
        for client in (self._billing, self._notifications, self._scheduler):
            await client.aclose()


async def _ask(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Response:
    try:
        response = await client.request(method, path, **more)
    except httpx.HTTPError as error:
        raise PeerDown(f"{client.base_url} does not answer: {error!r}") from error
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise PeerDown(f"{client.base_url} answers {response.status_code}")
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        raise PeerDown(f"{client.base_url} has another INTERNE_APIKEY")
    return response


async def _found(client: httpx.AsyncClient, path: str) -> dict[str, Any] | None:
    response = await _ask(client, "GET", path)
    if response.status_code == HTTPStatus.NOT_FOUND:
        return None
    _check(response)
    found: dict[str, Any] = response.json()
    return found


def _check(response: httpx.Response) -> None:
    if response.status_code < HTTPStatus.BAD_REQUEST:
        return
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.text[:200]
    raise PeerRefused(response.status_code, str(detail))
