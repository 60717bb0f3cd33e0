"""What the simulator must be told."""

from dataclasses import dataclass, field
from pathlib import Path

CURRENT_API_VERSION = "2026-06-24.dahlia"
OLD_API_VERSION = "2024-06-20"
"""The last version before Basil (2025-03-31) that kept `invoice.subscription` and `invoice.paid`."""


@dataclass(frozen=True)
class WebhookTarget:
    """An endpoint that exists from the start. `api_version` chooses the shape of its events."""

    url: str
    secret: str = field(repr=False)
    api_version: str = CURRENT_API_VERSION
    enabled_events: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class SimulatorSettings:
    """All of a simulator's settings; durations in seconds, `retry_schedule_days` in days.

    `api_key`: the one secret key accepted; empty accepts every caller.
    `after_last_attempt`: what becomes of a subscription whose last automatic attempt failed:
    `past_due`, `unpaid` or `canceled`.
    `manual_attempts_count`: true for accounts where manual attempts raise `attempt_count` too.
    """

    data_dir: Path
    api_key: str = field(default="sk_test_simulator", repr=False)
    public_url: str = "http://127.0.0.1:12111"
    webhooks: tuple[WebhookTarget, ...] = ()
    api_version: str = CURRENT_API_VERSION
    webhook_timeout_seconds: float = 10.0
    webhook_first_retry_seconds: float = 0.5
    webhook_retry_factor: float = 2.0
    webhook_longest_retry_seconds: float = 10.0
    webhook_tries: int = 200
    webhook_concurrency: int = 32
    retry_schedule_days: tuple[int, ...] = (3, 5, 7)
    after_last_attempt: str = "past_due"
    manual_attempts_count: bool = False
    tick_seconds: float = 1.0
