"""A Chromium of this machine's, driven by Playwright; where there is none, these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium() -> str | None:
    """CHROMIUM names one; else the first that is found."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine; CHROMIUM=/path/to/one names it")
    with sync_playwright() as playwright:
        # Its sandbox needs rights that containers seldom have; what it shows is ours alone.
        browser = playwright.chromium.launch(
            executable_path=path, chromium_sandbox=False, args=["--disable-gpu", "--font-render-hinting=none"]
        )
        yield browser
        browser.close()
