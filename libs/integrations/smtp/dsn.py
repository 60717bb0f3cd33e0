"""MAILER_DSN as the old Symfony application wrote it: smtp://user:password@host:port?option=value."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from libs.common.errors import MisconfiguredError

DEFAULT_PORTS = {"smtp": 25, "smtps": 465}
TLS_PORT = 465
ADDRESS_LITERAL = "[127.0.0.1]"
FORM = "write smtp://user:password@host:587, or smtps:// where TLS comes first"
TRUE_WORDS = frozenset({"1", "true", "on", "yes"})
FALSE_WORDS = frozenset({"0", "false", "off", "no"})
OPTIONS = frozenset({"auto_tls", "require_tls", "verify_peer", "local_domain"})

Query: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MailerDsn:
    """Where mails are handed over, and how.

    `start_tls`: True demands STARTTLS, False forgoes it, None takes it where it is offered. `local_domain`
    is the name in EHLO; a bare address literal, as Symfony sends it, saves a slow look-up of our own name.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    start_tls: bool | None = None
    verify_peer: bool = True
    local_domain: str = ADDRESS_LITERAL

    @classmethod
    def parse(cls, dsn: str) -> MailerDsn:
        """Options: auto_tls, require_tls, verify_peer (booleans), local_domain.

        Raises MisconfiguredError, which never quotes the DSN: it holds a password.
        """
        parts, port = _split(dsn)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := query.keys() - OPTIONS:
            raise MisconfiguredError(
                f"MAILER_DSN has unknown options ({', '.join(sorted(unknown))}); "
                f"known are {', '.join(sorted(OPTIONS))}"
            )
        host = parts.hostname or ""
        user = unquote(parts.username) if parts.username else None
        tls = parts.scheme == "smtps" or port == TLS_PORT
        return cls(
            host=host,
            port=port,
            user=user,
            password=unquote(parts.password) if parts.password else None,
            tls=tls,
            start_tls=False if tls else _start_tls(query, host, has_login=user is not None),
            verify_peer=_flag(query, "verify_peer", default=True),
            local_domain=query.get("local_domain") or ADDRESS_LITERAL,
        )

    def __str__(self) -> str:
        """For logs: without the password."""
        user = f"{self.user}@" if self.user else ""
        return f"{'smtps' if self.tls else 'smtp'}://{user}{self.host}:{self.port}"


def _split(dsn: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError as error:
        raise MisconfiguredError(f"MAILER_DSN cannot be read: {FORM}") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise MisconfiguredError(f"MAILER_DSN begins with {parts.scheme or 'nothing'}://: {FORM}")
    return parts, port or DEFAULT_PORTS[parts.scheme]


def _start_tls(query: Query, host: str, *, has_login: bool) -> bool | None:
    # Whoever strips the offer of STARTTLS from the wire must not be handed a password for it.
    if _flag(query, "require_tls", default=has_login and not _is_loopback(host)):
        return True
    return None if _flag(query, "auto_tls", default=True) else False


def _flag(query: Query, name: str, *, default: bool) -> bool:
    word = query.get(name, "").lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    if name in query:
        raise MisconfiguredError(f"MAILER_DSN: {name} must be true or false")
    return default


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
