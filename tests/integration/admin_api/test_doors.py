"""Nobody gets in: not by any route, not by any method, not to the API's description."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from libs.common.clock import utc_now
from libs.devstack.ports import free_port
from services.admin_api.app import create_app
from services.admin_api.auth.callers import CLOSED, Need
from services.admin_api.auth.keys import ACCESS, STEP, KeyPair, Tokens, load_keys
from services.admin_api.auth.routing import Entry, RouteTable
from services.admin_api.domain import Role
from tests.integration.admin_api.builders import COMPANY, KEY, admin, admin_settings
from tests.integration.admin_api.people import SAME_ORIGIN, Browser, account, bearer, service
from tests.world import World

OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/statique/{version}/{name}"),
    ("GET", "/connexion"),
    ("POST", "/connexion"),
    ("POST", "/api/sessions"),
    ("POST", "/api/sessions/refresh"),
}
"""By hand: whoever opens another door says so here too."""

CLOSED_PATHS = (
    "/openapi.json",
    "/api/set-aside",
    "/api/companies",
    "/docs",
    "/anything",
    "/healthz/",
    "/healthz%2f..",
)
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "DELETE")


def closed(app: FastAPI) -> list[tuple[str, str, Entry]]:
    """Every route that is not open, as something to ask for."""
    found = []
    for entry in RouteTable(app).entries():
        for method in entry.methods:
            if (method, entry.path) not in OPEN:
                found.append((method, re.sub(r"{[^}]+}", str(uuid4()), entry.path), entry))
    return found


async def test_what_is_open_is_in_the_list_and_nothing_else(world: World) -> None:
    entries = RouteTable(create_app(admin_settings(world))).entries()
    assert {(m, e.path) for e in entries for m in e.methods if e.need.is_open} == OPEN
    assert len(entries) > 30


async def test_every_route_refuses_whoever_brings_nothing(world: World) -> None:
    async with service(world) as app:
        http = Browser(app).http
        http.headers["Accept"] = "*/*"
        for method, path, _ in closed(app):
            answer = await http.request(method, path)
            assert answer.status_code == 401, f"{method} {path}"
            assert answer.headers["WWW-Authenticate"] == "ApiKey, Bearer"
        for path in CLOSED_PATHS:
            for method in METHODS:
                assert (await http.request(method, path)).status_code == 401, f"{method} {path}"
        assert (await http.get("/api/set-aside")).json()["code"] == "api_key_missing"


def others(pair: KeyPair) -> Tokens:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    private = generate_private_key(public_exponent=65537, key_size=2048)
    return Tokens(KeyPair(private, private.public_key()))


async def wrong_tokens(world: World, app: FastAPI) -> dict[str, str]:
    """Tokens of a session that is good, each wrong in one way."""
    session_id = UUID(
        str((await world.rows("admin_api", "select session_id from admin_sessions"))[0]["session_id"])
    )
    pair, now, hour = load_keys(admin_settings(world)), utc_now(), timedelta(hours=1)
    ours = Tokens(pair)
    good = ours.sign(session_id, audience=ACCESS, now=now, lives=hour)
    head, body, signature = good.split(".")
    return {
        "nonsense": "nonsense",
        "expired": ours.sign(session_id, audience=ACCESS, now=now - 2 * hour, lives=hour),
        "for something else": ours.sign(session_id, audience=STEP, now=now, lives=hour),
        "of no session": ours.sign(uuid4(), audience=ACCESS, now=now, lives=hour),
        "signed by another": others(pair).sign(session_id, audience=ACCESS, now=now, lives=hour),
        "not signed": f"{head}.{body}.",
        "signature of another": f"{head}.{body}.{signature[:-4]}AAAA",
        "alg none": "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + body + ".",
    }


async def test_every_route_refuses_wrong_and_expired_tokens(world: World) -> None:
    await account(world)
    async with service(world) as app:
        http = Browser(app).http
        http.headers["Accept"] = "*/*"
        await bearer(http, "ada@relance.example")
        tokens = await wrong_tokens(world, app)
        for method, path, entry in closed(app):
            for what, token in tokens.items():
                headers = {"Authorization": f"Bearer {token}"}
                if entry.need.is_page:
                    headers = {"Cookie": f"__Host-relance_access={token}; __Host-relance_refresh={token}"}
                answer = await http.request(method, path, headers=headers)
                assert answer.status_code == 401, f"{method} {path} {what}"


@pytest.mark.parametrize("role", [Role.READER, Role.SUPPORT, Role.BILLING])
async def test_every_route_refuses_too_low_a_role(world: World, role: Role) -> None:
    email = f"{role}@relance.example"
    await account(world, email, role.value)
    async with service(world) as app:
        browser = Browser(app)
        browser.http.headers["Accept"] = "*/*"
        token = (await bearer(browser.http, email))["access_token"]
        await browser.sign_in(email)
        asked = 0
        for method, path, entry in closed(app):
            if role.covers(entry.need.role):
                continue
            headers = {} if entry.need.is_page else {"Authorization": f"Bearer {token}"}
            answer = await browser.http.request(method, path, headers=headers)
            assert answer.status_code == 403, f"{method} {path}"
            assert method == "HEAD" or answer.json()["code"] == "not_allowed"
            asked += 1
    assert asked >= 3


async def test_a_token_of_pages_opens_no_api_and_one_of_the_api_opens_no_page(world: World) -> None:
    await account(world)
    async with service(world) as app:
        browser = Browser(app)
        await browser.sign_in("ada@relance.example")
        tokens = await bearer(browser.http, "ada@relance.example")
        of_pages = browser.http.cookies["__Host-relance_access"]
        assert (await browser.get("/api/set-aside")).status_code == 401
        answer = await browser.get("/api/set-aside", headers={"Authorization": f"Bearer {of_pages}"})
        assert answer.json()["code"] == "token_wrong"
        browser.http.cookies.clear()
        cookies = {"Cookie": f"__Host-relance_access={tokens['access_token']}"}
        assert (await browser.get("/envois", headers=cookies)).status_code == 303
        keyed = await browser.get("/envois", headers={"X-Api-Key": KEY})
        assert keyed.headers["location"].startswith("/connexion")


async def test_a_route_that_somebody_forgets_is_for_the_highest_only(world: World) -> None:
    assert not CLOSED.is_open
    await account(world)
    await account(world, "bo@relance.example", "billing")
    app = create_app(admin_settings(world))

    @app.get("/api/forgotten")
    async def forgotten() -> str:
        return "forgotten"

    async with world.running(app):
        http = Browser(app).http
        assert (await http.get("/api/forgotten")).status_code == 401
        for email, status in (("bo@relance.example", 403), ("ada@relance.example", 200)):
            token = (await bearer(http, email))["access_token"]
            answer = await http.get("/api/forgotten", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status, email


def test_what_is_asked_for_is_met_by_no_more_than_it_says() -> None:
    from services.admin_api.auth import Caller
    from services.admin_api.domain import Scope

    reads = Need(role=Role.SUPPORT, scope=Scope.READ)
    person, key = Caller("a", "", Role.READER), Caller("k", "", scopes=frozenset({Scope.WISHES}))
    assert not reads.is_met_by(person)
    assert not reads.is_met_by(key)
    assert reads.is_met_by(Caller("k", "", scopes=frozenset({Scope.READ})))
    assert not CLOSED.is_met_by(Caller("k", "", scopes=frozenset(Scope)))
    boot = Caller("b", "", is_bootstrap=True)
    assert CLOSED.is_met_by(boot)
    assert not Need(role=Role.READER, is_page=True).is_met_by(boot)


async def test_a_wrong_key_opens_nothing(world: World) -> None:
    async with world.running(create_app(admin_settings(world))) as http:
        for key in ("", " ", KEY[:-1], KEY + "x", KEY.upper(), "é" * 25, "relk_" + "a" * 43):
            answer = await http.get("/api/set-aside", headers={b"X-Api-Key": key.encode()})
            assert (answer.status_code, answer.json()["code"]) == (401, "api_key_wrong")


async def test_two_keys_in_one_request_open_nothing(world: World) -> None:
    async with world.running(create_app(admin_settings(world))) as http:
        for keys in (("wrong", KEY), (KEY, "wrong"), (KEY, KEY)):
            answer = await http.get("/api/set-aside", headers=[("X-Api-Key", key) for key in keys])
            assert answer.status_code == 401
        both = {"X-Api-Key": KEY, "Authorization": "Bearer x"}
        assert (await http.get("/api/set-aside", headers=both)).json()["code"] == "credentials_twice"


async def test_a_stranger_s_body_is_not_read(world: World) -> None:
    was_read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal was_read
        was_read = True
        yield b"{"

    async with world.running(create_app(admin_settings(world))) as http:
        for path in ("/api/companies", "/deconnexion"):
            answer = await http.post(path, content=body(), headers={"Sec-Fetch-Site": "same-origin"})
            assert answer.status_code == 401
    assert not was_read


async def test_with_the_key_the_description_is_there_and_names_the_doors(world: World) -> None:
    async with admin(world) as http:
        description = (await http.get("/openapi.json")).json()
    schemes = description["components"]["securitySchemes"]
    assert schemes["APIKeyHeader"]["name"] == "X-Api-Key"
    assert schemes["HTTPBearer"]["scheme"] == "bearer"
    assert not [path for path in description["paths"] if "compte" in path]


async def test_a_browser_that_nobody_is_signed_in_with_is_sent_to_sign_in_and_back(world: World) -> None:
    await account(world)
    async with service(world) as app:
        browser = Browser(app)
        first = await browser.get("/envois?etat=failed")
        assert (first.status_code, first.headers["location"]) == (
            303, "/connexion?suite=%2Fenvois%3Fetat%3Dfailed",
        )  # fmt: skip
        assert 'value="/envois?etat=failed"' in (await browser.get(first.headers["location"])).text
        back = await browser.sign_in("ada@relance.example", suite="/envois?etat=failed")
        assert back.headers["location"] == "/envois?etat=failed"
        by_htmx = await Browser(app).get("/envois", headers={"HX-Request": "true"})
        assert (by_htmx.status_code, by_htmx.headers["HX-Redirect"]) == (401, "/connexion")


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "/\tevil", "x"]
)
async def test_signing_in_leads_nowhere_else(world: World, target: str) -> None:
    await account(world)
    async with service(world) as app:
        answer = await Browser(app).sign_in("ada@relance.example", suite=target)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_while_the_database_is_out_the_answer_says_to_come_again(world: World) -> None:
    nowhere = f"postgresql://nobody:x@127.0.0.1:{free_port()}/nothing"
    settings = admin_settings(world).model_copy(update={"admin_api_database_url": SecretStr(nowhere)})
    token = Tokens(load_keys(settings)).sign(
        uuid4(), audience=ACCESS, now=utc_now(), lives=timedelta(hours=1)
    )
    async with admin(world, create_app(settings)) as http:
        bearing = {"Authorization": f"Bearer {token}"}
        for answer in (
            await http.get("/api/set-aside"),
            await http.post("/api/companies", json=COMPANY),
            await _without_key(http).get("/api/set-aside", headers=bearing),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable")
            assert answer.headers["Retry-After"]
        page = await _without_key(http).get(
            "/", headers={**SAME_ORIGIN, "Cookie": f"__Host-relance_access={token}"}
        )
        assert page.status_code == 503
        assert "Indisponible" in page.text
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503


def _without_key(http: httpx.AsyncClient) -> httpx.AsyncClient:
    http.headers.pop("X-Api-Key", None)
    return http
