"""The one router of notifications; the files beside this one hang their handlers on it."""

from __future__ import annotations

from libs.common.router import EventRouter

router = EventRouter("notifications")
