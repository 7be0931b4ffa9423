"""What is invoiced is never touched, the rest of the plan goes on, and the parts add up to the contract's value."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.contract import Contract
from sync_core.desired import Found, Kind
from sync_core.life.books import told
from sync_core.plan import Action, Plan, diff
from tests.core.test_convergence_properties import carried_out, event, histories, wanted
from tests.folds import fold
from tests.sows import SIGNED_AT, signed

SIGNED = event(1, "signed.v1", signed("C-1"))
DESIGN, GOLIVE = "clm/C-1#M:design", "clm/C-1#M:golive"


def amended(number: int, **changes: object) -> object:
    header = {"number": number, "executed_at": SIGNED_AT.isoformat()}
    return event(number + 1, "amended.v1",
                 {"contract_id": "C-1", "revision": number + 1, "amendment": header, "changes": changes})  # fmt: skip


def part(key: str, amount: str, due_on: str = "2026-05-29", name: str = "Design") -> dict[str, object]:
    return {"key": key, "name": name, "amount": amount, "due_on": due_on, "line": "1"}


def held(*, billed: str = DESIGN, invoiced: str | None = None) -> list[Found]:
    """As first provisioned, with one milestone invoiced since."""
    found = carried_out([], diff(wanted([SIGNED]), []))
    net = None if invoiced is None else Decimal(invoiced)
    return [replace(f, billed=True, invoiced=net) if f.key == billed else f for f in found]


def plan_of(found: list[Found], **changes: object) -> Plan:
    return diff(wanted([SIGNED, amended(1, **changes)]), found)  # type: ignore[list-item]


@pytest.mark.parametrize(("amount", "kind", "difference"), [
    ("8000.00", "credit", "-2000.00"), ("12000.00", "re-bill", "2000.00"), ("0.00", "credit", "-10000.00"),
])  # fmt: skip
def test_another_amount_of_an_invoiced_milestone_is_a_task_beside_the_rest_of_the_plan(
    amount: str, kind: str, difference: str
) -> None:
    plan = plan_of(
        held(), value="27000.00", milestones=[part("design", amount), part("golive", "17000.00", "2026-10-01")]
    )
    (task,) = plan.tasks
    assert task.difference is not None
    assert (task.key, task.difference.kind, task.difference.amount) == (DESIGN, kind, Decimal(difference))
    assert (task.difference.held, task.difference.wanted) == ("10000.00", amount)
    assert {(o.action, o.key) for o in plan.writes} == {(Action.UPDATE, "clm/C-1"), (Action.UPDATE, GOLIVE)}
    assert not plan.conflicts


def test_an_invoiced_milestone_that_was_taken_out_is_to_be_credited() -> None:
    plan = plan_of(held(), value="15000.00", remove_milestones=["design"])
    (task,) = plan.tasks
    assert task.difference is not None
    assert (task.difference.kind, task.difference.amount, task.difference.wanted) == ("credit", Decimal(-10000), None)
    assert task.words == (
        "milestone design was invoiced with 10,000.00 USD and is no longer in the contract; credit 10,000.00 USD"
    )
    assert {o.key for o in plan.writes} == {"clm/C-1"}


@pytest.mark.parametrize("change", [{"due_on": "2026-12-01"}, {"name": "Design accepted"}])
def test_when_it_was_due_and_what_it_was_called_is_history(change: dict[str, str]) -> None:
    plan = plan_of(held(), milestones=[{**part("design", "10000.00"), **change}])
    assert not plan.writes
    assert not plan.tasks


def test_nothing_is_left_to_do_once_the_books_agree() -> None:
    lowered = {"value": "23000.00", "milestones": [part("design", "8000.00")]}
    assert plan_of(held(), **lowered).tasks
    assert not plan_of(held(invoiced="8000.00"), **lowered).tasks
    (task,) = plan_of(held(invoiced="0"), **lowered).tasks
    assert task.difference is not None
    assert (task.difference.kind, task.difference.amount) == ("re-bill", Decimal(8000))
    gone = {"value": "15000.00", "remove_milestones": ["design"]}
    assert not plan_of(held(invoiced="0"), **gone).tasks


def test_another_currency_is_credited_and_billed_anew() -> None:
    (task,) = plan_of(held(), currency="EUR").tasks
    assert task.difference is not None
    words = "milestone design was invoiced with 10000.00 USD; credit it and bill 10000.00 EUR"
    assert told(task.difference, "EUR") == words


def test_an_invoiced_rate_that_was_taken_out_bills_on_until_somebody_ends_it() -> None:
    rate = Found(Kind.LABOUR_RATE, "clm/C-1#R:SR", "R9", {"rate": "240"}, billed=True)  # type: ignore[arg-type]
    plan = diff(wanted([SIGNED]), [*held(billed=""), rate])
    (task,) = plan.tasks
    assert task.difference is not None
    assert (task.difference.kind, task.difference.amount) == ("withdraw", Decimal(0))
    assert not plan.writes


def value_of(contract: Contract) -> Decimal:
    assert contract.terms is not None
    return sum((one.amount for one in contract.terms.milestones), Decimal(0))


@given(histories(), st.data())
@settings(max_examples=200, deadline=None)
def test_billed_as_billed_and_to_bill_and_open_differences_are_the_contract(
    events: list[object], data: st.DataObject
) -> None:
    """Whatever was amended after whatever was invoiced. A check sees to it that the milestones are the value."""
    events = [e for e in events if not e.type.endswith("terminated.v1")]  # type: ignore[attr-defined]
    first = wanted(events[:1])  # type: ignore[arg-type]
    found = carried_out([], diff(first, []))
    found = [replace(f, billed=f.kind is Kind.MILESTONE and data.draw(st.booleans())) for f in found]
    before = {f.ref: f for f in found if f.billed}
    plan = diff(wanted(events), found)  # type: ignore[arg-type]
    after = carried_out(found, plan)
    assert {f.ref: f for f in after if f.billed} == before
    milestones = [f for f in after if f.kind is Kind.MILESTONE and f.active]
    billed = sum((Decimal(str(f.fields["amount"])) for f in milestones if f.billed), Decimal(0))
    to_bill = sum((Decimal(str(f.fields["amount"])) for f in milestones if not f.billed), Decimal(0))
    open_ = sum((o.difference.amount for o in plan.tasks if o.difference), Decimal(0))
    assert billed + to_bill + open_ == value_of(fold(events))  # type: ignore[arg-type]
