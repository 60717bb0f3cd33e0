"""Renewals that fail on all of a company's cards, and what must come of them."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from tests.fakes.stack import Stack

CARDS = ["decline", "decline_insufficient_funds", "decline_do_not_honor"]


async def renewals_fail(stack: Stack, count: int = 1) -> list[str]:
    """That many new companies, each with an invoice that no card pays; answers with their addresses."""
    tag = uuid4().hex[:8]
    emails = [f"c{number}@{tag}.example" for number in range(count)]
    await asyncio.gather(
        *(
            stack.stripe.renewal_fails(
                name=f"Client {email}", email=email, cards=CARDS, metadata={"company_id": str(uuid4())}
            )
            for email in emails
        )
    )
    return emails


async def unpaid_mails(stack: Stack, email: str) -> tuple[int, list[str]]:
    """How many were caught, and the statuses of what was to be sent. Nothing else may have been sent."""
    mails = await stack.mails.mails(recipient=email)
    rows = await stack.rows("select kind, status from notifications.deliveries where recipient = $1", email)
    assert {mail.kind for mail in mails} | {row["kind"] for row in rows} <= {"unpaid"}
    return len(mails), [row["status"] for row in rows]
