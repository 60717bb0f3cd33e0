"""The admin pages in a real Chromium: what people do there, wide, narrow and dark; screens in build/pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.house import ADMIN, PASSWORD, READER, SUPPORT, House, open_house
from tests.integration.admin_api.people import account
from tests.servers import Servers

SCREENS = Path(__file__).parents[2] / "build" / "pages"
Scheme = Literal["light", "dark"]
LOOKS: list[tuple[str, int, Scheme]] = [
    ("desktop", 1280, "light"),
    ("mobile", 375, "light"),
    ("dark", 1280, "dark"),
    ("mobile-dark", 375, "dark"),
]


@pytest.fixture(scope="module")
def house(servers: Servers, browser: Browser) -> Iterator[House]:
    with open_house(servers) as opened:
        yield opened


EXPECTED = ("Failed to load resource", "Blocked script execution", "tracker.example")
"""Chromium says so of answers of 4xx and 5xx, and of what a mail wanted and was refused in its frame."""


class Visitor:
    """Somebody's browser; what it asks of other hosts and complains about is noted."""

    def __init__(self, browser: Browser, house: House, **options: Any) -> None:
        self.house = house
        self.context: BrowserContext = browser.new_context(base_url=house.url, **options)
        self.context.set_default_timeout(10_000)
        self.page: Page = self.context.new_page()
        self.elsewhere: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self._note_request(request.url))
        self.page.on("requestfailed", lambda request: self._note_failure(request.url, request.failure))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self._note_console(said.type, said.text))

    def _note_request(self, url: str) -> None:
        if not url.startswith(self.house.url):
            self.elsewhere.append(url)

    def _note_failure(self, url: str, failure: str | None) -> None:
        # Refused by the page's own policy: it never left.
        if failure == "csp" and url in self.elsewhere:
            self.elsewhere.remove(url)

    def _note_console(self, kind: str, text: str) -> None:
        if kind == "error" and not any(each in text for each in EXPECTED):
            self.complaints.append(text)

    def sign_in(self, email: str = ADMIN, *, password: str = PASSWORD) -> Page:
        self.page.goto("/connexion")
        self.page.get_by_label("Adresse e-mail").fill(email)
        self.page.get_by_label("Mot de passe").fill(password)
        self.page.get_by_role("button", name="Se connecter").click()
        return self.page

    def look(self, name: str) -> None:
        """The present page in every size and scheme: it fits, and axe finds nothing serious."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        for look, width, scheme in LOOKS:
            self.page.set_viewport_size({"width": width, "height": 800})
            self.page.emulate_media(color_scheme=scheme)
            self.page.screenshot(path=SCREENS / f"{name}-{look}.png", full_page=True)
            wide = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{name} {look} is {wide} px too wide"
            assert serious(self.page) == [], f"{name} {look}"
        self.page.set_viewport_size({"width": 1280, "height": 800})
        self.page.emulate_media(color_scheme="light")

    def leave(self) -> None:
        self.context.close()
        assert self.elsewhere == []
        assert self.complaints == []


def serious(page: Page) -> list[str]:
    """What axe calls serious or critical."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]} {each['nodes'][0]['failureSummary']}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


@pytest.fixture
def visitor(browser: Browser, house: House) -> Iterator[Visitor]:
    someone = Visitor(browser, house)
    yield someone
    someone.leave()


def test_signing_in_and_out(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/envois")
    expect(page).to_have_url(re.compile(r"/connexion\?suite=%2Fenvois$"))
    visitor.look("sign-in")
    page.get_by_label("Adresse e-mail").fill(ADMIN)
    page.get_by_label("Mot de passe").fill("pas-le-bon-mot")
    page.get_by_role("button", name="Se connecter").click()
    expect(page.get_by_role("alert")).to_have_text("Adresse ou mot de passe incorrects.")
    expect(page.get_by_label("Adresse e-mail")).to_have_value(ADMIN)
    visitor.look("sign-in-refused")
    page.get_by_label("Mot de passe").fill(PASSWORD)
    page.get_by_role("button", name="Se connecter").click()
    expect(page).to_have_url(f"{visitor.house.url}/envois")
    page.get_by_role("button", name="Se déconnecter").click()
    expect(page).to_have_url(f"{visitor.house.url}/connexion")
    page.go_back()
    page.goto("/envois")
    expect(page).to_have_url(re.compile("/connexion"))


def test_home_leads_to_every_page_by_keyboard(visitor: Visitor) -> None:
    page = visitor.sign_in()
    expect(page.get_by_role("heading", level=1)).to_have_text("Accueil")
    visitor.look("home")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Aller au contenu")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("main a").first).to_be_focused()
    for name in ("Envois", "Mis de côté", "Routines", "Journal"):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_the_menu_of_a_phone_opens(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 375, "height": 800})
    page = visitor.sign_in()
    link = page.get_by_role("navigation", name="Pages").get_by_role("link", name="Envois")
    expect(link).not_to_be_visible()
    page.get_by_text("Menu").click()
    expect(link).to_be_visible()
    page.screenshot(path=SCREENS / "menu-mobile-open.png")
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Envois")


