"""What a browser is told with every answer, and which forms are taken."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from services.admin_api.app import create_app
from services.admin_api.auth.routing import RouteTable
from tests.integration.admin_api.builders import HEADERS, admin_settings
from tests.integration.admin_api.people import (
    BASE,
    PASSWORD,
    Browser,
    account,
    audited,
    service,
    signed_in,
)
from tests.world import World

ADA = "ada@relance.example"
WANTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
}


def check(answer: httpx.Response, what: str) -> None:
    for name, value in WANTED.items():
        assert answer.headers.get(name) == value, f"{what}: {name}"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'"), what
    assert "unsafe" not in policy, what
    assert "frame-ancestors 'none'" in policy, what
    assert answer.headers["cache-control"] == "no-store", what


async def test_every_page_and_every_refusal_carries_the_headers(world: World) -> None:
    async with signed_in(world) as browser:
        app = browser.http._transport.app  # type: ignore[attr-defined]  # httpx's own
        pages = [entry.path for entry in RouteTable(app).entries() if "GET" in entry.methods]
        plain = [path for path in pages if "{" not in path]
        assert len(plain) > 8
        for path in plain:
            check(await browser.get(path), path)
        answers = {
            "nothing there": await browser.get("/nulle-part"),
            "not found": await browser.get("/mis-de-cote/billing/3f2b8c1e-5d0a-4f57-9f0e-2d1c6a7b8e90"),
            "not an id": await browser.get("/envois/x"),
            "no token": await browser.http.post("/deconnexion"),
            "too large": await browser.http.post("/connexion", content=b"a=" + b"x" * 70_000),
            "stranger": await Browser(app).get("/envois"),
            "api": await Browser(app).get("/api/set-aside"),
            "method": await browser.http.put("/connexion"),
        }
        for what, answer in answers.items():
            check(answer, what)
    statuses = {what: answer.status_code for what, answer in answers.items()}
    assert statuses == {
        "nothing there": 404, "not found": 404, "not an id": 422, "no token": 403, "too large": 413,
        "stranger": 303, "api": 401, "method": 405,
    }  # fmt: skip
    for what in ("nothing there", "not found", "not an id", "no token", "too large", "method"):
        assert "<h1>" in answers[what].text, f"{what} is a page for a browser"


async def test_an_accident_is_a_page_with_headers_and_says_nothing_of_itself(world: World) -> None:
    await account(world)
    app = create_app(admin_settings(world))

    @app.get("/accident")
    async def accident() -> str:
        raise RuntimeError("a secret of the inside")

    async with world.running(app):
        browser = Browser(app)
        await browser.sign_in(ADA)
        page = await browser.get("/accident", headers={"X-Api-Key": HEADERS["X-Api-Key"]})
        plain = await browser.get("/accident", headers={**HEADERS, "Accept": "application/json"})
    for answer in (page, plain):
        assert answer.status_code == 500
        assert "inside" not in answer.text
        check(answer, "accident")
    assert "Une erreur s" in page.text
    assert plain.json()["code"] == "internal_error"


async def test_assets_are_kept_by_their_hash_and_nothing_else_is_served(world: World) -> None:
    async with signed_in(world) as browser:
        page = (await browser.get("/")).text
        addresses = [part.split('"')[0] for part in page.split('="/statique/')[1:]]
        assert {address.split("/")[1] for address in addresses} == {"admin.css", "htmx.min.js", "icon.svg"}
        for address in addresses:
            asset = await browser.get(f"/statique/{address}")
            assert asset.status_code == 200
            assert "immutable" in asset.headers["cache-control"]
            assert asset.headers["content-type"].startswith(("text/css", "text/javascript", "image/svg"))
        assert (await browser.get("/statique/000000000000/admin.css")).headers["cache-control"] == "no-store"
        for path in ("/statique/x/base.html", "/statique/x/..%2Fapp.py", "/statique/x/%2e%2e"):
            assert (await browser.get(path)).status_code == 404
        assert "<script>" not in page
        assert "style=" not in page
        assert " on" + "click" not in page


REFUSED = {
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "a sister site": {"Sec-Fetch-Site": "same-site"},
    "typed": {"Sec-Fetch-Site": "none"},
    "another origin": {"Origin": "https://evil.example"},
    "no origin": {"Origin": "null"},
    "our name, another port": {"Origin": BASE + ":444"},
    "nothing said": {},
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_form_of_another_site_is_refused_even_with_the_token(world: World, what: str) -> None:
    async with signed_in(world) as browser:
        token = await browser.token()
        del browser.http.headers["Sec-Fetch-Site"]
        for path, data in (
            ("/deconnexion", {"csrf_token": token}),
            ("/connexion", {"email": ADA, "password": PASSWORD}),
        ):
            answer = await browser.http.post(path, data=data, headers=REFUSED[what])
            assert answer.status_code == 403, path
            assert answer.headers.get("set-cookie") is None
        assert (await browser.get("/envois")).status_code == 200, "still signed in"


async def test_an_origin_of_ours_will_do_for_a_browser_that_says_no_more(world: World) -> None:
    async with signed_in(world) as browser:
        token = await browser.token()
        del browser.http.headers["Sec-Fetch-Site"]
        answer = await browser.http.post("/deconnexion", data={"csrf_token": token}, headers={"Origin": BASE})
        assert answer.status_code == 303


async def test_a_form_without_our_token_is_refused(world: World) -> None:
    async with signed_in(world) as browser:
        await account(world, "eve@relance.example", "reader")
        eve = Browser(browser.http._transport.app)  # type: ignore[attr-defined]  # httpx's own
        await eve.sign_in("eve@relance.example")
        for token in ("", "0" * 64, await eve.token(), "é"):
            answer = await browser.http.post("/deconnexion", data={"csrf_token": token})
            assert answer.status_code == 403
            assert "périmé" in answer.text
        good = await browser.token()
        headers = {"X-CSRF-Token": good}
        files = {"f": ("f.csv", b"a,b")}
        multipart = await browser.http.post("/compte/totp", data={"csrf_token": good}, files=files)
        assert multipart.status_code == 303
        assert (await browser.http.post("/deconnexion", headers=headers)).status_code == 303


async def test_cookies_open_no_api_so_that_no_form_can_use_it(world: World) -> None:
    async with signed_in(world) as browser:
        answer = await browser.http.post("/api/companies", json={"name": "x", "email": "x@y.example"})
    assert (answer.status_code, answer.json()["code"]) == (401, "api_key_missing")


async def test_scripts_of_named_origins_may_use_the_api_without_cookies(world: World) -> None:
    async with service(world, cors_allow_origin=r"^https://www\.exemple\.fr$") as app:
        http = Browser(app).http
        ask = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
        ours = await http.options("/api/set-aside", headers={"Origin": "https://www.exemple.fr", **ask})
        assert ours.headers["access-control-allow-origin"] == "https://www.exemple.fr"
        assert "access-control-allow-credentials" not in ours.headers
        for origin in ("https://www.exemple.fr.evil.example", "https://evil.example", "null"):
            other = await http.options("/api/set-aside", headers={"Origin": origin, **ask})
            assert other.status_code == 400
            assert "access-control-allow-origin" not in other.headers
        page = await http.get("/connexion", headers={"Origin": "https://www.exemple.fr"})
        assert "access-control-allow-origin" not in page.headers


@pytest.mark.parametrize("origins", [".*", "^https://.*$", "("])
async def test_every_origin_is_refused_as_a_setting(world: World, origins: str) -> None:
    with pytest.raises(ValueError, match="CORS_ALLOW_ORIGIN"):
        admin_settings(world, cors_allow_origin=origins)


async def test_without_the_setting_there_is_no_cors(world: World) -> None:
    async with service(world) as app:
        headers = {"Origin": "https://www.exemple.fr", "Access-Control-Request-Method": "GET"}
        answer = await Browser(app).http.options("/api/set-aside", headers=headers)
    assert answer.status_code == 401
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_password_is_changed_by_whoever_knows_it_and_other_sessions_end(world: World) -> None:
    async with signed_in(world) as browser:
        other = Browser(browser.http._transport.app)  # type: ignore[attr-defined]  # httpx's own
        await other.sign_in(ADA)
        new = "sept-girafes-vertes"
        wrong = await browser.send("/compte/mot-de-passe", current="wrong-password", password=new)
        assert (wrong.status_code, "n’est pas le bon" in wrong.text) == (422, True)
        for weak in ("short", "aaaaaaaaaaaaaaaa", "ada-ada-ada-ada-xyz"):
            answer = await browser.send("/compte/mot-de-passe", current=PASSWORD, password=weak)
            assert answer.status_code == 422, weak
        done = await browser.send("/compte/mot-de-passe", current=PASSWORD, password=new)
        assert (done.status_code, done.headers["location"]) == (303, "/compte?fait=mot-de-passe")
        assert (await browser.get("/envois")).status_code == 200
        assert (await other.get("/envois")).status_code == 303
        assert (await other.sign_in(ADA)).status_code == 401
        assert (await other.sign_in(ADA, new)).status_code == 303
    assert len(await audited(world, "account.password_set")) == 1


async def test_nobody_closes_a_session_of_somebody_else(world: World) -> None:
    async with signed_in(world) as browser:
        await account(world, "eve@relance.example", "admin")
        eve = Browser(browser.http._transport.app)  # type: ignore[attr-defined]  # httpx's own
        await eve.sign_in("eve@relance.example")
        [mine] = await world.rows(
            "admin_api",
            "select session_id from admin_sessions join admins using (admin_id) where email = $1",
            ADA,
        )
        await eve.send(f"/compte/sessions/{mine['session_id']}/fermer")
        assert (await browser.get("/envois")).status_code == 200
        await browser.send(f"/compte/sessions/{mine['session_id']}/fermer")
        assert (await browser.get("/envois")).status_code == 303
    assert len(await audited(world, "session.revoked")) == 1


async def test_passwords_guessed_on_the_account_page_count_too(world: World) -> None:
    async with signed_in(world, login_tries_per_account=3) as browser:
        tries = [await browser.send("/compte/totp/retirer", removing="wrong-password") for _ in range(4)]
        assert [answer.status_code for answer in tries] == [422, 422, 422, 429]


NASTY = (
    "\x00",
    "' or '1'='1",
    "%",
    "\u202e",
    "a" * 5000,
    "-1",
    "1e999",
    "<script>alert(1)</script>",
    "../..",
)
FILTERS = {
    "/envois": ("type", "etat", "canal", "entreprise", "apres"),
    "/mis-de-cote": ("service", "apres"),
    "/journal": ("qui", "action", "objet", "du", "au", "avant"),
    "/connexion": ("suite",),
    "/compte": ("fait",),
    "/routines/check_unpaid": ("fait",),
}


async def test_no_nonsense_in_an_address_is_an_accident(world: World) -> None:
    async with signed_in(world) as browser:
        for path, names in FILTERS.items():
            for name in names:
                for value in NASTY:
                    answer = await browser.get(path, params={name: value})
                    assert answer.status_code in (200, 422), f"{path} {name}={value[:20]!r}"
                    assert "<script>alert" not in answer.text
        for path in (
            "/mis-de-cote/%00/3f2b8c1e-5d0a-4f57-9f0e-2d1c6a7b8e90",
            "/routines/..%2fx",
            "/routines/%2e%2e",
        ):
            assert (await browser.get(path)).status_code in (404, 422), path
        for email in ("\x00@x.example", "a" * 9000):
            assert (await browser.sign_in(email)).status_code == 422


async def test_pages_answer_while_passwords_are_hashed(world: World) -> None:
    """Hashing is off the event loop, a few at a time: a flood of tries does not stop the pages."""
    async with signed_in(world, login_tries_per_address=500) as browser:
        app = browser.http._transport.app  # type: ignore[attr-defined]  # httpx's own
        tries = [
            asyncio.ensure_future(Browser(app).sign_in(f"x{n}@relance.example", "wrong-password"))
            for n in range(30)
        ]
        page = await browser.get("/envois")
        assert page.status_code == 200
        assert not all(each.done() for each in tries), "the page did not wait for all of them"
        await asyncio.gather(*tries)
