"""The day of an amendment that is said twice: seen, kept beside the agreed one, and moved by a correction alone."""

from dataclasses import replace
from datetime import date

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.contract import Contract
from sync_core.events import Event, SchemaUnknown
from sync_core.life import amendment_days
from sync_core.life.lifecycle import on_day
from sync_core.life.restated import differences, finding
from sync_core.life.silent import accepting
from tests.core.test_effective_days import BEFORE, FROM, LATER, amending, own, po
from tests.core.test_fold_properties import event, signing
from tests.folds import amendments, fold

AFTER = date(2026, 8, 1)
DAY = "amendment 1, effective on"


def again(revision: int, since: date | None, **changes: object) -> Event:
    """Amendment 1 under an id of its own."""
    made = amending(1, since, **changes)
    return replace(made, id=f"again-{revision}", payload=made.payload.model_copy(update={"revision": revision}))


def told(contract: Contract) -> dict[str, tuple[str | None, str | None]]:
    return {one.what: (one.held, one.wanted) for one in differences(contract)}


def accepted(history: list[Event], nth: int = 0) -> list[Event]:
    """As the command of legal stores it, for the `nth` time."""
    contract = fold(history)
    data = {"changes": accepting(contract), "amendment_days": amendment_days.accepting(contract)}
    last, changes = contract.revision, orjson.loads(orjson.dumps(data, default=str))
    made = event("corrected", last, {"overrides": last, **changes}, hour=90 + nth)
    return [*history, replace(made, id=own(9 + nth).id)]


@pytest.mark.parametrize(("first", "second"), [(FROM, LATER), (LATER, FROM), (None, FROM), (FROM, None)])
def test_another_day_of_the_same_terms_is_a_silent_change(first: date | None, second: date | None) -> None:
    history = [signing(1), amending(1, first, po_number="PO-2"), again(3, second, po_number="PO-2")]
    contract = fold(history)
    sides = tuple(day.isoformat() if day else None for day in (first, second))
    assert (told(contract), contract.silent_since) == ({DAY: sides}, "again-3")
    assert (contract.dated, contract.amendments) == (fold(history[:2]).dated, fold(history[:2]).amendments)
    assert DAY in finding(contract).message
    assert fold(history[::-1]) == contract


@pytest.mark.parametrize("since", [None, FROM])
def test_the_same_day_again_is_no_news(since: date | None) -> None:
    history = [signing(1), amending(1, since, po_number="PO-2")]
    assert fold([*history, again(3, since, po_number="PO-2")]) == replace(fold(history), revision=3)


def test_what_is_accepted_moves_the_day_and_what_waits_for_it() -> None:
    for first, second in ((FROM, LATER), (LATER, FROM), (None, LATER), (FROM, None)):
        history = [signing(1), amending(1, first, po_number="PO-2"), again(3, second, po_number="PO-2")]
        contract, meant = fold(accepted(history)), fold([signing(1), amending(1, second, po_number="PO-2")])
        assert (contract.silent_days, contract.silent_since, contract.amendments) == ((), None, meant.amendments)
        for on in (BEFORE, FROM, LATER):
            assert po(contract, on) == po(meant, on)
            assert on_day(contract, on).changes_on == on_day(meant, on).changes_on


def test_a_later_amendment_of_the_term_keeps_its_place_when_the_day_moves() -> None:
    """A line of time cannot be mended in its middle: PO-1 was behind PO-2 and comes before it."""
    history = [signing(1), amending(1, AFTER, po_number="PO-1"), amending(2, LATER, po_number="PO-2")]
    assert [po(fold(history), on) for on in (BEFORE, FROM, LATER, AFTER)] == ["PO-77", "PO-77", "PO-2", "PO-2"]
    moved = fold(accepted([*history, again(4, FROM, po_number="PO-1")]))
    assert [po(moved, on) for on in (BEFORE, FROM, LATER, AFTER)] == ["PO-77", "PO-1", "PO-2", "PO-2"]


def test_other_terms_with_another_day_are_accepted_together() -> None:
    history = [signing(1), amending(1, FROM, po_number="PO-2"), again(3, LATER, po_number="PO-3")]
    assert told(fold(history)) == {"po number": ("PO-2", "PO-3"), DAY: ("2026-06-01", "2026-07-01")}
    contract = fold(accepted(history))
    assert not contract.differs_silently
    assert [po(contract, on) for on in (FROM, LATER)] == ["PO-77", "PO-3"]
    listed = amendments(accepted(history))
    assert [(one.number, one.effective_on) for one in listed] == [(1, LATER)]


