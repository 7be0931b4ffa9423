"""Before and after of each amendment: the parts add up to the whole on both sides, whatever was amended or invoiced."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.events import Event
from sync_core.life.amendments import REST, Fate, books, compare
from tests.core.test_fold_properties import amending, event, histories, signing
from tests.folds import amendments, fold, fold_steps
from tests.sows import tm_terms

MOVED = {"key": "golive", "name": "Live", "amount": "15000.00", "due_on": "2026-10-30", "line": "1"}
ADDED = {"key": "care", "name": "Care", "amount": "5000.00", "due_on": "2026-12-31", "line": "1"}
INVOICED = st.dictionaries(
    st.sampled_from(["design", "golive", "phase2", "gone"]), st.decimals(0, 10**6, places=2), max_size=3
)


def test_each_part_of_the_schedule_says_what_became_of_it() -> None:
    history = [signing(1), amending(1, 2, value="20000.00", milestones=[MOVED, ADDED], remove_milestones=["design"])]
    [step] = amendments(history, {"design": Decimal(10000)})
    assert step.comparison is not None
    schedule = step.comparison.schedule
    assert [(row.key, row.fate, row.before, row.after) for row in schedule.rows] == [
        ("design", Fate.REMOVED, 10000, None), ("golive", Fate.MOVED, 15000, 15000), ("care", Fate.ADDED, None, 5000),
    ]  # fmt: skip
    assert [schedule.before, schedule.after, step.comparison.delta] == [25000, 20000, -5000]
    assert [schedule.invoiced, schedule.to_invoice, schedule.difference] == [10000, 20000, -10000]
    assert [(change.field, change.before, change.after) for change in step.comparison.terms] == [
        ("value", "25000", "20000")
    ]


def test_what_the_schedule_does_not_cover_is_a_row_of_its_own() -> None:
    [step] = amendments([signing(1), amending(1, 2, value="26000.00")])
    assert step.comparison is not None
    rest = step.comparison.schedule.rows[-1]
    assert (rest.name, rest.fate) == (REST, Fate.CHANGED)
    assert [rest.before, rest.after, rest.to_invoice] == [0, 1000, 0]
    schedule = step.comparison.schedule
    assert [schedule.to_invoice, schedule.uncovered, schedule.after] == [25000, 1000, 26000]


def test_an_amendment_of_the_currency_keeps_each_side_in_its_own_and_subtracts_nothing() -> None:
    history = [signing(1), amending(1, 2, currency="EUR"), amending(2, 3, value="26000.00")]
    first, second = (step.comparison for step in amendments(history))
    assert first is not None
    assert second is not None
    assert [(one.currency_before, one.currency, one.delta) for one in (first, second)] == [
        ("USD", "EUR", None), ("EUR", "EUR", 1000),
    ]  # fmt: skip
    assert {row.fate for row in first.schedule.rows} == {Fate.CHANGED}


def test_an_invoice_of_before_an_amendment_of_the_currency_stays_in_its_own_and_is_billed_anew() -> None:
    contract = fold([signing(1), amending(1, 2, currency="EUR")])
    now = books(contract, {"design": Decimal(10000)}, {"design": "USD"})
    assert now is not None
    design, golive = now.rows
    assert (design.invoiced, design.invoiced_in, design.difference) == (Decimal(10000), "USD", Decimal(10000))
    assert (golive.invoiced_in, golive.to_invoice) == ("", Decimal(15000))
    assert [now.invoiced, now.to_invoice, now.difference, now.after] == [0, 15000, 10000, 25000]
    assert now.invoiced_otherwise == (("USD", Decimal(10000)),)


def test_an_amendment_that_came_late_stands_where_it_belongs_and_one_behind_a_gap_waits() -> None:
    late = [signing(1), amending(2, 3, po_number="PO-2"), amending(1, 2, po_number="PO-1")]
    first, second = amendments(late)
    assert first.comparison is not None
    assert second.comparison is not None
    assert [(one.before, one.after) for one in (*first.comparison.terms, *second.comparison.terms)] == [
        ("PO-77", "PO-1"), ("PO-1", "PO-2"),
    ]  # fmt: skip
    [waiting] = amendments(late[:2])
    assert (waiting.number, waiting.comparison) == (2, None)


def test_an_amendment_that_was_sent_again_is_told_once() -> None:
    one = amending(1, 2, po_number="PO-1")
    again = replace(one, id="again")
    assert len(amendments([signing(1), one, again])) == 1


def test_a_contract_that_bills_by_time_is_told_by_its_lines() -> None:
    terms = tm_terms()
    lines = [{"key": "1", "description": "Support", "amount": "50000.00"}]
    signed = event("signed", 1, {"signed_at": "2026-01-05T00:00:00+00:00", "terms": terms})
    [step] = amendments([signed, amending(1, 2, value="50000.00", lines=lines)])
    assert step.comparison is not None
    [row] = step.comparison.schedule.rows
    assert (row.name, row.before, row.after) == ("Support", Decimal(48000), Decimal(50000))


@settings(max_examples=200, deadline=None)
@given(histories(), INVOICED)
def test_the_parts_add_up_on_both_sides(history: list[Event], invoiced: dict[str, Decimal]) -> None:
    for step in fold_steps(history):
        if step.after.terms is None:
            continue
        schedule = compare(step.before, step.after, invoiced).schedule
        assert sum((row.before or Decimal(0) for row in schedule.rows), Decimal(0)) == schedule.before
        assert sum((row.after or Decimal(0) for row in schedule.rows), Decimal(0)) == schedule.after
        assert schedule.invoiced + schedule.to_invoice + schedule.difference + schedule.uncovered == schedule.after
        assert schedule.after == step.after.terms.value
        assert {key for key, amount in invoiced.items() if amount} <= {
            row.key for row in schedule.rows if row.invoiced is not None
        } or step.after.terms.billing.kind != "milestones"


@settings(max_examples=100, deadline=None)
@given(histories(), INVOICED)
def test_neighbours_meet_and_the_last_one_is_the_contract(history: list[Event], invoiced: dict[str, Decimal]) -> None:
    contract = fold(history)
    now = books(contract, invoiced)
    assert (now is None) is (contract.terms is None)
    if now is not None and contract.terms is not None:
        assert now.before == now.after == contract.terms.value
    steps = [step for step in fold_steps(history) if step.after.terms is not None]
    for one, following in pairwise(steps):
        assert (
            compare(one.before, one.after).schedule.after == compare(following.before, following.after).schedule.before
        )
