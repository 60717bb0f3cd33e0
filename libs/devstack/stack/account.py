"""What is printed once all is ready: what happened, every address, and the line for machines."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from libs.devstack.stack.environment import ADMIN_PASSWORD, SERVICES
from libs.devstack.stack.plan import DEVELOPMENT_LOGIN, LABELS, Plan
from libs.devstack.stack.story import CompanyStory, Story, Tried

COLUMNS = 96
STAND_INS = ("stripe", "mails", "platform", "sms", "slack", "tinyurl")


@dataclass(frozen=True)
class Account:
    """What there is to tell."""

    plan: Plan
    story: Story


def print_all(account: Account) -> None:
    """On stdout; the last line begins with RELANCE READY."""
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for line in (*_story(account.story), *_addresses(account.plan)):
        console.print(line)
    sys.stdout.write(ready_line(account.plan) + "\n")
    sys.stdout.flush()


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _story(story: Story) -> Iterator[Text]:
    if story.skipped:
        yield Text(f"\n{story.skipped}")
        return
    yield _title(f"Ce qui vient de se passer (en {_seconds(story.seconds)})")
    for company in story.companies:
        yield from _company(company)
    if not story.is_complete():
        yield Text(
            "\nLa démonstration n'est pas complète ; elle sera rejouée au prochain `relance up`.", "red"
        )


def _company(company: CompanyStory) -> Iterator[Text]:
    yield Text.assemble("\n  ", (company.name, "bold"), f"  {company.email}")
    if company.invoice:
        state = INVOICE_STATUSES.get(company.invoice_status, company.invoice_status)
        yield Text(f"    facture {company.invoice} : {state}")
    for tried in company.tried:
        yield _tried(tried)
    yield from _facts(company)
    for mail in company.mails:
        yield Text.assemble("    ✉ ", (f"« {mail.subject} »", "bold"), f" à {mail.to}")
        yield Text(f"      {mail.link}", style="cyan")
    for missing in company.missing():
        yield Text(f"    ✗ manque : {missing}", style="red")


def _facts(company: CompanyStory) -> Iterator[Text]:
    told = "faits " + " → ".join(fact.type for fact in company.facts)
    for line in textwrap.wrap(told, COLUMNS, break_on_hyphens=False, subsequent_indent=" " * 6):
        yield Text(f"    {line}", style="dim")


INVOICE_STATUSES: Mapping[str, str] = {"open": "impayée", "paid": "payée", "draft": "en préparation"}


def _tried(tried: Tried) -> Text:
    who = "Relance" if tried.is_ours else "Stripe"
    answer = ("payé", "green") if tried.is_paid else (f"refusé ({tried.answer})", "yellow")
    return Text.assemble(f"    {who:<8} essaie {tried.card:<22} ", answer)


def _addresses(plan: Plan) -> Iterator[Text]:
    yield _title("Adresses")
    for label, address in _address_rows(plan):
        yield Text.assemble(f"  {label:<28}", (address, "cyan"))
    yield Text("\nCtrl-C arrête tout proprement ; la même commande reprend avec les mêmes données.\n")


def _address_rows(plan: Plan) -> Iterator[tuple[str, str]]:
    yield LABELS["admin_api"], plan.url_of("admin_api")
    if plan.has_development_login:
        yield "  compte, mot de passe", f"{DEVELOPMENT_LOGIN}  {plan.environment[ADMIN_PASSWORD]}"
    if plan.starts("mails"):
        yield LABELS["mails"], plan.url_of("mails")
    if plan.starts("stripe"):
        yield LABELS["stripe"], plan.url_of("stripe")
    for name in ("platform", "sms", "slack", "tinyurl"):
        if plan.starts(name):
            yield LABELS[name], plan.url_of(name)
    yield LABELS["billing"], plan.webhook_url
    # They have no page of their own: what a browser can show of them is whether they can work.
    yield LABELS["notifications"], f"{plan.url_of('notifications')}/readyz"
    yield LABELS["scheduler"], f"{plan.url_of('scheduler')}/readyz"
    yield "Kafka", plan.environment["KAFKA_BOOTSTRAP_SERVERS"]
    if plan.starts("postgres"):
        password = plan.folder.path / "postgres" / "password"
        yield "PostgreSQL", f"postgresql://relance@127.0.0.1:{plan.ports['postgres']}/relance"
        yield "  mot de passe", str(password)
    if plan.starts("smtp"):
        yield "SMTP", f"127.0.0.1:{plan.ports['smtp']}"
    yield "Secrets de dév.", str(plan.folder.path / "secrets.env")
    yield "Journaux", str(plan.folder.logs)


def ready_line(plan: Plan) -> str:
    """`RELANCE READY billing=http://127.0.0.1:8001 …`, words of name=value, on one line."""
    words = [f"{service}={plan.url_of(service)}" for service in SERVICES]
    words += [f"webhooks={plan.webhook_url}", f"kafka={plan.environment['KAFKA_BOOTSTRAP_SERVERS']}"]
    words += [f"{name}={plan.url_of(name)}" for name in STAND_INS if plan.starts(name)]
    return f"RELANCE READY {' '.join(words)} data={plan.folder.path}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s".replace(".", ",")
