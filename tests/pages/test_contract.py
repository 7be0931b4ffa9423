"""One contract's page: told whole, with its schedule, its invoices, what was done, in words and in money."""

import json
from datetime import date, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from sync_core.journal.progress import State
from sync_core.reads import ContractFilter, Reads, Window
from tests import rows
from tests.pages.stage import play, texts
from tests.reads.handmade import add_case, add_contract, add_event, insert


def errors(shown: AppTest) -> list[str]:
    return [element.value for element in shown.error]


def metrics(shown: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in shown.metric}


def test_a_contract_is_told_whole(some: Reads) -> None:
    active = some.contracts(ContractFilter(states=(State.ACTIVE,), billing="milestones"), window=Window(500)).rows
    amended = next(row for row in active if row.contract_id % 5 == 0)
    shown = play("contract", some, {"clm": "crm", "contract": amended.external_id})
    assert errors(shown) == []
    told = texts(shown).replace("\\", "")
    assert f"# {amended.external_id} {amended.title}" in told
    for part in ("What happened", "The milestones add up to the contract value", "In the ERP", "Amended"):
        assert part in told
    tables = "\n".join(table.value.to_string() for table in shown.table).replace("\\", "")
    assert "billable: no → yes" in tables
    assert "Why here" in told
    assert f"the most specific that fits: legal entity {amended.legal_entity}" in tables
    assert "PO-1" in tables
    assert "PO-2" in tables


def test_a_blocked_contract_says_whom_it_waits_for(database: sa.Engine, nothing: Reads) -> None:
    contract = add_contract(database, state="blocked", title="*Rollout* $5 <b>")
    add_case(database, contract, "po_missing", function="finance_operations", message="ask *them*")
    shown = play("contract", nothing, {"id": str(contract)})
    assert "**Waits for finance ops**: PO missing." in texts(shown)
    assert r"\*Rollout\* \$5 \<b\>" in shown.markdown[0].value
    assert r"ask \*them\*" in texts(shown)


def signed(database: sa.Engine, **terms: object) -> int:
    """A contract with one event that carries these terms; its id."""
    agreed: dict[str, object] = {
        "title": "Rollout",
        "customer": {"code": "CU-1", "name": "Northwind"},
        "legal_entity": "US01",
        "service_line": "consulting",
        "geography": "AMER",
        "currency": "USD",
        "value": "1000.50",
        "starts_on": "2026-11-01",
        "ends_on": None,
        "billing": {"kind": "milestones", "payment_terms": "NET30"},
    }
    data = {"contract_id": "T-1", "revision": 1, "signed_at": "2026-11-01T10:00:00Z", "terms": agreed | terms}
    add_event(database, "T-1", "com.tieline.contract.signed.v1", json.dumps(data))
    return add_contract(database, external_id="T-1", state="active")


def test_a_schedule_that_differs_from_the_value_says_by_how_much(database: sa.Engine, nothing: Reads) -> None:
    milestones = [{"key": "M1", "name": "Design", "amount": "600", "due_on": "2026-12-01"}]
    contract = signed(database, milestones=milestones)
    told = texts(play("contract", nothing, {"id": str(contract)})).replace("\\", "")
    assert "The milestones add up to $600.00; the contract says $1,000.50." in told


def test_a_rate_card_shows_what_is_planned_of_the_value(database: sa.Engine, nothing: Reads) -> None:
    rates = [{"category": "senior", "name": "Senior", "rate": "200.10", "planned_hours": "5"}]
    billing = {"kind": "time_and_materials", "payment_terms": "NET30", "not_to_exceed": "2000"}
    contract = signed(database, billing=billing, rates=rates)
    told = texts(play("contract", nothing, {"id": str(contract)})).replace("\\", "")
    assert "Planned $1,000.50 of $1,000.50 contract value. Not to exceed $2,000.00." in told


