"""Rates over time: which price an hour has by its day, and what becomes of invoiced hours when that changes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.contract import Contract
from sync_core.derive import derive
from sync_core.desired import DatedRate, Desired, Found, Kind, fields_of
from sync_core.events import OWN_ID, Event
from sync_core.keys import BusinessKey, ErpRef
from sync_core.life.rate_periods import in_force, line_of_time, price_changes, unbilled
from sync_core.plan import Action, Plan, diff
from tests.core.test_convergence_properties import carried_out
from tests.core.test_effective_days import DEARER, ESTATE, SENIOR, amending
from tests.core.test_fold_properties import START, event
from tests.folds import fold
from tests.sows import tm_terms

ON = date(2026, 6, 20)
MID = date(2026, 6, 15)
SIGNED = event("signed", 1, {"signed_at": START.isoformat(), "terms": tm_terms(rates=[SENIOR])})


def priced(rate: str, **more: object) -> dict[str, object]:
    return {**SENIOR, "rate": rate, **more}


def wanted(contract: Contract, on: date = ON) -> Desired:
    return derive(contract, ESTATE, on=on).priced(over_time=True)


def card(desired: Desired) -> dict[str, tuple[str, object]]:
    """By key: the price, and from which day."""
    rates = [o for o in desired.objects if isinstance(o, DatedRate)]
    return {o.key.partition("#R:")[2]: (str(o.rate), o.valid_from and o.valid_from.isoformat()) for o in rates}


def test_a_price_that_begins_in_the_middle_of_a_month_stands_beside_the_one_of_before() -> None:
    contract = fold([SIGNED, amending(1, MID, rates=[DEARER])])
    both = {"SR": ("240.00", None), "SR@2026-06-15": ("260.00", "2026-06-15")}
    assert [card(wanted(contract, day)) for day in (date(2026, 4, 1), MID, date(2026, 9, 1))] == [both] * 3
    alone = derive(contract, ESTATE, on=ON).priced(over_time=False)
    assert [fields_of(o)["rate"] for o in alone.objects if o.kind is Kind.LABOUR_RATE] == ["260"]


def test_rates_with_a_first_day_of_their_own_are_a_line_of_time_too() -> None:
    contract = fold([SIGNED, amending(1, None, rates=[priced("260.00", valid_from="2026-06-15")])])
    assert card(wanted(contract)) == {"SR": ("240.00", None), "SR@2026-06-15": ("260.00", "2026-06-15")}


def test_other_hours_at_the_same_price_are_no_period() -> None:
    header = {"number": 1, "executed_at": "2026-06-10T09:00:00Z"}
    more = {"amendment": header, "changes": {"rates": [{**SENIOR, "planned_hours": "90"}]}}
    [rate] = [o for o in wanted(fold([SIGNED, event("amended", 2, more)])).objects if isinstance(o, DatedRate)]
    assert (rate.key, rate.planned_hours, rate.valid_from) == (BusinessKey("clm/C-1#R:SR"), Decimal(90), None)


def test_an_amendment_of_an_amendment_moves_its_day_and_its_price() -> None:
    first = amending(1, MID, rates=[DEARER])
    earlier = fold([SIGNED, first, amending(2, date(2026, 6, 8), rates=[priced("265.00")])])
    assert card(wanted(earlier)) == {"SR": ("240.00", None), "SR@2026-06-08": ("265.00", "2026-06-08")}
    later = fold([SIGNED, first, amending(2, date(2026, 8, 1), rates=[priced("270.00")])])
    assert card(wanted(later)) == {
        "SR": ("240.00", None), "SR@2026-06-15": ("260.00", "2026-06-15"), "SR@2026-08-01": ("270.00", "2026-08-01"),
    }  # fmt: skip


def test_one_without_a_day_leaves_the_hours_of_before_at_the_price_that_was_agreed_then() -> None:
    header = {"number": 1, "executed_at": "2026-06-10T09:00:00Z"}
    amended = event("amended", 2, {"amendment": header, "changes": {"rates": [DEARER]}})
    contract = fold([SIGNED, amended])
    assert card(wanted(contract)) == {"SR": ("240.00", None), "SR@2026-06-10": ("260.00", "2026-06-10")}
    for day in (date(2026, 5, 1), ON):  # it holds at once where there is one price
        [rate] = [o for o in derive(contract, ESTATE, on=day).objects if o.kind is Kind.LABOUR_RATE]
        assert fields_of(rate)["rate"] == "260"
    mended = replace(event("corrected", 3, {"overrides": 2, "changes": {"rates": [priced("255.00")]}}), id=f"{OWN_ID}1")
    late = replace(mended, occurred_at=mended.occurred_at.replace(year=2026, month=6, day=18))
    assert card(wanted(fold([SIGNED, amended, late]))) == {
        "SR": ("240.00", None), "SR@2026-06-10": ("255.00", "2026-06-10"),
    }  # fmt: skip


def test_a_category_has_prices_from_when_it_is_agreed_and_none_once_it_is_gone() -> None:
    manager = {"category": "PM", "name": "Manager", "rate": "300.00", "planned_hours": "10", "line": "1"}
    contract = fold([SIGNED, amending(1, MID, rates=[manager], remove_rates=["SR"])])
    assert card(wanted(contract, date(2026, 6, 14))) == {"SR": ("240.00", None), "PM": ("300.00", "2026-06-15")}
    assert card(wanted(contract, MID)) == {"PM": ("300.00", "2026-06-15")}


def held_by(desired: Desired, **senior: object) -> list[Found]:
    """An ERP that was read back as wanted; `senior`: what it says of the hours of the first price."""
    found = carried_out([], diff(desired, []))
    return [replace(f, **senior) if f.key.endswith("#R:SR") else f for f in found]  # type: ignore[arg-type]


def steps(plan: Plan) -> list[tuple[str, str, object]]:
    rates = [o for o in plan.operations if o.kind is Kind.LABOUR_RATE and o.action is not Action.NO_OP]
    return [(o.action, o.key.partition("#R:")[2], dict(o.after or {}).get("rate")) for o in rates]


PAID = {"billed": True, "invoiced": Decimal(9600), "invoiced_hours": Decimal(40)}


def test_a_new_price_adds_a_period_and_touches_no_other() -> None:
    held = held_by(wanted(fold([SIGNED])), **PAID)
    plan = diff(wanted(fold([SIGNED, amending(1, MID, rates=[DEARER])])), held)
    assert steps(plan) == [("create", "SR@2026-06-15", "260")]
    assert [o.action for o in plan.writes if o.kind is not Kind.LABOUR_RATE] == []


def test_drift_in_one_period_is_repaired_there_alone() -> None:
    desired = wanted(fold([SIGNED, amending(1, MID, rates=[DEARER])]))
    held = [
        replace(f, fields={**f.fields, "rate": "1"}) if f.key.endswith("@2026-06-15") else f for f in held_by(desired)
    ]
    assert steps(diff(desired, held)) == [("update", "SR@2026-06-15", "260")]


def test_a_period_whose_hours_are_all_invoiced_is_never_written_and_the_difference_is_a_task() -> None:
    history = [SIGNED, amending(1, MID, rates=[DEARER])]
    held = held_by(wanted(fold(history)), **PAID, settled=True)
    corrected = fold([*history, amending(2, date(2026, 4, 1), rates=[priced("250.00")])])
    plan = diff(wanted(corrected), [replace(f, active=f.key.partition("#R:")[2] != "SR@2026-06-15") for f in held])
    assert steps(plan) == [("task", "SR", None)]
    [task] = plan.tasks
    assert task.difference is not None
    assert (task.difference.kind, task.difference.amount) == ("re-bill", Decimal("400.00"))
    assert task.words == (
        "labour rate SR was invoiced with 9,600.00 USD and is 10,000.00 USD now; re-bill 400.00 USD"
    )  # fmt: skip


def test_hours_that_are_not_invoiced_yet_get_the_corrected_price_beside_the_task() -> None:
    held = held_by(wanted(fold([SIGNED])), **PAID)
    plan = diff(wanted(fold([SIGNED, amending(1, date(2026, 4, 1), rates=[priced("230.00")])])), held)
    assert steps(plan) == [("task", "SR", None), ("update", "SR", "230")]
    assert [(o.difference.kind, o.difference.amount) for o in plan.tasks if o.difference] == [("credit", Decimal(-400))]


def test_an_invoiced_period_that_the_contract_has_no_more_takes_on_the_price_of_its_days() -> None:
    history = [SIGNED, amending(1, MID, rates=[DEARER])]
    held = held_by(wanted(fold(history)))
    held = [replace(f, billed=f.key.endswith("@2026-06-15")) for f in held]
    moved = wanted(fold([*history, amending(2, date(2026, 6, 8), rates=[priced("265.00")])]))
    plan = diff(moved, held)
    assert steps(plan) == [("create", "SR@2026-06-08", "265"), ("update", "SR@2026-06-15", "265")]
    assert steps(diff(moved, carried_out(held, plan))) == []


@pytest.mark.parametrize(("on", "says"), [
    (date(2026, 5, 31), None), (date(2026, 6, 1), "invoice the hours"), (date(2026, 6, 14), "invoice the hours"),
    (MID, "credit or re-bill"), (date(2026, 6, 30), "credit or re-bill"), (date(2026, 7, 1), None),
])  # fmt: skip
def test_an_erp_with_one_price_a_category_has_a_task_in_the_month_of_the_change(on: date, says: str | None) -> None:
    contract = fold([SIGNED, amending(1, MID, rates=[DEARER])])
    told = derive(contract, ESTATE, on=on).priced(over_time=False).unbilled
    assert (told.message if told else None) is None if says is None else told is not None and says in told.message
    assert wanted(contract, on).unbilled is None
    assert told is None or (told.cause, told.money) == ("rate_change_unbilled", Decimal(0))


def test_a_change_on_the_first_of_a_month_or_of_hours_alone_asks_nobody() -> None:
    for changes in ({"since": date(2026, 7, 1), "rate": "260.00"}, {"since": MID, "planned_hours": "90"}):
        since = changes.pop("since")
        assert isinstance(since, date)
        contract = fold([SIGNED, amending(1, since, rates=[{**SENIOR, **changes}])])
        assert price_changes(line_of_time(contract)) == []
        assert unbilled([], ON) is None


DAYS = st.none() | st.dates(date(2026, 4, 1), date(2026, 12, 31))
RATES = st.fixed_dictionaries({
    "category": st.sampled_from(["SR", "JR"]), "name": st.just("Consultant"), "line": st.just("1"),
    "rate": st.sampled_from(["240.00", "250.00", "260.00"]), "planned_hours": st.just("120"),
    "valid_from": st.sampled_from([None, "2026-05-01", "2026-06-15"]),
})  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(DAYS, RATES), max_size=4), st.dates(date(2026, 4, 1), date(2027, 1, 1)))
def test_the_price_of_a_day_is_the_same_whichever_day_it_is_asked_on(
    drawn: Sequence[tuple[date | None, dict[str, object]]], day: date
) -> None:
    """And an ERP with one price holds that of its day, while every amendment has a day of its own."""
    events: list[Event] = [event("signed", 1, {"signed_at": START.isoformat(), "terms": tm_terms()})]
    events += [amending(n, since, rates=[rate]) for n, (since, rate) in enumerate(drawn, 1)]
    contract = fold(events)
    found = [_price_of(wanted(contract, asked), day) for asked in (day, day - timedelta(days=60), date(2027, 2, 1))]
    assert found[0] == found[1] == found[2]
    alone = derive(contract, ESTATE, on=day).priced(over_time=False)
    single = {str(o.category): o.rate for o in alone.objects if isinstance(o, DatedRate) or o.kind is Kind.LABOUR_RATE}  # type: ignore[union-attr]
    assert found[0] == single
    assert set(in_force(contract.terms.rates, day)) <= set(single)  # type: ignore[union-attr]


def _price_of(desired: Desired, day: date) -> dict[str, Decimal]:
    rates = sorted((o for o in desired.objects if isinstance(o, DatedRate)), key=lambda o: o.valid_from or date.min)
    return {str(o.category): o.rate for o in rates if (o.valid_from or date.min) <= day}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(DAYS, RATES), max_size=4))
def test_a_plan_over_time_that_was_carried_out_leaves_nothing_to_do(
    drawn: Sequence[tuple[date | None, dict[str, object]]],
) -> None:
    events: list[Event] = [event("signed", 1, {"signed_at": START.isoformat(), "terms": tm_terms()})]
    found: list[Found] = []
    for number, (since, rate) in enumerate(drawn, 1):
        events.append(amending(number, since, rates=[rate]))
        desired = wanted(fold(events))
        found = carried_out(found, diff(desired, found))
        again = diff(desired, found)
        assert not again.writes
        assert not again.tasks
        held = [f for f in found if f.active and f.kind is Kind.LABOUR_RATE]
        assert len(held) == len(card(desired))
    assert all(isinstance(f.ref, str) and ErpRef(f.ref) for f in found)
