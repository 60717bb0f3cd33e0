"""How each part is started."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from libs.devstack.kafka import EmbeddedKafka
from libs.devstack.postgres import EmbeddedPostgres
from libs.devstack.stack.environment import service_environment, stand_in_environment
from libs.devstack.stack.parts import Command, Server
from libs.devstack.stack.plan import LABELS, Plan

ROOT = Path(__file__).parents[3]
"""Where `libs` and `services` are: children run elsewhere, and must find them even when not installed."""

SERVICES_LAYER, STAND_INS_LAYER, SERVERS_LAYER = 0, 1, 2

# Stripe waits longer; here a billing that was killed hears again at once.
WEBHOOK_LONGEST_RETRY_SECONDS = 3
EMPTY: Mapping[str, str] = {}

Say = Callable[[str], None]


def kafka_server(plan: Plan, say: Say) -> EmbeddedKafka:
    return EmbeddedKafka(
        plan.folder.path / "kafka",
        port=plan.ports["kafka"],
        controller_port=plan.ports["kafka_controller"],
        on_progress=say,
    )


def postgres_server(plan: Plan, say: Say) -> EmbeddedPostgres:
    return EmbeddedPostgres(plan.folder.path / "postgres", port=plan.ports["postgres"], on_progress=say)


def kafka(server: EmbeddedKafka) -> Server:
    return Server("kafka", server, label=LABELS["kafka"], layer=SERVERS_LAYER)


def postgres(server: EmbeddedPostgres) -> Server:
    return Server("postgres", server, label=LABELS["postgres"], layer=SERVERS_LAYER)


def mail_catcher(plan: Plan) -> Command:
    options = ["--smtp-port", plan.ports["smtp"], "--http-port", plan.ports["mails"]]
    return _stand_in(plan, "mails", "libs.devstack.mail_catcher", options)


def stripe_simulator(plan: Plan) -> Command:
    options = [
        *("--port", plan.ports["stripe"]),
        *("--webhook-url", plan.webhook_url),
        *("--webhook-longest-retry", WEBHOOK_LONGEST_RETRY_SECONDS),
    ]
    # By the environment: what is on a command line, everybody on the machine can read.
    secrets = {
        "STRIPE_SK": plan.environment["STRIPE_SK"],
        "STRIPE_SIMULATOR_WEBHOOK_SECRET": plan.webhook_secret,
    }
    return _stand_in(plan, "stripe", "libs.devstack.stripe_simulator", options, secrets)


def phone_platform(plan: Plan) -> Command:
    secrets = {"PLATFORM_WEBHOOK_SECRET": plan.environment["PLATFORM_WEBHOOK_SECRET"]}
    options = ["--port", plan.ports["platform"]]
    return _stand_in(plan, "platform", "libs.devstack.phone_platform", options, secrets)


def sms_provider(plan: Plan) -> Command:
    secrets = {"SMS_MODE_KEY": plan.environment["SMS_MODE_KEY"]}
    return _stand_in(plan, "sms", "libs.devstack.sms_provider", ["--port", plan.ports["sms"]], secrets)


def slack_channel(plan: Plan) -> Command:
    return _stand_in(plan, "slack", "libs.devstack.slack_channel", ["--port", plan.ports["slack"]])


def tinyurl_shortener(plan: Plan) -> Command:
    return _stand_in(plan, "tinyurl", "libs.devstack.tinyurl_shortener", ["--port", plan.ports["tinyurl"]])


def _stand_in(
    plan: Plan,
    name: str,
    module: str,
    options: Sequence[object],
    secrets: Mapping[str, str] = EMPTY,
) -> Command:
    data = plan.folder.path / name
    return Command(
        name,
        [sys.executable, "-m", module, *map(str, options), "--data", str(data)],
        environment=_findable({**stand_in_environment(plan.environment), **secrets}),
        folder=plan.folder.path,
        log_path=plan.folder.logs / f"{name}.log",
        label=LABELS[name],
        layer=STAND_INS_LAYER,
    )


def service(plan: Plan, name: str, database_url: str) -> Command:
    environment = {**plan.environment, "DATABASE_URL": database_url}
    return Command(
        name,
        [sys.executable, "-m", "services.cli", "run", name],
        environment=_findable(service_environment(name, environment)),
        # Away from a `.env` that would give back what was left out.
        folder=plan.folder.path,
        log_path=plan.folder.logs / f"{name}.log",
        layer=SERVICES_LAYER,
    )


def admin_command(plan: Plan, database_url: str, *words: str) -> tuple[list[str], dict[str, str]]:
    """`relance admin …`, and the environment of the service whose accounts it is about."""
    environment = service_environment("admin_api", {**plan.environment, "DATABASE_URL": database_url})
    return [sys.executable, "-m", "services.cli", "admin", *words], _findable(environment)


def _findable(environment: dict[str, str]) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    return {**environment, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
