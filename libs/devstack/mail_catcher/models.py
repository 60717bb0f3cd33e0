"""What the catcher's API says and takes, typed for both sides of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Moment: TypeAlias = Literal["connect", "auth", "mail", "rcpt", "data", "body"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Mail(_Value):
    """A caught mail without its content. `recipients` and `sender` are the envelope's, in lower case."""

    id: str
    message_id: str | None
    sender: str
    recipients: tuple[str, ...]
    from_: str = Field(alias="from")
    to: str
    subject: str
    headers: dict[str, str] = Field(description="X-… and Auto-Submitted headers; the last of each name")
    received_at: datetime
    size_bytes: int
    login: str | None = Field(default=None, description="who was logged in when it was sent")

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)

    @property
    def kind(self) -> str | None:
        return self.headers.get("X-Notification-Type")

    @property
    def billing_cycle(self) -> str | None:
        return self.headers.get("X-Billing-Cycle")


class FullMail(Mail):
    """A caught mail as a reader sees it; `all_headers` in the order of the mail."""

    html: str | None
    text: str | None
    all_headers: tuple[tuple[str, str], ...]
    attachments: tuple[str, ...]


class MailPage(_Value):
    """`total` counts what matches, of which `mails` are the newest `limit` after `offset`."""

    total: int
    mails: tuple[Mail, ...]


class MailCount(_Value):
    """How many mails one address got of one kind in one billing cycle: promise is one."""

    recipient: str
    kind: str | None
    billing_cycle: str | None
    count: int


class Answer(_Value):
    """What the server does, instead of the ordinary, for the next `times` mails (0: until it is reset).

    `at` is the moment: connect (the greeting), auth, mail, rcpt, data (before 354), body (after the final
    dot). Then it waits `delay_seconds`, keeps the mail if `keep` (only body), and either drops the connection
    or says `reply`; with neither it goes on as usual. `recipient` limits it to mails to that address (rcpt,
    data, body).
    """

    at: Moment = "body"
    times: int = Field(default=1, ge=0)
    reply: str | None = Field(default=None, pattern=r"^[2-5]\d\d[ -][ -~]*$")
    drop: bool = False
    keep: bool = False
    delay_seconds: float = Field(default=0.0, ge=0, le=600)
    recipient: str | None = None
