"""From the text of a policy file to its values; every mistake is named with file, line and what to do."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from libs.common.errors import MisconfiguredError
from services.billing.domain.policy.places import Places
from services.billing.domain.policy.values import Declines, Does, Forbidden, Policy, Stage, Tries

_KEYS = {
    "": ("version", "declines", "tries", "deadline", "notice", "forbidden", "time", "stages"),
    "declines": ("stop", "ask_the_customer", "try_again"),
    "tries": ("skip_hopeless", "cooling", "cooling_days"),
    "deadline": ("days",),
    "notice": ("hours_before", "days_until_person"),
    "forbidden": ("friday_from_hour", "weekends", "public_holidays", "eves_of_public_holidays"),
    "time": ("zone", "working_morning_hour"),
}
_STAGE_KEYS = ("does", "after_days", "unpaid_invoices")
_LONGEST_DAYS = 365


class PolicyError(MisconfiguredError):
    """A policy file that cannot be used; a line for each mistake: `file:line: what is wrong; what to do`."""


def read_policy(text: str, name: str) -> Policy:
    """Raises PolicyError, naming every mistake."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{name}:{_line_of(error, text)}: this is not TOML: {error}; correct it") from error
    reader = _Reader(document, text, name)
    policy = reader.read()
    if reader.mistakes:
        raise PolicyError("\n".join(line for _, line in sorted(reader.mistakes)))
    return policy


def _line_of(error: tomllib.TOMLDecodeError, text: str) -> int:
    found = re.search(r"at line (\d+)", str(error))
    return int(found[1]) if found else max(1, len(text.splitlines()))


