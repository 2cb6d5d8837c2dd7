"""A page opened in a real browser without a window, if the machine has Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@contextmanager
def opened(address: str, *, width: int = 1280, scheme: str = "light") -> Iterator[Any]:
    """A playwright page; the test is skipped without playwright or a browser, and fails on errors
    of the page's own script."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if PROGRAM is None:
        pytest.skip("no chromium")
    errors: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: errors.append(request.url)
                if not request.url.startswith(("file:", "data:")) else None)  # fmt: skip
        page.goto(address)
        yield page
        browser.close()
    assert not errors
