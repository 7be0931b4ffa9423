"""What is left to bill where a contract goes: with what others invoiced it is the contract, no more and no less."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.contract import BillingKind, Terms
from sync_core.derive import derive
from sync_core.desired import BillingMilestone, Desired, Found, Kind, Line
from sync_core.fold import fold
from sync_core.keys import BusinessKey, ErpRef
from sync_core.moving import Behind, Placement, behind_of, changed_since, rest
from tests.core.test_fold_properties import event
from tests.engine.moves import NEW, OLD, two_erps
from tests.sows import milestone_terms, on, tm_terms

ESTATE = two_erps()
DAY = on("2026-04-15")


def wanted(terms: dict[str, object]) -> tuple[Desired, Terms]:
    one = fold([event("signed", 1, {"signed_at": "2026-03-02T10:00:00Z", "terms": terms})])
    assert one.terms is not None
    return derive(one, ESTATE, on=DAY), one.terms


def moved(*behind: tuple[str, Behind]) -> Placement:
    return Placement(NEW, None, dict(behind))


@st.composite
def agreed(draw: st.DrawFn) -> tuple[dict[str, object], list[str]]:
    """Terms with milestones on lines or on none, and the keys of those that were invoiced."""
    lines = draw(st.integers(1, 3))
    parts = draw(st.lists(st.tuples(st.integers(1, 10**7), st.integers(0, lines - 1)), min_size=1, max_size=6))
    loose = draw(st.booleans())
    milestones = [
        {"key": f"m{n}", "name": f"Part {n}", "amount": str(Decimal(cents) / 100), "due_on": "2026-06-30",
         "line": None if loose else str(line)}
        for n, (cents, line) in enumerate(parts)
    ]  # fmt: skip
    of_line = [sum(cents for cents, at in parts if at == line) for line in range(lines)]
    terms = milestone_terms(
        value=str(Decimal(sum(cents for cents, _ in parts)) / 100),
        lines=[{"key": str(n), "description": f"Line {n}", "amount": str(Decimal(cents) / 100)}
               for n, cents in enumerate(of_line)],
        milestones=milestones,
    )  # fmt: skip
    billed = draw(st.lists(st.sampled_from([str(m["key"]) for m in milestones]), unique=True))
    return terms, billed


@given(agreed())
def test_both_erps_together_are_the_contract(given_: tuple[dict[str, object], list[str]]) -> None:
    terms, billed = given_
    whole, of = wanted(terms)
    amounts = {o.key: o.amount for o in whole.objects if isinstance(o, BillingMilestone)}
    behind = {key: amount for key, amount in amounts.items() if key.partition("#M:")[2] in billed}
    total = sum(behind.values(), Decimal(0))
    left = rest(whole, of, moved((OLD, Behind(total, {str(key): amount for key, amount in behind.items()}))))
    open_ = {o.key: o.amount for o in left.objects if isinstance(o, BillingMilestone)}
    assert {**behind, **open_} == amounts
    assert not behind.keys() & open_.keys()
    assert whole.project is not None
    if left.project is None:
        assert not open_
        return
    assert left.lane == NEW
    assert left.project.value + total == whole.project.value
    assert sum((o.amount for o in left.objects if isinstance(o, Line)), Decimal(0)) == left.project.value
    assert all(o.amount >= 0 for o in left.objects if isinstance(o, Line))


def test_what_the_erp_itself_invoiced_is_not_taken_off() -> None:
    whole, of = wanted(milestone_terms())
    own = Behind(Decimal(10_000), {"clm/C-1#M:design": Decimal(10_000)})
    assert rest(whole, of, moved((NEW, own))) == replace(whole, lane=NEW)


def test_hours_are_taken_off_the_lines_in_their_order_and_off_the_cap() -> None:
    lines = [
        {"key": "1", "description": "One", "amount": "8000.00"},
        {"key": "2", "description": "Two", "amount": "40000.00"},
    ]
    whole, of = wanted(tm_terms(lines=lines))
    left = rest(whole, of, moved((OLD, Behind(Decimal(10_000)))))
    assert left.project is not None
    assert (left.project.value, left.project.not_to_exceed) == (Decimal(38_000), Decimal(38_000))
    assert [o.amount for o in left.objects if isinstance(o, Line)] == [38_000]
    assert rest(whole, of, moved((OLD, Behind(Decimal(48_000))))).project is None


def test_a_milestone_that_was_invoiced_otherwise_than_agreed_is_a_task_for_finance() -> None:
    _, of = wanted(milestone_terms())
    placement = moved((OLD, Behind(Decimal(9_000), {"clm/C-1#M:design": Decimal(9_000)})))
    (task,) = changed_since("clm/C-1", of, placement)
    assert task.cause == "billed_differs"
    assert "was invoiced with 9000 in legacy, the contract says 10000" in task.message
    assert changed_since("clm/C-1", of, Placement(OLD, None, placement.behind)) == []


def project(**more: object) -> Found:
    return Found(Kind.PROJECT, BusinessKey("clm/C-1"), ErpRef("P"), {}, **more)  # type: ignore[arg-type]


def test_hours_count_only_as_far_as_the_erp_tells() -> None:
    rate = Found(Kind.LABOUR_RATE, BusinessKey("clm/C-1#R:SR"), ErpRef("R"), {}, ErpRef("P"), billed=True)
    hours = BillingKind.TIME_AND_MATERIALS
    assert behind_of([project(), rate], hours).billed is None
    assert behind_of([project()], hours).billed == 0
    told = [project(billed_amount=Decimal(5)), project(billed_amount=Decimal(7), active=False), rate]
    assert behind_of(told, hours).billed == 12


@pytest.mark.parametrize("behind", [Behind(None), Behind(Decimal("12.50"), {"clm/C-1#M:a": Decimal("12.50")})])
def test_what_is_behind_is_stored_as_it_is(behind: Behind) -> None:
    assert Behind.parse(behind.stored) == behind