def test_an_invoice_is_one_row_with_its_latest_status(database: sa.Engine, nothing: Reads) -> None:
    contract = add_contract(database, took=2)
    for days, kind, ref, status in ((9, "invoice", "I-7", "posted"), (1, "invoice", "I-7", "paid"),
                                    (1, "payment", "P-7", "received")):  # fmt: skip
        at = rows.NOW - timedelta(days=days)
        insert(
            database, "financial_fact", system="cloud", kind=kind, ref=ref, project_key="p", contract_id=contract,
            amount=99, currency="EUR", status=status, occurred_on=at.date(), recorded_at=at,
            invoice_ref=None if kind == "invoice" else "I-7",
        )  # fmt: skip
    shown = play("contract", nothing, {"id": str(contract)})
    table = next(one.value for one in shown.table if "Issued" in one.value.columns)
    cells = table.map(lambda cell: str(cell).replace("\\", "").replace("\u2060", "")).values.tolist()
    assert cells == [["I-7", "14 Nov 2026", "€99.00", "Paid", "22 Nov 2026", "€99.00", "", "cloud"]]


def test_revenue_is_shown_by_line_against_what_is_billed(database: sa.Engine, nothing: Reads) -> None:
    contract = signed(database, lines=[{"key": "1", "description": "Design <b>& build</b>", "amount": "1000.50"}])
    for ref, kind, amount, reverses in (("I-7", "invoice", "600", None), ("R-1", "revenue", "420.25", None),
                                        ("R-2", "revenue", "-20", "R-1")):  # fmt: skip
        insert(
            database, "financial_fact", system="cloud", kind=kind, ref=ref, project_key="p", contract_id=contract,
            amount=amount, currency="USD", status="posted", occurred_on=date(2026, 11, 14), recorded_at=rows.NOW,
            line_key="crm/T-1#L:1" if kind == "revenue" else None, reverses_ref=reverses,
        )  # fmt: skip
    insert(database, "financial_source", system="cloud", reports=["invoice", "revenue"], said_at=rows.NOW)
    shown = play("contract", nothing, {"id": str(contract)})
    table = next(one.value for one in shown.table if "Recognised" in one.value.columns)
    cells = table.map(lambda cell: str(cell).replace("\\", "").replace("\u2060", "")).values.tolist()
    assert cells == [["Design <b>& build</b> (1)", "$1,000.50", "$400.25", "$20.00", "14 Nov 2026", "cloud"]]
    told = texts(shown).replace("\\", "")
    assert "$400.25 is recognised as revenue, $600.00 is billed: $199.75 is billed and not earned yet." in told


def test_an_erp_that_reports_no_revenue_is_named(database: sa.Engine, nothing: Reads) -> None:
    contract = add_contract(database, took=2)
    assert "Revenue: not asked yet: cloud." in texts(play("contract", nothing, {"id": str(contract)}))
    insert(database, "financial_source", system="cloud", reports=["invoice"], said_at=rows.NOW)
    assert "Revenue: not reported by cloud." in texts(play("contract", nothing, {"id": str(contract)}))
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.financial_source SET reports = '{revenue}'"))
    assert "No revenue was posted yet." in texts(play("contract", nothing, {"id": str(contract)}))


def test_the_bill_date_is_named_for_what_it_is(database: sa.Engine, nothing: Reads) -> None:
    contract = add_contract(database, took=2, bill_on=date(2026, 12, 1))
    assert metrics(play("contract", nothing, {"id": str(contract)}))["Next bill"] == "1 Dec 2026"


def run(database: sa.Engine, contract: int, *, lane: str, action: str = "", before: str | None = None,
        after: str | None = None) -> None:  # fmt: skip
    """A run of a contract, with one operation if an action is given."""
    number = uuid4()
    insert(
        database, "run", run_id=number, contract_id=contract, rev=1, lane=lane, outcome="blocked", state="blocked",
        correlation_id="k", started_at=rows.NOW, finished_at=rows.NOW, recorded_at=rows.NOW,
    )  # fmt: skip
    if action:
        insert(
            database, "operation", run_id=number, step=0, contract_id=contract, system=lane, action=action,
            kind="project", business_key="crm/R", status="done", started_at=rows.NOW, finished_at=rows.NOW,
            before=before, after=after,
        )  # fmt: skip


def test_a_run_without_an_erp_says_so(database: sa.Engine, nothing: Reads) -> None:
    contract = add_contract(database, state="blocked", lane="")
    run(database, contract, lane="")
    (label,) = [one.label for one in play("contract", nothing, {"id": str(contract)}).expander]
    assert "23 Nov 2026 06:00 UTC, no ERP is known yet, took under a minute" in label


