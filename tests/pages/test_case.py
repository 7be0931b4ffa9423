"""One exception told whole: its facts and words, what may be done by whom, its history, and what corrects it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from pages.kit import format as fmt
from sync_core.authority import Actor, person
from sync_core.clock import VirtualClock
from sync_core.estate.approval_rules import ApprovalRule
from sync_core.estate.estate import Estate
from sync_core.reads import Reads
from tests import rows
from tests.commands import people
from tests.pages.repair import button, correctable, press, shown, told
from tests.pages.stage import texts
from tests.reads.handmade import add_case, add_contract, add_event
from tests.rows import NOW

CANCELLED = '{"contract_id": "T-1", "revision": 2, "ended_on": "2026-11-30", "reason": "as agreed"}'
HOSTILE = "<script>x</script> **b** $5 [a](http://x)"


def case_page(database: sa.Engine, reads: Reads, actor: Actor, case: int, estate: Estate | None = None) -> AppTest:
    return shown("exceptions", database, reads, actor, {"case": str(case)}, estate=estate)


def plain(page: AppTest) -> str:
    return texts(page).replace("\\", "").replace("\u2060", "")


@pytest.mark.parametrize("asked", ["0", "99999", "1;2", "x", "9" * 19])
def test_a_link_to_no_exception_gets_a_friendly_answer(asked: str, database: sa.Engine, nothing: Reads) -> None:
    page = shown("exceptions", database, nothing, people.EVERYTHING, {"case": asked})
    assert "There is no exception by this link" in texts(page)


def test_what_is_wrong_is_told_with_its_money_and_its_time(database: sa.Engine, nothing: Reads) -> None:
    contract = add_contract(database, state="blocked", title="Rollout")
    case = add_case(database, contract, "po_missing", function="finance_operations", message=HOSTILE, hours=50,
                    due_at=NOW - timedelta(hours=2), operation="check.contract",
                    bill_on=(NOW + timedelta(days=30)).date())  # fmt: skip
    page = case_page(database, nothing, people.EVERYTHING, case)
    said = plain(page)
    assert "# PO missing, H-" in said
    assert HOSTILE in said
    assert "Found when the contract was checked." in said
    facts = {metric.label: metric.value for metric in page.metric}
    assert (facts["Exposure"], facts["Next bill"], facts["Due"]) == ("$100", "23 Dec 2026", "2.0 h overdue")
    assert facts["To the bill run"] == "38.3 d"
    assert "billed in the run of 31 Dec 2026" in str([metric.proto.delta_description for metric in page.metric])


def test_an_exception_beyond_reach_is_none(database: sa.Engine, nothing: Reads) -> None:
    case = add_case(database, add_contract(database, legal_entity="US01"), "po_missing")
    page = case_page(database, nothing, person("uk@example.com", ["operator@GB01"]), case)
    assert "There is no exception by this link" in texts(page)


def test_comments_and_steps_stand_in_the_history(database: sa.Engine, nothing: Reads) -> None:
    case = add_case(database, add_contract(database), "po_missing", function="finance_operations")
    page = case_page(database, nothing, people.FINANCE, case)
    page = press(page, "Acknowledge")
    assert told(page) == "1 exception acknowledged."
    page.text_area[-1].input(f"called them\n{HOSTILE}")
    page = press(page, "Comment")
    said = plain(page)
    assert all(part in said for part in ("**Acknowledged**", "**Commented**", "called them", HOSTILE))
    assert "by finance@example.com" in said


def test_an_empty_comment_is_refused_in_one_line(database: sa.Engine, nothing: Reads) -> None:
    case = add_case(database, add_contract(database), "po_missing")
    page = press(case_page(database, nothing, people.FINANCE, case), "Comment")
    assert told(page) == "The comment is empty; write it."


def test_who_may_not_is_told_who_may(database: sa.Engine, nothing: Reads) -> None:
    case = correctable(database)
    page = case_page(database, nothing, people.LEGAL, case)
    assert button(page, "Close by decision…").disabled
    said = plain(page)
    assert "An operator of tax may; ask one" in said
    assert "An operator of tax may correct it." in said
    page = case_page(database, nothing, people.EXECUTIVE, case)
    assert all(one.disabled for one in page.button if one.label not in ("Back to the list", "All that are alike"))


def test_a_correction_is_previewed_before_it_is_submitted(database: sa.Engine, nothing: Reads) -> None:
    case = correctable(database)
    page = case_page(database, nothing, people.TAX, case)
    assert button(page, "Submit the correction").disabled
    page.text_input[0].input("US-CA-STD").run()
    tables = "\n".join(table.value.to_string() for table in page.table)
    assert "US\\-CA\\-STD" in tables
    assert "Mends this exception" not in texts(page)
    assert "whether cloud knows the tax code “US-CA-STD” shows when the worker reads it." in plain(page)
    assert "Not seen in this ERP before" in texts(page)
    page.text_area[0].input("the customer's certificate says so")
    page = press(page, "Submit the correction")
    assert told(page).startswith("The correction is stored")
    assert "**Corrected**" in plain(page)
    with database.connect() as conn:
        stored = conn.execute(
            sa.text("SELECT data #>> '{changes,tax,tax_code}' FROM core.event WHERE type LIKE '%corrected%'")
        )
        assert stored.scalars().all() == ["US-CA-STD"]


def test_what_came_from_the_clm_meanwhile_is_told_and_read_again(database: sa.Engine, nothing: Reads) -> None:
    page = case_page(database, nothing, people.TAX, correctable(database))
    page.text_input[0].input("US-CA-STD").run()
    page.text_area[0].input("the customer's certificate says so")
    add_event(database, "T-1", "com.tieline.contract.cancelled.v1", CANCELLED, at=NOW + timedelta(minutes=1))
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.contract SET wanted_rev = wanted_rev + 1"))
    page = press(page, "Submit the correction")
    assert told(page).startswith("Someone changed it meanwhile: Contract T-1 got a new event")
    assert told(page).endswith("Below is how it stands now.")


def test_a_correction_without_a_reason_stays_with_what_was_typed(database: sa.Engine, nothing: Reads) -> None:
    page = case_page(database, nothing, people.TAX, correctable(database))
    page.text_input[0].input("US-CA-STD").run()
    page = press(page, "Submit the correction")
    assert "Say why, in at least a few words" in told(page)
    assert page.text_input[0].value == "US-CA-STD"


def test_values_that_mend_nothing_cannot_be_submitted(database: sa.Engine, nothing: Reads) -> None:
    case = add_case(database, correctable_contract(database), "milestones_do_not_add_up", function="legal")
    page = case_page(database, nothing, people.LEGAL, case)
    next(one for one in page.text_input if one.label == "Contract value").input("7").run()
    assert "The exception would remain: milestones add up to" in plain(page)
    assert button(page, "Submit the correction").disabled
    next(one for one in page.text_input if one.label == "Contract value").input("many").run()
    assert "Value: Input should be a valid decimal." in told(page)


def correctable_contract(database: sa.Engine) -> int:
    correctable(database)
    with database.connect() as conn:
        return int(conn.execute(sa.text("SELECT contract_id FROM core.contract")).scalar_one())


def test_a_closed_exception_offers_comments_alone(database: sa.Engine, nothing: Reads) -> None:
    case = add_case(database, add_contract(database), "po_missing", state="decided", resolved_at=NOW,
                    closed_how="decision", decided_by="ada@example.com", decided_reason="too small")  # fmt: skip
    page = case_page(database, nothing, people.EVERYTHING, case)
    said = plain(page)
    assert "Decided by ada@example.com: too small" in said
    assert "by decision, not mended." in said
    assert {one.label for one in page.button if not one.disabled} == {"Back to the list", "Comment"}
    assert not [one.label for one in page.button if one.disabled]


@pytest.mark.parametrize(
    ("how", "words"),
    [("read_back", "the ERP was read back and found as agreed."), ("checked", "its check passes now.")],
)
def test_a_resolved_exception_says_how_and_when_it_closed(
    database: sa.Engine, nothing: Reads, how: str, words: str
) -> None:
    case = correctable(database)
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.case SET state = 'resolved', closed_how = :how, resolved_at = :now"),
                     {"how": how, "now": NOW})  # fmt: skip
    page = case_page(database, nothing, people.EVERYTHING, case)
    said = plain(page)
    assert f"Closed {fmt.moment(NOW)}: {words}" in said
    assert "What was wrong" in said
    assert "It closes" not in said
    assert not {"Next bill", "To the bill run", "Due"} & {tile.label for tile in page.metric}  # nothing is ahead of it
    assert not [one.label for one in page.button if one.disabled]


def test_codes_that_the_erp_held_are_offered_and_others_can_be_typed(database: sa.Engine, nothing: Reads) -> None:
    case = correctable(database)
    fields = '{"legal_entity": "US01", "tax_code": "US-STD"}'
    held = """INSERT INTO core.crosswalk (system, kind, business_key, state, fields)
              VALUES ('cloud', 'project', 'clm/other', 'confirmed', CAST(:fields AS jsonb))"""
    with database.begin() as conn:
        conn.execute(sa.text(held), {"fields": fields})
    page = case_page(database, nothing, people.TAX, case)
    code = next(one for one in page.selectbox if one.label == "Tax code")
    assert code.options == ["US-STD"]
    code.select("US-STD").run()
    assert "Mends this exception: cloud holds the tax code “US-STD” for US01 already" in plain(page)
    assert "Not seen in this ERP before" not in texts(page)


def test_a_case_found_after_a_correction_is_linked_both_ways(database: sa.Engine, nothing: Reads) -> None:
    first = correctable(database)
    people.commands(database).corrections.submit(people.TAX, first, {"tax": {"tax_code": "X-1"}}, "so it is")
    with database.connect() as conn:
        contract = int(conn.scalar(sa.text("SELECT contract_id FROM core.contract")) or 0)
    second = add_case(database, contract, "tax_profile_missing", hours=-1)
    add_case(database, contract, "po_missing", hours=-1)
    page = case_page(database, nothing, people.TAX, second)
    assert f"It follows the correction of exception {first} (tax code missing) by tax@example.com" in plain(page)
    page = case_page(database, nothing, people.TAX, first)
    assert "found something else" in texts(page)


def test_the_way_to_the_exception_found_later_is_an_address(database: sa.Engine, nothing: Reads) -> None:
    first = correctable(database)
    people.commands(database).corrections.submit(people.TAX, first, {"tax": {"tax_code": "X-1"}}, "so it is")
    with database.connect() as conn:
        contract = int(conn.scalar(sa.text("SELECT contract_id FROM core.contract")) or 0)
    second = add_case(database, contract, "tax_profile_missing", hours=-1)
    page = press(case_page(database, nothing, people.EVERYTHING, first), f"Exception {second}")
    assert page.query_params["case"] == str(second)
    next(box for box in page.text_area if box.label == "Comment").input("they sent the certificate")
    page = press(page, "Comment")
    assert told(page) == "Comment added."
    assert page.query_params["case"] == str(second)
    with database.connect() as conn:
        commented = conn.scalars(sa.text("SELECT case_id FROM core.case_history WHERE what = 'commented'"))
        assert commented.all() == [second]


def governed() -> Estate:
    return replace(rows.estate(), approval=(ApprovalRule("large deals", Decimal(500)),))


def test_an_approver_decides_on_the_exceptions_own_page(database: sa.Engine) -> None:
    estate = governed()
    reads = Reads(database, clock=VirtualClock(NOW), estate=estate)
    message = "approval needed: over 500 USD (large deals), the contract is 1,000.50 USD"
    contract = correctable_contract(database)
    case = add_case(database, contract, "approval_needed", error_class="policy_denied", message=message,
                    function="finance_operations")  # fmt: skip
    page = case_page(database, reads, people.EVERYTHING, case, estate)
    assert button(page, "Approve…").disabled
    assert "An approver may; ask one" in plain(page)
    page = press(case_page(database, reads, people.APPROVER, case, estate), "Approve…")
    page.text_area[-1].input("the board agreed")
    page = press(page, "Approve")
    assert told(page).startswith("Approved: T-1: approval needed")
    assert "Approved by approver@example.com: the board agreed" in plain(page)
