"""The inbox of exceptions: its views and filters, rows chosen over pages, and what is done with many at once."""

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from pages.kit import acting
from pages.kit import format as fmt
from sync_core.authority import Actor, person
from sync_core.reads import Reads
from tests.commands import people
from tests.pages.repair import button, press, shown, stuck, tick, told
from tests.pages.stage import texts
from tests.reads.handmade import add_case, add_contract
from tests.rows import NOW

EVERYBODY = people.EVERYTHING
ME = EVERYBODY.name


def inbox(database: sa.Engine, reads: Reads, actor: Actor = EVERYBODY, /, **query: str) -> AppTest:
    return shown("exceptions", database, reads, actor, query)


def labels(page: AppTest) -> list[str]:
    return [one.label for one in page.button]


def tabs(page: AppTest) -> list[str]:
    found = next(group for group in page.button_group if group.key == "filter_tabs")
    return [str(option) for option in found.options]


def test_each_view_has_its_count_and_its_money(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 2)
    add_case(database, add_contract(database, state="blocked"), "po_missing", function="legal", assignee=ME)
    page = inbox(database, nothing)
    said = [tab.replace("\\", "") for tab in tabs(page)]
    assert said[:3] == ["All **3** $300", "Mine **1** $100", "Unassigned **2** $200"]
    assert said[3:] == ["Legal **1** $100", "Tax **2** $200", "Quarantine **0**", "Drift **0**", "Analysis"]


@pytest.mark.parametrize(
    ("query", "functions"),
    [
        ({"view": "mine"}, {"Legal"}),
        ({"view": "triage"}, {"Tax"}),
        ({"function": "tax"}, {"Tax"}),
        ({"cause": "po_missing"}, {"Legal"}),
        ({"age": "0"}, {"Legal", "Tax"}),
        ({"seen": "no"}, {"Legal", "Tax"}),
        ({"q": "northwind"}, {"Legal", "Tax"}),
    ],
)
def test_a_view_is_a_link(database: sa.Engine, nothing: Reads, query: dict[str, str], functions: set[str]) -> None:
    stuck(database, 1)
    add_case(database, add_contract(database, state="blocked"), "po_missing", function="legal", assignee=ME)
    table = inbox(database, nothing, **query).dataframe[0].value
    assert set(table["function"]) == functions


def test_closed_ones_are_shown_on_demand(database: sa.Engine, nothing: Reads) -> None:
    add_case(database, add_contract(database), "po_missing", state="resolved", resolved_at=NOW, closed_how="read_back")
    assert "No open exceptions" in texts(inbox(database, nothing))
    table = inbox(database, nothing, state="closed").dataframe[0].value
    assert list(table["state"]) == ["Resolved"]


def test_what_the_url_makes_up_is_said_and_filters_nothing(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 1)
    page = inbox(database, nothing, entity="XX99", severity="'; drop", function="nobody")
    said = texts(page).replace("\\", "")
    assert "Not known here, so not filtered by" in said
    assert all(part in said for part in ("legal entity “XX99”", "severity “'; drop”", "function “nobody”"))
    assert len(page.dataframe[0].value) == 1


def test_actions_wait_for_rows_and_say_how_many(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 3)
    page = inbox(database, nothing)
    bar = ("Open exception", "Assign to me", "Assign…", "Acknowledge", "Hand over…", "Replay", "Close by decision…")
    assert all(button(page, label).disabled for label in bar)
    ticked = tick(page, "exceptions", 0, 2)
    assert {"Assign 2 to me", "Assign 2…", "Acknowledge 2", "Hand 2 over…", "Replay 2", "Close 2 by decision…"} <= set(
        labels(ticked)
    )
    assert "**2 selected, $200**" in texts(ticked).replace("\\", "")
    assert button(ticked, "Open exception").disabled


def test_rows_stay_chosen_over_the_pages(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 60)
    page = tick(inbox(database, nothing), "exceptions", 0, 1)
    page.button(key="page_after").click().run()
    page = tick(page, "exceptions", 3)
    assert "**3 selected, $300**, 2 of them on other pages" in texts(page).replace("\\", "")
    page.button(key="page_before").click().run()
    assert "**3 selected, $300**, 1 of them on other pages" in texts(page).replace("\\", "")
    assert "Acknowledge 3" in labels(page)
    assert "Tick rows to act on them" in texts(press(page, "Clear"))


def test_another_filter_begins_with_no_row_chosen(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 3)
    page = tick(inbox(database, nothing), "exceptions", 0)
    page.selectbox(key="filter_cause").select("tax_code_missing").run()
    assert "Tick rows to act on them" in texts(page)


def test_assigning_to_oneself_is_done_and_said(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 2)
    page = press(tick(inbox(database, nothing), "exceptions", 0, 1), "Assign 2 to me")
    assert told(page) == "2 exceptions assigned to you."
    assert set(page.dataframe[0].value["assignee"]) == {ME}


def test_one_that_was_changed_meanwhile_is_told_calmly(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 1)
    case = nothing.exceptions().rows[0]
    cases = people.commands(database).cases
    cases.assign(EVERYBODY, [case.case_id], "bob@example.com")
    result, words = acting.attempt(
        lambda: cases.assign(EVERYBODY, [case.case_id], ME, versions={case.case_id: case.version}), "Assigning"
    )
    assert result is None
    assert words.startswith(f"Someone changed it meanwhile: Exception {case.case_id} was changed since you read it")


