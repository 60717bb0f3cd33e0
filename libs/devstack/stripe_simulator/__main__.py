"""`python -m libs.devstack.stripe_simulator`: the simulator as a process of its own."""

import argparse
import json
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from libs.devstack.stripe_simulator.app import create_simulator
from libs.devstack.stripe_simulator.settings import CURRENT_API_VERSION, SimulatorSettings, WebhookTarget


class _AnnouncingServer(uvicorn.Server):
    """Says on stdout, in one JSON line, when it is ready."""

    url = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(json.dumps({"ready": True, "url": self.url, "pid": os.getpid()}) + "\n")
            sys.stdout.flush()


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    # uvicorn hands the signal on after its clean stop; the exit code says that all went well.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    url = f"http://{options.host}:{options.port}"
    config = uvicorn.Config(
        create_simulator(_settings(options, url)),
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
    )
    server = _AnnouncingServer(config)
    server.url = url
    server.run()


def _settings(options: argparse.Namespace, url: str) -> SimulatorSettings:
    secrets = options.webhook_secret or [os.environ.get("STRIPE_SIMULATOR_WEBHOOK_SECRET", "")]
    if len(secrets) == 1:
        secrets = secrets * len(options.webhook_url)
    if len(secrets) != len(options.webhook_url) or not all(secrets):
        sys.exit("Each --webhook-url needs a --webhook-secret (or STRIPE_SIMULATOR_WEBHOOK_SECRET).")
    targets = tuple(
        WebhookTarget(target, secret, options.webhook_api_version)
        for target, secret in zip(options.webhook_url, secrets, strict=True)
    )
    return SimulatorSettings(
        data_dir=options.data,
        api_key=options.api_key,
        public_url=options.public_url or url,
        webhooks=targets,
        webhook_timeout_seconds=options.webhook_timeout,
        webhook_first_retry_seconds=options.webhook_first_retry,
        webhook_longest_retry_seconds=options.webhook_longest_retry,
        webhook_concurrency=options.webhook_concurrency,
        manual_attempts_count=options.manual_attempts_count,
        after_last_attempt=options.after_last_attempt,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m libs.devstack.stripe_simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of the data, which survive a restart"
    )
    parser.add_argument("--api-key", default=os.environ.get("STRIPE_SK", "sk_test_simulator"))
    parser.add_argument("--public-url", default="", help="where people reach it, for the invoices' pages")
    parser.add_argument("--webhook-url", action="append", default=[], help="may be given several times")
    parser.add_argument(
        "--webhook-secret", action="append", default=[], help="one for all URLs, or one for each"
    )
    parser.add_argument("--webhook-api-version", default=CURRENT_API_VERSION)
    parser.add_argument("--webhook-timeout", type=float, default=10.0, help="seconds")
    parser.add_argument("--webhook-first-retry", type=float, default=0.5, help="seconds, doubled each time")
    parser.add_argument("--webhook-longest-retry", type=float, default=10.0, help="seconds")
    parser.add_argument("--webhook-concurrency", type=int, default=32)
    parser.add_argument("--manual-attempts-count", action="store_true")
    choices = ["past_due", "unpaid", "canceled"]
    parser.add_argument("--after-last-attempt", choices=choices, default="past_due")
    return parser


if __name__ == "__main__":
    main()
