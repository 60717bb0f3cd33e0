"""The RSA key that signs admins' tokens, and the tokens: JWT, RS256, a few minutes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from uuid import UUID

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from libs.common.errors import MisconfiguredError
from services.admin_api.settings import AdminApiSettings

ALGORITHM = "RS256"
ISSUER = "relance"
ACCESS, STEP = "relance-admin", "relance-second-step"
"""Audiences: what a token is for. One for the second step of signing in opens nothing."""

SMALLEST_KEY_BITS = 2048
HINT = (
    "make them with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -aes256 -out private.pem` "
    "and `openssl pkey -in private.pem -pubout -out public.pem`"
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    private: RSAPrivateKey
    public: RSAPublicKey

    @property
    def key_id(self) -> str:
        """Names the pair in a token's head, for whoever wonders which one signed it."""
        der = self.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()[:16]


def load_keys(settings: AdminApiSettings) -> KeyPair:
    """From the files that settings name. Outside of prod, where none is named, a pair of this process's own:
    its tokens end with it. Raises MisconfiguredError."""
    if settings.jwt_secret_key is None:
        if settings.app_env == "prod":
            raise MisconfiguredError(f"JWT_SECRET_KEY names no file, and without one nobody signs in: {HINT}")
        return _own_pair()
    private = _private(settings.jwt_secret_key, settings)
    public = private.public_key()
    if settings.jwt_public_key is not None and _public(settings.jwt_public_key) != public:
        raise MisconfiguredError("JWT_PUBLIC_KEY is not the public half of JWT_SECRET_KEY: name one pair")
    return KeyPair(private, public)


@lru_cache(maxsize=1)
def _own_pair() -> KeyPair:
    private = generate_private_key(public_exponent=65537, key_size=SMALLEST_KEY_BITS)
    return KeyPair(private, private.public_key())


def _private(path: Path, settings: AdminApiSettings) -> RSAPrivateKey:
    passphrase = settings.jwt_passphrase.get_secret_value().encode() if settings.jwt_passphrase else None
    try:
        key = load_pem_private_key(_bytes(path, "JWT_SECRET_KEY"), passphrase or None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MisconfiguredError(
            f"JWT_SECRET_KEY ({path}) does not open with JWT_PASSPHRASE, or is no PEM key: {error}"
        ) from error
    if not isinstance(key, RSAPrivateKey) or key.key_size < SMALLEST_KEY_BITS:
        raise MisconfiguredError(f"JWT_SECRET_KEY must be RSA of {SMALLEST_KEY_BITS} bits or more: {HINT}")
    return key


def _public(path: Path) -> RSAPublicKey:
    try:
        key = load_pem_public_key(_bytes(path, "JWT_PUBLIC_KEY"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MisconfiguredError(f"JWT_PUBLIC_KEY ({path}) is no PEM public key: {error}") from error
    if not isinstance(key, RSAPublicKey):
        raise MisconfiguredError(f"JWT_PUBLIC_KEY ({path}) is not an RSA key: {HINT}")
    return key


def _bytes(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MisconfiguredError(
            f"{name} names {path}, which cannot be read ({error.strerror}): {HINT}"
        ) from error


class TokenError(Exception):
    """A token that is not ours, is over, or is for something else."""


class Tokens:
    """Signs and reads. A token names a session (or, for the second step, an admin): what its holder may do
    is read from the database at each call."""

    def __init__(self, pair: KeyPair) -> None:
        self._pair = pair
        self._head = {"kid": pair.key_id}

    def sign(self, subject: UUID, *, audience: str, now: datetime, lives: timedelta) -> str:
        claims = {"iss": ISSUER, "aud": audience, "sub": str(subject), "iat": now, "exp": now + lives}
        return jwt.encode(claims, self._pair.private, algorithm=ALGORITHM, headers=self._head)

    def read(self, token: str, *, audience: str, now: datetime) -> UUID:
        """Raises TokenError."""
        try:
            claims = jwt.decode(
                token,
                self._pair.public,
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                # By the clock that is handed in, beneath.
                options={
                    "require": ["iss", "aud", "sub", "iat", "exp"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
            is_over = int(claims["exp"]) <= now.timestamp()
            subject = UUID(claims["sub"])
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
            raise TokenError(str(error)) from error
        if is_over:
            raise TokenError("the token is over")
        return subject
