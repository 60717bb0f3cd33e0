"""`relance admin`: it only parses and calls (services/admins.py)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import UUID

import click

T = TypeVar("T")

ROLES = click.Choice(["reader", "support", "billing", "admin"])
SCOPES = click.Choice(["read", "directory", "numbers", "wishes"])
PASSWORD_STDIN = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)
PASSWORD_NAME = "ADMIN_PASSWORD"  # noqa: S105 - a name


def _call(work: Coroutine[Any, Any, T]) -> T:
    from services.admins import RefusedError

    try:
        return asyncio.run(work)
    except RefusedError as error:
        raise click.ClickException(str(error)) from error


def _password(*, is_on_stdin: bool) -> str:
    """From standard input, ADMIN_PASSWORD, or asked for twice; never from the command line, which everybody
    on the machine can read."""
    if is_on_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    given = os.environ.get(PASSWORD_NAME)
    return given or str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@click.group()
def admin() -> None:
    """Who may sign in to the admin pages and API, and the keys of programs.

    Nothing here tells of a running process: what is changed holds from the next request on.
    """


@admin.command()
@click.argument("email")
@click.option("--name", help="How they are called. [default: the address]")
@click.option("--role", type=ROLES, default="admin", show_default=True)
@click.option("--if-missing", is_flag=True, help="Leave an account that is there already as it is.")
@PASSWORD_STDIN
def create(email: str, name: str | None, role: str, *, if_missing: bool, password_stdin: bool) -> None:
    """Make an account for EMAIL. The password: asked for, from ADMIN_PASSWORD, or from standard input."""
    from services import admins

    password = _password(is_on_stdin=password_stdin)
    is_new = _call(admins.create(email, name or email, role, password, is_fine_if_there=if_missing))
    click.echo(f"{email} may sign in as {role}" if is_new else f"{email} has an account already")


@admin.command("list")
def list_() -> None:
    """Every account: role, whether a code is asked for, last sign-in."""
    from services import admins

    for line in _call(admins.list_lines()):
        click.echo(line)


@admin.command("set-role")
@click.argument("email")
@click.argument("role", type=ROLES)
def set_role(email: str, role: str) -> None:
    """What EMAIL may do from now on."""
    from services import admins

    _call(admins.set_role(email, role))
    click.echo(f"{email} is {role} from now on")


@admin.command("reset-password")
@click.argument("email")
@click.option(
    "--forget-code", is_flag=True, help="Ask for no code of six digits any more: the phone is lost."
)
@PASSWORD_STDIN
def reset_password(email: str, *, forget_code: bool, password_stdin: bool) -> None:
    """Another password for EMAIL; all their sessions end."""
    from services import admins

    password = _password(is_on_stdin=password_stdin)
    _call(admins.reset_password(email, password, is_code_forgotten=forget_code))
    click.echo(f"{email} has another password; their sessions are over")


@admin.command()
@click.argument("email")
@click.option("--undo", is_flag=True, help="Let them sign in again.")
def disable(email: str, *, undo: bool) -> None:
    """EMAIL may not sign in any more; their sessions end at once."""
    from services import admins

    _call(admins.disable(email, is_undone=undo))
    click.echo(f"{email} may sign in again" if undo else f"{email} is shut out")


@admin.group()
def key() -> None:
    """API keys of programs (the website, the phone platform), beside INTERNE_APIKEY."""


@key.command("create")
@click.argument("name")
@click.option(
    "--scope", "scopes", type=SCOPES, multiple=True, required=True, help="May be said several times."
)
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good. [default: until revoked]")
def create_key(name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a key for NAME and print it, this once.

    To rotate: make another, hand it over, revoke the old one.
    """
    from services import admins

    click.echo(_call(admins.create_key(name, scopes, days)))


@key.command("list")
def list_keys() -> None:
    """Every key: its id, how it begins, what it opens, when it was last used."""
    from services import admins

    for line in _call(admins.list_key_lines()):
        click.echo(line)


@key.command("revoke")
@click.argument("key_id", type=click.UUID)
def revoke_key(key_id: UUID) -> None:
    """KEY_ID opens nothing any more."""
    from services import admins

    click.echo(f"the key of {_call(admins.revoke_key(key_id))} opens nothing any more")
