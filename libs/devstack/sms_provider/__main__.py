"""python -m libs.devstack.sms_provider --port P --data DIR

The API key that it believes is in SMS_MODE_KEY. Prints one JSON line on stdout when the door is open; stops
on SIGTERM or SIGINT with exit code 0.
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

from libs.devstack.sms_provider.app import create_app
from libs.devstack.sms_provider.store import SmsStore

SHUTDOWN_SECONDS = 3
KEY = "SMS_MODE_KEY"


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
    key = os.environ.get(KEY, "").strip()
    if not key:
        sys.exit(f"{KEY} is empty: nobody could send.")
    config = uvicorn.Config(
        create_app(SmsStore(options.data), key),
        host=options.host,
        port=options.port,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config)
    url = f"http://{options.host}:{options.port}"
    server.ready_line = json.dumps({"ready": "sms_provider", "url": url})
    server.run()
    sys.exit(0 if server.started else 1)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m libs.devstack.sms_provider")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--data", type=Path, required=True, help="folder of what was taken, which survives")
    options.add_argument("--host", default="127.0.0.1")
    return options


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
