"""Check a page in a browser against WCAG 2.2 AA, in both colour schemes and at the widths of a desktop and a phone."""

from collections.abc import Sequence
from typing import Literal

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
Scheme = Literal["light", "dark"]
View = tuple[int, Scheme]
EVERY_VIEW: tuple[View, ...] = ((360, "light"), (360, "dark"), (1440, "light"), (1440, "dark"))
# Only what is violated comes back: the rest of a report is hundreds of kB.
WCAG = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}
# Whether axe finds text half covered by a sticky bar depends on the scroll position: bars are static meanwhile.
STICKY = "how => document.querySelectorAll('.bar, header').forEach(bar => { bar.style.position = how })"
# A colour on its way from one scheme to the other has the contrast of neither.
SETTLED = """document.getAnimations().forEach(
    item => item.effect.getComputedTiming().endTime === Infinity || item.finish())"""
FITS = "document.documentElement.scrollWidth <= innerWidth"


async def assert_accessible(page: Page, name: str = "the page", views: Sequence[View] = ((1440, "light"),)) -> None:
    """Assert that axe finds nothing in each of `views`, and that nothing is wider than a window or a phone.

    Afterwards the page has the size that it had, in the light scheme.
    """
    before = page.viewport_size or WIDE
    await page.evaluate(STICKY, "static")
    for width, scheme in views:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme=scheme)
        await page.evaluate(SETTLED)
        assert await page.evaluate(FITS), f"{name} is too wide at {width} px"
        found = await Axe().run(page, options=WCAG)
        assert found.violations_count == 0, f"{name} at {width} px, {scheme}: {found.generate_report()}"
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(PHONE)
    assert await page.evaluate(FITS), f"{name} is too wide for a phone"
    await page.set_viewport_size(before)
    await page.evaluate(STICKY, "")
