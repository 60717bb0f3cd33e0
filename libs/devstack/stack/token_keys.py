"""The pair of keys that signs admins' tokens in development: made once, beside the stack's other secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

KEY_BITS = 2048


def name_token_keys(environment: dict[str, str], given: Mapping[str, str], folder: Path) -> None:
    """Puts JWT_SECRET_KEY, JWT_PUBLIC_KEY and JWT_PASSPHRASE into `environment`: those that are given, whole,
    or the folder's own."""
    if given.get("JWT_SECRET_KEY"):
        environment["JWT_PASSPHRASE"] = given.get("JWT_PASSPHRASE", "")
        return
    private, public = folder / "private.pem", folder / "public.pem"
    passphrase = environment["JWT_PASSPHRASE"].encode()
    if not _opens(private, passphrase):
        _make(private, public, passphrase)
    environment.update(JWT_SECRET_KEY=str(private), JWT_PUBLIC_KEY=str(public))


def _opens(private: Path, passphrase: bytes) -> bool:
    try:
        load_pem_private_key(private.read_bytes(), passphrase)
    except (OSError, ValueError, TypeError):
        return False
    return True


def _make(private: Path, public: Path, passphrase: bytes) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    private.parent.mkdir(parents=True, exist_ok=True)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    written = private.with_suffix(".new")
    written.unlink(missing_ok=True)
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(sealed)
    written.replace(private)
