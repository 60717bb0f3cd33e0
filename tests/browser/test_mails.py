"""Every mail in a browser: wide, narrow and dark. The screens are kept in build/mails, to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, Route

from services.notifications.mail import render
from tests.unit.notifications.samples import contexts, invoice

SCREENS = Path(__file__).parents[2] / "build" / "mails"
EVERY_KIND = sorted(contexts())
HOUSE = {"brand_name": "Districall", "support_email": "aide@exemple.fr", "offer_code": "RENTREE30"}
DESKTOP, MOBILE = 760, 375
# The longest word without a place to break it, and scripts that run the other way.
LONG = "Établissements-Ménard-et-Fils" * 7
ENDLESS = ("N" * 200, "شركة الاتصالات " * 12 + LONG + "🦊" * 80)


class Screen:
    """One page of a browser. Whatever a mail asks the network for is refused, and noted."""

    def __init__(self, browser: Browser) -> None:
        self.asked: list[str] = []
        self.page = browser.new_page()
        self.page.route("**/*", self._refuse)

    def _refuse(self, route: Route) -> None:
        self.asked.append(route.request.url)
        route.abort()

    def show(self, html: str, width: int, scheme: Literal["light", "dark"] = "light") -> Page:
        self.page.set_viewport_size({"width": width, "height": 700})
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_content(html, wait_until="load")
        assert self.asked == [], "a mail is whole as it comes"
        return self.page


@pytest.fixture(scope="module")
def screen(browser: Browser) -> Screen:
    return Screen(browser)


def overflow(page: Page) -> int:
    """Pixels by which something reaches beyond the screen's right edge."""
    return int(
        page.evaluate(
            """() => Math.max(
                document.documentElement.scrollWidth - window.innerWidth,
                ...[...document.querySelectorAll('td, a, div, span, strong')].map(
                    e => Math.ceil(e.getBoundingClientRect().right) - window.innerWidth))"""
        )
    )


SHOWN: list[tuple[str, int, Literal["light", "dark"]]] = [
    ("desktop", DESKTOP, "light"),
    ("mobile", MOBILE, "light"),
    ("dark", MOBILE, "dark"),
]


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_it_fits_wide_narrow_and_dark_and_loads_nothing(screen: Screen, kind: str) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    html = render(kind, {**contexts()[kind], **HOUSE}).html
    for name, width, scheme in SHOWN:
        page = screen.show(html, width, scheme)
        page.screenshot(path=SCREENS / f"{kind}-{name}.png", full_page=True)
        assert overflow(page) <= 0, name


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_name_without_end_does_not_push_a_phone_wide(screen: Screen, kind: str) -> None:
    for name in ENDLESS:
        assert len(name) >= 200
        html = render(kind, {**contexts(name, name)[kind], **HOUSE}).html
        page = screen.show(html, MOBILE)
        assert overflow(page) <= 0, name[:20]


CONTRAST = """() => {
    const numbers = c => (c.match(/[\\d.]+/g) || []).map(Number);
    const luminance = c => numbers(c).slice(0, 3).map(v => v / 255).map(
        v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
    ).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = e => {
        for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor, n = numbers(c);
            if (n.length === 3 || n[3] > 0) return c;
        }
        return 'rgb(255, 255, 255)';
    };
    const poor = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.textContent.trim(), e = walker.currentNode.parentElement;
        if (!text || !e.getClientRects().length || e.closest('style')) continue;
        const [a, b] = [luminance(getComputedStyle(e).color), luminance(ground(e))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) poor.push(`${text.slice(0, 40)}: ${ratio.toFixed(1)}`);
    }
    return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_word_can_be_read(screen: Screen, kind: str, scheme: Literal["light", "dark"]) -> None:
    """Contrast as WCAG counts it, AA."""
    html = render(kind, {**contexts()[kind], **HOUSE}).html
    page = screen.show(html, MOBILE, scheme)
    assert page.evaluate(CONTRAST) == []


def test_forty_invoices_in_two_currencies_fit_a_phone(screen: Screen) -> None:
    invoices: list[dict[str, Any]] = [
        invoice(f"DC-2026-{n:04}", 1000 + n, f"https://pay.test/{n}", "usd" if n % 2 else "eur")
        for n in range(40)
    ]
    html = render("unpaid", {**contexts()["unpaid"], **HOUSE, "open_invoices": invoices, "stage": 3}).html
    page = screen.show(html, MOBILE)
    page.screenshot(path=SCREENS / "unpaid-forty-mobile.png", full_page=True)
    assert overflow(page) <= 0
