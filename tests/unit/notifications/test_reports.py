"""Words that come after a message was handed over: forward only, and the same end in any order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.domain import Status, Why
from services.notifications.domain.reports import (
    RANKS,
    Report,
    after_report,
    is_dead_address,
    is_permanent,
)

WORDS = (Status.ACCEPTED, Status.DELIVERED, Status.BOUNCED, Status.FAILED, None)


def path(start: Status, words: Sequence[Status | None]) -> list[Status]:
    """Every status that it passes."""
    passed = [start]
    for word in words:
        passed += [step.status for step in after_report(passed[-1], Report(word, "word"))]
    return passed


@pytest.mark.parametrize("start", [Status.PENDING, Status.SENDING, Status.UNKNOWN, Status.ACCEPTED])
def test_every_order_of_all_words_moves_forward_to_the_same_end(start: Status) -> None:
    for words in permutations(WORDS):
        passed = path(start, words)
        assert passed[-1] is Status.BOUNCED
        assert all(RANKS[one] < RANKS[next_] for one, next_ in pairwise(passed)), passed
        assert Status.ACCEPTED in passed


@given(st.sampled_from(list(Status)), st.lists(st.sampled_from(WORDS), max_size=8), st.randoms())
def test_any_words_any_order_any_repetition(
    start: Status, words: list[Status | None], random: st.DrawFn
) -> None:
    shuffled = list(words) + words[: len(words) // 2]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    one, other = path(start, words), path(start, shuffled)
    assert one[-1] is other[-1]
    for passed in (one, other):
        assert all(RANKS[before] < RANKS[after] for before, after in pairwise(passed))


def test_what_was_delivered_had_been_accepted() -> None:
    steps = after_report(Status.UNKNOWN, Report(Status.DELIVERED, "delivered", "theirs"))
    assert [step.status for step in steps] == [Status.ACCEPTED, Status.DELIVERED]
    assert {step.provider_id for step in steps} == {"theirs"}
    [bounced] = after_report(Status.DELIVERED, Report(Status.BOUNCED, "550"))
    assert bounced.why is Why.CAME_BACK


@pytest.mark.parametrize(
    ("answer", "is_dead"),
    [
        ("rcpt: 550 5.1.1 no such user", True),
        ("550 5.1.1 <a@b.fr>: Recipient address rejected: User unknown in virtual mailbox table", True),
        ("550-5.1.1 The email account that you tried to reach does not exist.", True),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", True),
        ("550 5.4.1 Recipient address rejected: Access denied", True),
        ("553 5.1.3 bad syntax", True),
        ("550 5.2.1 The email account is disabled", True),
        ("550 No such user here", True),
        ("551 mailbox unavailable", True),
        ("552 5.2.2 The email account that you tried to reach is over quota", False),
        ("550 5.7.1 message rejected as spam", False),
        ("554 5.7.1 Service unavailable; client host blocked", False),
        ("550 5.7.1 unknown user or policy", False),
        ("451 4.1.1 user unknown for now", False),
        ("450 4.2.1 mailbox busy: user unknown", False),
        ("554 transaction failed", False),
        ("", False),
    ],
)
def test_what_an_answer_says_of_the_address(answer: str, is_dead: bool) -> None:
    assert is_dead_address(answer) is is_dead
    assert not is_dead or is_permanent(answer)
