"""What is left to bill where a contract goes: with what others invoiced it is the contract, no more and no less."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.contract import BillingKind, Terms
from sync_core.derive import derive
from sync_core.desired import BillingMilestone, Desired, Found, Kind, Line
from sync_core.findings import together
from sync_core.keys import BusinessKey, ErpRef
from sync_core.moving.moving import Behind, Placement, behind_of, changed_since, earned_of, objections, rest
from tests.core.test_fold_properties import event
from tests.engine.moves import NEW, OLD, two_erps
from tests.folds import fold
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


@given(agreed())
def test_two_projects_in_one_erp_are_the_contract(given_: tuple[dict[str, object], list[str]]) -> None:
    terms, billed = given_
    whole, of = wanted(terms)
    amounts = {str(o.key): o.amount for o in whole.objects if isinstance(o, BillingMilestone)}
    own = {key: amount for key, amount in amounts.items() if key.partition("#M:")[2] in billed}
    total = sum(own.values(), Decimal(0))
    left = rest(whole, of, moved((NEW, Behind(total, own)), (OLD, Behind())))
    assert whole.project is not None
    if left.project is None:
        assert own == amounts
        return
    assert left.project.value + total == whole.project.value
    assert sum((o.amount for o in left.objects if isinstance(o, Line)), Decimal(0)) == left.project.value
    assert {str(o.key): o.amount for o in left.objects if isinstance(o, BillingMilestone)} == amounts


# Once it was asserted that nothing of it is taken off: then the second project in an ERP had the whole value and cap,
# although the first one, closed as the contract left, had billed against them.
def test_what_the_erp_itself_invoiced_before_is_taken_off_its_new_project_and_stays_compared() -> None:
    whole, of = wanted(milestone_terms())
    own = Behind(Decimal(10_000), {"clm/C-1#M:design": Decimal(10_000)})
    left = rest(whole, of, moved((NEW, own)))
    assert left.project is not None
    assert left.project.value == 15_000
    assert [o.amount for o in left.objects if isinstance(o, Line)] == [15_000]
    milestones = [o for o in whole.objects if isinstance(o, BillingMilestone)]
    assert [o for o in left.objects if isinstance(o, BillingMilestone)] == milestones
    assert rest(whole, of, moved()) == replace(whole, lane=NEW)


def test_hours_billed_before_a_move_and_back_stay_off_the_cap() -> None:
    whole, of = wanted(tm_terms())
    left = rest(whole, of, moved((NEW, Behind(Decimal(8_000))), (OLD, Behind(Decimal(0)))))
    assert left.project is not None
    assert (left.project.value, left.project.not_to_exceed) == (Decimal(40_000), Decimal(40_000))
    both = moved((NEW, Behind(Decimal(8_000))), (OLD, Behind(Decimal(1_000))))
    assert [o.amount for o in rest(whole, of, both).objects if isinstance(o, Line)] == [39_000]


def test_what_was_billed_by_milestones_stays_off_the_cap_of_a_contract_that_bills_hours_now() -> None:
    whole, of = wanted(tm_terms())
    left = rest(whole, of, moved((OLD, Behind(Decimal(10_000), {"clm/C-1#M:design": Decimal(10_000)}))))
    assert left.project is not None
    assert left.project.not_to_exceed == 38_000


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
    assert "; settle it in legacy; where that ERP does not say what is invoiced net" in task.message
    assert task.money == 1_000
    assert [(d.kind, d.what, d.amount) for d in task.differences] == [("re-bill", "milestone design", Decimal(1_000))]
    assert changed_since("clm/C-1", of, Placement(OLD, None, placement.behind)) == []


def test_a_credited_milestone_is_no_less_billed_elsewhere_and_stays_a_task() -> None:
    whole, of = wanted(milestone_terms())
    credited = behind_of([milestone("design", invoiced=Decimal(0))], BillingKind.MILESTONES)
    assert credited == Behind(Decimal(0), {"clm/C-1#M:design": Decimal(0)})
    (task,) = changed_since("clm/C-1", of, moved((OLD, credited)))
    assert (task.cause, task.money) == ("billed_differs", Decimal(10_000))
    left = rest(whole, of, moved((OLD, credited)))
    assert left.project is not None
    assert left.project.value == sum(o.amount for o in left.objects if isinstance(o, BillingMilestone)) == 15_000


def test_what_differs_here_and_in_the_erp_that_was_left_is_one_exception_with_all_its_money() -> None:
    _, of = wanted(milestone_terms())
    (there,) = changed_since("clm/C-1", of, moved((OLD, Behind(Decimal(0), {"clm/C-1#M:design": Decimal(0)}))))
    here = replace(there, message="milestone golive was invoiced otherwise", money=Decimal(5))
    (one,) = together([here, there])
    assert (one.money, len(one.differences)) == (Decimal(10_005), 2)
    assert one.message == f"{here.message}; {there.message}"
    other = replace(there, cause="earned_not_billed")
    assert together([here, other]) == [here, other]


def test_a_milestone_that_is_credited_and_gone_is_settled() -> None:
    _, of = wanted(milestone_terms())
    gone = moved((OLD, Behind(Decimal(0), {"clm/C-1#M:gone": Decimal(0)})))
    assert changed_since("clm/C-1", of, gone) == []


def test_doubles_of_an_invoiced_milestone_add_up() -> None:
    doubles = [milestone("design"), milestone("design", ref="M2")]
    behind = behind_of(doubles, BillingKind.MILESTONES)
    assert behind == Behind(Decimal(20_000), {"clm/C-1#M:design": Decimal(20_000)})
    _, of = wanted(milestone_terms())
    assert [task.money for task in changed_since("clm/C-1", of, moved((OLD, behind)))] == [10_000]


def milestone(key: str, *, ref: str = "M", invoiced: Decimal | None = None) -> Found:
    key_, at = BusinessKey(f"clm/C-1#M:{key}"), ErpRef(ref)
    return Found(Kind.MILESTONE, key_, at, {"amount": "10000"}, ErpRef("P"), billed=True, invoiced=invoiced)


def project(**more: object) -> Found:
    return Found(Kind.PROJECT, BusinessKey("clm/C-1"), ErpRef("P"), {}, **more)  # type: ignore[arg-type]


def test_hours_count_only_as_far_as_the_erp_tells() -> None:
    rate = Found(Kind.LABOUR_RATE, BusinessKey("clm/C-1#R:SR"), ErpRef("R"), {}, ErpRef("P"), billed=True)
    hours = BillingKind.TIME_AND_MATERIALS
    assert behind_of([project(), rate], hours).billed is None
    assert behind_of([project()], hours).billed == 0
    told = [project(billed_amount=Decimal(5)), project(billed_amount=Decimal(7), active=False), rate]
    assert behind_of(told, hours).billed == 12


def test_what_an_erp_would_still_invoice_stops_a_contract_from_leaving_it_whatever_else_does() -> None:
    fields = {"currency": "KWD"}
    held = [replace(project(earned=Decimal("12.5")), fields=fields), project(), replace(milestone("a"), billed=False)]
    (only,) = objections(OLD, Behind(), earned_of(held), nothing_left=False, undo=False)
    words = "12.500 KWD of project P was earned in legacy and is not invoiced; invoice it there first, or take it back"
    assert (only.cause, only.message) == ("earned_before_move", f"{words} there")
    closed = replace(held[0], active=False)
    causes = [one.cause for one in objections(OLD, Behind(None), earned_of([closed]), nothing_left=False, undo=False)]
    assert causes == ["earned_before_move", "billed_untold"]
    assert list(objections(OLD, Behind(), earned_of([project()]), nothing_left=False, undo=False)) == []


@pytest.mark.parametrize("behind", [Behind(None), Behind(Decimal("12.50"), {"clm/C-1#M:a": Decimal("12.50")})])
def test_what_is_behind_is_stored_as_it_is(behind: Behind) -> None:
    assert Behind.parse(behind.stored) == behind
