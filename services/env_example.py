"""`.env.example`, made from the settings classes: `python -m services.env_example > .env.example`."""

from __future__ import annotations

import sys

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from libs.common.settings import CommonSettings
from services.admin_api.settings import AdminApiSettings
from services.billing.settings import BillingSettings
from services.notifications.settings import NotificationsSettings
from services.scheduler.settings import SchedulerSettings

SECTIONS: dict[str, type[CommonSettings]] = {
    "every service": CommonSettings,
    "billing": BillingSettings,
    "notifications": NotificationsSettings,
    "scheduler": SchedulerSettings,
    "admin_api": AdminApiSettings,
}

HEAD = """\
# Every setting, by the service that reads it. Copy to .env and fill in; names of the environment win.
# Made by `python -m services.env_example`. A line that is commented out shows the default.
"""


def build() -> str:
    lines = [HEAD]
    for title, settings_class in SECTIONS.items():
        lines.append(f"\n# --- {title}")
        for name, field in settings_class.model_fields.items():
            if _section_of(name) == title:
                lines.extend(_lines(name, field))
    return "\n".join(lines) + "\n"


def _sections_with(name: str) -> list[str]:
    return [title for title, settings_class in SECTIONS.items() if name in settings_class.model_fields]


def _section_of(name: str) -> str:
    """Each name once: where it is required, lest it looks optional; else where it comes first."""
    sections = _sections_with(name)
    requiring = [title for title in sections if SECTIONS[title].model_fields[name].is_required()]
    return (requiring or sections)[0]


def _lines(name: str, field: FieldInfo) -> list[str]:
    described, variable, default = f"# {field.description or name}", name.upper(), field.default
    if "every service" not in (sections := _sections_with(name)) and len(sections) > 1:
        described += f" (read by {', '.join(sections)})"
    if field.is_required():
        return [described, f"{variable}="]
    if default is None or isinstance(default, SecretStr):
        return [described, f"# {variable}="]
    return [described, f"# {variable}={str(default).lower() if isinstance(default, bool) else default}"]


if __name__ == "__main__":
    sys.stdout.write(build())
