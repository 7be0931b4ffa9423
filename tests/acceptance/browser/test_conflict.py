"""A field that somebody changed in the ERP: both values are shown, a person decides, the ERP follows."""

from playwright.sync_api import Page, expect

from tests.acceptance.browser.firm import Firm
from tests.acceptance.browser.looking import DRAWS_MS, WORKS_MS, badge, button, go, named
from tests.acceptance.cloud_firm import Cloud
from tests.sows import cloud_event, milestone_terms

FIELD = "Milestone golive, bill on"


def test_an_ownership_conflict_is_shown_with_both_values_and_decided(firm: Firm) -> None:
    firm.sign("C-1", milestone_terms())
    firm.cloud.edit("milestone", str(milestone(firm.cloud)["id"]), bill_date="2026-11-30")  # somebody moves the go-live
    note = {"contract_id": "C-1", "revision": 2, "approval": "approved"}
    firm.send(cloud_event("C-1.r2", "approved.v1", note))
    firm.house.until("a worker has seen it", lambda: firm.state("C-1") == "blocked")
    ((case,),) = firm.house.rows("SELECT case_id FROM core.case WHERE cause = 'ownership_conflict'")
    with firm.visitor("fin@example.com", "operator:finance_operations") as page:
        go(page, f"{firm.url}/exceptions?case={case}", "Ownership conflict, C-1")
        both_values_are_shown(page)
        the_contracts_is_kept(page)
        firm.house.until("it is as agreed again", lambda: firm.state("C-1") == "active")
        expect(badge(page, "Resolved")).to_be_visible(timeout=WORKS_MS)
    assert milestone(firm.cloud)["bill_date"] == "2026-09-30"


def milestone(erp: Cloud) -> dict[str, object]:
    return next(one for one in erp.objects("milestone") if one["external_id"] == "clm/C-1#M:golive")


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
    # What came of it is said once: a worker that is quick has the page drawn anew, which then says that it is resolved.
    said = page.get_by_text("1 value of the contract to be written to the ERP")
    expect(said.or_(badge(page, "Resolved")).first).to_be_visible(timeout=WORKS_MS)
