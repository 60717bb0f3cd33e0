"""Ctrl-C, SIGTERM, kill -9 of everything: the same command goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import psutil

from libs.devstack.ports import is_free
from tests.e2e.lives import BIN, RESTART_SECONDS, Home, Life, at_work_on, is_gone
from tests.e2e.renewals import renewals_fail, unpaid_mails
from tests.fakes.stack import STOP_SECONDS, at_rest
from tests.world import until

ROOT = Path(__file__).parents[2]


async def caught(life: Life) -> list[str]:
    """The ids of all mails in the catcher, once everything has come to rest."""
    async with life.stack() as stack:
        await at_rest(stack)
        return [mail.id for mail in await stack.mails.mails()]


def assert_all_gone(family: list[psutil.Process], data: Path) -> None:
    assert [process for process in family if not is_gone(process)] == []
    assert at_work_on(data) == []
    ports = json.loads((data / "state.json").read_text())["ports"]
    assert {name: port for name, port in ports.items() if not is_free(port)} == {}


def assert_nothing_but(life: Life) -> None:
    """Whoever works on the data folder descends from this life; one Kafka, one PostgreSQL."""
    assert [it for it in at_work_on(life.data) if not is_gone(it) and not descends(it, life)] == []
    programs = Counter(Path(words[0]).name for it in life.family() if (words := words_of(it)))
    assert programs["java"] == programs["postgres"] == 1


def descends(process: psutil.Process, life: Life) -> bool:
    try:
        return life.process.pid in [process.pid, *(it.pid for it in process.parents())]
    except psutil.NoSuchProcess:
        return True


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


async def go_on(home: Home) -> Life:
    """The same command again, within the promised time."""
    since = time.monotonic()
    life = await home.start(RESTART_SECONDS)
    print(f"ready again after {time.monotonic() - since:.1f} s")
    return life


async def test_ctrl_c_ends_everything_and_the_same_command_goes_on_with_the_same_data(home: Home) -> None:
    life = await home.life()
    mails = await caught(life)
    assert len(mails) >= 3
    family = life.family()
    assert life.end(signal.SIGINT) == 0
    assert life.printed().rstrip().endswith(f"Tout est arrêté. Les données restent dans {home.data}.")
    assert_all_gone(family, home.data)

    again = await home.start()
    assert "La démonstration a déjà été jouée sur ces données" in again.printed()
    assert "Ce qui vient de se passer" not in again.printed()
    assert await caught(again) == mails


async def test_a_second_up_on_the_same_data_is_refused_and_harms_nothing(home: Home) -> None:
    life = await home.life()
    mails = await caught(life)
    state, secrets = (home.data / "state.json").read_text(), (home.data / "secrets.env").read_text()
    family = {process.pid for process in life.family() if process.name() != "postgres"}
    second = home.do("up")
    assert second.returncode == 1
    assert f"Un autre `relance up` tourne déjà sur {home.data} (" in second.stdout
    assert f"(processus {life.process.pid})" in second.stdout
    assert "`relance down`" in second.stdout
    assert "RELANCE READY" not in second.stdout

    assert {process.pid for process in life.family() if process.name() != "postgres"} == family
    assert (home.data / "state.json").read_text() == state
    assert (home.data / "secrets.env").read_text() == secrets
    async with life.stack() as stack:
        [email] = await renewals_fail(stack)
        await at_rest(stack)
        assert await unpaid_mails(stack, email) == (1, ["accepted"])
        assert len(await stack.mails.mails()) == len(mails) + 1


async def test_a_kill_9_of_everything_amid_renewals_loses_nothing_and_repeats_nothing(home: Home) -> None:
    life = await home.life()
    async with life.stack() as stack:
        await stack.stripe.payment_chaos(before_seconds=(0.1, 1.0))
        emails = await renewals_fail(stack, 10)

        async def is_in_the_middle() -> int:
            counts = await stack.mails.counts()
            return sum(count for (recipient, _, _), count in counts.items() if recipient in emails)

        accepted = await until(is_in_the_middle, seconds=60, what="the first mail")
    family = life.kill_all()
    print(f"killed {len(family)} processes after {accepted} of {len(emails)} mails")
    assert accepted < len(emails)

    again = await go_on(home)
    assert_nothing_but(again)
    async with again.stack() as stack:
        await stack.stripe.calm()
        await at_rest(stack)
        seen = {email: await unpaid_mails(stack, email) for email in emails}
        # A mail that was being sent: nobody can know whether it left, so it is never sent again.
        fine = [(1, ["accepted"]), (1, ["unknown"]), (0, ["unknown"])]
        assert {email: it for email, it in seen.items() if it not in fine} == {}
        print(f"{sum(it == (1, ['accepted']) for it in seen.values())} mails accepted, the others unknown")


async def test_a_kill_9_of_its_group_alone_leaves_nothing_and_the_same_command_goes_on(home: Home) -> None:
    life = await home.life()
    mails = await caught(life)
    assert life.end(signal.SIGKILL) == -signal.SIGKILL
    again = await go_on(home)
    assert_nothing_but(again)
    assert await caught(again) == mails


async def test_down_ends_what_is_left_when_the_caretaker_was_killed_too(home: Home) -> None:
    life = await home.life()
    family = life.family()
    [caretaker] = [it for it in family if "libs.devstack.stack.caretaker" in it.cmdline()]
    os.kill(caretaker.pid, signal.SIGKILL)
    os.kill(life.process.pid, signal.SIGKILL)
    life.process.wait(STOP_SECONDS)
    assert at_work_on(home.data)

    down = home.do("down")
    assert down.returncode == 0
    assert "✓ Arrêtés : " in down.stdout
    for name in ("billing", "notifications", "scheduler", "admin_api", "Kafka", "PostgreSQL"):
        assert name in down.stdout
    assert_all_gone(family, home.data)
    assert home.do("down").stdout.strip() == "✓ Rien ne tournait plus."


async def test_a_signal_that_make_hands_on_as_well_is_still_one_wish_to_stop(home: Home) -> None:
    if home.lives and home.lives[-1].is_running:
        home.lives[-1].end(signal.SIGTERM)
    installed = [f"VENV={BIN.parent}", "-o", str(BIN.parent / ".runtime-installed")]
    arguments = f"ARGS={' '.join(home.command[2:])}"
    life = await Life(home.data, ["make", *installed, "up", arguments], folder=ROOT).ready()
    family = life.family()
    assert family[0].name() == "make"
    # As when make has heard it with the group, and then hands it on.
    for _ in range(2):
        os.killpg(life.process.pid, signal.SIGTERM)

    async def is_over() -> bool:
        return not at_work_on(home.data)

    await until(is_over, seconds=STOP_SECONDS, what="the end of everything")
    life.process.wait(STOP_SECONDS)
    assert "Tout est arrêté." in life.printed()
    assert_all_gone(family, home.data)


async def test_down_asks_a_running_up_to_stop_cleanly(home: Home) -> None:
    life = await home.life()
    family = life.family()
    assert home.do("down").returncode == 0
    assert life.process.wait(STOP_SECONDS) == 0
    assert "Tout est arrêté." in life.printed()
    assert_all_gone(family, home.data)