def test_handing_over_asks_for_the_function_and_a_reason(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 2)
    page = press(tick(inbox(database, nothing), "exceptions", 0, 1), "Hand 2 over…")
    page = press(page, "Hand 2 over")
    assert told(page) == "Choose the function that shall have it."
    page.selectbox[-1].select("legal")
    page.text_area[-1].input("theirs to settle")
    page = press(page, "Hand 2 over")
    assert told(page) == "2 exceptions handed over to legal."
    assert set(page.dataframe[0].value["function"]) == {"Legal"}


def test_closing_by_decision_says_what_stayed_and_why(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 1)
    add_case(database, add_contract(database, state="blocked"), "approval_needed", error_class="policy_denied")
    page = press(tick(inbox(database, nothing), "exceptions", 0, 1), "Close 1 by decision…")
    said = texts(page).replace("\\", "")
    assert "1 of those chosen stays: Exception " in said
    assert "asks for an approval" in said
    page.text_area[-1].input("not worth mending")
    page = press(page, "Close 1 by decision")
    assert told(page) == "1 exception closed by decision."
    assert "**1 selected" in texts(page)


def test_a_reason_that_says_nothing_keeps_the_dialog_open(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 1)
    page = press(tick(inbox(database, nothing), "exceptions", 0), "Close 1 by decision…")
    page.text_area[-1].input("x")
    page = press(page, "Close 1 by decision")
    assert "Say why, in at least a few words" in told(page)
    assert "Close 1 by decision" in labels(page)


def test_replaying_the_chosen_makes_a_preview_and_goes_there(database: sa.Engine, nothing: Reads) -> None:
    contracts = stuck(database, 2)
    page = press(tick(inbox(database, nothing), "exceptions", 0, 1), "Replay 2")
    with database.connect() as conn:
        items = conn.execute(sa.text("SELECT contract_id FROM core.replay_item ORDER BY 1")).scalars().all()
    assert list(items) == contracts
    assert "# Replay 1" in texts(page)


def test_a_tax_operator_closes_what_is_taxs_alone(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 1)
    add_case(database, add_contract(database, state="blocked"), "po_missing", function="legal")
    page = tick(inbox(database, nothing, people.TAX), "exceptions", 0, 1)
    assert {"Assign 2 to me", "Hand 2 over…"} <= set(labels(page))  # nobody has taken legal's yet
    page = press(page, "Close 1 by decision…")
    assert "for legal is not yours" in texts(page).replace("\\", "")
    page.text_area[-1].input("not worth mending")
    page = press(page, "Close 1 by decision")
    assert told(page) == "1 exception closed by decision."


def test_what_is_not_ones_own_is_offered_nothing_before_a_reason_is_typed(database: sa.Engine, nothing: Reads) -> None:
    add_case(database, add_contract(database, state="blocked"), "po_missing", function="legal",
             assignee="ada@example.com")  # fmt: skip
    page = tick(inbox(database, nothing, people.TAX), "exceptions", 0)
    for label in ("Close by decision…", "Hand over…", "Assign…", "Acknowledge", "Assign to me"):
        assert button(page, label).disabled, label


def test_chosen_exceptions_of_one_contract_are_worth_it_once(database: sa.Engine, nothing: Reads) -> None:
    [contract] = stuck(database, 1)
    add_case(database, contract, "po_missing", function="legal")
    page = tick(inbox(database, nothing), "exceptions", 0, 1)
    assert "**2 selected, $100**" in texts(page).replace("\\", "")
    assert tabs(page)[0].replace("\\", "") == "All **2** $100"


def test_an_executive_sees_all_and_can_press_nothing(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 1)
    page = tick(inbox(database, nothing, people.EXECUTIVE), "exceptions", 0)
    assert len(page.dataframe[0].value) == 1
    offered = {label for label in labels(page) if not label.startswith("**")}
    assert offered == {"Open exception", "Clear", "Previous", "Next"}


def test_a_viewer_of_one_entity_sees_its_exceptions_alone(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 1)
    stuck(database, 1, legal_entity="GB01")
    british = person("uk@example.com", ["operator@GB01"])
    assert set(inbox(database, nothing, british).dataframe[0].value["entity"]) == {"GB01"}
    assert tabs(inbox(database, nothing, british))[0].replace("\\", "") == "All **1** $100"


def test_a_filter_is_saved_used_and_deleted(database: sa.Engine, nothing: Reads) -> None:
    stuck(database, 1)
    page = inbox(database, nothing, function="tax", sort="due")
    name = next(one for one in page.text_input if one.label.startswith("Save what"))
    name.input("Tax, *due*")
    page = press(page, "Save")
    assert "Filter “Tax, *due*” saved." in told(page)
    other = inbox(database, nothing)
    other = press(other, fmt.plain("Tax, *due*"))
    assert (other.query_params["function"], other.query_params["sort"]) == ("tax", "due")
    other = press(other, "Delete")
    assert "deleted" in told(other)
    assert "None yet." in texts(other)


def test_a_shared_filter_is_offered_to_others(database: sa.Engine, nothing: Reads) -> None:
    people.commands(database).cases.save_filter(people.TAX, "Ours", {"function": "tax"}, shared=True)
    stuck(database, 1)
    page = inbox(database, nothing)
    assert fmt.plain("Ours (shared by tax@example.com)") in labels(page)
    assert "Delete" not in labels(page)
