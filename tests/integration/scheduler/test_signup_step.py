"""The sign-up routine's steps: each told once to who did not subscribe, skipped with a reason when late."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from libs.common.events import provisional_company_id
from libs.common.events.directory import StripeCustomerLinked
from libs.common.events.scheduler import SignupStepDue
from services.scheduler.app import create_app
from services.scheduler.settings import SchedulerSettings
from tests.integration.scheduler.builders import (
    NOW,
    HandClock,
    RunningClock,
    registered,
    scheduler_settings,
    subscribed,
)
from tests.world import World, until

THREE_HOURS = timedelta(hours=3)


def quick_settings(world: World) -> SchedulerSettings:
    return scheduler_settings(world, signup_scan_seconds=1)


async def occurrences(world: World) -> dict[UUID, tuple[str, str | None]]:
    rows = await world.rows("scheduler", "select company_id, status, why from occurrences")
    return {row["company_id"]: (row["status"], row["why"]) for row in rows}


async def heard_companies(world: World) -> set[UUID]:
    rows = await world.rows("scheduler", "select company_id from companies where registered_at is not null")
    return {row["company_id"] for row in rows}


async def test_a_company_that_registered_three_hours_ago_is_told_its_first_step_once(world: World) -> None:
    event = registered(ago=THREE_HOURS)
    async with world.running(create_app(quick_settings(world), clock=RunningClock())):
        envelope = await world.tell(event, copies=3)
        facts = await until(lambda: world.told(SignupStepDue), what="the step")
    assert facts == [
        SignupStepDue(
            company_id=event.company_id,
            step="signup_first_step",
            due_at=event.registered_at + timedelta(hours=2),
            expires_at=event.registered_at + timedelta(days=2),
            name=event.name,
            email=event.email,
        )
    ]
    [told] = [e for e in await world.envelopes("scheduler") if e.type == SignupStepDue.type]
    assert told.causation_id == envelope.event_id
    assert (told.traceparent or "")[:35] == (envelope.traceparent or "")[:35], (
        "the registration's trace goes on"
    )
    assert await occurrences(world) == {event.company_id: ("told", None)}


async def test_a_step_is_told_when_its_moment_comes_and_not_before(world: World) -> None:
    clock = RunningClock()
    early, late = registered(ago=timedelta(hours=1)), registered(ago=THREE_HOURS)
    async with world.running(create_app(quick_settings(world), clock=clock)):
        await world.tell(early)
        await world.tell(late)
        await until(lambda: occurrences(world), what="the step of the company that waited longer")
        assert await occurrences(world) == {late.company_id: ("told", None)}
        clock.now = early.registered_at + timedelta(hours=2)

        async def both() -> bool:
            return set(await occurrences(world)) == {early.company_id, late.company_id}

        await until(both, what="the step of the other")


async def test_a_company_that_subscribed_is_not_told_even_when_that_is_heard_first(world: World) -> None:
    company_id = uuid4()
    other = registered(ago=THREE_HOURS)
    async with world.running(create_app(quick_settings(world), clock=RunningClock())):
        await world.tell(subscribed(company_id))

        async def is_heard() -> bool:
            return bool(
                await world.rows("scheduler", "select from companies where subscribed_at is not null")
            )

        await until(is_heard, what="the subscription")
        await world.tell(registered(company_id, ago=THREE_HOURS))
        await world.tell(other)
        await until(lambda: occurrences(world), what="the other company's step")

        async def both_heard() -> bool:
            return await heard_companies(world) == {company_id, other.company_id}

        await until(both_heard, what="both registrations")
    assert await occurrences(world) == {other.company_id: ("told", None)}
    assert len(await world.told(SignupStepDue)) == 1


async def test_a_subscription_under_the_provisional_company_counts_for_the_real_one(world: World) -> None:
    by_registration = registered(ago=THREE_HOURS, stripe_customer_id="cus_early")
    by_link = registered(ago=THREE_HOURS)
    async with world.running(create_app(quick_settings(world), clock=RunningClock(NOW - THREE_HOURS))):
        await world.tell(subscribed(provisional_company_id("cus_early")))
        await world.tell(subscribed(provisional_company_id("cus_linked"), subscription_id="sub_2"))
        await world.tell(by_registration)
        await world.tell(by_link)
        await world.tell(
            StripeCustomerLinked(
                company_id=by_link.company_id,
                stripe_customer_id="cus_linked",
                provisional_company_id=provisional_company_id("cus_linked"),
            )
        )

        async def all_heard() -> bool:
            rows = await world.rows(
                "scheduler",
                "select (select count(*) from customer_links) + (select count(*) from companies) as n",
            )
            return bool(rows[0]["n"] == 6)

        await until(all_heard, what="all five facts")
    async with world.running(create_app(quick_settings(world), clock=RunningClock())):

        async def both() -> bool:
            return len(await occurrences(world)) == 2

        await until(both, what="both occurrences")
    assert set((await occurrences(world)).values()) == {("skipped", "subscribed")}
    assert await world.told(SignupStepDue) == []


async def steps_of(world: World, company_id: UUID) -> dict[str, tuple[str, str | None]]:
    rows = await world.rows(
        "scheduler", "select step, status, why from occurrences where company_id = $1", company_id
    )
    return {row["step"]: (row["status"], row["why"]) for row in rows}


async def test_a_clock_that_was_off_for_days_skips_what_is_too_late_and_says_so(world: World) -> None:
    too_late, just_in_time = registered(ago=timedelta(hours=48)), registered(ago=timedelta(hours=47))
    async with world.running(create_app(quick_settings(world), clock=RunningClock())):
        await world.tell(too_late)
        await world.tell(just_in_time)

        async def all_three() -> bool:
            return len(await world.rows("scheduler", "select from occurrences")) == 3

        await until(all_three, what="the occurrences of both")
    assert await steps_of(world, just_in_time.company_id) == {"signup_first_step": ("told", None)}
    assert await steps_of(world, too_late.company_id) == {
        "signup_first_step": ("skipped", "too_late"),
        "routineEmail2Days": ("told", None),
    }


async def test_a_company_goes_through_all_eight_steps_one_at_a_time(world: World) -> None:
    event, clock = registered(ago=timedelta(0)), HandClock()
    steps = scheduler_settings(world).signup_steps
    async with world.running(create_app(scheduler_settings(world), clock=clock)):
        await world.tell(event)
        await until(lambda: heard_companies(world), what="the registration")
        for count, step in enumerate(steps, start=1):
            clock.now = step.due_at(event.registered_at)

            async def so_many(wanted: int = count) -> bool:
                return len(await world.told(SignupStepDue)) == wanted

            await until(so_many, what=step.name)
    told = await world.told(SignupStepDue)
    assert [fact.step for fact in told] == [step.name for step in steps]
    assert set((await steps_of(world, event.company_id)).values()) == {("told", None)}


async def test_who_subscribes_on_the_way_is_told_no_further_step(world: World) -> None:
    event, other = registered(ago=THREE_HOURS), registered(ago=THREE_HOURS)
    clock = RunningClock()
    async with world.running(create_app(quick_settings(world), clock=clock)):
        await world.tell(event)
        await world.tell(other)

        async def so_many(count: int) -> bool:
            return len(await world.told(SignupStepDue)) == count

        await until(lambda: so_many(2), what="the first step of both")
        await world.tell(subscribed(event.company_id))

        async def is_heard() -> bool:
            return bool(
                await world.rows("scheduler", "select from companies where subscribed_at is not null")
            )

        await until(is_heard, what="the subscription")
        clock.now += timedelta(days=2)
        await until(lambda: so_many(3), what="the second step of the other")
    assert (await steps_of(world, event.company_id)).keys() == {"signup_first_step"}
    assert len(await steps_of(world, other.company_id)) == 2


async def test_a_company_brought_in_from_long_ago_is_told_nothing(world: World) -> None:
    event = registered(ago=timedelta(days=400))
    async with world.running(create_app(quick_settings(world), clock=RunningClock())):
        await world.tell(event)

        async def all_eight() -> bool:
            return len(await steps_of(world, event.company_id)) == 8

        await until(all_eight, what="all occurrences")
    assert set((await steps_of(world, event.company_id)).values()) == {("skipped", "too_late")}
    assert await world.told(SignupStepDue) == []


async def test_two_schedulers_at_once_tell_each_step_once(world: World) -> None:
    companies = [registered(ago=THREE_HOURS) for _ in range(300)]
    first, second = (create_app(quick_settings(world), clock=RunningClock()) for _ in range(2))
    async with world.running(first), world.running(second):
        for event in companies:
            await world.tell(event)

        async def all_occurred() -> bool:
            return len(await occurrences(world)) == len(companies)

        await until(all_occurred, seconds=40, what="all occurrences")

        async def all_told() -> bool:
            return len(await world.told(SignupStepDue)) >= len(companies)

        await until(all_told, what="all facts")
    facts = await world.told(SignupStepDue)
    assert sorted(fact.company_id for fact in facts) == sorted(event.company_id for event in companies)
