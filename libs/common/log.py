"""Logs: JSON lines on stdout, and the one file a day that the team reads, in the form it always had.

`[2025-05-23T13:45:02.013118+02:00] app.INFO: message [context]`, Europe/Paris, `app@<env>-<date>.log`.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from libs.common.telemetry import current_traceparent, trace_id

PARIS = ZoneInfo("Europe/Paris")

NOISY_LIBRARIES = ("aiokafka", "kafka")
NOISY_SECONDS = 5.0


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, service, logger, message, trace_id, context, error."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace := trace_id(current_traceparent.get()):
            line["trace_id"] = trace
        if context := getattr(record, "context", None):
            line["context"] = context
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        text = json.dumps(line, ensure_ascii=False, default=str)
        # Half of a surrogate pair has no UTF-8; its escape is JSON too.
        return text.encode(errors="backslashreplace").decode()


class TeamFormatter(logging.Formatter):
    """The form of the old application's log, kept word for word because people and scripts read it."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, PARIS).isoformat(timespec="microseconds")
        context = getattr(record, "context", None)
        shown = json.dumps(context, ensure_ascii=False, default=str) if context else "[]"
        message = record.getMessage().replace("\n", "\\n")
        return f"[{at}] app.{record.levelname}: {message} {shown}"


class DailyFileHandler(logging.Handler):
    """Appends to `app@<env>-<date>.log`, the date in Europe/Paris; several processes may share the file."""

    def __init__(self, folder: Path, app_env: str) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._app_env = app_env
        self._day = ""
        self._file: TextIO | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            day = datetime.fromtimestamp(record.created, PARIS).date().isoformat()
            if day != self._day:
                self._open(day)
            assert self._file is not None
            self._file.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)  # whoever logs must never fail for it

    def _open(self, day: str) -> None:
        self.close_file()
        path = self._folder / f"app@{self._app_env}-{day}.log"
        self._file = path.open("a", buffering=1, encoding="utf-8", errors="backslashreplace")
        self._day = day

    def close_file(self) -> None:
        if self._file is not None:
            self._file.close()

    def close(self) -> None:
        self.close_file()
        super().close()


class OncePerWhile(logging.Filter):
    """Lets each message template of a noisy library through once in a while.

    While a broker is down, aiokafka writes up to 2,000 error lines a second.
    """

    def __init__(self, seconds: float = NOISY_SECONDS) -> None:
        super().__init__()
        self._seconds = seconds
        self._last: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(NOISY_LIBRARIES):
            return True
        key, now = (record.name, str(record.msg)), time.monotonic()
        with self._lock:
            if now - self._last.get(key, -self._seconds) < self._seconds:
                return False
            self._last[key] = now
            return True


def set_up(service: str, app_env: str, log_dir: Path | None) -> None:
    """Once, at the start of a process."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    handlers[0].setFormatter(JsonFormatter(service))
    if log_dir is not None:
        handlers.append(DailyFileHandler(log_dir, app_env))
        handlers[1].setFormatter(TeamFormatter())
    for handler in handlers:
        handler.addFilter(OncePerWhile())
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    for name in ("uvicorn.access", "httpx", "httpcore", "stripe", "faststream"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in NOISY_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
