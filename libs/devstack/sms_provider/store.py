"""What was taken and reported: in memory, and a line each in a file."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from pydantic import ValidationError

from libs.devstack.sms_provider.models import Books, Report, TakenSms

REPORTS_KEPT = 1000


class SmsStore:
    """What it had taken when it was stopped, it has still."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "sms.jsonl"
        self._sms: dict[str, TakenSms] = {}
        self._reports: deque[Report] = deque(maxlen=REPORTS_KEPT)
        for sms in _load(self._path):
            self._sms[sms.id] = sms

    def all(self) -> list[TakenSms]:
        """Newest first."""
        return [*reversed(self._sms.values())]

    def books(self, *, limit: int | None = None) -> Books:
        return Books(sms=tuple(self.all()[:limit]), reports=tuple(self._reports)[:limit])

    def find(self, sms_id: str) -> TakenSms | None:
        return self._sms.get(sms_id)

    def keep(self, sms: TakenSms) -> None:
        """A new one, or its new status."""
        self._sms[sms.id] = sms
        with self._path.open("a", encoding="utf-8") as file:
            file.write(sms.model_dump_json() + "\n")

    def note(self, report: Report) -> None:
        self._reports.appendleft(report)

    def forget(self) -> None:
        self._sms.clear()
        self._reports.clear()
        self._path.unlink(missing_ok=True)


def _load(path: Path) -> list[TakenSms]:
    found: list[TakenSms] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            found.append(TakenSms.model_validate_json(line))
        except ValidationError:
            continue  # the last line of a process that was killed
    return found
