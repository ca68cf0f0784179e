"""A real Chromium for tests and pictures."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, async_playwright

# Headless as root in a container; nothing of its own goes over the network.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium, else the one that Playwright has installed."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    options: dict[str, Any] = {"executable_path": path} if path else {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(args=ARGUMENTS, **options)
        try:
            yield browser
        finally:
            await browser.close()
