"""People with accounts, in browsers and with bearer tokens."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI

from libs.common.clock import Clock, utc_now
from services.admin_api.app import create_app
from tests.integration.admin_api.builders import admin_settings
from tests.world import World

PASSWORD = "quatre-chevaux-mauves"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
BASE = "https://service"


@lru_cache(maxsize=1)
def password_hash() -> str:
    return PasswordHasher().hash(PASSWORD)


async def account(world: World, email: str = "ada@relance.example", role: str = "admin") -> UUID:
    admin_id = uuid4()
    await world.rows(
        "admin_api",
        "insert into admins (admin_id, email, name, role, password_hash, created_at) "
        "values ($1, $2, $3, $4, $5, $6)",
        *(admin_id, email, email.partition("@")[0].title(), role, password_hash(), utc_now()),
    )
    return admin_id


class Browser:
    """Keeps cookies, says where its forms come from, and sends the token that pages carry."""

    def __init__(self, app: FastAPI, *, address: str = "198.51.100.7") -> None:
        transport = httpx.ASGITransport(app, client=(address, 40000))
        self.http = httpx.AsyncClient(transport=transport, base_url=BASE, headers=SAME_ORIGIN)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.http.get(path, **more)

    async def sign_in(self, email: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        return await self.http.post("/connexion", data={"email": email, "password": password, **more})

    async def send(self, path: str, *, from_page: str = "/compte", **data: str) -> httpx.Response:
        """A form, with the token of a page that was looked at before."""
        return await self.http.post(path, data={"csrf_token": await self.token(from_page), **data})

    async def token(self, page: str = "/compte") -> str:
        found = re.search(r'name="csrf_token" value="([0-9a-f]+)"', (await self.get(page)).text)
        assert found is not None, f"{page} has no form"
        return found[1]


@asynccontextmanager
async def service(world: World, *, clock: Clock = utc_now, **overrides: Any) -> AsyncIterator[FastAPI]:
    app = create_app(admin_settings(world, **overrides), clock=clock)
    async with world.running(app):
        yield app


@asynccontextmanager
async def signed_in(
    world: World, role: str = "admin", email: str = "ada@relance.example", **overrides: Any
) -> AsyncIterator[Browser]:
    """Somebody of a role, in a browser."""
    await account(world, email, role)
    async with service(world, **overrides) as app:
        browser = Browser(app)
        assert (await browser.sign_in(email)).status_code == 303
        yield browser


async def bearer(
    http: httpx.AsyncClient, email: str, password: str = PASSWORD, **more: str
) -> dict[str, Any]:
    """The tokens of somebody who signs in by API."""
    answer = await http.post("/api/sessions", json={"email": email, "password": password, **more})
    assert answer.status_code == 201, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


async def audited(world: World, action: str | None = None) -> list[dict[str, Any]]:
    """Rows of the audit, in order."""
    rows = await world.rows("admin_api", "select * from audit order by audit_id")
    return [row for row in rows if action is None or row["action"] == action]
