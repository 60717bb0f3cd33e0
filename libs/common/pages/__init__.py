"""Pages behind the links of mails: one look, no script, nothing loaded, nothing kept, nothing passed on."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent
STYLE = (FOLDER / "page.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def strict_headers(*, has_form: bool = False) -> Mapping[str, str]:
    """Of a page behind a link, which is a secret of its reader: it is not kept, not passed on, not indexed.
    The page loads nothing, runs nothing, stands in no frame, and sends its form, if any, only to us."""
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        f"form-action '{'self' if has_form else 'none'}'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, nofollow, noarchive",
    }


def environment(*folders: Path) -> Environment:
    """Templates that extend `page.html`: its title and lines, and a block `more` beneath."""
    loader = ChoiceLoader([FileSystemLoader(folder) for folder in (*folders, FOLDER)])
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    templates.globals["style"] = STYLE
    return templates
