"""The lines of the log that the team knows about cuts, word for word; times are those of Paris."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

_UNKNOWN = "-"


def cutoff_lines(
    contract_id: int | None, enterprise_id: int | None, cutoff: datetime, now: datetime, zone: ZoneInfo
) -> list[str]:
    """What is looked at when a cut is due: "Heures restantes" is cutoff − now, in hours."""
    hours_left = (cutoff - now).total_seconds() / 3600
    docx = f"Docx ID: {_shown(contract_id)}"
    return [
        f"{docx}, EnterpriseID: {_shown(enterprise_id)}, Heures restantes: {hours_left:.2f}",
        docx,
        f"Cutoff Date: {_local(cutoff, zone)}",
        f"Now: {_local(now, zone)}",
    ]


def cut_line(contract_id: int | None, enterprise_id: int | None) -> str:
    return f"Ligne coupée pour Enterprise ID: {_shown(enterprise_id)}, Docx ID: {_shown(contract_id)}"


def _shown(number: int | None) -> str:
    return _UNKNOWN if number is None else str(number)


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"
