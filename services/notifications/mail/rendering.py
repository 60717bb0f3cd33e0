"""Templates: a folder a kind under `templates/`, MJML compiled once, its Jinja tags rendered each time.

`subject.txt` the subject; `preheader.txt` what an inbox shows beside it; `body.mjml` (inside `layout.mjml`)
and `body.txt` (extends `layout.txt`) the two alternatives. The context holds the fact's fields as it tells
them (amounts in cents, moments as ISO texts), `login_url` where a kind leads there, and, where they are to be
shown, `brand_name` and `support_email`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import mrml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError, Undefined
from markupsafe import Markup

from libs.common.errors import PermanentFailure
from services.notifications.mail import french

FOLDER = Path(__file__).parent.parent / "templates"


@dataclass(frozen=True, slots=True)
class MailContent:
    """What a mail says: a subject of one line, and the same content twice."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class _Templates:
    subject: Template
    preheader: Template
    html: Template
    text: Template


def render(kind: str, context: Mapping[str, object]) -> MailContent:
    """Raises PermanentFailure when the kind has no templates, or the context lacks what they need."""
    templates = _templates(kind)
    try:
        subject = french.one_line(templates.subject.render(context))
        preheader = french.one_line(templates.preheader.render(context))
        html = templates.html.render({**context, "subject": subject, "preheader": preheader})
        text = templates.text.render(context)
    except (TemplateError, ValueError, TypeError, AttributeError) as error:
        raise PermanentFailure(f"a mail of kind {kind} cannot be written: {error}") from error
    return MailContent(subject=subject, html=html, text=text.strip() + "\n")


@cache
def _templates(kind: str) -> _Templates:
    if kind not in kinds():
        raise PermanentFailure(f"there is no folder templates/{kind}")
    return _Templates(
        subject=_TEXT.get_template(f"{kind}/subject.txt"),
        preheader=_TEXT.get_template(f"{kind}/preheader.txt"),
        html=_HTML.from_string(_compiled(kind)),
        text=_TEXT.get_template(f"{kind}/body.txt"),
    )


@cache
def template_version(kind: str) -> str:
    """Twelve hexadecimal digits of all that a mail of this kind is rendered from but its data."""
    sources = [*FOLDER.glob("*.*"), *(FOLDER / kind).glob("*.*")]
    digest = sha256()
    for path in sorted(sources):
        digest.update(f"{path.relative_to(FOLDER).as_posix()}\n".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


@cache
def kinds() -> frozenset[str]:
    """Every kind that has templates."""
    return frozenset(path.parent.name for path in FOLDER.glob("*/body.mjml"))


def _compiled(kind: str) -> str:
    body = (FOLDER / kind / "body.mjml").read_text(encoding="utf-8")
    options = mrml.ParserOptions(include_loader=mrml.memory_loader({"body.mjml": body}))
    layout = (FOLDER / "layout.mjml").read_text(encoding="utf-8")
    html = mrml.to_html(layout, options, mrml.RenderOptions(disable_comments=True)).content
    # A line of 10,000 letters would be encoded anew for each mail. One may end inside a tag, not beside it.
    return html.replace('"><', '"\n><')


def _shown(value: object) -> object:
    """What `{{ value }}` puts into a mail: data cannot begin a new line or turn the text around."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return french.one_line(value)
    return value


def _of_told_values(written: Callable[..., str | None]) -> Callable[..., str | None]:
    """The filter, naming a value that was not told instead of stumbling over it."""

    def named(*values: object) -> str | None:
        for value in values:
            if isinstance(value, Undefined):
                str(value)  # StrictUndefined raises, with the name
        return written(*values)

    return named


def _pay_link(invoice: Mapping[str, str | None]) -> str | None:
    """Our own link, which knows what became of the invoice meanwhile; else Stripe's."""
    return invoice.get("pay_url") or invoice.get("hosted_invoice_url")


def _total_due(invoices: Sequence[Mapping[str, Any]]) -> str:
    """What they sum up to: an amount for each currency."""
    totals: dict[str, int] = {}
    for invoice in invoices:
        currency = str(invoice["currency"]).lower()
        totals[currency] = totals.get(currency, 0) + invoice["amount_remaining_cents"]
    return " + ".join(french.money(cents, currency) for currency, cents in totals.items())


FILTERS: Mapping[str, Callable[..., str | None]] = {
    "money": french.money,
    "date": french.long_date,
    "moment": french.moment_of_day,
    "phone": french.phone,
    "total_due": _total_due,
    "web_link": french.web_link,
}


def _environment(*, autoescape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        autoescape=autoescape,  # noqa: S701 - on for HTML, off for what is plain text
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.globals["pay_link"] = _pay_link
    for name, written in FILTERS.items():
        environment.filters[name] = _of_told_values(written)
    return environment


_HTML = _environment(autoescape=True)
_TEXT = _environment(autoescape=False)


def render_text(name: str, context: Mapping[str, object]) -> str:
    """One plain-text template, such as `line_cut/sms.txt`. Raises PermanentFailure as render does."""
    try:
        return _TEXT.get_template(name).render(context)
    except (TemplateError, ValueError, TypeError, AttributeError) as error:
        raise PermanentFailure(f"{name} cannot be written: {error}") from error
