"""A real Chromium for tests and pictures."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, async_playwright

# Headless as root in a container; nothing of its own goes over the network.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the system's Chromium, its headless shell first, else the one that Playwright has installed."""
    path = next(filter(None, map(shutil.which, PROGRAMS)), None)
    options: dict[str, Any] = {"executable_path": path} if path else {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(args=ARGUMENTS, **options)
        try:
            yield browser
        finally:
            await browser.close()