def test_taking_an_accepted_day_back_is_seen_again() -> None:
    history = accepted([signing(1), amending(1, FROM, po_number="PO-2"), again(3, LATER, po_number="PO-2")])
    assert told(fold([*history, again(5, FROM, po_number="PO-2")])) == {DAY: ("2026-07-01", "2026-06-01")}
    assert not fold([*history, again(5, LATER, po_number="PO-2")]).differs_silently


def test_how_it_ends_without_legal() -> None:
    history = [signing(1), amending(1, FROM, po_number="PO-2"), again(3, LATER, po_number="PO-2")]
    clm = event("corrected", 4, {"overrides": 3, "changes": {},
                                 "amendment_days": [{"number": 1, "effective_on": LATER.isoformat()}]})  # fmt: skip
    for ends in (again(4, FROM, po_number="PO-2"), clm, amending(2, None, po_number="PO-9")):
        last = replace(ends, payload=ends.payload.model_copy(update={"revision": 4}))
        assert (fold([*history, last]).silent_days, fold([*history, last]).silent_since) == ((), None)
    assert po(fold([*history, clm]), FROM) == "PO-77"


@pytest.mark.parametrize("stays", [
    signing(4, po_number="PO-2"),  # it says nothing of days
    amending(2, None, title="Another term"),
    amending(2, date(2026, 6, 15), po_number="PO-9"),  # until then either day counts
    event("corrected", 4, {"overrides": 3, "changes": {"title": "Ours"}}),
], ids=["signature", "other terms", "a later day", "correction"])  # fmt: skip
def test_what_says_nothing_of_the_day_does_not_end_it(stays: Event) -> None:
    history = [signing(1), amending(1, FROM, po_number="PO-2"), again(3, LATER, po_number="PO-2")]
    last = replace(stays, payload=stays.payload.model_copy(update={"revision": 4}))
    assert told(fold([*history, last])) == {DAY: ("2026-06-01", "2026-07-01")}


def test_a_new_agreement_knows_nothing_of_it() -> None:
    history = [signing(1), amending(1, FROM, po_number="PO-2"), again(3, LATER, po_number="PO-2")]
    anew = [*history, event("cancelled", 5, {"ended_on": "2026-04-02"}), signing(6), amending(1, AFTER, title="New")]
    anew[-1] = replace(anew[-1], id="new-1", payload=anew[-1].payload.model_copy(update={"revision": 7}))
    assert (fold(anew).silent_days, fold(anew).amendments[0].effective_on) == ((), AFTER)


def test_a_correction_of_a_day_waits_behind_a_gap_and_below_what_comes_later() -> None:
    move = event("corrected", 5, {"overrides": 4, "changes": {},
                                  "amendment_days": [{"number": 2, "effective_on": AFTER.isoformat()}]})  # fmt: skip
    second = amending(2, LATER, po_number="PO-3")
    second = replace(second, payload=second.payload.model_copy(update={"revision": 4}))
    first = amending(1, FROM, po_number="PO-2")
    assert fold([signing(1), second, move]) == fold([signing(1), second])
    assert po(fold([signing(1), second, move, first]), LATER) == "PO-2"
    late = replace(second, payload=second.payload.model_copy(update={"revision": 9}))
    assert po(fold([signing(1), late, move, first]), LATER) == "PO-3"


def moving(revision: int, overrides: int, day: date | None, number: int = 1) -> Event:
    """The CLM's own correction of a day."""
    days = [{"number": number, "effective_on": day.isoformat() if day else None}]
    return event("corrected", revision, {"overrides": overrides, "changes": {}, "amendment_days": days})


def test_a_day_whose_name_is_misspelt_is_refused_not_taken_for_at_once() -> None:
    days = [{"number": 1, "effectiveOn": FROM.isoformat()}]
    with pytest.raises(SchemaUnknown, match=r"amendment_days\.0\.effective_on"):
        event("corrected", 3, {"overrides": 2, "changes": {}, "amendment_days": days})


FIRST = [signing(1), amending(1, FROM, po_number="PO-2")]


