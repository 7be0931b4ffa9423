"""Whatever the order, the repeats and the batches in which events come, they fold to the same contract."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.contract import Contract, Stage
from sync_core.events import PREFIX, Event, understand
from tests.folds import fold
from tests.sows import SOURCE, milestone_terms, tm_terms

START = datetime(2026, 1, 5, tzinfo=UTC)


def event(
    kind: str, revision: int, data: Mapping[str, object], *, event_id: str = "", hour: int | None = None
) -> Event:
    name = f"{PREFIX}{kind}.v1"
    payload = understand(name, orjson.dumps({"contract_id": "C-1", "revision": revision, **data}))
    occurred_at = START + timedelta(hours=revision if hour is None else hour)
    return Event(SOURCE, event_id or f"{kind}-{revision}", name, occurred_at, payload)


def signing(revision: int, *, event_id: str = "", **terms: object) -> Event:
    data = {"signed_at": START.isoformat(), "terms": milestone_terms(**terms)}
    return event("signed", revision, data, event_id=event_id)


def amending(number: int, revision: int, **changes: object) -> Event:
    header = {"number": number, "executed_at": (START + timedelta(days=number)).isoformat()}
    return event("amended", revision, {"amendment": header, "changes": changes})


def correcting(overrides: int, revision: int, **changes: object) -> Event:
    return event("corrected", revision, {"overrides": overrides, "changes": changes})


KEYS = st.sampled_from(["design", "golive", "phase2", "phase3"])
CENTS = st.integers(1, 10**9).map(lambda n: str(Decimal(n) / 100))
MILESTONES = st.fixed_dictionaries(
    {
        "key": KEYS,
        "name": st.sampled_from(["A", "B"]),
        "amount": CENTS,
        "due_on": st.dates(date(2026, 4, 1), date(2027, 12, 31)).map(str),
    }
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["One", "Two", "Three"]),
        "value": CENTS,
        "po_number": st.none() | st.sampled_from(["PO-1", "PO-2"]),
        "milestones": st.lists(MILESTONES, max_size=3),
        "remove_milestones": st.lists(KEYS, max_size=2),
    },
)
DAYS = st.none() | st.sampled_from(["2026-05-01", "2026-07-01"])
DATA = st.one_of(
    st.tuples(st.just("drafted"), st.fixed_dictionaries({"terms": st.sampled_from([milestone_terms(), tm_terms()])})),
    st.tuples(st.just("approved"), st.fixed_dictionaries({"approval": st.sampled_from(["pending", "approved"])})),
    st.tuples(
        st.just("clauses"),
        st.fixed_dictionaries({"clauses": st.dictionaries(st.sampled_from(["cap", "ip"]), st.just("approved"))}),
    ),
    st.tuples(
        st.just("signed"),
        st.fixed_dictionaries(
            {"signed_at": st.just(START.isoformat()), "terms": st.sampled_from([milestone_terms(), tm_terms()])}
        ),
    ),
    st.tuples(
        st.just("amended"),
        st.fixed_dictionaries(
            {
                "amendment": st.fixed_dictionaries(
                    {"number": st.integers(1, 4), "executed_at": st.just(START.isoformat())},
                    optional={"effective_on": DAYS},
                ),
                "changes": CHANGES,
            }
        ),
    ),
    st.tuples(
        st.just("corrected"),
        st.fixed_dictionaries(
            {"overrides": st.integers(0, 6), "changes": CHANGES},
            optional={
                "amendment_days": st.lists(
                    st.fixed_dictionaries({"number": st.integers(1, 4), "effective_on": DAYS}), max_size=2
                )
            },
        ),
    ),
    st.tuples(
        st.just("renewed"),
        st.fixed_dictionaries({"renewal": st.fixed_dictionaries({"automatic": st.booleans()})}),
    ),
    st.tuples(st.sampled_from(["cancelled", "terminated"]), st.just({"ended_on": "2026-10-01"})),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Events of one contract, some of the same revision and hour, as CLMs that misbehave would send them."""
    drawn = draw(st.lists(st.tuples(st.integers(0, 6), DATA, st.integers(0, 5)), min_size=1, max_size=9))
    return [
        event(kind, revision, data, event_id=f"e-{n}", hour=hour)
        for n, (revision, (kind, data), hour) in enumerate(drawn)
    ]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_order_and_repeats_do_not_matter(data: st.DataObject) -> None:
    history = data.draw(histories())
    repeats = data.draw(st.lists(st.sampled_from(history), max_size=6))
    shuffled = data.draw(st.permutations([*history, *repeats]))
    assert fold(shuffled) == fold(history)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_batches_do_not_matter(data: st.DataObject) -> None:
    """A contract folded after each batch ends as one that was folded once: nothing is carried over."""
    history = data.draw(histories())
    shuffled = data.draw(st.permutations(history))
    last: Contract | None = None
    for cut in [*sorted(data.draw(st.sets(st.integers(1, len(shuffled))))), len(shuffled)]:
        last = fold(shuffled[:cut])
    assert last == fold(history)


@settings(max_examples=100, deadline=None)
@given(histories(), st.integers(0, 5))
def test_as_of_is_the_fold_of_what_had_happened(history: list[Event], hour: int) -> None:
    moment = START + timedelta(hours=hour)
    past = [one for one in history if one.occurred_at <= moment]
    if past:
        assert fold(history, as_of=moment) == fold(past)
    else:
        with pytest.raises(ValueError, match="no events"):
            fold(history, as_of=moment)


