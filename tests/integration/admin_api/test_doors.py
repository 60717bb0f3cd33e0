"""Nobody gets in without the key: not by any route, not by any method, not to the API's description."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import SecretStr

from libs.devstack.ports import free_port
from services.admin_api.app import create_app
from tests.integration.admin_api.builders import COMPANY, KEY, admin, admin_settings
from tests.world import World

OPEN = {"/", "/healthz", "/readyz", "/metrics"}
CLOSED = (
    "/openapi.json",
    "/api/set-aside",
    "/api/companies",
    "/docs",
    "/anything",
    "/healthz/",
    "/healthz%2f..",
)


async def test_every_path_of_the_description_is_closed(world: World) -> None:
    app = create_app(admin_settings(world))
    closed = set(app.openapi()["paths"]) - OPEN
    assert len(closed) >= 4
    async with world.running(app) as http:
        for path in (*closed, *CLOSED):
            for method in ("GET", "POST", "HEAD", "OPTIONS", "DELETE"):
                answer = await http.request(method, path)
                assert answer.status_code == 401, f"{method} {path}"
                assert "ApiKey" in answer.headers["WWW-Authenticate"]
        assert (await http.get("/api/set-aside")).json()["code"] == "api_key_missing"


async def test_a_wrong_key_opens_nothing(world: World) -> None:
    async with world.running(create_app(admin_settings(world))) as http:
        for key in ("", " ", KEY[:-1], KEY + "x", KEY.upper(), "é" * 25):
            answer = await http.get("/api/set-aside", headers={b"X-Api-Key": key.encode()})
            assert (answer.status_code, answer.json()["code"]) == (401, "api_key_wrong")


async def test_two_keys_in_one_request_open_nothing(world: World) -> None:
    async with world.running(create_app(admin_settings(world))) as http:
        for keys in (("wrong", KEY), (KEY, "wrong")):
            answer = await http.get("/api/set-aside", headers=[("X-Api-Key", key) for key in keys])
            assert answer.status_code == 401


async def test_a_stranger_s_body_is_not_read(world: World) -> None:
    was_read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal was_read
        was_read = True
        yield b"{"

    async with world.running(create_app(admin_settings(world))) as http:
        assert (await http.post("/api/companies", content=body())).status_code == 401
    assert not was_read


async def test_with_the_key_the_description_is_there_and_names_the_door(world: World) -> None:
    async with admin(world) as http:
        description = (await http.get("/openapi.json")).json()
    assert description["components"]["securitySchemes"]["APIKeyHeader"]["name"] == "X-Api-Key"


async def test_a_browser_without_a_key_sees_what_this_is_and_no_data(world: World) -> None:
    async with world.running(create_app(admin_settings(world))) as http:
        page = await http.get("/")
    assert page.status_code == 200
    assert "API d'administration" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


async def test_while_the_database_is_out_the_answer_says_to_come_again(world: World) -> None:
    nowhere = f"postgresql://nobody:x@127.0.0.1:{free_port()}/nothing"
    settings = admin_settings(world).model_copy(update={"admin_api_database_url": SecretStr(nowhere)})
    async with admin(world, create_app(settings)) as http:
        for answer in (await http.get("/api/set-aside"), await http.post("/api/companies", json=COMPANY)):
            assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable")
            assert answer.headers["Retry-After"]
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503
