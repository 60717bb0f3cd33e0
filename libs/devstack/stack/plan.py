"""What is to be started, on which ports; decided before anything starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from libs.devstack.ports import free_port
from libs.devstack.stack.environment import SERVICES, stack_environment
from libs.devstack.stack.folder import DataFolder, State
from libs.devstack.stack.leftovers import STACK_VARIABLE
from libs.devstack.stack.token_keys import name_token_keys

PLATFORM_PATH = "/webhooks/relance"
SLACK_PATH = "/services/TRELANCE/BRELANCE/of-this-machine-only"
HOST = "127.0.0.1"
PORT_BASE = 8000
DEVELOPMENT_LOGIN = "admin@relance.localhost"
OFFSETS: Mapping[str, int] = {
    "admin_api": 0,
    "billing": 1,
    "notifications": 2,
    "scheduler": 3,
    "stripe": 10,
    "platform": 20,
    "sms": 21,
    "slack": 22,
    "tinyurl": 23,
    "mails": 25,
    "smtp": 26,
    "postgres": 54,
    "kafka": 92,
    "kafka_controller": 93,
}
"""Distance of each port from the first: with the default, the page of mails is on 8025."""

NAMED_BY: Mapping[str, str] = {
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "kafka_controller": "KAFKA_BOOTSTRAP_SERVERS",
    "postgres": "DATABASE_URL",
    "stripe": "STRIPE_API_BASE",
    "platform": "PLATFORM_WEBHOOK_URL",
    "sms": "SMSMODE_API_BASE",
    "slack": "SLACK_WEBHOOK_URL",
    "tinyurl": "TINYURL_API_BASE",
    "mails": "MAILER_DSN",
    "smtp": "MAILER_DSN",
}
"""What need not be started because the environment names it."""

LABELS: Mapping[str, str] = {
    "admin_api": "Administration (admin_api)",
    "billing": "Webhooks Stripe (billing)",
    "notifications": "Notifications",
    "scheduler": "Horloge (scheduler)",
    "mails": "Boîte aux lettres",
    "smtp": "SMTP",
    "stripe": "Simulateur Stripe",
    "platform": "Plateforme tél.",
    "sms": "SMS (smsmode simulé)",
    "slack": "Slack de l'équipe",
    "tinyurl": "TinyURL",
    "kafka": "Kafka",
    "kafka_controller": "Kafka (contrôleur)",
    "postgres": "PostgreSQL",
}
"""What people are told that each is."""

Demo = Literal["once", "never", "again"]


@dataclass(frozen=True)
class Wishes:
    """What was asked on the command line; `port_base` None: as the last time, else 8000."""

    data_dir: Path
    demo: Demo = "once"
    port_base: int | None = None


@dataclass(frozen=True)
class Plan:
    """Ports by name for what is started here, and the environment that the services' own is cut from."""

    folder: DataFolder
    demo: Demo
    port_base: int
    ports: Mapping[str, int]
    moved: Mapping[str, int]
    environment: dict[str, str] = field(repr=False)

    def starts(self, name: str) -> bool:
        """Whether it is started here, or was named by the environment."""
        return name in self.ports

    def url_of(self, name: str) -> str:
        return f"http://{HOST}:{self.ports[name]}"

    @property
    def has_development_login(self) -> bool:
        """Never outside of development, whatever this command is pointed at."""
        return self.environment["APP_ENV"] == "dev"

    @property
    def webhook_url(self) -> str:
        return f"{self.url_of('billing')}/webhooks/stripe"

    @property
    def webhook_secret(self) -> str:
        """The first of those that billing accepts."""
        return self.environment["STRIPE_WEBHOOK_SECRETS"].split(",")[0].strip()


def make_plan(wishes: Wishes, folder: DataFolder) -> Plan:
    """Chooses the ports and notes them in the folder. To be called once leftovers have let go of theirs."""
    environment = stack_environment(os.environ, folder.path)
    state = folder.read()
    base = wishes.port_base or state.port_base or PORT_BASE
    named = {name for name, variable in NAMED_BY.items() if environment.get(variable)}
    ports = _choose(base, state, environment, [name for name in OFFSETS if name not in named])
    moved = {name: base + OFFSETS[name] for name, port in ports.items() if port != base + OFFSETS[name]}

    def note(state: State) -> None:
        state.port_base, state.ports = base, dict(ports)

    folder.update(note)
    environment.update(_addresses(ports, folder))
    name_token_keys(environment, os.environ, folder.path / "jwt")
    environment.setdefault("BILLING_PUBLIC_URL", f"http://{HOST}:{ports['billing']}")
    environment.setdefault("NOTIFICATIONS_PUBLIC_URL", f"http://{HOST}:{ports['notifications']}")
    return Plan(folder, wishes.demo, base, ports, moved, environment)


def _choose(base: int, state: State, environment: Mapping[str, str], names: list[str]) -> dict[str, int]:
    """The port at its distance from the base; when it is taken the one of last time, else the next free."""
    chosen: dict[str, int] = {}
    usual = {base + offset for offset in OFFSETS.values()}
    for name in names:
        if given := environment.get(f"{name.upper()}_PORT"):
            chosen[name] = int(given)
            continue
        wanted = base + OFFSETS[name]
        port = free_port(wanted, avoid=chosen.values())
        if port != wanted and state.port_base == base:
            port = free_port(state.ports.get(name, port), avoid=chosen.values())
        if port != wanted and port in usual:
            port = free_port(port, avoid=usual | set(chosen.values()))
        chosen[name] = port
    return chosen


def _addresses(ports: Mapping[str, int], folder: DataFolder) -> dict[str, str]:
    addresses = {f"{service.upper()}_PORT": str(ports[service]) for service in SERVICES}
    for service in ("billing", "notifications", "scheduler"):
        addresses[f"{service.upper()}_INTERNAL_URL"] = f"http://{HOST}:{ports[service]}"
    addresses["ADMIN_URL"] = f"http://{HOST}:{ports['admin_api']}"
    if "kafka" in ports:
        addresses["KAFKA_BOOTSTRAP_SERVERS"] = f"{HOST}:{ports['kafka']}"
    if "stripe" in ports:
        addresses["STRIPE_API_BASE"] = f"http://{HOST}:{ports['stripe']}"
    if "platform" in ports:
        addresses["PLATFORM_WEBHOOK_URL"] = f"http://{HOST}:{ports['platform']}{PLATFORM_PATH}"
    if "sms" in ports:
        addresses["SMSMODE_API_BASE"] = f"http://{HOST}:{ports['sms']}"
    if "slack" in ports:
        addresses["SLACK_WEBHOOK_URL"] = f"http://{HOST}:{ports['slack']}{SLACK_PATH}"
    if "tinyurl" in ports:
        addresses["TINYURL_API_BASE"] = f"http://{HOST}:{ports['tinyurl']}"
    if "smtp" in ports:
        addresses["MAILER_DSN"] = f"smtp://{HOST}:{ports['smtp']}"
    # HOST is a shell's own variable on some machines: there it names the machine, not where to listen.
    return {**addresses, "HOST": HOST, "LOG_DIR": str(folder.logs), STACK_VARIABLE: str(folder.path)}
