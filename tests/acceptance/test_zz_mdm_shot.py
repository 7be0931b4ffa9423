"""A field that somebody changed in the ERP, in a browser: both values are shown, a person decides, the ERP follows.

Real processes all around: the ERP, a worker, `tieline web`.
"""

from playwright.sync_api import Page, expect

from tests.acceptance.cloud_firm import Cloud, deliver, open_house, sow
from tests.acceptance.processes import House
from tests.acceptance.test_browser_repair import DRAWS_MS, WORKS_MS, answers, badge, button, go, named, visitor
from tests.chromium import chromium
from tests.sows import cloud_event, milestone_terms

OWNERSHIP = """
[ownership]
sow_milestones = { conflict = "person" }
"""
FIELD = "Milestone golive, bill on"


def test_zz_shot(house: House) -> None:
    erp = open_house(house)
    house.estate.write_text(house.estate.read_text() + OWNERSHIP)
    url = house.web()
    house.worker()
    house.until("the web process answers", lambda: answers(url))
    assert deliver(url, sow("T-1", milestone_terms())).status_code == 202
    house.until("it is billable", lambda: house.states() == {"T-1": "active"})
    somebody_moves_the_go_live(erp)
    note = {"contract_id": "T-1", "revision": 2, "approval": "approved"}
    assert deliver(url, cloud_event("T-1.r2", "approved.v1", note)).status_code == 202
    house.until("a worker has seen it", lambda: house.states() == {"T-1": "blocked"})
    ((case,),) = house.rows("SELECT case_id FROM core.case WHERE cause = 'ownership_conflict'")
    with chromium() as browser, visitor(browser, house, url, "fin@example.com", "operator:finance_operations") as page:
        go(page, f"{url}/exceptions?case={case}", "Ownership conflict, T-1")
        both_values_are_shown(page); page.screenshot(path="/tmp/mdm-conflict.png", full_page=True); page.set_viewport_size({"width":390,"height":1800}); page.wait_for_timeout(1500); page.screenshot(path="/tmp/mdm-conflict-390.png"); page.set_viewport_size({"width":1440,"height":1200}); page.wait_for_timeout(500)
        the_contracts_is_kept(page)
        house.until("it is as agreed again", lambda: house.states() == {"T-1": "active"})
        expect(badge(page, "Resolved")).to_be_visible(timeout=WORKS_MS)
    assert milestone(erp)["bill_date"] == "2026-09-30"


def milestone(erp: Cloud) -> dict[str, object]:
    return next(one for one in erp.objects("milestone") if str(one["external_id"]).endswith("golive"))


def somebody_moves_the_go_live(erp: Cloud) -> None:
    erp.edit("milestone", str(milestone(erp)["id"]), bill_date="2026-11-30")


def both_values_are_shown(page: Page) -> None:
    expect(page.get_by_text("Two values of one field")).to_be_visible(timeout=DRAWS_MS)
    for words in ("30 Sep 2026", "30 Nov 2026"):
        expect(page.get_by_role("cell", name=words).first).to_be_visible(timeout=DRAWS_MS)
    named(page)


def the_contracts_is_kept(page: Page) -> None:
    choice = page.get_by_role("radiogroup", name=FIELD)
    choice.get_by_text("Keep the contract's").click()
    page.get_by_label("Reason").last.fill("The go-live was not moved by any amendment")
    button(page, "Decide").click()
    expect(page.get_by_text("1 value of the contract to be written to the ERP")).to_be_visible(timeout=WORKS_MS)
