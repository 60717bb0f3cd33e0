"""python -m libs.devstack.mail_catcher --smtp-port P --http-port Q --data DIR

Prints one JSON line on stdout when both doors are open; stops on SIGTERM or SIGINT with exit code 0.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from libs.devstack.mail_catcher.app import create_app
from libs.devstack.mail_catcher.store import MailStore

SHUTDOWN_SECONDS = 3


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
    options = _options()
    app = create_app(MailStore(options.data), host=options.host, smtp_port=options.smtp_port)
    server = _Server(
        uvicorn.Config(
            app,
            host=options.host,
            port=options.http_port,
            log_level="warning",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    )
    server.ready_line = json.dumps(
        {
            "ready": "mail_catcher",
            "smtp": f"smtp://{options.host}:{options.smtp_port}",
            "http": f"http://{options.host}:{options.http_port}",
        }
    )
    server.run()
    sys.exit(0 if server.started else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m libs.devstack.mail_catcher")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the caught mails")
    parser.add_argument("--host", default="127.0.0.1")
    return parser.parse_args()


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
