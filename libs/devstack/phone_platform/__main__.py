"""python -m libs.devstack.phone_platform --port P --data DIR

The secrets that it believes are in PLATFORM_WEBHOOK_SECRET, comma-separated. Prints one JSON line on stdout
when the door is open; stops on SIGTERM or SIGINT with exit code 0.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from libs.devstack.phone_platform.app import create_app
from libs.devstack.phone_platform.store import LineStore
from libs.devstack.phone_platform.webhooks import PATH

SHUTDOWN_SECONDS = 3
SECRETS = "PLATFORM_WEBHOOK_SECRET"


class _Server(uvicorn.Server):
    ready_line = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(self.ready_line + "\n")
            sys.stdout.flush()


def main() -> None:
    # uvicorn sends itself the signal again once it has stopped: that must not look like an accident.
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, _leave)
    options = parser().parse_args()
    secrets = [word.strip() for word in os.environ.get(SECRETS, "").split(",") if word.strip()]
    if not secrets:
        sys.exit(f"{SECRETS} is empty: no webhook could be believed.")
    config = uvicorn.Config(
        create_app(LineStore(options.data), secrets),
        host=options.host,
        port=options.port,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config)
    url = f"http://{options.host}:{options.port}"
    server.ready_line = json.dumps({"ready": "phone_platform", "url": url, "webhook_url": url + PATH})
    server.run()
    sys.exit(0 if server.started else 1)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m libs.devstack.phone_platform")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--data", type=Path, required=True, help="folder of the books, which survive")
    options.add_argument("--host", default="127.0.0.1")
    return options


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