def test_deliveries_are_filtered_without_reloading_and_the_address_says_how(visitor: Visitor) -> None:
    page = visitor.sign_in()
    page.goto("/envois")
    visitor.look("deliveries")
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Plus anciens").click()
    expect(page.locator("tbody tr")).to_have_count(20)
    page.goto("/envois")
    page.evaluate("window.isSame = true")
    page.get_by_label("État").select_option(label="Échoué")
    expect(page.locator("tbody tr")).to_have_count(14)
    assert set(page.locator("td[data-label='État']").all_inner_texts()) == {"Échoué"}
    expect(page).to_have_url(re.compile("etat=failed"))
    assert page.evaluate("window.isSame")
    page.get_by_label("Type").select_option(label="Ligne coupée")
    expect(page).to_have_url(re.compile("type=line_cut"))
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(14)
    page.goto("/envois?etat=expired")
    expect(page.get_by_text("Aucun envoi")).to_be_visible()
    visitor.look("deliveries-none")
    page.get_by_label("Entreprise (id.)").fill("boulangerie")
    page.get_by_role("button", name="Filtrer").click()
    expect(page.get_by_role("alert")).to_contain_text("Ce n’est pas l’identifiant")


def test_a_company_is_seen_with_its_history_and_what_comes(visitor: Visitor) -> None:
    page = visitor.sign_in()
    page.goto("/envois")
    page.get_by_role("link", name="Boulangerie Martin").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Boulangerie Martin")
    for name in ("État, et pourquoi", "Ce qui viendra", "Numéros", "Contacts", "Histoire"):
        expect(page.get_by_role("heading", name=name)).to_be_visible()
    expect(page.get_by_text("indisponible")).to_have_count(0)
    expect(page.get_by_role("region", name="État, et pourquoi")).to_contain_text("Boulangerie Martin")
    expect(page.get_by_role("region", name="Ce qui viendra")).to_contain_text("Inscription +2H")
    visitor.look("company")
    history = page.get_by_role("region", name="Histoire")
    cut = history.locator("tr", has_text="Lignes coupées")
    cut.get_by_role("link", name="Facture impayée").click()
    expect(page).to_have_url(re.compile("#f-"))
    expect(page.locator("tr:target")).to_contain_text("essayés")
    history.locator("a[href^='/envois/']").first.click()
    expect(page).to_have_url(re.compile("/envois/"))


def test_a_delivery_shows_its_bytes_shut_in(visitor: Visitor) -> None:
    page = visitor.sign_in(SUPPORT)
    page.goto(f"/envois/{visitor.house.delivery_id}")
    expect(page.get_by_text("compta@boulangerie-martin.example").first).to_be_visible()
    framed = page.frame_locator("iframe.mail")
    expect(framed.get_by_role("heading")).to_have_text("Votre facture reste à régler")
    assert page.frames[1].evaluate("document.title") == "Facture", "a script of the mail ran"
    page.get_by_text("Source (").click()
    expect(page.locator("pre").last).to_contain_text("Subject: Votre facture 2026-0001 reste =?utf-8?")
    page.get_by_text("Source (").click()
    visitor.look("delivery")
    with page.expect_download() as download:
        page.get_by_role("link", name="Télécharger l’original").click()
    assert download.value.suggested_filename == f"envoi-{visitor.house.delivery_id}.eml"