def test_what_was_done_is_in_words_and_in_money(database: sa.Engine, nothing: Reads) -> None:
    contract = add_contract(database, took=2)
    run(database, contract, lane="cloud", action="no_op")
    run(database, contract, lane="cloud", action="update", before='{"value": "66382.2", "starts_on": "2026-11-01"}',
        after='{"value": "70000", "starts_on": "2026-12-01"}')  # fmt: skip
    tables = "\n".join(one.value.to_string() for one in play("contract", nothing, {"id": str(contract)}).table)
    said = tables.replace("\\", "").replace("\u2060", "")
    assert "Unchanged project" in said
    assert "value: $66,382.20 → $70,000.00; starts on: 1 Nov 2026 → 1 Dec 2026" in said
    assert "No op" not in said


def test_the_history_shows_times_and_amounts_as_a_reader_wants_them(database: sa.Engine, nothing: Reads) -> None:
    shown = play("contract", nothing, {"id": str(signed(database))})
    tables = "\n".join(one.value.to_string() for one in shown.table).replace("\\", "").replace("\u2060", "")
    assert "1 Nov 2026 10:00 UTC" in tables
    assert "$1,000.50" in tables
    assert "2026-11-01" not in tables


@pytest.mark.parametrize("wanted", ["0", "-1", "1e3", "９", "9" * 19, "1;2", "../1", "99999999"])
def test_a_link_to_no_contract_gets_a_friendly_answer(wanted: str, nothing: Reads) -> None:
    shown = play("contract", nothing, {"id": wanted})
    assert errors(shown) == []
    assert "Tieline knows no contract by this link" in texts(shown)


def test_what_cannot_be_billed_is_said_in_money_and_what_was_billed_too(database: sa.Engine, nothing: Reads) -> None:
    blocked = add_contract(database, state="blocked")
    add_case(database, blocked, "po_missing", function="finance_operations")
    shown = play("contract", nothing, {"id": str(blocked)})
    assert "PO missing. \\$100 cannot be billed until then." in texts(shown)
    facts = {metric.label: (metric.value, metric.proto.delta_description) for metric in shown.metric}
    assert (facts["Billable since"], facts["Invoiced"]) == (("–", "not yet, for 24.0 h"), ("–", "nothing yet"))
    billable = add_contract(database, took=2)
    insert(
        database, "financial_fact", system="cloud", kind="invoice", ref="I-1", project_key="crm/I", amount=40,
        contract_id=billable, currency="USD", status="paid", occurred_on=date(2026, 11, 23), recorded_at=rows.NOW,
    )  # fmt: skip
    shown = play("contract", nothing, {"id": str(billable)})
    facts = {metric.label: (metric.value, metric.proto.delta_description) for metric in shown.metric}
    assert facts["Billable since"][1] == "2.0 h after the signature"
    assert facts["Invoiced"] == ("$40", "$40 of it paid")


def links(shown: AppTest) -> list[str]:
    return [link.proto.label.replace("\\", "").replace("\u2060", "") for link in shown.get("page_link")]


def test_a_contract_is_found_by_the_id_of_its_clm_and_where_two_have_it_one_is_chosen(
    database: sa.Engine, nothing: Reads
) -> None:
    add_contract(database, external_id="C-2026-00193", title="Rollout")
    assert "# C-2026-00193 Rollout" in texts(play("contract", nothing, {"id": "C-2026-00193"})).replace("\\", "")
    add_contract(database, external_id="C-2026-00193", title="Other", source="//other.example/contracts")
    shown = play("contract", nothing, {"id": "C-2026-00193"})
    assert errors(shown) == []
    assert "Several contracts have this id" in texts(shown)
    found = [label.split(", ")[0] for label in links(shown) if label.startswith("C-")]
    assert sorted(found) == ["C-2026-00193 Other", "C-2026-00193 Rollout"]


def test_without_an_id_a_contract_can_be_looked_for(database: sa.Engine, nothing: Reads) -> None:
    add_contract(database, external_id="C-7", title="Rollout")
    shown = play("contract", nothing, {})
    assert "Find a contract" in texts(shown)
    [box] = [one for one in shown.text_input if one.label == "Search"]
    box.input("rollout").run()
    assert errors(shown) == []
    assert [label for label in links(shown) if label.startswith("C-7 Rollout, Northwind")]
