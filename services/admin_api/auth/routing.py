"""What the route that a request is for asks for, known before anything of the request is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

from services.admin_api.auth.callers import Need, need_of

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""The frame's own, which know nothing of doors."""


@dataclass(frozen=True, slots=True)
class Entry:
    path: str
    pattern: re.Pattern[str]
    methods: frozenset[str]
    need: Need


class RouteTable:
    """All routes of an app, with what each asks for."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._entries: list[Entry] | None = None

    def entries(self) -> list[Entry]:
        # At the first request: every router was included by then.
        if self._entries is None:
            self._entries = [
                Entry(
                    context.path,
                    compile_path(context.path)[0],
                    frozenset(context.methods or ()),
                    Need(is_open=True) if context.path in OPEN_PATHS else need_of(context.endpoint),
                )
                for context in iter_route_contexts(self._app.routes)
                if context.path is not None
            ]
        return self._entries

    def find(self, method: str, path: str) -> Entry | None:
        """The route that will be taken; for a method that none of the path takes, the path's first."""
        matching = [entry for entry in self.entries() if entry.pattern.match(path)]
        exact = [entry for entry in matching if method in entry.methods]
        return next(iter(exact or matching), None)
