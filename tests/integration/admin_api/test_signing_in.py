"""Signing in, staying signed in, being thrown out: by page and by API."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyotp
import pytest

from services.admin_api import queries
from services.admin_api.app import create_app
from services.admin_api.auth.totp import Totp
from tests.integration.admin_api.builders import admin_database, admin_settings
from tests.integration.admin_api.people import (
    PASSWORD,
    Browser,
    account,
    audited,
    bearer,
    service,
    signed_in,
)
from tests.integration.scheduler.builders import HandClock
from tests.servers.shared import APP_SECRET
from tests.world import World

ADA = "ada@relance.example"
MINUTE = timedelta(minutes=1)


async def test_cookies_are_for_this_host_and_no_script(world: World) -> None:
    await account(world)
    async with service(world) as app:
        answer = await Browser(app).sign_in("  Ada@Relance.Example ".strip())
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == [
        "__Host-relance_access",
        "__Host-relance_refresh",
    ]
    for cookie in cookies:
        flags = set(cookie.split("; ")[1:])
        assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} < flags
        assert not [flag for flag in flags if flag.startswith("Domain")]
    assert [row["action"] for row in await audited(world)] == ["session.signed_in"]


async def test_only_hashes_of_secrets_are_kept(world: World) -> None:
    await account(world)
    async with service(world) as app:
        tokens = await bearer(Browser(app).http, ADA)
    rows = await world.rows("admin_api", "select token_hash from admin_refresh_tokens")
    assert len(rows) == 1
    assert tokens["refresh_token"].encode() not in bytes(rows[0]["token_hash"])
    kept = str(await world.rows("admin_api", "select * from admins, admin_sessions, audit"))
    for secret in (PASSWORD, tokens["refresh_token"], tokens["access_token"]):
        assert secret not in kept
    assert "$argon2id$" in kept


async def test_nobody_learns_who_has_an_account(world: World) -> None:
    await account(world)
    await account(world, "gone@relance.example")
    await world.rows("admin_api", "update admins set disabled_at = now() where email like 'gone%'")
    async with service(world) as app:
        tries = [(ADA, "wrong-password"), ("nobody@x.example", PASSWORD), ("gone@relance.example", PASSWORD)]
        answers = [await Browser(app).sign_in(*each) for each in tries]
        pages = {a.text.replace(t[0], "") for a, t in zip(answers, tries, strict=True)}
    assert {answer.status_code for answer in answers} == {401}
    assert len(pages) == 1
    assert [r["details"] for r in await audited(world, "session.refused")] == [
        '{"why": "wrong", "carrier": "page"}'
    ] * 3


async def test_tries_are_counted_once_over_instances_and_however_many_come_at_once(world: World) -> None:
    await account(world)
    limits: dict[str, Any] = {"login_tries_per_account": 5}
    async with service(world, **limits) as one, service(world, **limits) as two:
        browsers = [Browser(app, address=f"198.51.100.{n}") for n in range(15) for app in (one, two)]
        answers = await asyncio.gather(*(browser.sign_in(ADA, "not-the-password") for browser in browsers))
        assert Counter(answer.status_code for answer in answers) == {401: 5, 429: 25}
        late = await browsers[0].sign_in(ADA)
        assert late.status_code == 429, "not even with the right password"
        assert 0 < int(late.headers["Retry-After"]) <= 900
        assert "Trop d’essais" in late.text
    refused = Counter(row["details"] for row in await audited(world, "session.refused"))
    assert refused['{"why": "throttled", "carrier": "page"}'] == 1, "a flood leaves one row"


async def test_an_address_that_tries_many_accounts_has_to_wait(world: World) -> None:
    await account(world)
    async with service(world, login_tries_per_address=4) as app:
        browser = Browser(app, address="2001:db8:1:2::1")
        for n in range(4):
            assert (await browser.sign_in(f"guess{n}@relance.example", "wrong-password")).status_code == 401
        neighbour = Browser(app, address="2001:db8:1:2:ffff::9")
        assert (await neighbour.sign_in(ADA)).status_code == 429, "the same network is the same visitor"
        assert (await Browser(app, address="2001:db8:1:3::1").sign_in(ADA)).status_code == 303


async def test_a_window_ends_and_signing_in_begins_anew(world: World) -> None:
    await account(world)
    clock = HandClock(datetime.now(UTC))
    async with service(world, clock=clock, login_tries_per_account=2) as app:
        browser = Browser(app)
        for status in (401, 401, 429):
            assert (await browser.sign_in(ADA, "wrong-password")).status_code == status
        clock.now += 16 * MINUTE
        assert (await browser.sign_in(ADA, "wrong-password")).status_code == 401
        for _ in range(4):
            assert (await browser.sign_in(ADA)).status_code == 303, "success forgets the tries"


async def test_a_refresh_token_is_good_once_and_handed_in_twice_it_ends_the_session(world: World) -> None:
    await account(world)
    async with service(world) as app:
        http = Browser(app).http
        first = await bearer(http, ADA)
        answer = await http.post("/api/sessions/refresh", json={"refresh_token": first["refresh_token"]})
        second = answer.json()
        assert second["refresh_token"] != first["refresh_token"]
        assert (await me(http, second)).json() == {"email": ADA, "role": "admin"}
        stolen = await http.post("/api/sessions/refresh", json={"refresh_token": first["refresh_token"]})
        assert (stolen.status_code, stolen.json()["code"]) == (401, "refresh_wrong")
        for tokens in (first, second):
            assert (await me(http, tokens)).status_code == 401
            body = {"refresh_token": tokens["refresh_token"]}
            assert (await http.post("/api/sessions/refresh", json=body)).status_code == 401
    assert len(await audited(world, "session.refresh_reused")) == 1


async def me(http: httpx.AsyncClient, tokens: dict[str, str]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return await http.get("/api/sessions/current", headers=headers)


async def test_of_many_who_hand_in_one_refresh_token_at_most_one_goes_on(world: World) -> None:
    await account(world)
    async with service(world) as one, service(world) as two:
        clients = [Browser(app).http for app in (one, two)]
        body = {"refresh_token": (await bearer(clients[0], ADA))["refresh_token"]}
        answers = await asyncio.gather(
            *(clients[n % 2].post("/api/sessions/refresh", json=body) for n in range(12))
        )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 11}


async def test_a_page_goes_on_by_itself_when_its_token_runs_out(world: World) -> None:
    await account(world)
    clock = HandClock(datetime.now(UTC))
    async with service(world, clock=clock) as app:
        browser = Browser(app)
        await browser.sign_in(ADA)
        before = dict(browser.http.cookies)
        clock.now += 6 * MINUTE
        tabs = await asyncio.gather(*(browser.get("/envois") for _ in range(6)))
        assert {tab.status_code for tab in tabs} == {200}, "several tabs at once are not thieves"
        assert dict(browser.http.cookies)["__Host-relance_refresh"] != before["__Host-relance_refresh"]
        assert (await browser.get("/envois")).headers.get("set-cookie") is None
        clock.now += 6 * MINUTE
        thief = Browser(app)
        thief.http.cookies.update(before)
        assert (await thief.get("/envois")).status_code == 303
        assert (await browser.get("/envois")).status_code == 303, "both have to sign in again"
    assert len(await audited(world, "session.refresh_reused")) == 1


async def test_a_session_ends_when_nobody_uses_it_and_after_a_week_anyhow(world: World) -> None:
    await account(world)
    clock = HandClock(datetime.now(UTC))
    async with service(world, clock=clock) as app:
        idle, busy = Browser(app), Browser(app)
        await idle.sign_in(ADA)
        await busy.sign_in(ADA)
        for _ in range(15):
            clock.now += timedelta(hours=11)
            assert (await busy.get("/envois")).status_code == 200
        assert (await idle.get("/envois")).status_code == 303
        clock.now += timedelta(hours=4)
        assert (await busy.get("/envois")).status_code == 303


async def test_signing_out_ends_the_session_for_whoever_copied_it(world: World) -> None:
    async with signed_in(world) as browser:
        copied = dict(browser.http.cookies)
        answer = await browser.send("/deconnexion")
        assert answer.headers["location"] == "/connexion"
        assert all("Max-Age=0" in cookie for cookie in answer.headers.get_list("set-cookie"))
        assert not dict(browser.http.cookies)
        browser.http.cookies.update(copied)
        assert (await browser.get("/envois")).status_code == 303
    assert [row["action"] for row in await audited(world)] == ["session.signed_in", "session.signed_out"]


async def test_signing_out_by_api(world: World) -> None:
    await account(world)
    async with service(world) as app:
        http = Browser(app).http
        tokens = await bearer(http, ADA)
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert (await http.delete("/api/sessions/current", headers=headers)).status_code == 204
        assert (await me(http, tokens)).status_code == 401


async def test_whoever_is_shut_out_or_lowered_is_so_at_once(world: World) -> None:
    async with signed_in(world) as browser:
        tokens = await bearer(browser.http, ADA)
        assert (await browser.get("/journal")).status_code == 200
        await world.rows("admin_api", "update admins set role = 'reader'")
        assert (await browser.get("/journal")).status_code == 403
        assert (await me(browser.http, tokens)).json()["role"] == "reader"
        await world.rows("admin_api", "update admins set disabled_at = now()")
        assert (await browser.get("/envois")).status_code == 303
        assert (await me(browser.http, tokens)).status_code == 401
        refresh = {"refresh_token": tokens["refresh_token"]}
        assert (await browser.http.post("/api/sessions/refresh", json=refresh)).status_code == 401


async def enrolled(world: World) -> str:
    """Ada's secret, sealed in the database as the account page does it."""
    totp = Totp(APP_SECRET)
    sealed = totp.new_secret()
    await world.rows("admin_api", "update admins set totp_secret = $1", sealed)
    secret = totp.secret(sealed)
    assert secret is not None
    assert secret.encode() not in sealed
    return secret


