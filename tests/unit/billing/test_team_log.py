"""The lines about cuts that the team knows, letter for letter, as the decision writes them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from services.billing.domain.team_log import cut_line, cutoff_lines

PARIS = ZoneInfo("Europe/Paris")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


def test_the_lines_of_a_decision_and_of_a_cut() -> None:
    cutoff, now = at("2025-04-26 11:35:56"), at("2025-05-23 13:45:01")
    assert [*cutoff_lines(421, 9976, cutoff, now, PARIS), cut_line(421, 9976)] == [
        "Docx ID: 421, EnterpriseID: 9976, Heures restantes: -650.15",
        "Docx ID: 421",
        "Cutoff Date: 2025-04-26 11:35:56",
        "Now: 2025-05-23 13:45:01",
        "Ligne coupée pour Enterprise ID: 9976, Docx ID: 421",
    ]


def test_a_number_that_nobody_knows_is_shown_as_such() -> None:
    assert cut_line(None, None) == "Ligne coupée pour Enterprise ID: -, Docx ID: -"