@pytest.mark.parametrize(("history", "sides"), [
    ([*FIRST, moving(3, 1, LATER)], {DAY: ("2026-06-01", "2026-07-01")}),
    ([*FIRST, moving(3, 1, None)], {DAY: ("2026-06-01", None)}),
    ([*accepted([*FIRST, again(3, LATER, po_number="PO-2")]), moving(9, 2, AFTER)],
     {DAY: ("2026-07-01", "2026-08-01")}),
    ([*FIRST, moving(3, 2, LATER, number=2)], {"amendment 2 (never sent), effective on": (None, "2026-07-01")}),
], ids=["before the amendment", "at once, before the amendment", "below a decision", "of no amendment"])  # fmt: skip
def test_a_correction_that_moves_nothing_is_seen(
    history: list[Event], sides: dict[str, tuple[str | None, str | None]]
) -> None:
    contract = fold(history)
    assert (told(contract), contract.silent_since) == (sides, history[-1].id)
    assert (contract.amendments, contract.dated) == (fold(history[:-1]).amendments, fold(history[:-1]).dated)
    assert fold(history[::-1]) == contract


def test_a_correction_below_a_decision_is_accepted_like_any_other() -> None:
    history = [*accepted([*FIRST, again(3, LATER, po_number="PO-2")]), moving(9, 2, AFTER)]
    contract = fold(accepted(history))
    assert ([one.effective_on for one in contract.amendments], contract.silent_days) == ([AFTER], ())


@pytest.mark.parametrize("heard", [
    [*FIRST, moving(1, 1, LATER)],  # the amendment was said after it
    [*FIRST, moving(3, 2, LATER), again(4, FROM, po_number="PO-2")],  # as it was first
    [*FIRST, again(3, AFTER, po_number="PO-2"), moving(4, 2, LATER)],  # the correction is newer
    [*FIRST, amending(2, None, po_number="PO-3"), again(9, LATER, po_number="PO-2")],  # nothing is left of it
    [*FIRST, amending(3, None, po_number="PO-3"), moving(5, 1, LATER, number=2)],  # the gap is told
], ids=["older", "published as before", "newer", "named again meanwhile", "behind a gap"])  # fmt: skip
def test_what_was_answered_is_no_silent_day(heard: list[Event]) -> None:
    assert (fold(heard).silent_days, fold(heard).silent_since) == ((), None)


DAYS = st.none() | st.sampled_from([FROM, LATER, AFTER])
SAID = st.tuples(st.integers(1, 3), DAYS, st.sampled_from(["PO-1", "PO-2"]))
MOVES = st.tuples(st.integers(1, 3), DAYS)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(SAID, MOVES), max_size=8), st.data())
def test_order_and_repeats_do_not_matter_and_the_last_word_on_a_day_is_kept(
    drawn: list[tuple[int, date | None, str] | tuple[int, date | None]], data: st.DataObject
) -> None:
    history: list[Event] = [signing(1)]
    for revision, one in enumerate(drawn, 2):
        if len(one) == 3:
            made = amending(one[0], one[1], po_number=one[2])
            made = replace(made, payload=made.payload.model_copy(update={"revision": revision}))
        else:
            day = {"number": one[0], "effective_on": one[1].isoformat() if one[1] else None}
            made = event("corrected", revision, {"overrides": revision - 1, "changes": {}, "amendment_days": [day]})
        history.append(replace(made, id=f"e-{revision}"))
    contract = fold(history)
    repeats = data.draw(st.lists(st.sampled_from(history), max_size=3))
    assert fold(data.draw(st.permutations([*history, *repeats]))) == contract
    once = {one.number: one.effective_on for one in fold(accepted(history)).amendments}
    for settled in {*contract.silent_days} - {*amendment_days.of_none(contract)}:
        assert once[settled.number] == settled.stated
    # A day that is moved may uncover that of an amendment before it, which said the same; then that one is asked about.
    story = history
    for nth in range(3):
        story = accepted(story, nth)
    contract_then = fold(story)
    assert contract_then.silent_days == amendment_days.of_none(contract_then)
    agreed = {one.number: one.effective_on for one in contract.amendments}
    for differing in contract.silent_days:
        assert differing.agreed != differing.stated
        assert differing.agreed == agreed.get(differing.number)