async def test_a_code_is_asked_for_and_counts_once(world: World) -> None:
    await account(world)
    secret = await enrolled(world)
    clock = HandClock(datetime.now(UTC))
    async with service(world, clock=clock) as app:
        browser = Browser(app)
        asked = await browser.sign_in(ADA)
        assert (asked.status_code, asked.headers.get("set-cookie")) == (200, None)
        step = asked.text.split('name="step" value="')[1].split('"')[0]
        code = pyotp.TOTP(secret).at(clock.now)
        wrong = await browser.http.post("/connexion", data={"step": step, "code": "000000"})
        assert wrong.status_code == 401
        both = await asyncio.gather(
            *(Browser(app).http.post("/connexion", data={"step": step, "code": code}) for _ in range(6))
        )
        assert sorted(answer.status_code for answer in both) == [303, 401, 401, 401, 401, 401]
        clock.now += timedelta(seconds=31)
        previous = await browser.http.post("/connexion", data={"step": step, "code": code})
        assert previous.status_code == 401, "within the drift, but used"
        assert (await browser.get("/envois", headers={"Authorization": f"Bearer {step}"})).status_code == 303
        clock.now += 6 * MINUTE
        late = await browser.http.post(
            "/connexion", data={"step": step, "code": pyotp.TOTP(secret).at(clock.now)}
        )
        assert late.status_code == 401
        assert "Trop de temps" in late.text


