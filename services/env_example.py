"""`.env.example`, made from the settings classes: `python -m services.env_example > .env.example`."""

from __future__ import annotations

import sys

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

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
    lines, seen = [HEAD], set[str]()
    for title, settings_class in SECTIONS.items():
        lines.append(f"\n# --- {title}")
        for name, field in settings_class.model_fields.items():
            if name not in seen:
                seen.add(name)
                lines.extend(_lines(name.upper(), field))
    return "\n".join(lines) + "\n"


def _lines(name: str, field: FieldInfo) -> list[str]:
    described = f"# {field.description or name}"
    default = field.default
    if default is PydanticUndefined:
        return [described, f"{name}="]
    if default is None or isinstance(default, SecretStr):
        return [described, f"# {name}="]
    return [described, f"# {name}={str(default).lower() if isinstance(default, bool) else default}"]


if __name__ == "__main__":
    sys.stdout.write(build())
