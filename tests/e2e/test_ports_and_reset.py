"""Ports that are taken, and data that are forgotten."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from libs.devstack.stack.plan import OFFSETS
from tests.e2e.lives import Home, Life, at_work_on
from tests.e2e.renewals import renewals_fail, unpaid_mails
from tests.fakes.stack import at_rest
from tests.world import until

MOVED = re.compile(r"^! Port (\d+) pris : .+ écoute sur (\d+)\.$", re.MULTILINE)
TAKEN = ("admin_api", "billing", "smtp", "postgres", "kafka")


@pytest.fixture
def elsewhere(folder: Path) -> Iterator[Home]:
    home = Home(folder, "--no-demo")
    yield home
    home.close()


def listen(port: int) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
    listener.listen()
    return listener


async def test_taken_ports_are_replaced_by_the_next_free_ones_and_reset_waits_for_the_stop(
    elsewhere: Home,
) -> None:
    with ExitStack() as others:
        for name in TAKEN:
            others.enter_context(listen(elsewhere.base + OFFSETS[name]))
        life = await elsewhere.start()
        moved = {int(wanted): int(got) for wanted, got in MOVED.findall(life.printed())}
        # The neighbour's usual port is not "the next free one": its owner would have to move as well.
        assert moved == {
            elsewhere.base + OFFSETS["admin_api"]: elsewhere.base + 4,
            elsewhere.base + OFFSETS["billing"]: elsewhere.base + 5,
            elsewhere.base + OFFSETS["smtp"]: elsewhere.base + 27,
            elsewhere.base + OFFSETS["postgres"]: elsewhere.base + 55,
            elsewhere.base + OFFSETS["kafka"]: elsewhere.base + 94,
        }
        assert life.addresses["admin_api"] == f"http://127.0.0.1:{elsewhere.base + 4}"
        assert life.addresses["webhooks"] == f"http://127.0.0.1:{elsewhere.base + 5}/webhooks/stripe"
        assert life.addresses["kafka"] == f"127.0.0.1:{elsewhere.base + 94}"
        assert "--no-demo : ni données ni scénario de démonstration." in life.printed()
        async with life.stack() as stack:
            assert (await stack.mails.page()).total == 0
            [email] = await renewals_fail(stack)
            await at_rest(stack)
            assert await unpaid_mails(stack, email) == (1, ["accepted"])

    refused = elsewhere.do("reset", "--yes")
    assert refused.returncode == 1
    assert f"`relance up` tourne encore sur {elsewhere.data} (processus {life.process.pid})" in refused.stdout
    assert "rien n'est effacé" in refused.stdout
    async with life.stack() as stack:
        assert await unpaid_mails(stack, email) == (1, ["accepted"])

    # What a crash left is no reason to refuse.
    life.kill_all()
    assert elsewhere.do("reset", "--yes").returncode == 0
    assert not elsewhere.data.exists()
    assert at_work_on(elsewhere.data) == []


def test_reset_asks_first_and_leaves_what_is_not_ours(elsewhere: Home) -> None:
    assert elsewhere.do("reset", "--yes").returncode == 0
    elsewhere.data.mkdir()
    (elsewhere.data / "letter.txt").write_text("not ours")
    asked = elsewhere.do("reset")
    assert asked.returncode == 1
    assert f"Effacer toutes les données de {elsewhere.data} ?" in asked.stdout
    refused = elsewhere.do("reset", "--yes")
    assert refused.returncode == 1
    assert "n'est pas un dossier de données de Relance" in refused.stdout
    assert (elsewhere.data / "letter.txt").read_text() == "not ours"


async def test_a_stop_while_it_starts_is_clean(elsewhere: Home) -> None:
    life = Life(elsewhere.data, elsewhere.command)

    async def is_starting() -> bool:
        return "Boîte aux lettres" in life.printed()

    await until(is_starting, seconds=60, what="the first part")
    assert life.end(signal.SIGINT) == 0
    assert "RELANCE READY" not in life.printed()
    assert life.printed().rstrip().endswith(f"Tout est arrêté. Les données restent dans {elsewhere.data}.")
    assert at_work_on(elsewhere.data) == []
