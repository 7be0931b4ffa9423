"""A day of repair, by four people in a browser: one mends a contract and replays, one approves, one reads, one looks.

Real processes all around: the ERP, a worker, `tieline web`, and a link for each person.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from playwright.sync_api import Browser, Locator, Page, expect

from tests.acceptance.cloud_firm import deliver, open_house, sow
from tests.acceptance.processes import House
from tests.chromium import chromium
from tests.sows import milestone_terms

DRAWS_MS, WORKS_MS = 60_000, 60_000
THRESHOLD = """
[replay]
second_person_from_count = 2
"""
ROW = 34  # pixels; a grid is a canvas
UNNAMED = re.compile(r"^\s*- (button|link|textbox|combobox|checkbox|spinbutton|radio)( \[[^\]]*\])*:?$", re.MULTILINE)
LOOKING = {"Saved filters", "Open exception", "Previous", "Next", "Data", "Download CSV"}  # what changes nothing


def test_a_contract_is_mended_and_replayed_approved_by_another_and_audited(house: House) -> None:
    open_house(house)
    house.estate.write_text(house.estate.read_text() + THRESHOLD)
    url = house.web()
    house.worker()
    house.until("the web process answers", lambda: answers(url))
    for name, terms in (("T-1", milestone_terms(tax={})), ("T-2", milestone_terms())):
        assert deliver(url, sow(name, terms)).status_code == 202
    house.until("a worker has seen both", lambda: house.states() == {"T-1": "blocked", "T-2": "active"})
    with chromium() as browser:
        with visitor(browser, house, url, "tess@example.com", "operator:tax") as tess:
            stuck_contract_is_found(tess, url)
            it_is_corrected(tess)
            house.until("it is billable", lambda: house.states() == {"T-1": "active", "T-2": "active"})
            expect(badge(tess, "Resolved")).to_be_visible(timeout=WORKS_MS)
            both_are_replayed(tess, url)
            with visitor(browser, house, url, "ben@example.com", "approver") as ben:
                another_person_approves(ben, url)
            the_open_page_follows_without_a_reload(tess)
        with visitor(browser, house, url, "tess@example.com", "operator:tax") as tess:
            the_replay_is_watched_to_its_end(tess, url)
        with visitor(browser, house, url, "ada@example.com", "auditor") as ada:
            both_stand_in_the_audit(ada, url)
        with visitor(browser, house, url, "cfo@example.com", "executive") as cfo:
            nothing_can_be_pressed(cfo, url)
    assert house.rows("SELECT state FROM core.replay_item ORDER BY 1") == [("verified",), ("verified",)]


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5, trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


@contextmanager
def visitor(browser: Browser, house: House, url: str, name: str, role: str) -> Iterator[Page]:
    """Signed in by a link of their own."""
    token = house.ask("link", "--name", name, "--as", role).rpartition("?t=")[2].split()[0]
    context = browser.new_context(viewport={"width": 1440, "height": 1200})
    page = context.new_page()
    try:
        page.goto(f"{url}/enter?t={token}")
        drawn(page)
        yield page
    finally:
        context.close()


def drawn(page: Page) -> None:
    page.wait_for_selector("#page-done", state="attached", timeout=DRAWS_MS)


def go(page: Page, address: str, heading: str) -> None:
    page.goto(address)
    drawn(page)
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible(timeout=DRAWS_MS)


# The label alone: an icon's name stands beside it, on a line of its own or not.
LABELS = "all => all.map(b => b.querySelector('[data-testid=stMarkdownContainer]')?.innerText ?? '')"


def tick(page: Page, row: int) -> None:
    page.get_by_test_id("stDataFrame").first.click(position={"x": ROW / 2, "y": ROW * (row + 1.5)})


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def ready(wanted: Locator) -> bool:
    try:
        expect(wanted).to_be_enabled(timeout=5_000)
    except AssertionError:
        return False
    return True


def badge(page: Page, text: str) -> Locator:
    return page.get_by_text(text).first


def named(page: Page) -> None:
    """A screen reader can say what each control is."""
    unnamed = UNNAMED.findall(page.locator("body").aria_snapshot())
    assert not unnamed, unnamed


def stuck_contract_is_found(page: Page, url: str) -> None:
    go(page, f"{url}/replay", "Replay")
    expect(button(page, "Preview all 1 that match")).to_be_visible(timeout=DRAWS_MS)
    expect(button(page, "Preview")).to_be_disabled()
    tick(page, 0)
    expect(page.get_by_text("1 selected, $25K")).to_be_visible(timeout=DRAWS_MS)
    expect(button(page, "Preview 1")).to_be_enabled()
    named(page)


def it_is_corrected(page: Page) -> None:
    page.get_by_role("link", name="Exceptions").click()
    expect(page.get_by_role("heading", name="Exceptions", level=1)).to_be_visible(timeout=DRAWS_MS)
    expect(page.get_by_text("1 exception open")).to_be_visible(timeout=DRAWS_MS)
    named(page)
    heading = page.get_by_role("heading", name="Tax code missing, T-1")
    for _ in range(4):  # the open page follows the data: a grid that is drawn anew forgets what was ticked just then
        if not ready(button(page, "Open exception")):
            tick(page, 0)
        if ready(button(page, "Open exception")):
            button(page, "Open exception").click()
            heading.or_(button(page, "Open exception").and_(page.locator(":disabled"))).first.wait_for(timeout=DRAWS_MS)
        if heading.is_visible():
            break
    expect(heading).to_be_visible(timeout=DRAWS_MS)
    expect(button(page, "Submit the correction")).to_be_disabled()
    field = page.get_by_role("combobox", name="Tax code")
    field.press_sequentially("US-CA-STD")
    field.press("Enter")
    expect(page.get_by_text("Mends this exception").first).to_be_visible(timeout=DRAWS_MS)
    page.get_by_label("Reason").fill("their certificate says so")
    named(page)
    button(page, "Submit the correction").click()
    # A worker may have been faster than the page.
    expect(page.get_by_text(re.compile("The correction is stored|^Resolved")).first).to_be_visible(timeout=DRAWS_MS)


def both_are_replayed(page: Page, url: str) -> None:
    go(page, f"{url}/replay?state=active", "Replay")
    button(page, "Preview all 2 that match").click()
    expect(button(page, "Replay 2 contracts…")).to_be_enabled(timeout=WORKS_MS)
    expect(page.get_by_text("Unchanged").first).to_be_visible(timeout=DRAWS_MS)
    named(page)
    button(page, "Replay 2 contracts…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("A second person has to approve it first")).to_be_visible(timeout=DRAWS_MS)
    named(page)
    dialog.get_by_label("Reason", exact=True).click()
    page.get_by_role("option", name="The data was corrected").click()
    dialog.get_by_label("Ticket").fill("INC-4821")
    button(page, "Ask for approval of 2 contracts").click()
    expect(badge(page, "Awaiting approval")).to_be_visible(timeout=DRAWS_MS)
    expect(button(page, "Approve…")).to_be_disabled()
    expect(page.get_by_text("You made or confirmed it yourself").first).to_be_visible()


def another_person_approves(page: Page, url: str) -> None:
    go(page, f"{url}/approvals", "Approvals")
    expect(page.get_by_text("2 items are 2 or more").first).to_be_visible(timeout=DRAWS_MS)
    expect(page.get_by_role("cell", name="T-1", exact=True)).to_be_visible()
    button(page, "Approve…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("seen the preview")
    named(page)
    dialog.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_text("Nothing waits for an approval.")).to_be_visible(timeout=DRAWS_MS)


def the_open_page_follows_without_a_reload(page: Page) -> None:
    expect(page.get_by_text("Approved by ben").first).to_be_visible(timeout=WORKS_MS)
    expect(page.locator(".tl-key")).to_contain_text("2 verified", timeout=WORKS_MS)
    expect(badge(page, "Finished")).to_be_visible(timeout=WORKS_MS)


def the_replay_is_watched_to_its_end(page: Page, url: str) -> None:
    go(page, f"{url}/replay?replay=1", "Replay 1")
    expect(page.locator(".tl-key")).to_contain_text("2 verified", timeout=WORKS_MS)
    expect(badge(page, "Finished")).to_be_visible(timeout=WORKS_MS)
    expect(page.get_by_text("Approved by ben").first).to_be_visible()


def both_stand_in_the_audit(page: Page, url: str) -> None:
    for action, who in (("correction.submit", "tess@example.com"), ("replay.approve", "ben@example.com")):
        go(page, f"{url}/audit?action={action}&actor={who}", "Audit")
        expect(page.get_by_text("1 audit row, 1 shown")).to_be_visible(timeout=DRAWS_MS)


def nothing_can_be_pressed(page: Page, url: str) -> None:
    for address, heading in (("exceptions?state=all", "Exceptions"), ("replay", "Replay"),
                             ("replay?replay=1", "Replay 1"), ("approvals", "Approvals")):  # fmt: skip
        go(page, f"{url}/{address}", heading)
        expect(page.get_by_text("could not be drawn")).to_have_count(0)
        pressable = page.locator("[data-testid^=stBaseButton-secondary]:enabled, [data-testid^=stBaseButton-primary]")
        labels = pressable.evaluate_all(LABELS)  # in one look: the open page draws itself anew
        assert {label.strip() for label in labels} <= LOOKING, (address, labels)
