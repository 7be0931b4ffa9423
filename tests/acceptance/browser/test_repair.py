"""A day of repair, by four people: one mends a contract and replays, one approves, one reads, one looks."""

import re

from playwright.sync_api import Page, expect

from tests.acceptance.browser.firm import REPAIRED, Firm
from tests.acceptance.browser.looking import DRAWS_MS, WORKS_MS, badge, button, go, named, ready, seen, tick
from tests.sows import milestone_terms

LOOKING = {"Saved filters", "Open exception", "Previous", "Next", "Data", "Download CSV"}  # what changes nothing
# The label alone: an icon's name stands beside it, on a line of its own or not.
LABELS = "all => all.map(b => b.querySelector('[data-testid=stMarkdownContainer]')?.innerText ?? '')"


def test_a_contract_is_mended_and_replayed_approved_by_another_and_audited(firm: Firm) -> None:
    url = firm.url
    firm.sign("R-1", milestone_terms(legal_entity=REPAIRED, tax={}), becomes="blocked")
    firm.sign("R-2", milestone_terms(legal_entity=REPAIRED))
    with firm.visitor("tess@example.com", f"operator:tax@{REPAIRED}") as tess:
        stuck_contract_is_found(tess, url)
        it_is_corrected(tess)
        firm.house.until("it is billable", lambda: [firm.state("R-1"), firm.state("R-2")] == ["active"] * 2)
        expect(badge(tess, "Resolved")).to_be_visible(timeout=WORKS_MS)
        both_are_replayed(tess, url)
        number = firm.house.number("SELECT max(replay_id) FROM core.replay")
        with firm.visitor("ben@example.com", f"approver@{REPAIRED}") as ben:
            another_person_approves(ben, url)
        the_open_page_follows_without_a_reload(tess)
        the_replay_is_watched_to_its_end(tess, url, number)
    with firm.visitor("ada@example.com", "auditor") as ada:
        both_stand_in_the_audit(ada, url)
    with firm.visitor("cfo@example.com", "executive") as cfo:
        nothing_can_be_pressed(cfo, url, number)
    states = firm.house.rows("SELECT state FROM core.replay_item WHERE replay_id = %s", number)
    assert states == [("verified",), ("verified",)]


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
    heading = page.get_by_role("heading", name="Tax code missing, R-1")
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
    expect(page.get_by_role("cell", name="R-1", exact=True)).to_be_visible()
    button(page, "Approve…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("seen the preview")
    named(page)
    dialog.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_text("Nothing waits for an approval.")).to_be_visible(timeout=DRAWS_MS)


def the_open_page_follows_without_a_reload(page: Page) -> None:
    expect(page.get_by_text("Approved by ben").first).to_be_visible(timeout=WORKS_MS)
    seen(page.locator(".tl-key", has_text="2 verified"))  # beside what an earlier run drew, until this one has ended
    expect(badge(page, "Finished")).to_be_visible(timeout=WORKS_MS)


def the_replay_is_watched_to_its_end(page: Page, url: str, number: int) -> None:
    go(page, f"{url}/replay?replay={number}", f"Replay {number}")
    seen(page.locator(".tl-key", has_text="2 verified"))
    expect(badge(page, "Finished")).to_be_visible(timeout=WORKS_MS)
    expect(page.get_by_text("Approved by ben").first).to_be_visible()


def both_stand_in_the_audit(page: Page, url: str) -> None:
    for action, who in (("correction.submit", "tess@example.com"), ("replay.approve", "ben@example.com")):
        go(page, f"{url}/audit?action={action}&actor={who}", "Audit")
        expect(page.get_by_text("1 audit row, 1 shown")).to_be_visible(timeout=DRAWS_MS)


def nothing_can_be_pressed(page: Page, url: str, number: int) -> None:
    for address, heading in (("exceptions?state=all", "Exceptions"), ("replay", "Replay"),
                             (f"replay?replay={number}", f"Replay {number}"), ("approvals", "Approvals")):  # fmt: skip
        go(page, f"{url}/{address}", heading)
        expect(page.get_by_text("could not be drawn")).to_have_count(0)
        pressable = page.locator("[data-testid^=stBaseButton-secondary]:enabled, [data-testid^=stBaseButton-primary]")
        labels = pressable.evaluate_all(LABELS)  # in one look: the open page draws itself anew
        assert {label.strip() for label in labels} <= LOOKING, (address, labels)
