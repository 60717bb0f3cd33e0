"""How many messages are not read yet."""

from __future__ import annotations

from aiokafka import TopicPartition

from services.scheduler.reading import count_unread

FIRST, SECOND = TopicPartition("directory.events", 0), TopicPartition("directory.events", 1)


def test_a_group_that_noted_the_ends_has_read_everything() -> None:
    assert count_unread({FIRST: 3, SECOND: 5}, {FIRST: 3, SECOND: 9}) == 0


def test_what_was_told_after_the_mark_does_not_make_up_for_what_is_unread() -> None:
    assert count_unread({FIRST: 3, SECOND: 5}, {FIRST: 1, SECOND: 50}) == 2


def test_a_partition_of_which_nothing_was_noted_is_unread() -> None:
    assert count_unread({FIRST: 3}, {}) == 3
    assert count_unread({FIRST: 3}, {FIRST: -1}) == 3
