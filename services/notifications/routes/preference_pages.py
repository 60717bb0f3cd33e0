"""What the doors of mails' links to unsubscribe and to preferences say, in French, without any script."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from fastapi import Response
from fastapi.responses import HTMLResponse

from libs.common import pages
from services.notifications.domain import Channel, masked
from services.notifications.preferences import Preference

_templates = pages.environment(Path(__file__).parents[1] / "pages")
_HEADERS = pages.strict_headers()
_FORM_HEADERS = pages.strict_headers(has_form=True)

BY: dict[Channel, str] = {Channel.MAIL: "par e-mail", Channel.SMS: "par SMS"}
_LABELS = {Channel.MAIL: "Par e-mail, à", Channel.SMS: "Par SMS, au"}
AGAIN_SECONDS = 60


def _page(
    title: str, *lines: str, status: HTTPStatus = HTTPStatus.OK, template: str = "page.html", **values: object
) -> Response:
    text = _templates.get_template(template).render(title=title, lines=lines, **values)
    headers = dict(_HEADERS if template == "page.html" else _FORM_HEADERS)
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["Retry-After"] = str(AGAIN_SECONDS)
    return HTMLResponse(text, status, headers=headers)


def not_found() -> Response:
    return _page(
        "Ce lien ne mène nulle part",
        "Vérifiez qu’il est entier, ou ouvrez-le depuis le message que vous avez reçu.",
        status=HTTPStatus.NOT_FOUND,
    )


def expired() -> Response:
    return _page(
        "Ce lien a expiré",
        "Pour ne plus recevoir nos conseils et nos offres, ouvrez celui d’un message plus récent, ou "
        "répondez simplement à l’un d’eux : nous ferons le nécessaire.",
        status=HTTPStatus.GONE,
    )


def too_often() -> Response:
    return _page(
        "Ce lien a été ouvert trop souvent",
        "Attendez une minute, puis rouvrez-le : il reste valable.",
        status=HTTPStatus.TOO_MANY_REQUESTS,
    )


def away() -> Response:
    return _page(
        "Un instant, s’il vous plaît",
        "Nous ne pouvons pas enregistrer votre choix pour le moment.",
        "Rouvrez ce lien dans quelques minutes : il reste valable.",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
    )


def not_understood(status: HTTPStatus) -> Response:
    return _page(
        "Nous n’avons pas compris cette demande",
        "Rien n’a changé. Rouvrez le lien de votre message et utilisez le bouton de la page.",
        status=status,
    )


def nothing() -> Response:
    """A good link that nobody looks at."""
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=_HEADERS)


def ask(channel: Channel, target: str, preferences: str) -> Response:
    return _page(
        "Ne plus recevoir nos conseils et nos offres ?",
        f"Nous ne vous en enverrons plus {BY[channel]}, à {masked(target)}.",
        template="unsubscribe.html",
        preferences=preferences,
    )


def done(channel: Channel, target: str, preferences: str) -> Response:
    return _page(
        "C’est fait",
        f"Vous ne recevrez plus nos conseils et nos offres {BY[channel]}, à {masked(target)}.",
        "Vous pouvez fermer cette page.",
        template="unsubscribed.html",
        preferences=preferences,
    )


def preferences(choices: Sequence[Preference], *, is_saved: bool = False) -> Response:
    shown = [
        {
            "name": name_of(choice.channel),
            "label": _LABELS[choice.channel],
            "to": masked(choice.target),
            "is_wanted": choice.is_wanted,
            "is_changeable": choice.is_changeable,
        }
        for choice in choices
    ]
    return _page(
        "Les messages que vous recevez", template="preferences.html", choices=shown, is_saved=is_saved
    )


def name_of(channel: Channel) -> str:
    """Of a channel's box in the form."""
    return f"marketing_{channel}"
