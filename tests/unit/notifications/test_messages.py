"""Every kind of message, whatever the data: the same said twice, links that are links, the old titles."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from libs.common.signup_steps import SIGNUP_STEPS, SIGNUP_STEPS_BY_NAME
from services.notifications.domain import INTERNAL, KINDS
from services.notifications.mail import MailContent, render, template_version
from services.notifications.mail import rendering as mail_rendering
from services.notifications.mail.french import long_date, moment_of_day, money, phone
from tests.unit.notifications.samples import NASTY, contexts, invoice

EVERY_KIND = sorted(contexts())
AMOUNT = re.compile("−?\\d[\\d\u202f]*(?:,\\d\\d)?\u00a0(?:€|\\$CA|\\$|£|[A-Z]{3})")
LINK = re.compile(r"https?://[^\s<>\"]+")
HOUSE = {"brand_name": "Ligne & Co", "support_email": "aide@exemple.fr"}


class Reader(HTMLParser):
    """What somebody sees of a mail who does not use Outlook: text, links, pictures."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.hrefs: list[str] = []
        self.loaded: list[str] = []
        self._hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("style", "title") or "display:none" in (values.get("style") or ""):
            self._hidden += tag != "div" or 1
        self.hrefs += [values["href"] or ""] if "href" in values else []
        self.loaded += [str(values[name]) for name in ("src", "srcset", "background") if values.get(name)]

    def handle_endtag(self, tag: str) -> None:
        self.text += ["\n"] if tag in ("td", "div", "tr", "a") else []
        if self._hidden and tag in ("style", "title", "div"):
            self._hidden -= 1

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text.append(data)


def outlook_hrefs(html: str) -> list[str]:
    return re.findall(r'<v:roundrect[^>]*href="([^"]*)"', html)


def seen(content: MailContent) -> Reader:
    return Reader(content.html)


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("text", ["DC-1", *NASTY])
def test_text_and_html_say_the_same_amounts_and_links(kind: str, text: str) -> None:
    content = render(kind, {**contexts(text, text)[kind], **HOUSE})
    reader = seen(content)
    shown = "".join(reader.text)
    assert sorted(set(AMOUNT.findall(shown))) == sorted(set(AMOUNT.findall(content.text)))
    in_html = {href for href in reader.hrefs if not href.startswith("mailto:")}
    assert in_html == set(LINK.findall(content.text))
    assert set(outlook_hrefs(content.html)) <= in_html


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("text", NASTY)
def test_no_link_but_to_the_web_or_to_ourselves_and_nothing_is_loaded(kind: str, text: str) -> None:
    content = render(kind, {**contexts(text, text)[kind], **HOUSE})
    reader = seen(content)
    for href in [*reader.hrefs, *outlook_hrefs(content.html)]:
        assert re.match(r"https?://[a-z.]+/|mailto:aide@exemple\.fr$", href), href
    assert reader.loaded == [], "a mail is whole as it comes"
    assert "url(" not in content.html
    assert "@import" not in content.html


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_links_that_are_none_are_left_out(kind: str) -> None:
    context = contexts()[kind]
    for name, value in context.items():
        if isinstance(value, str) and value.startswith("http"):
            context = {**context, name: "javascript:alert(1)"}
    if "open_invoices" in context:
        context = {**context, "open_invoices": [invoice(None, 1, "data:text/html,x")]}
    if kind == "team_digest":
        group = {"title": "", "lines": [{"text": "", "link": "data:text/html,x"}], "others": 1}
        context = {**context, "groups": [{**group, "link": "javascript:alert(1)"}]}
    content = render(kind, context)
    assert "javascript" not in content.html + content.text
    assert "data:" not in content.html + content.text
    assert seen(content).hrefs == []


