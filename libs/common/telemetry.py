"""Trace context (W3C `traceparent`), from the webhook to the SMTP answer; and the metrics of the frame."""

from __future__ import annotations

import re
from contextvars import ContextVar
from random import Random

from prometheus_client import Counter, Gauge, Histogram

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")

# Not a secret, and drawn thousands of times a second; of its own, so that nobody seeds it.
_random = Random()  # noqa: S311

current_traceparent: ContextVar[str | None] = ContextVar("current_traceparent", default=None)


def new_traceparent() -> str:
    drawn = _random.randbytes(24).hex()
    return f"00-{drawn[:32]}-{drawn[32:]}-01"


def child_of(traceparent: str | None) -> str:
    """The same trace with a span of its own; a new trace where there is none, or none that parses."""
    match = _TRACEPARENT.fullmatch(traceparent or "")
    if match is None:
        return new_traceparent()
    return f"00-{match[1]}-{_random.randbytes(8).hex()}-01"


def trace_id(traceparent: str | None) -> str | None:
    match = _TRACEPARENT.fullmatch(traceparent or "")
    return match[1] if match else None


EVENTS_READ = Counter("relance_events_read_total", "Events read from Kafka", ["service", "topic", "outcome"])
EVENTS_HANDLED = Counter(
    "relance_events_handled_total", "Inbox events worked", ["service", "type", "outcome"]
)
EVENTS_TOLD = Counter("relance_events_told_total", "Events relayed from the outbox to Kafka", ["service"])
HANDLING_SECONDS = Histogram(
    "relance_inbox_batch_seconds", "Seconds to work one batch of the inbox", ["service"]
)
JOB_FAILURES = Counter("relance_job_failures_total", "Turns of a job that failed", ["service", "job"])
HOUSEKEEPING_DELETED = Counter(
    "relance_housekeeping_deleted_total", "Rows deleted past their keeping time", ["service", "table"]
)
INBOX_PENDING = Gauge("relance_inbox_pending", "Inbox events not worked yet", ["service"])
INBOX_OLDEST_SECONDS = Gauge(
    "relance_inbox_oldest_seconds", "Age of the oldest event not worked", ["service"]
)
DEAD_LETTERS = Gauge("relance_dead_letters", "Events set aside", ["service"])
OUTBOX_PENDING = Gauge("relance_outbox_pending", "Facts not relayed yet", ["service"])
CONSUMER_LAG = Gauge("relance_consumer_lag", "Messages not read yet", ["service"])
