"""What waits for a second person: contracts above a threshold and confirmed replays, decided by somebody else."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, NoReturn

import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from pages.kit import format as fmt
from sync_core.authority import Actor
from sync_core.clock import VirtualClock
from sync_core.estate.approval_rules import ApprovalRule
from sync_core.estate.estate import ReplayPolicy
from sync_core.reads import Reads
from tests import rows
from tests.commands import people
from tests.pages.repair import button, correctable, press, previewed, shown, stuck, told
from tests.pages.stage import texts
from tests.reads.handmade import add_case, add_contract
from tests.rows import NOW

ESTATE = replace(
    rows.estate(),
    approval=(ApprovalRule("large deals", Decimal(500)),),
    replay=ReplayPolicy(second_person_from_count=2),
)
ASKED = "approval needed: over 500 USD (large deals), the contract is 1,000.50 USD"


def approvals(database: sa.Engine, actor: Actor) -> AppTest:
    reads = Reads(database, clock=VirtualClock(NOW), estate=ESTATE)
    return shown("approvals", database, reads, actor, estate=ESTATE)


def plain(page: AppTest) -> str:
    return texts(page).replace("\\", "").replace("\u2060", "")


def asked(database: sa.Engine) -> int:
    correctable(database)
    with database.connect() as conn:
        contract = int(conn.execute(sa.text("SELECT contract_id FROM core.contract")).scalar_one())
    return add_case(database, contract, "approval_needed", error_class="policy_denied", message=ASKED,
                    function="finance_operations", hours=30)  # fmt: skip


def confirmed(database: sa.Engine) -> int:
    commands = people.commands(database, estate=ESTATE)
    replay_id = previewed(commands, people.EVERYTHING, stuck(database, 2))
    commands.replays.confirm(people.EVERYTHING, replay_id, reason="the outage is over", ticket="INC-1")
    return replay_id


def test_nothing_to_decide_is_said(database: sa.Engine) -> None:
    page = approvals(database, people.APPROVER)
    assert "**Nothing waits for an approval.**" in texts(page)


def test_a_contract_is_approved_with_a_reason(database: sa.Engine) -> None:
    asked(database)
    page = approvals(database, people.APPROVER)
    said = plain(page)
    assert "**1 contract** waits for an approval. It is yours to decide." in said
    parts = ("**$100.00** Cloud migration for Northwind, US01", "over 500 USD", "30.0 h (calendar)")
    assert all(part in said for part in parts)
    page = press(page, "Approve…")
    page = press(page, "Approve")
    assert "Say why, in at least a few words" in told(page)
    page.text_area[-1].input("the board agreed")
    page = press(page, "Approve")
    assert told(page).startswith("Approved: T-1 Cloud migration for Northwind: $100.00")
    assert "**Nothing waits for an approval.**" in texts(page)


def test_how_long_a_function_has_it_is_since_it_was_handed_over(database: sa.Engine) -> None:
    case = asked(database)
    with database.begin() as conn:
        conn.execute(
            sa.text("INSERT INTO core.case_history (case_id, what, function, from_function, actor, note,"
                    " occurred_at, recorded_at)"
                    " VALUES (:case, 'handed_over', 'tax', 'finance_operations', 'ada', 'theirs', :at, :at)"),
            {"case": case, "at": NOW - timedelta(hours=2)},
        )  # fmt: skip
        conn.execute(sa.text("UPDATE core.case SET function = 'tax', bill_on = '2026-12-10' WHERE case_id = :case"),
                     {"case": case})  # fmt: skip
    said = plain(approvals(database, people.APPROVER))
    assert "With tax for 2.0 h (calendar)" in said
    assert "next bill 10 Dec 2026, billed in the run of 15 Dec 2026, in 22.3 d (calendar)." in said


def test_what_the_clm_decides_is_not_said_to_be_above_a_threshold(database: sa.Engine) -> None:
    add_case(database, add_contract(database, title="Audit for Northwind"), "clause_rejected",
             error_class="policy_denied", function="legal", message="clauses not approved: liability")  # fmt: skip
    page = approvals(database, people.APPROVER)
    said = plain(page)
    assert "**Nothing waits for an approval.**" in said
    assert "Decided in the CLM" in said
    assert "**$100.00** Audit for Northwind, US01" in said  # the title names the customer already
    assert "for Northwind for" not in said
    assert "Approve…" not in [one.label for one in page.button]


def test_what_was_refused_is_shown_with_by_whom_when_and_why(database: sa.Engine) -> None:
    refusing: dict[str, Any] = {"error_class": "policy_denied", "function": "legal"}
    contract = add_contract(database)
    add_case(database, contract, "approval_needed", state="decided", closed_how="decision", resolved_at=NOW,
             decided_by="ada@example.com", decided_reason="far too much risk", **refusing)  # fmt: skip
    case = add_case(database, contract, "approval_refused", message="refused by ada: far too much risk", **refusing)
    page = approvals(database, people.APPROVER)
    said = plain(page)
    assert "**Nothing waits for an approval.**" in said
    assert f"Refused by ada@example.com on {fmt.moment(NOW)}: Far too much risk." in said
    labels = [one.label for one in page.button]
    assert "Approve after all…" in labels
    assert not [label for label in labels if label.startswith("Refuse")]
    own = shown("exceptions", database, Reads(database, clock=VirtualClock(NOW), estate=ESTATE), people.APPROVER,
                {"case": str(case)}, estate=ESTATE)  # fmt: skip
    assert "Refused by ada@example.com" in plain(own)
    assert not button(own, "Approve after all…").disabled


def test_a_replay_is_refused_with_a_reason(database: sa.Engine) -> None:
    replay_id = confirmed(database)
    page = approvals(database, people.APPROVER)
    assert f"**2 contracts, $200** Replay {replay_id}: After the outage" in plain(page)
    [listed] = [one.value for one in page.table if "Contract" in one.value]
    assert list(listed["Value"].map(lambda cell: str(cell).replace("\\", ""))) == ["$100.00", "$100.00"]
    assert "all@example.com asks, because the outage is over." in plain(page)
    page = press(page, "Refuse…")
    page.text_area[-1].input("not in the close week")
    press(page, "Refuse")
    with database.connect() as conn:
        assert conn.scalar(sa.text("SELECT state FROM core.replay")) == "refused"


def test_ones_own_request_is_shown_and_cannot_be_decided(database: sa.Engine) -> None:
    confirmed(database)
    page = approvals(database, people.EVERYTHING)
    assert button(page, "Approve…").disabled
    assert "You made or confirmed it yourself, so another person decides." in plain(page)
    assert "None is yours to decide." in plain(page)


def test_who_corrected_a_contract_cannot_approve_it(database: sa.Engine) -> None:
    case = asked(database)
    commands = people.commands(database, estate=ESTATE)
    with database.connect() as conn:
        lacking = int(conn.scalar(sa.text("SELECT min(case_id) FROM core.case WHERE case_id <> :c"), {"c": case}) or 0)
    both = Actor("both@example.com", grants=(*people.TAX.grants, *people.APPROVER.grants))
    commands.corrections.submit(both, lacking, {"tax": {"tax_code": "X", "exempt": False}}, "their certificate")
    page = approvals(database, both)
    assert button(page, "Approve…").disabled
    assert "You corrected this contract yourself" in plain(page)
    assert not button(approvals(database, people.APPROVER), "Approve…").disabled


def test_an_approver_of_another_entity_sees_none_of_it(database: sa.Engine) -> None:
    asked(database)
    confirmed(database)
    assert "**Nothing waits for an approval.**" in texts(approvals(database, people.BRITISH_APPROVER))


def test_a_read_that_fails_shows_an_incident(database: sa.Engine) -> None:
    class Broken(Reads):
        def approvals(self, **_: object) -> NoReturn:
            raise RuntimeError("the password is in this message")

    reads = Broken(database, clock=VirtualClock(NOW), estate=ESTATE)
    page = shown("approvals", database, reads, people.APPROVER)
    assert [error.value.split(". Incident")[0] for error in page.error] == ["The approvals could not be drawn"]
