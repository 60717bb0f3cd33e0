"""kill -9 of each part in turn: it is started again, that is said, and nothing is lost or done twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest

from libs.devstack.stack.environment import SERVICES
from tests.e2e.lives import Home, Life
from tests.e2e.renewals import renewals_fail, unpaid_mails
from tests.fakes.stack import at_rest
from tests.world import until

LABELS = {
    "kafka": "Kafka",
    "postgres": "PostgreSQL",
    "stripe": "Simulateur Stripe",
    "mails": "Boîte aux lettres",
    "platform": "Plateforme tél.",
    "sms": "SMS (smsmode simulé)",
    "slack": "Slack de l'équipe",
    "tinyurl": "TinyURL",
}
BACK_SECONDS = 60


def has_said(life: Life, words: str, *, after: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return words in life.printed()[after:]

    return look


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False

    return look


@pytest.mark.parametrize("part", [*SERVICES, *LABELS])
async def test_a_killed_part_is_started_again_and_a_renewal_still_ends_in_one_mail(
    home: Home, part: str
) -> None:
    life = await home.life()
    label = LABELS.get(part, part)
    async with life.stack() as stack:
        said_before = len(life.printed())
        killed = stack.kill(part)
        started_again = has_said(life, f"✓ {label} relancé (processus ", after=said_before)
        await until(started_again, seconds=BACK_SECONDS, what=f"{part} started again")
        said = life.printed()[said_before:]
        assert f"! {label} s'est arrêté (signal SIGKILL) : relancé dans " in said
        assert f"✓ {label} relancé (processus {stack.pid_of(part)})" in said
        assert stack.pid_of(part) != killed
        for name in (*SERVICES, "stripe", "mails", "platform", "sms", "slack", "tinyurl"):
            url = life.addresses[name] + ("/readyz" if name in SERVICES else "/")
            await until(answers(url), seconds=BACK_SECONDS, what=f"{name} to answer after the kill of {part}")

        [email] = await renewals_fail(stack)
        await at_rest(stack)
        assert await unpaid_mails(stack, email) == (1, ["accepted"])
