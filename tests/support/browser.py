"""Pages opened in a real browser without a window, if the machine has Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@contextmanager
def opened(
    address: str, *, width: int = 1280, scheme: str = "light", within: str = "file:", count: int = 1
) -> Iterator[Any]:
    """A playwright page, or a list of several; the test is skipped without playwright or a browser.

    It fails on errors of the page's own script, and on requests for anything that lies neither
    within an address nor in the page itself.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    if PROGRAM is None:
        pytest.skip("no chromium")
    errors: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        pages = []
        for _ in range(count):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on(
                "request",
                lambda request: (
                    None
                    if request.url.startswith((within, "data:", "blob:"))
                    else errors.append(request.url)
                ),
            )
            page.set_default_timeout(120_000)
            page.goto(address)
            pages.append(page)
        yield pages[0] if count == 1 else pages
        browser.close()
    assert not errors
