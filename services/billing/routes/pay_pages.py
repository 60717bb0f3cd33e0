"""What the door of mails' links says: the same bytes to everybody, made once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

from fastapi import Response
from fastapi.responses import HTMLResponse

from libs.common import pages

HEADERS = pages.strict_headers()
_templates = pages.environment()


@dataclass(frozen=True)
class Page:
    """A page for people, in French."""

    status: HTTPStatus
    title: str
    lines: tuple[str, ...]


NOT_FOUND = Page(
    HTTPStatus.NOT_FOUND,
    "Ce lien ne mène nulle part",
    ("Vérifiez qu’il est entier, ou ouvrez-le depuis le mail que vous avez reçu.",),
)
EXPIRED = Page(
    HTTPStatus.GONE,
    "Ce lien a expiré",
    (
        "Par sécurité, les liens de nos mails ne servent qu’un temps.",
        "Pour en recevoir un nouveau, répondez simplement au mail qui contenait celui-ci : "
        "nous vous l’enverrons.",
    ),
)
PAID = Page(
    HTTPStatus.OK,
    "Cette facture est déjà réglée, merci.",
    ("Vous n’avez plus rien à faire : vous pouvez fermer cette page.",),
)
NOT_DUE = Page(
    HTTPStatus.OK,
    "Cette facture n’est plus à régler",
    ("Elle a été annulée. Vous n’avez rien à faire : vous pouvez fermer cette page.",),
)
NOT_ONLINE = Page(
    HTTPStatus.OK,
    "Cette facture ne se règle pas en ligne",
    ("Répondez au mail qui contenait ce lien : nous vous indiquerons comment procéder.",),
)
AWAY = Page(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Un instant, s’il vous plaît",
    (
        "Notre prestataire de paiement ne répond pas pour le moment. Rien n’a été débité.",
        "Rouvrez ce lien dans quelques minutes : il reste valable.",
    ),
)
TOO_OFTEN = Page(
    HTTPStatus.TOO_MANY_REQUESTS,
    "Ce lien a été ouvert trop souvent",
    ("Attendez une minute, puis rouvrez-le : il reste valable.",),
)
THANKS = Page(HTTPStatus.OK, "Merci", ("C’est noté. Vous pouvez fermer cette page.",))


@cache
def _content(page: Page) -> bytes:
    return _templates.get_template("page.html").render(title=page.title, lines=page.lines).encode()


def answer(page: Page, *, retry_after_seconds: float | None = None) -> Response:
    headers = dict(HEADERS)
    if retry_after_seconds is not None:
        headers["Retry-After"] = str(max(1, round(retry_after_seconds)))
    return HTMLResponse(_content(page), page.status, headers=headers)


def nothing() -> Response:
    """A good link that nobody looks at."""
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=HEADERS)


def lead_to(url: str) -> Response:
    """303, in no case cached: what is behind it is made for this one visit."""
    return Response(status_code=HTTPStatus.SEE_OTHER, headers={**HEADERS, "Location": url})