HOLE = re.compile(r"[^\S\n][.,)](?:\s|$)|\(\)|None|[a-z] {2,}[a-z]", re.MULTILINE)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_emptiest_data_leaves_no_hole(kind: str) -> None:
    context = contexts("", None)[kind]
    # A card always has a name; a list of them may be empty.
    named: dict[str, dict[str, Any]] = {
        "unpaid": {"attempts": []},
        "card_expiring": {"label": "Visa •••• 4242"},
    }
    context |= named.get(kind, {})
    content = render(kind, context)
    for part in (content.subject, content.text, "".join(seen(content).text)):
        assert HOLE.search(part) is None, part
    assert not re.search(r"\n{4,}", content.text), "more than two empty lines"


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_it_is_signed_greeted_and_short(kind: str) -> None:
    content = render(kind, {**contexts()[kind], **HOUSE})
    is_internal = kind in INTERNAL
    for part in (content.text, "".join(seen(content).text)):
        assert ("Bonjour," in part) != is_internal
        assert ("L’équipe Ligne & Co" in part) != is_internal
        assert ("Message interne" in part) == is_internal
    assert content.subject.startswith("[Relance] ") == is_internal
    assert 10 <= len(content.subject) <= 78
    # Gmail cuts a mail off at 102 kB.
    assert len(content.html.encode()) < 60_000


@pytest.mark.parametrize("kind", sorted(set(EVERY_KIND) - INTERNAL))
def test_it_is_french(kind: str) -> None:
    content = render(kind, {**contexts()[kind], **HOUSE})
    for part in (content.subject, content.text):
        said = LINK.sub("", part)
        assert not re.search(r"[^\s\u00a0\u202f-][!?;:](?:\s|$)", said), (
            "a no-break space before high punctuation"
        )
        assert "'" not in said or kind == "routineEmail21Days", "an apostrophe of typewriters"


def test_the_four_old_titles_are_as_they_were() -> None:
    context = contexts()
    said = {kind: render(kind, {**context[kind], **HOUSE}) for kind in EVERY_KIND}
    assert said["routineEmail7Days"].subject == "-30% partout, non, tu ne rêves pas."
    assert said["routineEmail14Days"].subject == "Pro ou perso\u00a0?"
    assert said["routineEmail21Days"].subject == "Obtenez l'application\u00a0!"
    started = render("subscription_started", {**context["subscription_started"], **HOUSE, "plan": "Pro"})
    assert started.subject == "Merci de faire confiance à Ligne & Co\u00a0!"
    for part in (started.text, "".join(seen(started).text)):
        assert "Vous avez choisi la formule Pro" in part
    assert "ME CONNECTER" in started.html


def test_the_sign_up_routine_has_eight_steps_each_with_its_mail() -> None:
    assert [step.label for step in SIGNUP_STEPS] == [
        "+2H", "+2J", "+7J", "+14J", "+21J", "+30J", "+45J", "+60J",
    ]  # fmt: skip
    assert all(before.offset < after.offset for before, after in pairwise(SIGNUP_STEPS))
    assert {step.name for step in SIGNUP_STEPS} <= KINDS.keys()
    for code, name in (
        ("ROUTINE_NOSUB_7J", "routineEmail7Days"),
        ("ROUTINE_NOSUB_14J", "routineEmail14Days"),
    ):
        assert SIGNUP_STEPS_BY_NAME[code].name == SIGNUP_STEPS_BY_NAME[name].name == name
    subjects = [render(step.name, contexts()[step.name]).subject for step in SIGNUP_STEPS]
    assert len(set(subjects)) == len(subjects)


def test_the_offer_says_its_code_and_its_terms_where_they_are_set() -> None:
    context = contexts()["routineEmail7Days"]
    offer = {"offer_code": "RENTREE30", "offer_terms": "Jusqu’au 31 décembre."}
    for content, is_said in ((render("routineEmail7Days", {**context, **offer}), True),
                             (render("routineEmail7Days", context), False)):  # fmt: skip
        for part in (content.text, "".join(seen(content).text)):
            assert ("RENTREE30" in part) == is_said
            assert ("Conditions\u00a0: Jusqu’au 31 décembre." in part) == is_said


def test_the_application_has_a_page_of_its_own_or_the_login() -> None:
    context = contexts()["routineEmail21Days"]
    app = render("routineEmail21Days", {**context, "mobile_app_url": "https://app.test/mobile"})
    assert set(LINK.findall(app.text)) == {"https://app.test/mobile"}
    assert set(LINK.findall(render("routineEmail21Days", context).text)) == {context["login_url"]}


def owing(*invoices: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**contexts()["unpaid"], "open_invoices": list(invoices), **changes}


