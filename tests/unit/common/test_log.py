"""The log lines that the team knows, letter for letter, and the file they are in."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path

import pytest

from libs.common.log import DailyFileHandler, JsonFormatter, OncePerWhile, TeamFormatter
from libs.common.telemetry import current_traceparent

GOLDEN = """\
[2025-05-23T13:45:02.013118+02:00] app.INFO: Docx ID: 421, EnterpriseID: 9976, Heures restantes: -650.15 []
[2025-05-23T13:45:02.013207+02:00] app.INFO: Docx ID: 421 []
[2025-05-23T13:45:02.013245+02:00] app.INFO: Cutoff Date: 2025-04-26 11:35:56 []
[2025-05-23T13:45:02.013277+02:00] app.INFO: Now: 2025-05-23 13:45:01 []
[2025-05-23T13:45:02.015508+02:00] app.INFO: Un email a déjà été envoyé ce cycle de facturation. Abandon de l'envoi. []
[2025-05-23T13:45:02.015569+02:00] app.INFO: Ligne coupée pour Enterprise ID: 9976, Docx ID: 421 []
"""  # noqa: E501


def record(message: str, *args: object, at: str = "2025-05-23T13:45:02.013118+02:00") -> logging.LogRecord:
    made = logging.LogRecord("app", logging.INFO, __file__, 1, message, args, None)
    made.created = datetime.fromisoformat(at).timestamp()
    return made


def golden_records() -> list[logging.LogRecord]:
    lines = [
        ("13118", "Docx ID: %s, EnterpriseID: %s, Heures restantes: %.2f", (421, 9976, -650.15)),
        ("13207", "Docx ID: %s", (421,)),
        ("13245", "Cutoff Date: %s", (datetime.fromisoformat("2025-04-26 11:35:56"),)),
        ("13277", "Now: %s", (datetime.fromisoformat("2025-05-23 13:45:01"),)),
        ("15508", "Un email a déjà été envoyé ce cycle de facturation. Abandon de l'envoi.", ()),
        ("15569", "Ligne coupée pour Enterprise ID: %s, Docx ID: %s", (9976, 421)),
    ]
    return [record(text, *args, at=f"2025-05-23T13:45:02.0{micro}+02:00") for micro, text, args in lines]


def test_the_six_lines_of_the_team() -> None:
    assert "".join(TeamFormatter().format(r) + "\n" for r in golden_records()) == GOLDEN


def test_the_six_lines_in_the_file_of_their_day(tmp_path: Path) -> None:
    handler = DailyFileHandler(tmp_path / "log", "prod")
    handler.setFormatter(TeamFormatter())
    for made in golden_records():
        handler.handle(made)
    handler.close()
    [file] = (tmp_path / "log").iterdir()
    assert file.name == "app@prod-2025-05-23.log"
    assert file.read_text(encoding="utf-8") == GOLDEN


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2025-01-10T08:00:00+00:00", "[2025-01-10T09:00:00.000000+01:00] app.INFO: x []"),
        ("2025-07-10T08:00:00+00:00", "[2025-07-10T10:00:00.000000+02:00] app.INFO: x []"),
    ],
)
def test_the_time_is_that_of_paris(at: str, shown: str) -> None:
    assert TeamFormatter().format(record("x", at=at)) == shown


def test_a_message_stays_on_its_line_and_its_context_is_shown() -> None:
    made = record("two\nlines")
    made.context = {"company": "Café"}
    assert TeamFormatter().format(made).endswith('app.INFO: two\\nlines {"company": "Café"}')


def test_the_day_changes_at_midnight_in_paris(tmp_path: Path) -> None:
    handler = DailyFileHandler(tmp_path, "test")
    handler.handle(record("before", at="2026-11-22T22:59:59.999999+00:00"))
    handler.handle(record("after", at="2026-11-22T23:00:00+00:00"))
    handler.close()
    names = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert names == {"app@test-2026-11-22.log": "before\n", "app@test-2026-11-23.log": "after\n"}


@pytest.mark.parametrize(("message", "args"), [("half a letter: \udcff", ()), ("%d", ("not a number",))])
def test_whoever_logs_never_fails_for_it(
    tmp_path: Path, message: str, args: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    handler = DailyFileHandler(tmp_path, "test")
    handler.handle(record(message, *args))
    handler.handle(record("the next one"))
    handler.close()
    [file] = tmp_path.iterdir()
    assert file.read_text().endswith("the next one\n")


def test_json_lines_hold_what_machines_look_for() -> None:
    token = current_traceparent.set("00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    try:
        made = record("ligne coupée %s", 7)
        made.context = {"company_id": "c1"}
        why = ValueError("why")
        made.exc_info = (ValueError, why, why.__traceback__)
        line = json.loads(JsonFormatter("billing").format(made))
    finally:
        current_traceparent.reset(token)
    assert "ValueError: why" in line.pop("error")
    assert line == {
        "time": "2025-05-23T11:45:02.013118+00:00",
        "level": "INFO",
        "service": "billing",
        "logger": "app",
        "message": "ligne coupée 7",
        "trace_id": "a" * 32,
        "context": {"company_id": "c1"},
    }


def test_a_json_line_is_one_line() -> None:
    assert "\n" not in JsonFormatter("billing").format(record("two\nlines"))


def test_a_json_line_can_always_be_written() -> None:
    line = JsonFormatter("billing").format(record("half a letter: \udcff, é"))
    assert json.loads(line.encode())["message"] == "half a letter: \udcff, é"


def test_a_noisy_library_is_heard_once_in_a_while_and_nobody_else_is_kept_quiet() -> None:
    quiet = OncePerWhile(seconds=3600)
    noisy = logging.LogRecord("aiokafka.conn", logging.ERROR, __file__, 1, "down %s", ("a",), None)
    assert [quiet.filter(noisy), quiet.filter(noisy)] == [True, False]
    assert [quiet.filter(record("x")), quiet.filter(record("x"))] == [True, True]
