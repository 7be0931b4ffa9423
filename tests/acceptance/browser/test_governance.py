"""A CLM sends a version that nobody knows: an administrator registers it, and its contracts are provisioned."""

import json

from playwright.sync_api import Page, expect

from tests.acceptance.browser.firm import Firm
from tests.acceptance.browser.looking import DRAWS_MS, button, drawn, go, named
from tests.acceptance.cloud_firm import deliver, sow
from tests.sows import SOURCE, milestone_terms
from tests.versions import V3, as_v3, v3_schema

RENAMES = "terms.total = terms.value\nterms.lines[].sum = terms.lines[].amount"


def unknown(name: str) -> dict[str, object]:
    """A contract of that firm, in a version of tomorrow."""
    known = sow(name, milestone_terms())
    data = known["data"]
    assert isinstance(data, dict)
    return {**known, "type": V3, "source": SOURCE, "data": as_v3(data)}


def test_a_version_that_nobody_knows_is_released_by_its_registration_and_provisioned(firm: Firm) -> None:
    answer = deliver(firm.url, unknown("V-1"), unknown("V-2"), batched=True)
    assert [one["status"] for one in answer.json()["receipts"]] == ["quarantined", "quarantined"]
    with firm.visitor("eve@example.com", "executive") as eve:
        go(eve, f"{firm.url}/governance", "Governance")
        expect(eve.get_by_text("An administrator may register a version")).to_be_visible(timeout=DRAWS_MS)
        assert button(eve, "Register a version…").count() == 0
    with firm.visitor("ada@example.com", "administrator") as ada:
        it_is_registered(ada, firm.url)
        firm.house.until("both are billable", lambda: [firm.state("V-1"), firm.state("V-2")] == ["active"] * 2)
        nothing_waits_any_more(ada, firm.url)
    assert firm.house.rows("SELECT count(*) FROM core.quarantine WHERE released_at IS NULL") == [(0,)]
    stored = firm.house.rows(
        "SELECT sent_type, CAST(sent AS text) FROM core.event WHERE starts_with(external_id, 'V-') ORDER BY external_id"
    )
    assert [(kind, json.loads(str(sent))) for kind, sent in stored] == [
        (V3, unknown("V-1")["data"]), (V3, unknown("V-2")["data"]),
    ]  # fmt: skip
    assert deliver(firm.url, unknown("V-3")).json()["receipts"][0]["status"] == "accepted"
    firm.house.until("the next one comes in by itself", lambda: firm.state("V-3") == "active")
    [[action, actor]] = firm.house.rows("SELECT action, actor FROM core.audit WHERE starts_with(action, 'schema.')")
    assert (action, actor) == ("schema.register", "ada@example.com")


def it_is_registered(page: Page, url: str) -> None:
    go(page, f"{url}/governance", "Governance")
    expect(page.get_by_text("2 events of versions that nobody knows")).to_be_visible(timeout=DRAWS_MS)
    named(page)
    button(page, "Register a version…").click()
    form = page.get_by_role("dialog")
    form.get_by_label("JSON Schema").fill(v3_schema())
    form.get_by_label("Reason").fill("CLM release 2027.1")
    button(page, "Look ahead").click()
    expect(form.get_by_text("of 2 looked at, 0 would be released")).to_be_visible(timeout=DRAWS_MS)
    form.get_by_label("Renamed fields").fill(RENAMES)
    button(page, "Look ahead").click()
    expect(form.get_by_text("of 2 looked at, 2 would be released")).to_be_visible(timeout=DRAWS_MS)
    form.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_text(f"{V3} is registered; 2 events released.")).to_be_visible(timeout=DRAWS_MS)


def nothing_waits_any_more(page: Page, url: str) -> None:
    go(page, f"{url}/governance", "Governance")
    expect(page.get_by_role("heading", name="Registered versions")).to_be_visible(timeout=DRAWS_MS)
    assert page.get_by_role("heading", name="Waiting for a schema").count() == 0
    for section, heading in (("fields", "New fields"), ("lineage", "Field lineage"), ("releases", "Release calendar")):
        page.goto(f"{url}/governance?section={section}")
        drawn(page)
        expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=DRAWS_MS)
        named(page)
