"""What `relance topics` prints: every fact, told by whom, heard by whom, read from the code itself."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common import topics
from libs.common.events import EVENTS, Event
from libs.common.settings import CommonSettings, load
from services.run import router_of

Row = tuple[str, str, str, str, str]

HEADINGS: Row = ("topic", "fact", "told by", "heard by", "sentence")
# A topic is named after what is told about; the service behind two of them has another name.
SERVICE_OF_TELLER = {"stripe": "billing", "directory": "admin_api", "any": "every service"}


def table(services: Sequence[str]) -> str:
    """Aligned columns, sorted by topic and fact."""
    heard_by = {service: router.heard for service in services if (router := router_of(service))}
    rows = sorted(_row(event, heard_by) for event in EVENTS.values())
    widths = [max(len(row[column]) for row in (HEADINGS, *rows)) for column in range(len(HEADINGS))]
    return "\n".join(_line(row, widths) for row in (HEADINGS, *rows))


def _row(event: type[Event], heard_by: dict[str, dict[str, type[Event]]]) -> Row:
    teller = event.teller()
    hearers = [service for service, heard in heard_by.items() if event.type in heard]
    topic = "<its teller>.events" if teller == "any" else topics.topic_of(teller)
    told_by = SERVICE_OF_TELLER.get(teller, teller)
    return topic, event.__name__, told_by, ", ".join(hearers) or "nobody yet", event.sentence()


def _line(row: Row, widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


async def create_missing() -> list[str]:
    """Creates the topics that Kafka lacks; answers with their names."""
    return await topics.create_topics(load(CommonSettings))