def test_a_reader_sees_no_address_and_no_content(visitor: Visitor) -> None:
    page = visitor.sign_in(READER)
    page.goto(f"/envois/{visitor.house.delivery_id}")
    expect(page.get_by_text("c•••@b•••.example").first).to_be_visible()
    assert "boulangerie-martin.example" not in page.content()
    expect(page.get_by_text("Contenu réservé")).to_be_visible()
    page.goto("/mis-de-cote")
    assert "menard.example" not in page.content()
    assert "12 34 56" not in page.content()
    visitor.look("set-asides-reader")
    page.goto("/journal")
    expect(page.get_by_role("heading", level=1)).to_have_text("Votre rôle ne le permet pas")
    visitor.look("not-allowed")
    page.goto("/nulle-part")
    expect(page.get_by_role("heading", level=1)).to_have_text("Introuvable")


def test_what_was_set_aside_shows_its_cause(visitor: Visitor) -> None:
    page = visitor.sign_in()
    page.goto("/mis-de-cote")
    visitor.look("set-asides")
    page.get_by_label("Service").select_option("notifications")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody a").click()
    expect(page.locator("pre").first).to_contain_text("contact@menard.example cannot be written to")
    visitor.look("set-aside")


def test_a_routine_is_paused_with_its_reason_and_goes_on(visitor: Visitor) -> None:
    page = visitor.sign_in()
    page.goto("/routines")
    visitor.look("routines")
    page.get_by_role("link", name="check_cards").click()
    visitor.look("routine")
    page.get_by_role("link", name="Mettre en pause…").click()
    expect(page.get_by_text("ne sera pas rattrapé ensuite")).to_be_visible()
    visitor.look("routine-pause")
    page.get_by_label("Motif").fill("Les cartes sont vérifiées à la main")
    page.get_by_role("button", name="Mettre en pause").click()
    expect(page.get_by_role("status")).to_have_text("La routine est en pause.")
    expect(page.get_by_text("Les cartes sont vérifiées à la main")).to_be_visible()
    page.get_by_role("link", name="Reprendre…").click()
    page.get_by_label("Motif").fill("C’est fait")
    page.get_by_role("button", name="Reprendre").click()
    expect(page.get_by_role("status")).to_have_text("La routine reprend.")
    page.goto("/journal?objet=routine:check_cards")
    expect(page.locator("tbody tr")).to_have_count(4)
    expect(page.locator("tbody")).to_contain_text("Les cartes sont vérifiées à la main")
    visitor.look("journal")


def test_a_code_of_a_phone_is_asked_for_once_it_was_enrolled(visitor: Visitor, browser: Browser) -> None:
    email = "tom@relance.example"
    visitor.house.run(account(visitor.house.world, email, "support"))
    page = visitor.sign_in(email)
    page.goto("/compte")
    visitor.look("account")
    page.get_by_role("button", name="Demander un code à la connexion").click()
    secret = page.locator("code.secret").inner_text()
    assert page.locator(".qr-box svg path").count() >= 1
    visitor.look("account-qr")
    code = pyotp.TOTP(secret).now()
    page.get_by_label("Code à six chiffres").fill(code)
    page.get_by_role("button", name="Activer").click()
    expect(page.get_by_role("status")).to_contain_text("Un code sera demandé")

    again = Visitor(browser, visitor.house)
    page = again.sign_in(email)
    expect(page.get_by_label("Code à usage unique")).to_be_visible()
    again.look("sign-in-code")
    page.get_by_label("Code à usage unique").fill(code)
    page.get_by_role("button", name="Continuer").click()
    expect(page.get_by_role("alert")).to_contain_text("a déjà servi")
    again.leave()


def test_a_session_that_is_closed_elsewhere_is_over_here(visitor: Visitor, browser: Browser) -> None:
    email = "lea@relance.example"
    visitor.house.run(account(visitor.house.world, email, "reader"))
    other = Visitor(browser, visitor.house, user_agent="L'autre navigateur")
    other.sign_in(email)
    page = visitor.sign_in(email)
    page.goto("/compte")
    row = page.locator("tbody tr", has_text="L'autre navigateur")
    row.get_by_role("button", name=re.compile("Fermer")).click()
    expect(page.get_by_role("status")).to_have_text("La session est fermée.")
    other.page.goto("/envois")
    expect(other.page).to_have_url(re.compile("/connexion"))
    other.leave()


def test_without_scripts_pages_do_the_same(browser: Browser, house: House) -> None:
    someone = Visitor(browser, house, java_script_enabled=False)
    page = someone.sign_in()
    page.goto("/envois")
    page.get_by_label("État").select_option("failed")
    page.get_by_role("button", name="Filtrer").click()
    expect(page.locator("tbody tr")).to_have_count(14)
    someone.leave()
