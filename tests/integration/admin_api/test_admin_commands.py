"""`relance admin`: accounts and keys, by the command as it is installed."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from libs.common.errors import MisconfiguredError
from libs.devstack.ports import free_port
from services.admin_api.auth.keys import load_keys
from services.admin_api.settings import AdminApiSettings
from services.cli import relance
from tests.integration.admin_api.builders import COMPANY, KEY, admin_settings
from tests.integration.admin_api.people import Browser, account, audited, bearer, service
from tests.servers.shared import APP_SECRET
from tests.world import World

ADA = "ada@relance.example"
ROOT = Path(__file__).parents[3]
PASSWORD = "cinq-loutres-bleues"


@pytest.fixture
def command(world: World, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name, value in {
        "APP_ENV": "test",
        "APP_SECRET": APP_SECRET,
        "INTERNE_APIKEY": KEY,
        "DATABASE_URL": world.database_url,
        "KAFKA_BOOTSTRAP_SERVERS": world.kafka_bootstrap_servers,
    }.items():
        monkeypatch.setenv(name, value)
    return Command()


class Command:
    async def __call__(self, *words: str, said: str | None = None) -> Result:
        """`relance admin …` in a thread: it runs a loop of its own."""
        return await asyncio.to_thread(CliRunner().invoke, relance, ["admin", *words], input=said)


async def test_the_first_admin_is_made_and_signs_in(world: World, command: Command) -> None:
    assert "nobody" in (await command("list")).output
    made = await command("create", "Ada@Relance.example", "--password-stdin", said=f"{PASSWORD}\n")
    assert (made.exit_code, made.output) == (0, "Ada@Relance.example may sign in as admin\n")
    async with service(world) as app:
        assert (await Browser(app).sign_in(ADA, PASSWORD)).status_code == 303
    again = await command("create", ADA, "--password-stdin", said=f"{PASSWORD}\n")
    assert (again.exit_code, "has an account already" in again.output) == (1, True)
    fine = await command("create", ADA, "--if-missing", "--password-stdin", said="another-password-x\n")
    assert (fine.exit_code, "has an account already" in fine.output) == (0, True)
    listed = (await command("list")).output
    assert f"{ADA}  admin  no code" in listed
    rows = await audited(world, "account.created")
    assert [(row["who"].split(" :")[0], row["subject"]) for row in rows] == [("console", f"account:{ADA}")]


async def test_a_password_comes_from_the_environment_or_is_asked_for_twice(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await command("create", "bo@relance.example", said=f"{PASSWORD}\n{PASSWORD}\n")
    assert asked.exit_code == 0
    assert PASSWORD not in asked.output
    monkeypatch.setenv("ADMIN_PASSWORD", "short")
    weak = await command("create", "cy@relance.example")
    assert (weak.exit_code, "au moins 12" in weak.output) == (1, True)
    bad = await command("create", "not-an-address", "--password-stdin", said=PASSWORD)
    assert (bad.exit_code, "adresse" in bad.output) == (1, True)


async def test_roles_passwords_and_accounts_are_changed_and_somebody_is_left(
    world: World, command: Command
) -> None:
    await account(world)
    await account(world, "bo@relance.example", "billing")
    for words in (("set-role", ADA, "reader"), ("disable", ADA)):
        refused = await command(*words)
        assert (refused.exit_code, "nobody would be left" in refused.output) == (1, True)
    assert (await command("set-role", "bo@relance.example", "admin")).exit_code == 0
    async with service(world) as app:
        browser = Browser(app)
        await browser.sign_in(ADA)
        await command("reset-password", ADA, "--forget-code", "--password-stdin", said=f"{PASSWORD}\n")
        assert (await browser.get("/envois")).status_code == 303, "their sessions are over"
        assert (await browser.sign_in(ADA, PASSWORD)).status_code == 303
        assert (await command("disable", ADA)).exit_code == 0
        assert (await browser.get("/envois")).status_code == 303
        assert (await browser.sign_in(ADA, PASSWORD)).status_code == 401
        assert (await command("disable", ADA, "--undo")).exit_code == 0
        assert (await browser.sign_in(ADA, PASSWORD)).status_code == 303
    unknown = await command("set-role", "nobody@relance.example", "admin")
    assert (unknown.exit_code, "has no account" in unknown.output) == (1, True)
    actions = [row["action"] for row in await audited(world) if row["action"].startswith("account.")]
    assert actions == [
        "account.role_set", "account.password_set", "account.totp_removed", "account.disabled",
        "account.enabled",
    ]  # fmt: skip


async def test_a_key_opens_what_it_was_made_for_until_it_is_revoked(world: World, command: Command) -> None:
    made = await command("key", "create", "site web", "--scope", "read", "--scope", "directory")
    key = made.output.strip()
    assert key.startswith("relk_")
    async with service(world) as app:
        http = Browser(app).http
        http.headers["X-Api-Key"] = key
        company = await http.post("/api/companies", json=COMPANY)
        assert company.status_code == 201
        company_id = company.json()["company_id"]
        seen = await http.get(f"/api/companies/{company_id}")
        assert seen.json()["email"] == COMPANY["email"], "programs see the data whole"
        for method, path in (
            ("POST", "/api/numbers"),
            ("POST", f"/api/companies/{company_id}/lifetime"),
            ("GET", "/openapi.json"),
            ("GET", "/api/sessions/current"),
        ):
            assert (await http.request(method, path)).status_code == 403, path
        listed = (await command("key", "list")).output
        assert f"{key[:11]}…  site web  directory,read  used" in listed
        assert key not in listed
        assert key not in str(await world.rows("admin_api", "select * from api_keys"))
        key_id = listed.split()[0]
        assert (await command("key", "revoke", key_id)).exit_code == 0
        assert (await http.get(f"/api/companies/{company_id}")).status_code == 401
    assert (await command("key", "revoke", key_id)).exit_code == 1
    assert (await command("key", "revoke", str(uuid4()))).exit_code == 1
    who = [(row["action"], row["who"]) for row in await audited(world)]
    assert who[1] == ("company.registered", "clé site web")
    assert [action for action, _ in who] == ["key.created", "company.registered", "key.revoked"]


async def test_a_key_is_over_after_its_days(world: World, command: Command) -> None:
    key = (await command("key", "create", "essai", "--scope", "read", "--days", "1")).output.strip()
    async with service(world) as app:
        http = Browser(app).http
        http.headers["X-Api-Key"] = key
        assert (await http.get("/api/set-aside")).status_code == 200
        await world.rows("admin_api", "update api_keys set expires_at = $1", await _ago(world))
        assert (await http.get("/api/set-aside")).status_code == 401


async def _ago(world: World) -> object:
    return (await world.rows("admin_api", "select now() - $1::interval as at", timedelta(hours=1)))[0]["at"]


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, passphrase: str | None = None) -> bytes:
    sealing = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing)


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


async def test_the_key_files_of_the_old_settings_are_read(world: World, tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (tmp_path / "private.pem").write_bytes(pem(key, "old passphrase"))
    (tmp_path / "public.pem").write_bytes(public_pem(key))
    names: dict[str, Any] = {
        "jwt_secret_key": tmp_path / "private.pem",
        "jwt_public_key": tmp_path / "public.pem",
        "jwt_passphrase": "old passphrase",
    }
    await account(world)
    async with service(world, **names) as one, service(world, **names) as two:
        tokens = await bearer(Browser(one).http, ADA)
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert (await Browser(two).get("/api/sessions/current", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "JWT_SECRET_KEY names no file"),
        ({"jwt_secret_key": "nowhere.pem"}, "cannot be read"),
        ({"jwt_secret_key": "sealed.pem"}, "does not open with JWT_PASSPHRASE"),
        ({"jwt_secret_key": "sealed.pem", "jwt_passphrase": "wrong"}, "does not open with JWT_PASSPHRASE"),
        ({"jwt_secret_key": "public.pem"}, "is no PEM key"),
        ({"jwt_secret_key": "curve.pem"}, "must be RSA"),
        ({"jwt_secret_key": "small.pem"}, "must be RSA of 2048 bits"),
        ({"jwt_secret_key": "private.pem", "jwt_public_key": "other.pem"}, "is not the public half"),
        ({"jwt_secret_key": "private.pem", "jwt_public_key": "private.pem"}, "no PEM public key"),
    ],
)
def test_outside_of_development_a_wrong_key_does_not_start(
    wrong: dict[str, str], says: str, tmp_path: Path
) -> None:
    key, other = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    files = {
        "private.pem": pem(key),
        "sealed.pem": pem(key, "right"),
        "public.pem": public_pem(key),
        "other.pem": public_pem(other),
        "curve.pem": pem(ec.generate_private_key(ec.SECP256R1())),
        "small.pem": pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    named = {k: v if k == "jwt_passphrase" else tmp_path / v for k, v in wrong.items()}
    settings = AdminApiSettings(
        app_env="prod",
        app_secret=APP_SECRET,
        interne_apikey=KEY,
        kafka_bootstrap_servers="127.0.0.1:9092",
        **named,  # type: ignore[arg-type]  # as from the environment
    )
    with pytest.raises(MisconfiguredError, match=says):
        load_keys(settings)


async def test_in_production_the_pages_do_not_open_without_a_key_that_signs(
    world: World, command: Command, tmp_path: Path
) -> None:
    environment = {**os.environ, "APP_ENV": "prod", "ADMIN_API_PORT": str(free_port())}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "run", "admin_api"),
        env={**environment, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert (process.returncode, "JWT_SECRET_KEY names no file" in output.decode()) == (78, True)


async def test_only_development_is_served_by_plain_http(world: World) -> None:
    assert {env: admin_settings(world, app_env=env).is_plain_http for env in ("dev", "test", "prod")} == {
        "dev": True,
        "test": False,
        "prod": False,
    }