@pytest.mark.parametrize(
    "kind", ["unpaid", "unpaid_reminder", "cutoff_warning", "line_restricted", "line_cut"]
)
@pytest.mark.parametrize("count", [1, 2, 40])
def test_one_mail_lists_all_invoices_and_their_sum(kind: str, count: int) -> None:
    invoices = [invoice(f"DC-{n:03}", 1000 + n, f"https://pay.test/{n}") for n in range(count)]
    content = render(kind, {**contexts()[kind], "open_invoices": invoices})
    total = sum(each["amount_remaining_cents"] for each in invoices)
    for part in (content.text, "".join(seen(content).text)):
        assert [f"DC-{n:03}" for n in range(count) if f"DC-{n:03}" not in part] == []
        assert money(total, "eur") in part
    assert set(LINK.findall(content.text)) == {f"https://pay.test/{n}" for n in range(count)}
    assert len(content.html.encode()) < 102_000, "Gmail would cut it off"


def test_two_currencies_are_not_added_up() -> None:
    content = render(
        "unpaid", owing(invoice("A", 2990), invoice("B", 1000, currency="usd"), invoice("C", 10))
    )
    both = "30,00\u00a0€ + 10,00\u00a0$"
    assert content.subject == f"3 factures restent à régler\u00a0: {both}"
    for part in (content.text, "".join(seen(content).text)):
        assert both in part.replace("€+", "€ +")
        assert "40,00" not in part


def test_the_three_unpaid_notices_grow_firmer() -> None:
    first, second, third = (render("unpaid", owing(invoice(), stage=stage)) for stage in (1, 2, 3))
    assert first.subject == second.subject == "Votre facture DC-1 reste à régler\u00a0: 12,90\u00a0€"
    assert third.subject == "Dernier avis\u00a0: votre facture DC-1 reste à régler\u00a0: 12,90\u00a0€"
    assert "Cela arrive" in first.text
    assert "nous cherchons une solution" in second.text
    assert "vos appels sortants seront restreints" in third.text


def test_a_trial_ends_tomorrow_or_in_three_days() -> None:
    context = contexts()["trial_ending_soon"]
    assert render("trial_ending_soon", context).subject == "Votre période d’essai se termine dans 3 jours"
    assert (
        render("trial_ending_soon", {**context, "days": 1}).subject
        == "Votre période d’essai se termine demain"
    )


def test_who_has_another_subscription_is_told_so() -> None:
    context = contexts()["subscription_canceled"]
    assert (
        "Votre autre abonnement continue"
        in render("subscription_canceled", {**context, "has_another": True}).text
    )
    assert "Votre autre abonnement" not in render("subscription_canceled", context).text


def test_a_report_leaves_out_what_nobody_counted() -> None:
    context = contexts()["daily_report"]
    bare = {
        **context,
        **{name: None for name, value in context.items() if isinstance(value, int) and name != "is_internal"},
    }
    assert "Entreprises inscrites\u00a0: 4" in render("daily_report", context).text
    assert "Messages partis\u00a0: 41" in render("daily_report", context).text
    assert "Entreprises" not in render("daily_report", bare).text


def test_the_version_is_of_everything_a_mail_is_made_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:

    folder = tmp_path / "templates"
    shutil.copytree(mail_rendering.FOLDER, folder)
    monkeypatch.setattr(mail_rendering, "FOLDER", folder)

    def version(kind: str) -> str:
        template_version.cache_clear()
        return template_version(kind)

    try:
        before, other = version("unpaid"), version("line_cut")
        assert re.fullmatch("[0-9a-f]{12}", before)
        assert before != other
        (folder / "line_cut" / "subject.txt").write_text("Autre chose")
        assert (version("unpaid"), version("line_cut") != other) == (before, True)
        (folder / "layout.mjml").write_text((folder / "layout.mjml").read_text() + "<!-- -->")
        assert version("unpaid") != before
    finally:
        template_version.cache_clear()


def test_numbers_days_and_moments_are_written_as_the_french_write_them() -> None:
    assert phone("+33140000000") == "01\u00a040\u00a000\u00a000\u00a000"
    assert [phone(other) for other in ("+3214000000", "112", "")] == ["+3214000000", "112", ""]
    assert long_date("2026-11-23") == "23\u00a0novembre\u00a02026"
    assert moment_of_day("2026-11-23T23:05:00Z") == "24\u00a0novembre\u00a02026 à 00\u00a0h\u00a005"
