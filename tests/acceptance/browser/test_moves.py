"""A legal entity goes to another ERP: what stays and what goes is shown, confirmed, done and reconciled."""

import re

from playwright.sync_api import Page, expect

from tests.acceptance.browser.firm import MOVED, Firm
from tests.acceptance.browser.looking import DRAWS_MS, WORKS_MS, badge, button, go, named
from tests.acceptance.cloud_firm import Cloud
from tests.sows import milestone_terms

NAME = "M-1"


def test_an_entity_is_moved_and_what_is_invoiced_stays(firm: Firm) -> None:
    firm.sign(NAME, terms())
    firm.next.bill_until("2026-11-30")
    with firm.visitor("fin@example.com", "operator:finance_operations") as page:
        number = the_move_is_previewed(page, firm.url)
        what_stays_and_what_goes_is_shown(page)
        it_is_confirmed(page)
        expect(badge(page, "Finished")).to_be_visible(timeout=WORKS_MS)
        it_adds_up(page)
    assert [row["external_id"] for row in held(firm.cloud, "milestone")] == [f"clm/{NAME}#M:golive"]
    assert [(row["status"], row["contract_value"]) for row in held(firm.cloud, "project")] == [("active", "15000.00")]
    assert [row["status"] for row in held(firm.next, "project")] == ["closed"]
    told = firm.house.ask("move", "reconcile", number)
    assert "USD 15,000.00" in told or "15,000.00 USD" in told


def held(erp: Cloud, kind: str) -> list[dict[str, object]]:
    """Of this contract."""
    return [one for one in erp.objects(kind) if str(one["external_id"]).startswith(f"clm/{NAME}")]


def terms() -> dict[str, object]:
    made = milestone_terms(ends_on="2027-12-31", legal_entity=MOVED)
    made["milestones"] = [
        {"key": "design", "name": "Design", "amount": "10000.00", "due_on": "2026-11-27", "line": "1"},
        {"key": "golive", "name": "Go-live", "amount": "15000.00", "due_on": "2027-09-30", "line": "1"},
    ]
    return made


def the_move_is_previewed(page: Page, url: str) -> str:
    """Its number."""
    go(page, f"{url}/moves", "Moves")
    for label, option in (("Legal entity", MOVED), ("From the ERP", "next"), ("To the ERP", "cloud")):
        page.get_by_role("combobox", name=label).click()
        page.get_by_role("option", name=option).first.click()
    named(page)
    button(page, "Preview the move").click()
    heading = page.get_by_role("heading", name=re.compile(rf"Move \d+: {MOVED} from next to cloud"))
    expect(heading).to_be_visible(timeout=DRAWS_MS)
    expect(button(page, "Move 1 contract…")).to_be_enabled(timeout=WORKS_MS)
    return heading.inner_text().split(":")[0].removeprefix("Move ")


def what_stays_and_what_goes_is_shown(page: Page) -> None:
    for words in ("Close in next", "Unchanged in next", "Create in cloud", "Activate in cloud"):
        expect(page.get_by_role("cell", name=words).first).to_be_visible(timeout=DRAWS_MS)
    expect(page.get_by_text("invoiced, stays in next").first).to_be_visible()
    named(page)


def it_is_confirmed(page: Page) -> None:
    button(page, "Move 1 contract…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason", exact=True).click()
    page.get_by_role("option", name="The legal entity goes to another ERP").click()
    dialog.get_by_label("Ticket").fill("CHG-77")
    named(page)
    button(page, "Move 1 contract").click()


def it_adds_up(page: Page) -> None:
    expect(page.get_by_text("Reconciliation", exact=True).first).to_be_visible(timeout=DRAWS_MS)
    for words in ("$25,000.00", "$10,000.00", "$15,000.00"):
        expect(page.get_by_role("cell", name=words).first).to_be_visible(timeout=DRAWS_MS)
    expect(button(page, "Take it back…")).to_be_enabled()
    named(page)