class _Reader:
    """Reads on after a mistake, with a stand-in value, so that all are named at once."""

    def __init__(self, document: dict[str, Any], text: str, name: str) -> None:
        self._document = document
        self._places = Places(text)
        self._name = name
        self.mistakes: list[tuple[int, str]] = []

    def read(self) -> Policy:
        self._refuse_unknown_keys()
        version = self._text("version")
        deadline_days = self._whole(1, _LONGEST_DAYS, "deadline", "days")
        return Policy(
            version=version,
            declines=self._declines(),
            tries=Tries(
                skip_hopeless=self._flag("tries", "skip_hopeless"),
                cooling=frozenset(self._codes("tries", "cooling")),
                cooling_days=self._whole(0, _LONGEST_DAYS, "tries", "cooling_days"),
            ),
            deadline_days=deadline_days,
            notice_hours=self._whole(1, 24 * _LONGEST_DAYS, "notice", "hours_before"),
            days_until_person=self._whole(1, _LONGEST_DAYS, "notice", "days_until_person"),
            forbidden=Forbidden(
                friday_from_hour=self._whole(0, 24, "forbidden", "friday_from_hour"),
                weekends=self._flag("forbidden", "weekends"),
                public_holidays=self._flag("forbidden", "public_holidays"),
                eves_of_public_holidays=self._flag("forbidden", "eves_of_public_holidays"),
            ),
            zone=self._zone(),
            working_morning_hour=self._whole(0, 23, "time", "working_morning_hour"),
            stages=self._stages(deadline_days),
        )

    def _mistake(self, line: int, wrong: str, to_do: str) -> None:
        self.mistakes.append((line, f"{self._name}:{line}: {wrong}; {to_do}"))

    def _refuse_unknown_keys(self) -> None:
        for table, known in _KEYS.items():
            found = self._document.get(table) if table else self._document
            if isinstance(found, dict):
                self._refuse_others(found, known, *([table] if table else []))

    def _refuse_others(self, found: dict[str, Any], known: Sequence[str], *path: str | int) -> None:
        for key in found.keys() - set(known):
            near = get_close_matches(key, known, n=1)
            to_do = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
            self._mistake(self._places.of(*path, key), f"{_dotted(*path, key)} is not known", to_do)

    def _find(self, *path: str | int) -> Any:
        """The value, or None, which TOML cannot say, where it is missing."""
        value: Any = self._document
        for step in path:
            if isinstance(step, str) and not (isinstance(value, dict) and step in value):
                return None
            value = value[step]
        return value

    def _missing(self, to_do: str, *path: str | int) -> None:
        self._mistake(self._places.of(*path), f"{_dotted(*path)} is missing", to_do)

    def _text(self, *path: str | int) -> str:
        value = self._find(*path)
        if value is None:
            self._missing('write a text in quotes, such as "2026-12"', *path)
        elif not isinstance(value, str) or not value.strip():
            self._mistake(self._places.of(*path), f"{_dotted(*path)} is {value!r}", "write a text in quotes")
        else:
            return value
        return ""

    def _whole(self, least: int, most: int, *path: str | int) -> int:
        value, wanted = self._find(*path), f"write a whole number from {least} to {most}"
        if value is None:
            self._missing(wanted, *path)
        elif type(value) is not int or not least <= value <= most:
            self._mistake(self._places.of(*path), f"{_dotted(*path)} is {value!r}", wanted)
        else:
            return value
        return most

    def _flag(self, *path: str | int) -> bool:
        value = self._find(*path)
        if value is None:
            self._missing("write true or false", *path)
        elif not isinstance(value, bool):
            self._mistake(self._places.of(*path), f"{_dotted(*path)} is {value!r}", "write true or false")
        return value is True

    def _codes(self, *path: str | int) -> list[str]:
        value, wanted = self._find(*path), 'write a list of texts, such as ["lost_card"]'
        if value is None:
            self._missing(wanted, *path)
        elif not isinstance(value, list) or not all(isinstance(code, str) and code for code in value):
            self._mistake(self._places.of(*path), f"{_dotted(*path)} is no list of codes", wanted)
        else:
            return value
        return []

    def _declines(self) -> Declines:
        lists = {name: self._codes("declines", name) for name in _KEYS["declines"]}
        home: dict[str, str] = {}
        for name, codes in lists.items():
            for code in codes:
                if code in home:
                    line = self._places.of_value(code, "declines", name)
                    self._mistake(
                        line, f"{code} stands in {home[code]} and in {name}", "keep it in one of them"
                    )
                home.setdefault(code, name)
        return Declines(**{name: frozenset(codes) for name, codes in lists.items()})

    def _zone(self) -> ZoneInfo:
        name = self._text("time", "zone")
        try:
            return ZoneInfo(name or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            line = self._places.of("time", "zone")
            self._mistake(line, f"there is no time zone {name!r}", 'write one such as "Europe/Paris"')
            return ZoneInfo("UTC")

    def _stages(self, deadline_days: int) -> tuple[Stage, ...]:
        rows = self._find("stages")
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            self._mistake(self._places.of("stages"), "there are no stages", "write them as [[stages]] tables")
            return ()
        stages = [self._stage(position, row, deadline_days) for position, row in enumerate(rows)]
        if not any(stage.does is Does.WARN and stage.after_days == 0 for stage in stages):
            line = self._places.of("stages", 0)
            self._mistake(line, "nobody is warned at once", 'add a stage with does = "warn", after_days = 0')
        return tuple(stages)

    def _stage(self, position: int, row: dict[str, Any], deadline_days: int) -> Stage:
        self._refuse_others(row, _STAGE_KEYS, "stages", position)
        does = self._does(position, row)
        after_days = self._whole(0, _LONGEST_DAYS, "stages", position, "after_days")
        unpaid = 1
        if "unpaid_invoices" in row:
            unpaid = self._whole(1, 1000, "stages", position, "unpaid_invoices")
        if does is not Does.WARN and after_days < deadline_days:
            self._mistake(
                self._places.of("stages", position, "after_days"),
                f"{does} after {after_days} days is before the deadline that customers are told",
                f"write {deadline_days} or more, or lower deadline.days",
            )
        return Stage(does, after_days, unpaid)

    def _does(self, position: int, row: dict[str, Any]) -> Does:
        choices = ", ".join(Does)
        if "does" not in row:
            self._missing(f"write one of {choices}", "stages", position, "does")
            return Does.WARN
        try:
            return Does(row["does"])
        except ValueError:
            line = self._places.of("stages", position, "does")
            self._mistake(line, f"a stage cannot do {row['does']!r}", f"write one of {choices}")
            return Does.WARN


def _dotted(*path: str | int) -> str:
    """`stages[2].after_days`, counted from 1 as people do."""
    text = ""
    for step in path:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if text else step
    return text
