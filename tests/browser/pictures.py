"""`make screenshots`: every page as a picture, wide and on a phone, light and dark, in the ignored folder `pictures/`.

The embedded stack with its synthetic patients and its demo knowledge base; the model is the real one.
"""

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page

from cli.stack.ports import free_port
from sandbox_ehr.seed import demo_encounters
from tests.browser.picture_states import (
    Prepared,
    copy_knowledge,
    discharge_all,
    pages,
    prepare,
    two_dead_letters,
    two_versions,
)
from tests.support.browser import chromium
from tests.support.command import Up, up
from tests.support.stack import until

FOLDER = Path("pictures")
PHYSICIAN = "Dr. Maxine Gee"
KINDS = {
    "wide": {"viewport": {"width": 1440, "height": 900}},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True},
}


async def sign_in(browser: Browser, url: str, kind: str) -> Page:
    page = await (await browser.new_context(**KINDS[kind])).new_page()  # type: ignore[arg-type]
    await page.goto(f"{url}/sign-in")
    await page.screenshot(path=FOLDER / f"sign-in-{kind}.png", full_page=True)
    await page.get_by_role("button", name=PHYSICIAN).click()
    await page.wait_for_url(f"{url}/")
    return page


async def look(url: str) -> None:
    async with chromium() as browser:
        for kind in KINDS:
            page = await sign_in(browser, url, kind)
            await page.locator(".reviews a").first.wait_for()
            await page.screenshot(path=FOLDER / f"inbox-{kind}.png", full_page=True)
            await page.locator(".reviews a").first.click()
            await page.locator(".identity").wait_for()
            await page.screenshot(path=FOLDER / f"case-{kind}.png")
            for summary in await page.locator(".passage summary").all():
                await summary.click()
            await page.screenshot(path=FOLDER / f"case-{kind}-whole.png", full_page=True)
        await readme(browser, url)
        for tick in await page.locator("[name=acknowledged], [name=confirmed]").all():
            await tick.check()
        await page.locator("#open-ends").wait_for(state="hidden")
        await page.get_by_role("button", name="Countersign").click()
        await page.get_by_label("The signed document").wait_for()
        await page.screenshot(path=FOLDER / "signed-phone.png", full_page=True)
        await page.emulate_media(media="print")
        await page.set_viewport_size({"width": 800, "height": 1100})
        await page.screenshot(path=FOLDER / "signed-print.png", full_page=True)


async def look_at_roles(url: str, prepared: Prepared) -> None:
    """Every page of the other roles, as wide and narrow screens show it."""
    async with chromium() as browser:
        for kind in KINDS:
            for person, paths in pages(prepared).items():
                page = await (await browser.new_context(**KINDS[kind])).new_page()  # type: ignore[arg-type]
                await page.goto(f"{url}/sign-in")
                await page.get_by_role("button", name=person).click()
                await page.wait_for_url(lambda found: "/sign-in" not in found)
                for number, path in enumerate(paths):
                    start, _, link = path.partition(" > ")
                    await page.goto(f"{url}{start}")
                    if link:
                        await page.locator(link).first.click()
                    await page.locator("h1").first.wait_for()
                    name = f"{person.split()[0].strip(',').lower()}-{number}-{kind}.png"
                    await page.screenshot(path=FOLDER / name, full_page=True)
                await page.context.close()
        await look_at_a_trial(browser, url, prepared)


async def look_at_a_trial(browser: Browser, url: str, prepared: Prepared) -> None:
    """Begin a trial, and read its two drafts beside what was signed."""
    page = await (await browser.new_context(**KINDS["wide"])).new_page()  # type: ignore[arg-type]
    await page.goto(f"{url}/sign-in")
    await page.get_by_role("button", name="Engineer of drafters").click()
    await page.goto(f"{url}/drafters/{prepared.candidate}/trial")
    await page.get_by_label("Why").fill("does it name the reason?")
    await page.get_by_role("button", name="Draft it").click()
    await page.get_by_role("link", name="Read them beside what was signed").click(timeout=60_000)
    await page.locator(".sentence").first.wait_for()
    for kind in KINDS:
        await page.set_viewport_size(KINDS[kind]["viewport"])  # type: ignore[index]
        await page.emulate_media(color_scheme="dark" if kind == "dark" else "light")
        await page.screenshot(path=FOLDER / f"trial-{kind}.png", full_page=True)


async def readme(browser: Browser, url: str) -> None:
    """The one picture that is committed."""
    page = await (await browser.new_context(viewport={"width": 1280, "height": 800})).new_page()
    await page.goto(f"{url}/sign-in")
    await page.get_by_role("button", name=PHYSICIAN).click()
    for link in await page.locator(".reviews a").evaluate_all("links => links.map(link => link.href)"):
        await page.goto(link)
        if await page.locator(".sentence.unsupported").count():
            break
    await page.locator(".sentence.supported summary").first.click()
    await page.locator(".sentence.supported").first.evaluate("box => box.scrollIntoView({block: 'center'})")
    await page.screenshot(path="docs/pictures/review.jpg", type="jpeg", quality=82)


async def all_wait(stack: Up) -> None:
    async def waiting() -> bool:
        return len(stack.call("operator", "GET", "/v1/reviews").json()["items"]) == len(demo_encounters())

    await until(waiting, "every draft", patience=120)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        knowledge = copy_knowledge(Path(directory))
        with up(Path(directory) / "data", free_port(), "--knowledge", str(knowledge)) as stack:
            two_versions(stack, knowledge)
            discharge_all(stack)
            asyncio.run(all_wait(stack))
            two_dead_letters(stack)
            asyncio.run(look_at_roles(stack.url, prepare(stack)))
            asyncio.run(look(stack.url))
    print(f"see {FOLDER}/")


if __name__ == "__main__":
    main()
