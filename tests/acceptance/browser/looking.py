"""What a person does and sees on a page of the dashboard."""

import re

from playwright.sync_api import Locator, Page, expect

DRAWS_MS, WORKS_MS = 60_000, 60_000
ROW = 34  # pixels; a grid is a canvas
_UNNAMED = re.compile(r"^\s*- (button|link|textbox|combobox|checkbox|spinbutton|radio)( \[[^\]]*\])*:?$", re.MULTILINE)


def drawn(page: Page) -> None:
    page.wait_for_selector("#page-done", state="attached", timeout=DRAWS_MS)


def go(page: Page, address: str, heading: str) -> None:
    page.goto(address)
    drawn(page)
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible(timeout=DRAWS_MS)


def tick(page: Page, row: int) -> None:
    page.get_by_test_id("stDataFrame").first.click(position={"x": ROW / 2, "y": ROW * (row + 1.5)})


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def card(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-card_{key}")


def ready(wanted: Locator) -> bool:
    try:
        expect(wanted).to_be_enabled(timeout=5_000)
    except AssertionError:
        return False
    return True


def badge(page: Page, text: str) -> Locator:
    return page.get_by_text(text).first


def seen(wanted: Locator) -> None:
    expect(wanted.first).to_be_visible(timeout=DRAWS_MS)


def named(page: Page) -> None:
    """A screen reader can say what each control is."""
    unnamed = _UNNAMED.findall(page.locator("body").aria_snapshot())
    assert not unnamed, unnamed
