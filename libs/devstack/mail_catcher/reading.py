"""Reading a mail's bytes: whatever comes in, something readable comes out."""

from __future__ import annotations

import email
import logging
from dataclasses import dataclass
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesHeaderParser

from libs.devstack.mail_catcher.models import FullMail, Mail

log = logging.getLogger("relance.mail_catcher")

_LENIENT = policy.compat32


@dataclass(frozen=True)
class Headers:
    """A mail's headers, decoded, in their order."""

    pairs: tuple[tuple[str, str], ...]

    def first(self, name: str) -> str | None:
        return next((value for key, value in self.pairs if key.lower() == name.lower()), None)

    def searchable(self) -> dict[str, str]:
        """The headers that a test asks for."""
        return {
            _title(key): value
            for key, value in self.pairs
            if key.lower().startswith("x-") or key.lower() == "auto-submitted"
        }


def headers_of(content: bytes) -> Headers:
    message = BytesHeaderParser(policy=_LENIENT).parsebytes(content)
    return Headers(tuple((name, _decoded(str(value))) for name, value in message.items()))


def full_mail(mail: Mail, content: bytes) -> FullMail:
    """The mail with its parts: the first HTML, the first text, the names of what is attached."""
    html, text, attachments = _parts_of(content)
    return FullMail(
        **mail.model_dump(by_alias=True),
        html=html,
        text=text,
        all_headers=headers_of(content).pairs,
        attachments=attachments,
    )


def _parts_of(content: bytes) -> tuple[str | None, str | None, tuple[str, ...]]:
    message = email.message_from_bytes(content, policy=policy.default)
    try:
        html, text = _text_of(message.get_body(("html",))), _text_of(message.get_body(("plain",)))
        return html, text, tuple(part.get_filename() or "" for part in message.iter_attachments())
    except Exception:  # the standard parser stumbles over some broken headers in many ways
        log.warning("a mail's parts cannot be read: only its source is shown", exc_info=True)
        return None, None, ()


def _text_of(part: object) -> str | None:
    if not isinstance(part, EmailMessage):
        return None
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return None
    try:
        return payload.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:
        return payload.decode("utf-8", errors="replace")


def _decoded(value: str) -> str:
    unfolded = " ".join(value.split())
    try:
        return str(make_header(decode_header(unfolded)))
    except (LookupError, ValueError):
        return unfolded


def _title(name: str) -> str:
    """X-Billing-Cycle, however it was written."""
    return "-".join(word.capitalize() for word in name.split("-"))
