"""Caught mails: `<id>.eml`, the bytes as they came, and `<id>.json`, what is searched for. Both survive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

from pydantic import ValidationError

from libs.devstack.mail_catcher import reading
from libs.devstack.mail_catcher.models import Mail, MailCount

log = logging.getLogger("relance.mail_catcher")

WRITERS = 8
NEW_SUFFIX = ".new"


@dataclass(frozen=True)
class Envelope:
    """What SMTP said around the mail."""

    sender: str
    recipients: tuple[str, ...]
    login: str | None = None


class MailStore:
    """The mails of a folder. Used from one event loop; the disk is waited for in threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._mails: deque[Mail] = deque(_load(folder))
        self._by_id = {mail.id: mail for mail in self._mails}
        self._last_id = int(self._mails[0].id) if self._mails else 0
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="mail-writer")

    def close(self) -> None:
        self._writers.shutdown()

    async def keep(self, envelope: Envelope, content: bytes) -> Mail:
        """Returns once the mail is on the disk."""
        mail = _described(self._next_id(), envelope, content)
        await asyncio.get_running_loop().run_in_executor(self._writers, self._write, mail, content)
        self._by_id[mail.id] = mail
        # One that came later may have been on the disk sooner; the next start sorts by id too.
        newer = sum(1 for _ in takewhile(lambda other: other.id > mail.id, self._mails))
        self._mails.insert(newer, mail)
        return mail

    def find(self, mail_id: str) -> Mail | None:
        return self._by_id.get(mail_id)

    def source_of(self, mail: Mail) -> bytes:
        """The bytes as they came, line ends CRLF."""
        return self._path(mail.id, ".eml").read_bytes()

    def search(
        self, *, recipient: str | None = None, kind: str | None = None, text: str | None = None
    ) -> Iterator[Mail]:
        """Newest first. `recipient` is a whole address, `text` any part of subject, sender or recipient."""
        wanted, words = (recipient or "").strip().lower(), (text or "").strip().lower()
        for mail in self._mails:
            if (not wanted or wanted in mail.recipients) and kind in (None, "", mail.kind):
                if words and words not in f"{mail.subject} {mail.to} {mail.from_} {mail.recipients}".lower():
                    continue
                yield mail

    def counts(self) -> list[MailCount]:
        """One row for each (recipient, kind, billing cycle) that got mail."""
        counted = Counter(
            (recipient, mail.kind, mail.billing_cycle)
            for mail in self._mails
            for recipient in mail.recipients
        )
        return [
            MailCount(recipient=recipient, kind=kind, billing_cycle=cycle, count=count)
            for (recipient, kind, cycle), count in counted.items()
        ]

    def kinds(self) -> list[str]:
        return sorted({mail.kind for mail in self._mails if mail.kind})

    def delete_all(self) -> int:
        deleted = len(self._mails)
        for mail in self._mails:
            for suffix in (".json", ".eml"):
                self._path(mail.id, suffix).unlink(missing_ok=True)
        self._mails.clear()
        self._by_id.clear()
        return deleted

    def _next_id(self) -> str:
        # By time, never twice, sortable as text; the next start goes on above it.
        self._last_id = max(self._last_id + 1, time.time_ns() // 1000)
        return str(self._last_id)

    def _path(self, mail_id: str, suffix: str) -> Path:
        return self._folder / f"{mail_id}{suffix}"

    def _write(self, mail: Mail, content: bytes) -> None:
        _write_safely(self._path(mail.id, ".eml"), content)
        # The description comes last and whole: a mail is there when it is there.
        new = self._path(mail.id, NEW_SUFFIX)
        _write_safely(new, mail.model_dump_json().encode())
        new.replace(self._path(mail.id, ".json"))


def _load(folder: Path) -> list[Mail]:
    """Newest first; what a crash left half written was never acknowledged and is cleared away."""
    for leftover in folder.glob(f"*{NEW_SUFFIX}"):
        leftover.unlink(missing_ok=True)
    mails: list[Mail] = []
    for path in folder.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            mails.extend(_load_one(path))
    return sorted(mails, key=lambda mail: mail.id, reverse=True)


def _load_one(path: Path) -> Iterator[Mail]:
    try:
        yield Mail.model_validate(json.loads(path.read_bytes()))
    except (ValueError, ValidationError):
        log.warning("%s is not a caught mail's description: left out", path)


def _write_safely(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _described(mail_id: str, envelope: Envelope, content: bytes) -> Mail:
    headers = reading.headers_of(content)
    return Mail(
        id=mail_id,
        message_id=headers.first("Message-ID"),
        sender=envelope.sender.lower(),
        recipients=tuple(recipient.lower() for recipient in envelope.recipients),
        **{"from": headers.first("From") or ""},
        to=headers.first("To") or "",
        subject=headers.first("Subject") or "",
        headers=headers.searchable(),
        received_at=datetime.now(UTC),
        size_bytes=len(content),
        login=envelope.login,
    )
