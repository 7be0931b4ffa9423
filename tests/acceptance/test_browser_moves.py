"""A legal entity goes to another ERP, in a browser: what stays and what goes is shown, confirmed, done and reconciled.

Real processes all around: two ERPs, a worker, `tieline web`.
"""

from playwright.sync_api import Page, expect

from tests.acceptance.cloud_firm import Cloud, deliver, estate, sow
from tests.acceptance.processes import House
from tests.acceptance.test_browser_repair import DRAWS_MS, WORKS_MS, answers, badge, button, go, named, visitor
from tests.chromium import chromium
from tests.sows import milestone_terms

SECOND = """
[[erp]]
name = "next"
kind = "sandbox_cloud"
url = "{url}"
user = "tieline"
secret_env = "FIRM_ERP"
timeout_s = 3
options = {{ upsert = "false", settle_s = "2" }}

"""


def test_an_entity_is_moved_and_what_is_invoiced_stays(house: House) -> None:
    old, new = Cloud(house), Cloud(house, name="next")
    house.estate.write_text(estate(old.url).replace("[[entity]]", f"{SECOND.format(url=new.url)}[[entity]]"))
    url = house.web()
    house.worker()
    house.until("the web process answers", lambda: answers(url))
    assert deliver(url, sow("T-1", terms())).status_code == 202
    house.until("it is billable", lambda: house.states() == {"T-1": "active"})
    old.bill_until("2026-11-30")
    with chromium() as browser, visitor(browser, house, url, "fin@example.com", "operator:finance_operations") as page:
        the_move_is_previewed(page, url)
        what_stays_and_what_goes_is_shown(page)
        it_is_confirmed(page)
        expect(badge(page, "Finished")).to_be_visible(timeout=WORKS_MS)
        it_adds_up(page)
    assert [row["external_id"] for row in new.objects("milestone")] == ["clm/T-1#M:golive"]
    assert [(row["status"], row["contract_value"]) for row in new.objects("project")] == [("active", "15000.00")]
    assert [row["status"] for row in old.objects("project")] == ["closed"]
    told = house.ask("move", "reconcile", "1")
    assert "USD 15,000.00" in told or "15,000.00 USD" in told


def terms() -> dict[str, object]:
    made = milestone_terms(ends_on="2027-12-31")
    made["milestones"] = [
        {"key": "design", "name": "Design", "amount": "10000.00", "due_on": "2026-11-27", "line": "1"},
        {"key": "golive", "name": "Go-live", "amount": "15000.00", "due_on": "2027-09-30", "line": "1"},
    ]
    return made


def the_move_is_previewed(page: Page, url: str) -> None:
    go(page, f"{url}/moves", "Moves")
    for label, option in (("Legal entity", "US01"), ("From the ERP", "cloud"), ("To the ERP", "next")):
        page.get_by_role("combobox", name=label).click()
        page.get_by_role("option", name=option).first.click()
    named(page)
    button(page, "Preview the move").click()
    expect(page.get_by_role("heading", name="Move 1: US01 from cloud to next")).to_be_visible(timeout=DRAWS_MS)
    expect(button(page, "Move 1 contract…")).to_be_enabled(timeout=WORKS_MS)


def what_stays_and_what_goes_is_shown(page: Page) -> None:
    for words in ("Close in cloud", "Unchanged in cloud", "Create in next", "Activate in next"):
        expect(page.get_by_role("cell", name=words).first).to_be_visible(timeout=DRAWS_MS)
    expect(page.get_by_text("invoiced, stays in cloud").first).to_be_visible()
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
