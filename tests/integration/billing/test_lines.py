"""From decline to cut and back, on real servers: each thing once, after a notice, never on old knowledge."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from libs.common.events.billing import InvoiceClosed, LineCut, LineRestored, LineRestricted
from libs.common.events.directory import (
    CompanyRegistered,
    DunningExempted,
    LifetimeGranted,
    NumberAssigned,
    StripeCustomerLinked,
)
from services.billing.app import create_app
from services.billing.settings import SHIPPED, BillingSettings
from tests.integration.billing.company import Company, move_to_morning
from tests.integration.billing.conftest import INTERNAL_KEY, Billing, Clock, running_billing
from tests.world import World, until


async def warned(billing: Billing) -> Company:
    company = await Company.that_does_not_pay(billing)
    await company.tell_and_fold(company.accepted())
    return company


async def cut(company: Company, clock: Clock) -> None:
    for days in (14, 21):
        move_to_morning(clock, days=days, after=company.unpaid_at)
        await company.cutoff_due(clock)
    await company.has_told("LineRestricted 1", "LineCut 1")


async def test_from_decline_to_cut_and_back(billing: Billing, clock: Clock) -> None:
    company = await Company.that_does_not_pay(billing)
    accepted = company.accepted()
    await company.tell_and_fold(accepted, copies=3)

    move_to_morning(clock, days=5, after=company.unpaid_at)
    await company.cutoff_due(clock)
    assert await company.lines() == {
        "state": "normal", "episode": 1, "is_unpaid": True, "verdict": "wait", "why": "not_due_yet"
    }  # fmt: skip
    move_to_morning(clock, days=14, after=company.unpaid_at)
    await company.cutoff_due(clock, copies=3)
    move_to_morning(clock, days=16, after=company.unpaid_at)
    await company.cutoff_due(clock)
    assert (await company.lines())["why"] == "already_restricted"
    move_to_morning(clock, days=21, after=company.unpaid_at)
    await company.cutoff_due(clock, copies=3)
    await company.has_told("LineRestricted 1", "LineCut 1")
    [told] = await billing.world.told(LineCut)
    assert told.invoice_ids == (company.made.invoice,)
    assert told.notice_delivery_id == accepted.delivery_id
    assert (told.policy_version, told.why) == (billing.settings.policy.version, "overdue")
    assert (told.customer_name, told.customer_email) == ("Boulangerie Le Goff", "legoff@example.fr")

    await company.pays()
    await company.has_told("LineRestricted 1", "LineCut 1", "LineRestored 1")
    [row] = await billing.world.rows("billing", "select revision from outbox where type like '%restored%'")
    [closed] = await billing.world.rows("billing", "select revision from outbox where type like '%closed%'")
    assert row["revision"] > closed["revision"]
    [restored] = await billing.world.told(LineRestored)
    assert restored.why == "paid"
    await company.cutoff_due(clock)
    assert (await company.lines())["state"] == "restored"
    assert len(await company.told()) == 3


async def test_the_next_unpaid_invoice_is_an_episode_of_its_own(billing: Billing, clock: Clock) -> None:
    company = await warned(billing)
    move_to_morning(clock, days=14, after=company.unpaid_at)
    await company.cutoff_due(clock)
    await company.pays()
    await company.has_told("LineRestricted 1", "LineRestored 1")
    again = await Company.that_does_not_pay(billing, company.company_id)
    again.unpaid_at = clock()
    await again.tell_and_fold(again.accepted())
    assert (await again.lines())["episode"] == 2
    move_to_morning(clock, days=14, after=again.unpaid_at)
    await again.cutoff_due(clock)
    await again.has_told("LineRestricted 1", "LineRestored 1", "LineRestricted 2")


async def test_without_a_notice_that_arrived_a_person_is_asked_and_nothing_is_cut(
    billing: Billing, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    company = await Company.that_does_not_pay(billing)
    accepted = company.accepted()
    await company.tell_and_fold(company.bounced(accepted), accepted)  # the late fact first
    move_to_morning(clock, days=14, after=company.unpaid_at)
    await company.cutoff_due(clock)
    assert (await company.lines())["why"] == "no_valid_notice"
    assert await billing.world.rows("billing", "select * from line_questions") == []
    for days in (21, 30):
        move_to_morning(clock, days=days, after=company.unpaid_at)
        await company.cutoff_due(clock)
        assert (await company.lines())["verdict"] == "ask_a_person"
    [question] = await billing.world.rows("billing", "select company_id, why, settled_at from line_questions")
    assert question == {"company_id": company.company_id, "why": "no_valid_notice", "settled_at": None}
    assert len([m for m in caplog.messages if "a person must decide" in m]) == 1
    metrics = (await billing.http.get("/metrics")).text
    assert "relance_line_questions 1.0" in metrics
    assert await company.told() == []

    # A second notice arrives; 48 hours later it counts, and the question is settled.
    move_to_morning(clock, days=1, after=clock())
    await company.tell_and_fold(company.accepted(at=clock()))
    await company.cutoff_due(clock)
    assert (await company.lines())["why"] == "notice_too_recent"
    move_to_morning(clock, days=3, after=clock())
    await company.cutoff_due(clock)
    await company.has_told("LineRestricted 1")
    [question] = await billing.world.rows("billing", "select settled_at from line_questions")
    assert question["settled_at"] is not None


async def test_nobodys_customer_is_a_persons_question_until_it_is_linked(
    billing: Billing, clock: Clock
) -> None:
    stranger = await Company.that_does_not_pay(billing, is_linked=False)
    await stranger.tell_and_fold(stranger.accepted())
    move_to_morning(clock, days=21, after=stranger.unpaid_at)
    await stranger.cutoff_due(clock)
    assert ((await stranger.lines())["verdict"], (await stranger.lines())["why"]) == (
        "ask_a_person",
        "not_linked",
    )

    company = replace(stranger, company_id=uuid4())
    linked = StripeCustomerLinked(
        company_id=company.company_id,
        stripe_customer_id=stranger.made.customer,
        provisional_company_id=stranger.company_id,
    )
    await billing.world.tell(linked)

    async def is_settled() -> bool:
        rows = await billing.world.rows("billing", "select settled_at from line_questions")
        return [row["settled_at"] is not None for row in rows] == [True]

    await until(is_settled, what="the question")
    await company.tell_and_fold(company.accepted())
    await company.cutoff_due(clock)
    await company.has_told("LineRestricted 1")
    assert await stranger.told() == []


async def test_on_a_friday_afternoon_nothing_is_cut(billing: Billing, clock: Clock) -> None:
    company = await warned(billing)
    friday = company.unpaid_at + timedelta(days=21)
    while friday.weekday() != 4:
        friday += timedelta(days=1)
    clock.move_to(friday.replace(hour=14))
    await company.cutoff_due(clock)
    lines = await company.lines()
    assert (lines["state"], lines["verdict"]) == ("normal", "wait")
    assert lines["why"] in ("friday_afternoon", "public_holiday", "eve_of_public_holiday")


async def test_who_is_spared_is_left_alone_and_gets_his_lines_back(billing: Billing, clock: Clock) -> None:
    company = await warned(billing)
    move_to_morning(clock, days=14, after=company.unpaid_at)
    await company.cutoff_due(clock)
    await company.has_told("LineRestricted 1")
    await billing.world.tell(
        DunningExempted(
            company_id=company.company_id, exempted_by="Léa", reason="a promis de payer",
            exempted_at=clock(), until=clock() + timedelta(days=20),
        )
    )  # fmt: skip
    await company.has_told("LineRestricted 1", "LineRestored 1")
    move_to_morning(clock, days=5, after=clock())
    await company.cutoff_due(clock)
    assert (await company.lines())["why"] == "exempted"
    move_to_morning(clock, days=20, after=clock())
    await company.cutoff_due(clock)
    await company.has_told("LineRestricted 1", "LineRestored 1", "LineRestricted 2")
    await billing.world.tell(
        LifetimeGranted(company_id=company.company_id, granted_by="Léa", reason="ami", granted_at=clock())
    )
    await company.has_told("LineRestricted 1", "LineRestored 1", "LineRestricted 2", "LineRestored 2")


async def test_a_payment_of_which_no_webhook_came_is_seen_just_before_the_cut(
    billing: Billing, clock: Clock
) -> None:
    company = await warned(billing)
    await billing.stripe.chaos(lose_first=1_000_000)
    await company.pays()
    move_to_morning(clock, days=14, after=company.unpaid_at)
    await company.cutoff_due(clock)
    [closed] = await until(lambda: billing.world.told(InvoiceClosed))
    assert (closed.invoice_id, closed.reason) == (company.made.invoice, "paid")
    assert await company.told() == []
    assert (await company.lines())["is_unpaid"] is False


async def test_while_stripe_does_not_answer_nothing_is_cut_and_afterwards_it_is(
    billing: Billing, clock: Clock
) -> None:
    company = await warned(billing)
    move_to_morning(clock, days=14, after=company.unpaid_at)
    await billing.stripe.fail_requests(status=500, count=3, path="/v1/invoices")
    await company.cutoff_due(clock)
    await company.has_told("LineRestricted 1")


async def test_two_instances_and_ten_companies_each_thing_once(billing: Billing, clock: Clock) -> None:
    async with billing.world.running(create_app(billing.settings, clock=clock)):
        companies = [await warned(billing) for _ in range(10)]
        for days in (14, 21):
            move_to_morning(clock, days=days, after=companies[-1].unpaid_at)
            await asyncio.gather(*(company.cutoff_due(clock, copies=2) for company in companies))
        for company in companies:
            await company.pays()
        for company in companies:
            await company.has_told("LineRestricted 1", "LineCut 1", "LineRestored 1")
    counts = [len(await billing.world.told(fact)) for fact in (LineRestricted, LineCut, LineRestored)]
    assert counts == [10, 10, 10]


async def test_the_log_says_it_in_the_words_that_the_team_knows(
    billing: Billing, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    company_id = uuid4()
    await billing.world.tell(
        CompanyRegistered(
            company_id=company_id, name="Le Goff", email="l@example.fr", legacy_enterprise_id=9976,
            registered_at=datetime.now(UTC),
        )
    )  # fmt: skip
    await billing.world.tell(
        NumberAssigned(
            company_id=company_id,
            number="+331",
            assigned_at=datetime.now(UTC),
            legacy_contract_id=421,
        )
    )
    await until(lambda: billing.world.rows("billing", "select * from line_contracts"), what="the contract")
    company = await Company.that_does_not_pay(billing, company_id)
    await company.tell_and_fold(company.accepted())
    await cut(company, clock)
    assert "Ligne coupée pour Enterprise ID: 9976, Docx ID: 421" in caplog.messages
    assert "Docx ID: 421" in caplog.messages
    [first, *_] = [m for m in caplog.messages if "421, EnterpriseID: 9976, Heures restantes" in m]
    assert first.split(": ")[-1].startswith("-")
    assert any(m.startswith("Cutoff Date: 20") for m in caplog.messages)
    assert any(m.startswith("Now: 20") for m in caplog.messages)


async def silence(asked: asyncio.Event) -> asyncio.Server:
    """A Stripe that takes questions and never answers."""

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await reader.read()

    return await asyncio.start_server(never_answer, "127.0.0.1", 0)


def environment_of(settings: BillingSettings) -> dict[str, str]:
    values = settings.model_dump(exclude_none=True)
    shown = {name: v.get_secret_value() if isinstance(v, SecretStr) else str(v) for name, v in values.items()}
    return {name.upper(): value for name, value in shown.items()}


async def test_a_process_killed_between_the_decision_and_the_telling_tells_once(
    world: World, clock: Clock, tmp_path: Path
) -> None:
    """The real command hangs where it asks Stripe, is killed -9, and another one takes the decision up."""
    at_any_moment = tmp_path / "at_any_moment.toml"
    text = max(SHIPPED.glob("*.toml")).read_text()
    for rule in ("weekends = ", "public_holidays = ", "eves_of_public_holidays = "):
        text = text.replace(f"\n{rule}true", f"\n{rule}false")
    at_any_moment.write_text(text.replace("friday_from_hour = 12", "friday_from_hour = 24"))
    async with running_billing(world, clock, tmp_path, dunning_policy_file=at_any_moment) as billing:
        company = await Company.that_does_not_pay(billing)
        await company.tell_and_fold(company.accepted(at=clock() - timedelta(days=10)))
        await world.rows("billing", "update dunning_cases set opened_at = opened_at - interval '14 days'")
    asked = asyncio.Event()
    async with await silence(asked) as silent:
        port = silent.sockets[0].getsockname()[1]
        settings = billing.settings.model_copy(
            update={"stripe_api_base": f"http://127.0.0.1:{port}", "stripe_timeout_seconds": 60}
        )
        await world.rows("billing", "update company_lines set due_at = now()")
        victim = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "run", "billing", "--doors", "clock"],
            env=os.environ | environment_of(settings),
        )
        try:
            async with asyncio.timeout(40):
                await asked.wait()
        finally:
            victim.kill()
            victim.wait()
    assert await company.told() == []
    [row] = await world.rows("billing", "select state, fence from company_lines")
    assert row == {"state": "normal", "fence": 1}
    async with running_billing(world, clock, tmp_path, dunning_policy_file=at_any_moment):
        await company.has_told("LineRestricted 1")
    [row] = await world.rows("billing", "select state, fence, due_at from company_lines")
    assert row == {"state": "restricted", "fence": 2, "due_at": None}


async def run_command(billing: Billing, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "dunning", *arguments,
        env=os.environ | environment_of(billing.settings),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_command_explains_a_company_and_tries_a_policy_beside_what_happened(
    billing: Billing, clock: Clock, tmp_path: Path
) -> None:
    company = await warned(billing)
    code, text = await run_command(billing, "explain", str(company.company_id))
    assert code == 0, text
    assert f"Boulangerie Le Goff ({company.company_id})" in text
    assert "Lignes : normales, épisode 1" in text
    assert f"facture {company.made.invoice}" in text
    assert "restreinte le " in text
    for word in (company.made.invoice, company.made.customer):
        assert str(company.company_id) in (await run_command(billing, "explain", word))[1]
    assert (await run_command(billing, "explain", "nobody"))[0] == 1

    path, key = f"/internal/companies/{company.company_id}/explanation", {"X-Api-Key": INTERNAL_KEY}
    assert (await billing.http.get(path)).status_code == 401
    by_http = (await billing.http.get(path, headers=key)).json()["lines"]
    assert [line for line in by_http if not line.startswith("Le ")] == [
        line for line in text.splitlines() if not line.startswith("Le ")
    ]
    nobody = await billing.http.get(f"/internal/companies/{uuid4()}/explanation", headers=key)
    assert nobody.json() == {"lines": []}

    await billing.world.rows("billing", "update dunning_cases set opened_at = opened_at - interval '40 days'")
    await billing.world.rows("billing", "update notices set accepted_at = accepted_at - interval '40 days'")
    await billing.world.rows(
        "billing",
        "update dunning_cycles set opened_at = opened_at - interval '40 days', "
        "finished_at = finished_at - interval '40 days'",
    )
    shipped = max(SHIPPED.glob("*.toml"))
    code, text = await run_command(billing, "simulate", "--policy", str(shipped), "--since", "2025-01-01")
    assert code == 0, text
    assert f"politique {billing.settings.policy.version}" in text
    for word in ("avertie", "restreinte", "coupée"):
        assert f"{word} (" in text
    [total] = [line.split() for line in text.splitlines() if line.startswith("coupée")]
    assert total == ["coupée", "1", "0"]
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(shipped.read_text().replace("days = 14", "days = fourteen"))
    code, text = await run_command(billing, "simulate", "--policy", str(wrong), "--since", "2025-01-01")
    assert code == 78
    assert f"{wrong}:" in text
