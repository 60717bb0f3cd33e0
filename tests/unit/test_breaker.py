"""The breaker: open after failures in a row, one try a rest, closed by the first success."""

from __future__ import annotations

from libs.integrations.breaker import Breaker


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def breaker_of(time: Time) -> Breaker:
    return Breaker(failures=3, rest_seconds=10, clock=time)


def opened(time: Time) -> Breaker:
    breaker = breaker_of(time)
    for _ in range(3):
        breaker.note_failure(breaker.now())
    time.now += 0.001
    return breaker


def test_it_lets_begin_whatever_is_wanted_until_failures_come_in_a_row() -> None:
    breaker = breaker_of(Time())
    breaker.note_failure(breaker.now())
    breaker.note_failure(breaker.now())
    breaker.note_success(breaker.now())
    breaker.note_failure(breaker.now())
    assert (breaker.room(40), breaker.is_open) == (40, False)


def test_open_it_leaves_no_room_and_after_a_rest_room_for_one() -> None:
    time = Time()
    breaker = opened(time)
    assert (breaker.room(40), breaker.is_open) == (0, True)
    time.now += 10
    assert breaker.room(40) == 1
    assert breaker.room(40) == 0, "one try a rest"
    time.now += 10
    assert breaker.room(40) == 1, "a try of which nobody heard again holds nobody up for ever"


def test_a_success_closes_it() -> None:
    time = Time()
    breaker = opened(time)
    breaker.note_success(breaker.now())
    assert (breaker.room(40), breaker.is_open) == (40, False)


def test_a_failed_try_makes_it_rest_again() -> None:
    time = Time()
    breaker = opened(time)
    time.now += 10
    assert breaker.room(1) == 1
    time.now += 5
    breaker.note_failure(breaker.now())
    time.now += 9
    assert breaker.room(1) == 0


def test_what_was_begun_before_says_nothing_about_now() -> None:
    time = Time()
    breaker = breaker_of(time)
    before = breaker.now()
    time.now += 1
    for _ in range(3):
        breaker.note_failure(breaker.now())
    breaker.note_success(before)
    assert breaker.is_open, "a slow answer from before the trouble"
    while_open = time.now + 0.1
    time.now += 1
    breaker.note_success(breaker.now())
    for _ in range(3):
        breaker.note_failure(while_open)
    assert not breaker.is_open, "time-outs of what was begun during the trouble"


def test_it_stays_open_as_long_as_the_other_side_asked() -> None:
    time = Time()
    breaker = breaker_of(time)
    breaker.open_for(60)
    time.now += 59
    assert breaker.room(1) == 0
    time.now += 1
    assert breaker.room(1) == 1


def test_a_try_that_found_nothing_to_begin_is_for_the_next_one_who_asks() -> None:
    time = Time()
    breaker = opened(time)
    time.now += 10
    assert breaker.room(40) == 1
    breaker.give_back()
    assert (breaker.room(40), breaker.room(40)) == (1, 0)


def test_a_longer_rest_that_was_asked_for_meanwhile_is_not_given_back() -> None:
    time = Time()
    breaker = opened(time)
    time.now += 10
    assert breaker.room(40) == 1
    breaker.open_for(60)
    breaker.give_back()
    time.now += 59
    assert breaker.room(40) == 0
