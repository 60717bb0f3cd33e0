"""RFC 5322: the bytes of a mail, the same bytes for the same delivery."""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from datetime import datetime
from email.policy import compat32
from email.utils import format_datetime, formataddr, parseaddr
from functools import lru_cache
from uuid import UUID

from libs.integrations.smtp import ascii_address
from services.notifications.mail.french import one_line
from services.notifications.mail.rendering import MailContent

LONGEST_NAME = 100
LONGEST_LINE = 78
FOLD = "\r\n "
# 52 letters in base64: the first line has the header's name before it.
LONGEST_WORD_BYTES = 39
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9._+=/-]+@[A-Za-z0-9.-]+>")
_URI = re.compile(r"(?:https?://|mailto:)[!#-;=?-~]+")
_WIRE = compat32.clone(linesep="\r\n")


def build_mail(
    *,
    message_id: str,
    sender: str,
    recipient: str,
    recipient_name: str | None,
    content: MailContent,
    kind: str,
    billing_cycle: str | None,
    delivery_id: UUID,
    date: datetime,
    traceparent: str | None,
    list_unsubscribe: Sequence[str] = (),
) -> bytes:
    """The mail with CRLF line ends, 7-bit throughout. `sender` may be `Name <address>`; `date` is aware;
    `list_unsubscribe` are addresses (https, mailto) for RFC 2369, a web one being of one click (RFC 8058).

    No value can add a header: controls are taken out, addresses and the Message-ID are checked. Raises
    PermanentFailure for an address that no mail server takes, ValueError for a malformed Message-ID.
    """
    # By hand: flattening a tree of parts, as `email` does, took five times as long as all the rest of a mail.
    boundary = f"=_{delivery_id.hex}"
    headers: list[tuple[str, str]] = [
        ("MIME-Version", "1.0"),
        ("From", _address(_name(sender), ascii_address(sender))),
        ("To", _address(recipient_name or "", ascii_address(recipient))),
        ("Subject", _text(content.subject)),
        ("Date", format_datetime(date)),
        ("Message-ID", _checked_message_id(message_id)),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("X-Notification-Type", _text(kind)),
    ]
    if billing_cycle is not None:
        headers.append(("X-Billing-Cycle", _text(billing_cycle)))
    # Brevo tells it back in every webhook about this mail.
    headers.append(("X-Mailin-custom", str(delivery_id)))
    headers.append(("Feedback-ID", _text(f"{kind}:relance")))
    if list_unsubscribe:
        objecting = ", ".join(f"<{_checked_uri(uri)}>" for uri in list_unsubscribe)
        headers.append(("List-Unsubscribe", objecting))
        if list_unsubscribe[0].startswith("http"):
            headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    if traceparent is not None:
        headers.append(("Traceparent", _text(traceparent)))
    start = f"--{boundary}\r\n".encode()
    return b"".join(
        (
            f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'.encode(),
            *(_line(name, value) for name, value in headers),
            b"\r\n",
            start,
            *_part("plain", content.text),
            b"\r\n",
            start,
            *_part("html", content.html),
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )


def _line(name: str, value: str) -> bytes:
    """A header; folded where it is long. What was encoded is folded already."""
    if not value.replace(FOLD, "").isprintable():
        raise ValueError(f"{name} holds a control character")
    if len(name) + len(value) + 2 > LONGEST_LINE and FOLD not in value:
        return _WIRE.fold_binary(name, value)
    return f"{name}: {value}\r\n".encode("ascii")


def _part(subtype: str, text: str) -> tuple[bytes, bytes]:
    head = (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\nMIME-Version: 1.0\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    return head.encode(), b"".join(map(_quoted, text.splitlines()))


@lru_cache(maxsize=8192)  # most lines of a mail are those of its template
def _quoted(line: str) -> bytes:
    """Quoted-printable, with its line end."""
    encoded = binascii.b2a_qp(f"{line}\n".encode(errors="replace"), istext=True)
    return encoded.replace(b"\n", b"\r\n")


def _text(text: str) -> str:
    clean = one_line(text)
    # ASCII that looks like an encoded word would be decoded by readers into what it hides.
    return clean if clean.isascii() and "=?" not in clean else _encoded(clean)


def _address(name: str, address: str) -> str:
    clean = one_line(name)[:LONGEST_NAME].strip()
    if clean.isascii() and "=?" not in clean:
        return formataddr((clean, address))
    return f"{_encoded(clean)}{FOLD}<{address}>"


@lru_cache(maxsize=8)  # it is always ours
def _name(sender: str) -> str:
    return parseaddr(sender)[0]


def _encoded(text: str) -> str:
    """RFC 2047, a word a line, no character cut in two. `email`'s own tries every letter in two encodings."""
    words, word = list[bytes](), b""
    for letter in text:
        encoded = letter.encode(errors="replace")
        if len(word) + len(encoded) > LONGEST_WORD_BYTES:
            words.append(word)
            word = b""
        word += encoded
    words.append(word)
    return FOLD.join(f"=?utf-8?b?{binascii.b2a_base64(each, newline=False).decode()}?=" for each in words)


def _checked_uri(uri: str) -> str:
    if not _URI.fullmatch(uri):
        raise ValueError("an address to unsubscribe at is one of https or mailto, in ASCII")
    return uri


def _checked_message_id(message_id: str) -> str:
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError("a Message-ID has the form <unique@domain>")
    return message_id
