"""What `relance up` printed, read back into values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass
class PrintedCompany:
    name: str
    email: str
    invoice: str | None = None
    state: str | None = None
    tried: list[tuple[str, str, str]] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    mails: list[tuple[str, str, str]] = field(default_factory=list)
    """(subject, to, link)"""


def companies_in(printed: str) -> list[PrintedCompany]:
    """The demo's part of what was printed; fails on a line that it does not know."""
    account = printed.partition("\nCe qui vient de se passer (en ")[2].partition("\nAdresses\n")[0]
    # The list of facts goes on below, further in.
    lines = [line for line in account.replace("\n" + " " * 10, " ").splitlines()[1:] if line]
    companies: list[PrintedCompany] = []
    for line in lines:
        if match := re.fullmatch(r"  (\S.*)  (\S+@\S+)", line):
            companies.append(PrintedCompany(match[1], match[2]))
        else:
            _read(line, companies[-1])
    return companies


def _read(line: str, company: PrintedCompany) -> None:
    if match := re.fullmatch(r"    facture (\S+) : (.+)", line):
        company.invoice, company.state = match.groups()
    elif match := re.fullmatch(r"    (Stripe|Relance) +essaie (.*\S) {2,}(.+)", line):
        company.tried.append((match[1], match[2], match[3]))
    elif match := re.fullmatch(r"    faits (.+)", line):
        company.facts = match[1].split(" → ")
    elif match := re.fullmatch(r"    ✉ « (.+) » à (.+)", line):
        company.mails.append((match[1], match[2], ""))
    elif (match := re.fullmatch(r"      (http\S+)", line)) and company.mails:
        company.mails[-1] = (*company.mails[-1][:2], match[1])
    else:
        raise AssertionError(f"nobody told what this line says: {line!r}")


def addresses_in(printed: str) -> dict[str, str]:
    """Label to address, of the last list of addresses."""
    block = printed.rpartition("\nAdresses\n")[2].partition("\n\n")[0]
    rows = [re.split(r" {2,}", line.strip(), maxsplit=1) for line in block.splitlines()]
    return {row[0]: row[1] for row in rows}