async def test_codes_cannot_be_tried_through(world: World) -> None:
    await account(world)
    await enrolled(world)
    async with service(world, login_tries_per_account=4) as app:
        asked = await Browser(app).sign_in(ADA)
        step = asked.text.split('name="step" value="')[1].split('"')[0]
        statuses = [
            (await Browser(app).http.post("/connexion", data={"step": step, "code": f"{n:06}"})).status_code
            for n in range(6)
        ]
    assert statuses == [401, 401, 401, 429, 429, 429]


async def test_the_api_says_that_a_code_is_needed(world: World) -> None:
    await account(world)
    secret = await enrolled(world)
    async with service(world) as app:
        http = Browser(app).http
        body = {"email": ADA, "password": PASSWORD}
        assert (await http.post("/api/sessions", json=body)).json()["code"] == "code_needed"
        assert (await http.post("/api/sessions", json={**body, "code": "1"})).json()["code"] == "code_wrong"
        assert (await me(http, await bearer(http, ADA, code=pyotp.TOTP(secret).now()))).status_code == 200
        wrong = await http.post("/api/sessions", json={**body, "password": "wrong-password"})
        assert wrong.json()["code"] == "credentials_wrong"


@pytest.mark.parametrize("address", ["203.0.113.9", "198.51.100.7"])
async def test_only_a_trusted_proxy_says_where_one_comes_from(world: World, address: str) -> None:
    await account(world)
    app = create_app(admin_settings(world, trusted_proxies="198.51.100.0/24"))
    async with world.running(app):
        browser = Browser(app, address=address)
        browser.http.headers["X-Forwarded-For"] = "192.0.2.1"
        await browser.sign_in(ADA)
    [row] = await audited(world)
    assert row["address"] == ("192.0.2.1" if address.startswith("198") else address)


async def test_what_is_long_over_is_swept_and_what_is_not_stays(world: World) -> None:
    await account(world)
    clock = HandClock(datetime.now(UTC))
    async with service(world, clock=clock) as app:
        old, new = Browser(app), Browser(app, address="198.51.100.8")
        await old.sign_in(ADA)
        await old.sign_in("nobody@relance.example", "wrong-password")
        clock.now += timedelta(days=30)
        await new.sign_in(ADA)
        now = clock.now
        async with admin_database(world) as database, database.begin() as uow:
            limits: dict[str, Any] = {"after": None, "limit": 500}
            before = now - timedelta(days=1)
            sessions = await queries.delete_old_sessions(uow.session, before=before, **limits)
            throttles = await queries.delete_old_throttles(uow.session, before=before, **limits)
        assert (sessions.deleted, sessions.place, throttles.deleted) == (1, None, 2)
        assert (await new.get("/envois")).status_code == 200
    left = await world.rows(
        "admin_api", "select count(*) as n from admin_refresh_tokens join admin_sessions using (session_id)"
    )
    assert left[0]["n"] == len(await world.rows("admin_api", "select 1 from admin_refresh_tokens")) == 1
