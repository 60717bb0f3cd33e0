"""Topics: one a teller. Declared here, created by `relance topics --create`, never by a reader."""

from __future__ import annotations

import logging

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from libs.common.events import TELLERS
from libs.common.settings import CommonSettings

log = logging.getLogger("relance.topics")

KEEPING_DAYS = 30


def topic_of(teller: str) -> str:
    return f"{teller}.events"


async def create_topics(settings: CommonSettings) -> list[str]:
    """Create what is missing; answers with the names created. Raises KafkaError when Kafka refuses."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        names = [settings.kafka_topic_prefix + topic_of(teller) for teller in TELLERS]
        missing = sorted(set(names) - set(await admin.list_topics()))
        if missing:
            answer = await admin.create_topics([_new_topic(name, settings) for name in missing])
            _raise_refusals(answer.topic_errors)
        return missing
    finally:
        await admin.close()


def _new_topic(name: str, settings: CommonSettings) -> NewTopic:
    return NewTopic(
        name=name,
        num_partitions=settings.kafka_topic_partitions,
        replication_factor=settings.kafka_replication_factor,
        topic_configs={
            "retention.ms": str(KEEPING_DAYS * 24 * 3600 * 1000),
            "min.insync.replicas": str(settings.kafka_min_insync_replicas),
        },
    )


def _raise_refusals(topic_errors: list[tuple[str, int, str | None]]) -> None:
    for name, code, message in topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"topic {name}: {message}")
