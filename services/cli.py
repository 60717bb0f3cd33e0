"""The one command. It only parses and calls: each sub-command has its room beside this file."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from uuid import UUID

import click

from libs.common.errors import MisconfiguredError
from libs.common.service import ALL_DOORS, Door
from services.admin_commands import admin
from services.message_cli import notifications
from services.run import MISCONFIGURED_EXIT_CODE, SERVICES
from services.scheduler_commands import scheduler

DATA = click.option(
    "--data",
    "data_dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".relance"),
    show_default=True,
    help="Folder of the data, logs and development secrets.",
)


class DoorList(click.ParamType[frozenset[Door]]):
    """`http,kafka,clock`, any of them."""

    name = "doors"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[Door]:
        if isinstance(value, frozenset):
            return value
        try:
            return frozenset(Door(word.strip()) for word in str(value).split(",") if word.strip())
        except ValueError as error:
            self.fail(f"{error}; choose among {', '.join(Door)}", param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="relance", prog_name="relance")
def relance() -> None:
    """Relance: Stripe webhooks in; dunning, mails and SMS out, each once.

    Settings come from the environment (see .env.example); a `.env` file in the current folder is read too,
    names of the environment win. Start with `relance up`.
    """
    from dotenv import load_dotenv

    load_dotenv(Path(".env"), override=False)


relance.add_command(admin)
relance.add_command(notifications)
relance.add_command(scheduler)


@relance.command()
@click.argument("service", type=click.Choice([*SERVICES, "all"]))
@click.option(
    "--doors",
    type=DoorList(),
    default=ALL_DOORS,
    metavar="http,kafka,clock",
    help="Which doors this process opens; all of them unless said. Split them to scale one alone.",
)
def run(service: str, doors: frozenset[Door]) -> None:
    """Run one service until SIGTERM; `all` runs the four as child processes.

    Exit code 78: a setting is missing or wrong, starting again cannot help.
    """
    if service == "all":
        from services.run_all import run_all

        sys.exit(run_all(SERVICES, doors))
    from services.run import run

    run(service, doors)


@relance.command()
@click.argument("service", type=click.Choice(SERVICES), required=False)
def migrate(service: str | None) -> None:
    """Bring the schema and the role of SERVICE, or of all four, up to date.

    Needs DATABASE_URL, the owner's. Harmless when there is nothing to do; two at once take turns.
    """
    from libs.common.migrations import migrate as bring_up_to_date
    from libs.common.settings import CommonSettings, load

    settings = load(CommonSettings)
    for name in [service] if service else SERVICES:
        asyncio.run(bring_up_to_date(name, settings))
        click.echo(f"{name}: up to date")


@relance.command()
@click.option("--create", is_flag=True, help="Create on Kafka the topics that are missing.")
def topics(*, create: bool) -> None:
    """Print, from the code, every fact: topic, told by, heard by, what it says."""
    from services.topics import create_missing, table

    if create:
        for name in asyncio.run(create_missing()):
            click.echo(f"created {name}")
    else:
        click.echo(table(SERVICES))


@relance.group("dead-letters")
def dead_letters() -> None:
    """Events that a service set aside: look at them, work them again."""


@dead_letters.command("list")
@click.argument("service", type=click.Choice(SERVICES))
@click.option("--limit", default=100, show_default=True, help="At most so many, oldest first.")
def list_(service: str, limit: int) -> None:
    """What SERVICE set aside, and why."""
    from services.dead_letters import list_dead_letters

    for line in asyncio.run(list_dead_letters(service, limit=limit)):
        click.echo(line)


@dead_letters.command()
@click.argument("service", type=click.Choice(SERVICES))
@click.argument("event_id", type=click.UUID, required=False)
@click.option("--all", "is_all", is_flag=True, help="Replay everything that SERVICE set aside.")
def replay(service: str, event_id: UUID | None, *, is_all: bool) -> None:
    """Have SERVICE work EVENT_ID again, or all that it set aside (--all)."""
    from services.dead_letters import replay_dead_letters

    if (event_id is None) != is_all:
        raise click.UsageError("name one EVENT_ID, or say --all")
    replayed = asyncio.run(replay_dead_letters(service, event_id))
    for each in replayed:
        click.echo(f"{each} will be worked again")
    if not replayed:
        raise click.ClickException(
            f"{service} has set aside nothing of that id" if event_id else "nothing to replay"
        )


@relance.group()
def dunning() -> None:
    """Why a company was dunned as it was, and what another policy would have done."""


@dunning.command()
@click.argument("company")
def explain(company: str) -> None:
    """State of COMPANY, what led to it, what comes next and when.

    COMPANY: its id, its number in the old system, a Stripe customer (cus_…) or an invoice (in_…).
    """
    from services.dunning import explain as explained

    lines = asyncio.run(explained(company))
    if not lines:
        raise click.ClickException(f"billing ne connaît pas d’entreprise {company!r}")
    for line in lines:
        click.echo(line)


@dunning.command()
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The policy to try, a TOML file.",
)
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The first day, such as 2025-01-01."
)
def simulate(policy_file: Path, since: datetime) -> None:
    """Run a policy over the recorded past: whom it would have warned, restricted, cut, beside what was.

    Exit code 78: the policy is wrong; file, line and what to do are printed.
    """
    from services.dunning import simulate as simulated

    async def print_all() -> None:
        async for line in simulated(policy_file, since.date()):
            click.echo(line)

    asyncio.run(print_all())


@relance.group()
def reconcile() -> None:
    """The walk through what Stripe lists: what billing had missed, and what became of it."""


@reconcile.command()
def status() -> None:
    """What came, what was missing, what was recovered; when the last walk ended, and how."""
    from services.reconcile import show_status

    for line in asyncio.run(show_status()):
        click.echo(line)


@reconcile.command("run")
def run_() -> None:
    """Ask for a walk now; a running billing begins it at once. Harmless at any time."""
    from services.reconcile import ask_for_walk

    asyncio.run(ask_for_walk())
    click.echo("asked for: see `relance reconcile status`")


@relance.command()
def check() -> None:
    """Is every setting there, does every peer answer? One line each; exit code 1 if not."""
    from services.check import check_all

    findings = asyncio.run(check_all(SERVICES))
    for finding in findings:
        click.echo(finding.line())
    sys.exit(0 if all(finding.is_fine for finding in findings) else 1)


@relance.command()
@DATA
@click.option("--no-demo", is_flag=True, help="Do not load demo data nor play the demo scenario.")
@click.option(
    "--demo", "is_demo_forced", is_flag=True, help="Play the scenario once more, for new companies."
)
@click.option(
    "--port-base",
    type=click.IntRange(1024, 32000),
    help="First port: the admin API there, webhooks at +1. A taken port: the next free one. "
    "[default: that of last time, else 8000]",
)
def up(data_dir: Path, *, no_demo: bool, is_demo_forced: bool, port_base: int | None) -> None:
    """Start everything: Kafka, PostgreSQL, a mail catcher, stand-ins for Stripe, smsmode, the phone platform,
    Slack and TinyURL, and the four services.

    What the environment already names is used instead of being started: DATABASE_URL,
    KAFKA_BOOTSTRAP_SERVERS, STRIPE_API_BASE, MAILER_DSN, SMSMODE_API_BASE, PLATFORM_WEBHOOK_URL,
    SLACK_WEBHOOK_URL, TINYURL_API_BASE. Ctrl-C stops everything cleanly; the same command goes on with the
    same data. One line beginning with RELANCE READY says when all is ready.
    """
    from libs.devstack.stack.plan import Demo, Wishes
    from libs.devstack.stack.up import up

    if no_demo and is_demo_forced:
        raise click.UsageError("--demo and --no-demo contradict each other")
    demo: Demo = "never" if no_demo else "again" if is_demo_forced else "once"
    sys.exit(up(Wishes(data_dir=data_dir, demo=demo, port_base=port_base)))


@relance.command()
@DATA
def down(data_dir: Path) -> None:
    """End what a crash of `relance up` left running on this data folder."""
    from libs.devstack.stack.up import down

    sys.exit(down(data_dir))


@relance.command()
@DATA
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(data_dir: Path, *, yes: bool) -> None:
    """Forget everything: end what a crash left on this data folder, then delete it.

    Refused while `relance up` runs on it.
    """
    from libs.devstack.stack.up import reset

    if not yes and data_dir.exists():
        click.confirm(f"Effacer toutes les données de {data_dir.resolve()} ?", abort=True)
    sys.exit(reset(data_dir))


def main() -> None:
    """The entry point of the `relance` command."""
    try:
        relance()
    except MisconfiguredError as error:
        click.echo(f"relance: {error}", err=True)
        sys.exit(MISCONFIGURED_EXIT_CODE)


if __name__ == "__main__":
    main()
