"""Keys of programs: the environment's one, and those made by `relance admin key`."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta

from pydantic import SecretStr

from libs.common.database import Database
from services.admin_api import queries
from services.admin_api.auth.callers import Caller
from services.admin_api.domain import Scope

START = "relk_"
SHOWN_CHARACTERS = len(START) + 6
NOTED_EVERY = timedelta(minutes=1)
BOOTSTRAP_NAME = "clé interne"


def new_key() -> str:
    return START + secrets.token_urlsafe(32)


def hash_of(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


class ApiKeys:
    def __init__(self, database: Database, bootstrap: SecretStr) -> None:
        self._database = database
        self._bootstrap = bootstrap.get_secret_value().encode()

    async def find(self, given: bytes, address: str) -> Caller | None:
        """Whose key it is; compared in constant time, or by its hash."""
        if hmac.compare_digest(given, self._bootstrap):
            return Caller(BOOTSTRAP_NAME, address, is_bootstrap=True)
        try:
            key = given.decode("ascii")
        except UnicodeDecodeError:
            return None
        if not key.startswith(START):
            return None
        async with self._database.begin() as uow:
            row = await queries.find_api_key(uow.session, hash_of(key), uow.now)
            if row is None:
                return None
            if row.used_at is None or uow.now - row.used_at > NOTED_EVERY:
                await queries.mark_key_used(uow.session, row.key_id, uow.now)
        known = {scope.value for scope in Scope}
        scopes = frozenset(Scope(scope) for scope in row.scopes if scope in known)
        return Caller(f"clé {row.name}", address, scopes=scopes)
