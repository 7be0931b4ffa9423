"""An amendment in a browser: each value before and after it, and parts that add up to the whole."""

from playwright.sync_api import Page, expect

from tests.acceptance.browser.firm import Firm
from tests.acceptance.browser.looking import DRAWS_MS, card, go, named, seen
from tests.sows import SIGNED_AT, cloud_event, milestone_terms

TITLE = "Claims platform rollout"
LESS = [
    {"key": "design", "name": "Design", "amount": "8000.00", "due_on": "2026-05-29", "line": "1"},
    {"key": "golive", "name": "Go-live", "amount": "16000.00", "due_on": "2026-10-30", "line": "1"},
]


def test_an_amendment_is_shown_before_and_after_and_its_parts_add_up(firm: Firm) -> None:
    firm.sign("A-1", milestone_terms())
    firm.send(cloud_event("A-1.a1", "amended.v1", lower()))
    amended = "SELECT count(*) FROM core.progress JOIN core.contract USING (contract_id)"
    amended += " WHERE external_id = 'A-1' AND step = 'active' AND amendment = 1"
    firm.house.until("the amendment is in the ERP", lambda: firm.house.number(amended) == 1)
    with firm.visitor("cfo@example.com", "executive") as page:
        go(page, f"{firm.url}/contract?id={firm.contract('A-1')}", f"A-1 {TITLE}")
        page.get_by_role("link", name="Before and after: 1 amendment").click()
        seen(page.get_by_role("heading", name="Invoiced and still to invoice"))
        each_value_is_shown_before_and_after(page)
        the_parts_add_up(page)
        named(page)


def lower() -> dict[str, object]:
    """The `data` of an amendment: the value goes from 25,000 to 24,000."""
    lines = [{"key": "1", "description": "Rollout", "amount": "24000.00"}]
    return {
        "contract_id": "A-1",
        "revision": 2,
        "amendment": {"number": 1, "executed_at": SIGNED_AT.isoformat(), "summary": "Less, and later"},
        "changes": {"value": "24000.00", "lines": lines, "milestones": LESS},
    }


def each_value_is_shown_before_and_after(page: Page) -> None:
    made = card(page, "amendments")
    seen(made.get_by_text("Amendment 1: Less, and later"))
    golive = made.get_by_role("row").filter(has_text="Go-live")
    for words in ("30 Sep 2026 → 30 Oct 2026", "$15,000.00", "$16,000.00"):
        expect(golive).to_contain_text(words, timeout=DRAWS_MS)
    whole = made.get_by_role("row").filter(has_text="All")
    for words in ("$25,000.00", "$24,000.00"):
        expect(whole).to_contain_text(words)


def the_parts_add_up(page: Page) -> None:
    books = card(page, "books")
    expect(books).to_contain_text("Adds up", timeout=DRAWS_MS)
    parts = [cents(books.get_by_role("row").filter(has_text=name).inner_text()) for name in ("Design", "Go-live")]
    assert parts == [8_000_00, 16_000_00]
    assert sum(parts) == cents(books.get_by_role("row").filter(has_text="All").inner_text())


def cents(row: str) -> int:
    """The last amount of a row: what the contract has."""
    return int(row.rpartition("$")[2].split()[0].replace(",", "").replace(".", ""))