@settings(max_examples=100, deadline=None)
@given(histories())
def test_no_amendment_behind_a_gap_is_applied(history: list[Event]) -> None:
    contract = fold(history)
    numbers = [amendment.number for amendment in contract.amendments]
    assert numbers == sorted(set(numbers))
    if contract.missing_amendment is not None:
        assert all(number < contract.missing_amendment for number in numbers)


def test_a_correction_stands_behind_what_it_overrides_and_below_what_came_later() -> None:
    history = [signing(1, title="Signed", po_number="PO-0"), amending(1, 2, title="Amended")]
    corrected = [*history, correcting(1, 3, title="Corrected", po_number="PO-1")]
    terms = fold(corrected).terms
    assert terms is not None
    assert (terms.title, terms.po_number) == ("Amended", "PO-1")
    assert fold(corrected).revision == 3
    assert fold([*history, correcting(2, 3, title="Corrected")]).terms.title == "Corrected"  # type: ignore[union-attr]


def test_two_corrections_of_one_revision_apply_by_their_own_revisions() -> None:
    history = [correcting(1, 9, title="Last"), correcting(1, 8, title="First"), signing(1)]
    assert fold(history).terms.title == "Last"  # type: ignore[union-attr]


@pytest.mark.parametrize(("numbers", "missing", "applied"), [
    ([1, 2, 3], None, 3), ([2], 1, 0), ([1, 3], 2, 1), ([1, 2, 4, 6], 3, 2), ([3, 1, 2], None, 3),
])  # fmt: skip
def test_amendments_wait_for_the_one_before(numbers: Sequence[int], missing: int | None, applied: int) -> None:
    history = [signing(1)] + [amending(n, n + 1, po_number=f"PO-{n}") for n in numbers]
    contract = fold(history)
    assert contract.missing_amendment == missing
    assert [a.number for a in contract.amendments] == list(range(1, applied + 1))
    assert contract.terms is not None
    assert contract.terms.po_number == (f"PO-{applied}" if applied else "PO-77")


def test_a_late_amendment_closes_the_gap() -> None:
    history = [signing(1), amending(2, 3, title="Second"), amending(3, 4, po_number="PO-3")]
    assert fold(history).missing_amendment == 1
    closed = fold([*history, amending(1, 2, title="First")])
    assert closed == fold([signing(1), amending(1, 2, title="First"), *history[1:]])
    assert (closed.missing_amendment, len(closed.amendments)) == (None, 3)


def test_as_of_a_past_moment_shows_what_stood_then() -> None:
    history = [signing(1), amending(1, 10, value="30000.00"), event("terminated", 20, {"ended_on": "2026-03-01"})]
    then = fold(history, as_of=START + timedelta(hours=9))
    assert (then.stage, then.amendments, then.terms.value) == (Stage.SIGNED, (), 25000)  # type: ignore[union-attr]
    assert fold(history).stage is Stage.TERMINATED


def test_parts_are_replaced_by_key_and_removed_by_name() -> None:
    changed = {"key": "golive", "name": "Live", "amount": "9.00", "due_on": "2026-11-30"}
    added = {"key": "care", "name": "Care", "amount": "6.00", "due_on": "2026-12-31"}
    contract = fold([signing(1), amending(1, 2, milestones=[added, changed], remove_milestones=["design"])])
    assert contract.terms is not None
    assert [(m.key, str(m.amount)) for m in contract.terms.milestones] == [("golive", "9.00"), ("care", "6.00")]


def test_a_change_of_terms_that_were_never_sent_is_said_not_guessed() -> None:
    contract = fold([amending(1, 2, title="Amended")])
    assert contract.terms is None
    assert "never sent" in contract.problems[0]


def test_no_events_and_events_of_two_contracts_are_the_callers_fault() -> None:
    with pytest.raises(ValueError, match="no events"):
        fold([])
    other = signing(1)
    stranger = replace(other, id="x", payload=other.payload.model_copy(update={"contract_id": "C-2"}))
    with pytest.raises(ValueError, match="several contracts"):
        fold([other, stranger])


def test_a_correction_of_an_amendment_that_waits_waits_with_it() -> None:
    phase = {"key": "phase3", "name": "Third", "amount": "5.00", "due_on": "2026-11-30"}
    third, correction = amending(3, 6, value="30000.00"), correcting(6, 8, milestones=[phase])
    history = [
        signing(1),
        amending(1, 4, po_number="PO-1"),
        third,
        correction,
        correcting(8, 9, title="Corrected twice"),
    ]
    assert fold(history) == fold(history[:3])
    whole = fold([*history, amending(2, 5)])
    assert whole.terms is not None
    assert (whole.missing_amendment, whole.terms.title) == (None, "Corrected twice")
    assert "phase3" in {milestone.key for milestone in whole.terms.milestones}


def test_a_signature_after_an_end_signs_the_contract_anew() -> None:
    ended = event("cancelled", 3, {"ended_on": "2026-04-02"})
    contract = fold([ended, signing(1), signing(4)])
    assert (contract.stage, contract.ended_on) == (Stage.SIGNED, None)
    assert fold([ended, signing(1)]).stage is Stage.CANCELLED
