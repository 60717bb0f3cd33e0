"""Migrations: Alembic, one history, one schema and one role a service, run by the owner."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from libs.common.database import connect
from libs.common.errors import MisconfiguredError
from libs.common.settings import CommonSettings

# Two `relance migrate` at once take turns.
_LOCK = 7_365_001

_ROLE_TRIES = 20
_NOT_ALLOWED = "42501"
# Somebody else just made it (unique violation, duplicate object) or altered it (tuple concurrently updated).
_BEATEN = ("23505", "42710", "XX000")


def alembic_config(service: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "alembic_environment"))
    config.set_main_option("version_locations", str(_versions_of(service)))
    config.set_main_option("path_separator", "newline")
    config.attributes["schema"] = service
    return config


def _versions_of(service: str) -> Path:
    spec = importlib.util.find_spec(f"services.{service}")
    if spec is None or not spec.submodule_search_locations:
        raise MisconfiguredError(f"there is no service {service!r}")
    return Path(spec.submodule_search_locations[0]) / "migrations"


async def migrate(service: str, settings: CommonSettings) -> None:
    """Bring a service's schema and role up to date. Raises MisconfiguredError when it may not."""
    if settings.database_url is None:
        raise MisconfiguredError("`relance migrate` needs DATABASE_URL, the owner's (postgresql://…)")
    url, path = settings.database_url.get_secret_value(), {"search_path": f"{service},public"}
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: connect(url, path))
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))
            await connection.execute(text(f'create schema if not exists "{service}"'))
            if not settings.database_single_role:
                await _make_role(connection, service, settings)
            await connection.run_sync(_upgrade, service)
            if not settings.database_single_role:
                await _grant(connection, service, settings.role_of(service))
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, service: str) -> None:
    config = alembic_config(service)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _make_role(connection: AsyncConnection, service: str, settings: CommonSettings) -> None:
    """Roles belong to the whole server: another database's `relance migrate` may be making the same one."""
    for tries_left in reversed(range(_ROLE_TRIES)):
        try:
            async with connection.begin_nested():
                await _create_or_alter_role(connection, settings.role_of(service), settings, service)
        except DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            if state == _NOT_ALLOWED:
                raise MisconfiguredError(
                    f"DATABASE_URL's user may not make the role {settings.role_of(service)}: grant it "
                    f"CREATEROLE, or name each service's own URL ({service.upper()}_DATABASE_URL) and run "
                    f"with DATABASE_SINGLE_ROLE=true ({error.orig})"
                ) from error
            if state not in _BEATEN or not tries_left:
                raise
        else:
            return


async def _create_or_alter_role(
    connection: AsyncConnection, role: str, settings: CommonSettings, service: str
) -> None:
    found = await connection.execute(text("select 1 from pg_roles where rolname = :role"), {"role": role})
    verb = "alter" if found.first() else "create"
    # The password is hexadecimal digits of our own: a role statement takes no parameters.
    password = settings.role_password_of(service)
    await connection.execute(text(f"{verb} role \"{role}\" login password '{password}'"))


async def _grant(connection: AsyncConnection, service: str, role: str) -> None:
    for statement in (
        f'grant usage on schema "{service}" to "{role}"',
        f'grant select, insert, update, delete on all tables in schema "{service}" to "{role}"',
        f'grant usage on all sequences in schema "{service}" to "{role}"',
        f'grant execute on all functions in schema "{service}" to "{role}"',
    ):
        await connection.execute(text(statement))
