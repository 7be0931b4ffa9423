"""Terms that change although nothing numbered says so: seen, kept beside the agreed ones, never applied."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.contract import Contract, Stage
from sync_core.errors import ErrorClass, Function
from sync_core.events import CORRECTED, OWN_ID, Event, understand
from sync_core.life.restated import CAUSE, differences, finding
from sync_core.life.silent import accepting, as_published, by_path, with_values
from tests.core.test_fold_properties import CENTS, KEYS, MILESTONES, amending, correcting, event, histories, signing
from tests.folds import fold
from tests.sows import milestone_terms

MORE = {"key": "care", "name": "Care", "amount": "6000.00", "due_on": "2026-12-31", "line": "1"}
PARTS = milestone_terms()["milestones"]
assert isinstance(PARTS, list)


def more(revision: int) -> Event:
    """Published again with one more milestone and as much more value."""
    parts = PARTS if isinstance(PARTS, list) else []
    return signing(revision, value="31000.00", milestones=[*parts, MORE])


def told(contract: Contract) -> dict[str, tuple[str | None, str | None]]:
    return {one.what: (one.held, one.wanted) for one in differences(contract)}


def own_correction(contract: Contract, **changes: object) -> Event:
    """As Tieline's own commands store it."""
    made = correcting(contract.revision, contract.revision, **changes)
    return replace(made, id=f"{OWN_ID}1")


def test_other_terms_without_an_amendment_are_kept_beside_the_agreed_ones() -> None:
    contract = fold([signing(1), more(2)])
    assert contract.terms == fold([signing(1)]).terms
    assert told(contract) == {
        "value": ("25000", "31000"), "milestone care, name": (None, "Care"),
        "milestone care, amount": (None, "6000"), "milestone care, due on": (None, "2026-12-31"),
        "milestone care, line": (None, "1"),
    }  # fmt: skip
    assert contract.silent_since == "signed-2"
    found = finding(contract)
    wanted = (CAUSE, ErrorClass.SEQUENCE_GAP, Function.LEGAL, Decimal(6000))
    assert (found.cause, found.error_class, found.function, found.money) == wanted
    assert "value: 25,000.00 USD → 31,000.00 USD" in found.message


@pytest.mark.parametrize("change", [
    {"value": "26000.00"}, {"currency": "EUR"}, {"po_number": "PO-99"}, {"po_number": None}, {"ends_on": None},
    {"starts_on": "2026-05-01"}, {"customer": {"code": "CUST-2", "name": "Other"}}, {"legal_entity": "GB01"},
    {"lines": []}, {"milestones": PARTS[:1]}, {"tax": {"exempt": True}},
    {"billing": {"kind": "milestones", "payment_terms": "NET60"}}, {"renewal": {"automatic": True}},
    {"rates": [{"category": "SR", "name": "Senior", "rate": "240.00"}]}, {"title": "Another"}, {"test": True},
])  # fmt: skip
def test_whatever_differs_is_seen_and_can_be_accepted(change: dict[str, object]) -> None:
    history = [signing(1), signing(2, **change)]  # type: ignore[arg-type]
    contract = fold(history)
    assert contract.terms == fold(history[:1]).terms
    assert differences(contract)
    data = orjson.loads(orjson.dumps(accepting(contract), default=str))
    accepted = fold([*history, own_correction(contract, **data)])
    assert (accepted.terms, accepted.silent) == (fold([signing(1, **change)]).terms, ())  # type: ignore[arg-type]


def test_the_same_terms_again_are_no_change() -> None:
    assert fold([signing(1), signing(2)]).silent == ()
    amended = [signing(1), amending(1, 2, value="30000.00", po_number=None)]
    again = fold([*amended, signing(3, value="30000.000", po_number=None)])
    assert (again.silent, again.silent_since) == ((), None)


@pytest.mark.parametrize("revision", [2, 9], ids=["before it was published", "after"])
def test_the_numbered_amendment_that_says_the_same_ends_it(revision: int) -> None:
    amendment = amending(1, revision, value="31000.00", milestones=[MORE])
    contract = fold([signing(1), more(5), amendment])
    assert (contract.silent, contract.silent_since) == ((), None)
    assert contract.terms == fold([more(1)]).terms


def test_an_amendment_that_says_part_of_it_leaves_the_rest() -> None:
    contract = fold([signing(1), more(2), amending(1, 3, value="31000.00")])
    assert {one.path for one in contract.silent} == {("milestones", "care")}
    assert contract.silent_since == "signed-2"


def test_a_numbered_amendment_stands_above_what_was_said_silently_before() -> None:
    contract = fold([signing(1), signing(2, value="31000.00"), amending(1, 3, value="28000.00")])
    assert (contract.silent, contract.terms.value) == ((), 28000)  # type: ignore[union-attr]


def test_publishing_the_agreed_terms_again_ends_it() -> None:
    assert fold([signing(1), more(2), signing(3)]).silent == ()


def test_it_is_as_old_as_its_first_publication() -> None:
    contract = fold([signing(1), more(2), more(3), signing(4, value="40000.00")])
    assert (contract.silent_since, told(contract)) == ("signed-2", {"value": ("25000", "40000")})
    assert fold([signing(1), more(2), signing(3), more(4)]).silent_since == "signed-4"


def test_a_signature_after_an_end_is_a_new_contract_and_no_silent_change() -> None:
    ended = event("cancelled", 2, {"ended_on": "2026-04-02"})
    contract = fold([signing(1), ended, more(3)])
    assert (contract.stage, contract.silent, contract.terms.value) == (Stage.SIGNED, (), 31000)  # type: ignore[union-attr]


def test_what_tieline_corrected_may_be_published_as_before_or_in_the_clms_own_way() -> None:
    history = [signing(1, po_number=None), replace(correcting(1, 1, po_number="PO-1"), id=f"{OWN_ID}x")]
    for stated, holds in ((None, "PO-1"), ("PO-1", "PO-1"), ("PO-2", "PO-2")):
        contract = fold([*history, signing(2, po_number=stated)])
        assert (contract.silent, contract.terms.po_number) == ((), holds)  # type: ignore[union-attr]
    assert fold([*history, signing(2, po_number=None), signing(3, po_number="PO-3")]).silent == ()


def test_what_was_accepted_is_agreed_so_taking_it_back_silently_is_seen_again() -> None:
    history = [signing(1), signing(2, value="31000.00")]
    accepted = [*history, own_correction(fold(history), value="31000.00")]
    assert fold(accepted).silent == ()
    assert told(fold([*accepted, signing(3)])) == {"value": ("31000", "25000")}


def test_what_the_clm_corrected_itself_may_not_change_silently() -> None:
    contract = fold([signing(1), correcting(1, 2, value="26000.00"), signing(3, value="27000.00")])
    assert told(contract) == {"value": ("26000", "27000")}


def again(number: int, revision: int, **changes: object) -> Event:
    """Under an id of its own."""
    return replace(amending(number, revision, **changes), id=f"again-{revision}")


def test_a_number_that_is_used_again_with_other_terms_is_not_applied() -> None:
    history = [signing(1), amending(1, 2, value="100000.00"), again(1, 3, value="120000.00")]
    contract = fold(history)
    assert (contract.terms.value, len(contract.amendments), contract.revision) == (100000, 1, 3)  # type: ignore[union-attr]
    assert (told(contract), contract.silent_since) == ({"value": ("100000", "120000")}, "again-3")
    accepted = fold([*history, own_correction(contract, value="120000.00")])
    assert (accepted.silent, accepted.terms.value) == ((), 120000)  # type: ignore[union-attr]
    assert fold([*history, amending(2, 4, value="120000.00")]).silent == (), "as it has to be numbered"
    assert fold([*history, signing(4, value="100000.00")]).silent == (), "the agreed terms again"


def test_the_same_amendment_under_another_id_is_a_repeat() -> None:
    history = [signing(1), amending(1, 2, value="100000.00", remove_milestones=["design"])]
    repeat = again(1, 9, value="100000.000", remove_milestones=["design"])
    assert fold([*history, repeat]) == replace(fold(history), revision=9)
    more = [*history, amending(2, 3, value="130000.00"), correcting(3, 4, po_number="PO-9")]
    assert fold([*more, repeat]) == replace(fold(more), revision=9), "though its value is not the contract's any more"


def test_what_a_number_said_first_stands_whichever_came_first() -> None:
    """A correction of the first one goes on applying, and what is corrected is what the second is compared with."""
    history = [
        signing(1), amending(1, 2, value="100000.00"), correcting(2, 5, value="110000.00"),
        again(1, 3, value="120000.00", title="Theirs"), amending(2, 4, title="Agreed"),
    ]  # fmt: skip
    contract = fold(history)
    assert (contract.terms.value, contract.terms.title) == (110000, "Agreed")  # type: ignore[union-attr]
    assert told(contract) == {"value": ("110000", "120000")}
    assert fold(history[::-1]) == contract
    assert fold([*history, replace(again(1, 8, value="110000.00"), id="agreed")]) == replace(contract, revision=8)


def test_behind_a_gap_both_wait_and_then_the_first_one_stands() -> None:
    history = [signing(1), amending(2, 3, po_number="PO-2"), again(2, 4, po_number="PO-3")]
    assert (fold(history).silent, fold(history).terms.po_number) == ((), "PO-77")  # type: ignore[union-attr]
    closed = fold([*history, amending(1, 2, title="First")])
    assert (told(closed), closed.terms.po_number) == ({"po number": ("PO-2", "PO-3")}, "PO-2")  # type: ignore[union-attr]


@settings(max_examples=200, deadline=None)
@given(histories(), st.data())
def test_order_repeats_and_batches_do_not_matter(history: list[Event], data: st.DataObject) -> None:
    terms = data.draw(st.lists(RESTATED, max_size=3))
    published = [signing(revision, event_id=f"again-{n}", **said) for n, (revision, said) in enumerate(terms)]
    everything = [*history, *published]
    repeats = data.draw(st.lists(st.sampled_from(everything), max_size=4))
    assert fold(data.draw(st.permutations([*everything, *repeats]))) == fold(everything)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_agreed_terms_change_by_what_says_so_alone(data: st.DataObject) -> None:
    """However often it is published again, with whatever terms: the agreed ones are those without these events."""
    history: list[Event] = [signing(1)]
    numbers = data.draw(st.integers(0, 3))
    history += [amending(n, 10 * n, value=data.draw(CENTS)) for n in range(1, numbers + 1)]
    terms = data.draw(st.lists(RESTATED, min_size=1, max_size=4))
    published = [signing(2 + 5 * at, event_id=f"again-{at}", **said) for at, (_, said) in enumerate(terms)]
    contract = fold([*history, *published])
    assert contract.terms == fold(history).terms
    silent = as_published(contract)
    assert silent is not None
    assert contract.terms is not None
    now = by_path(contract.terms)
    assert {one.path: now.get(one.path) for one in contract.silent} == {one.path: one.agreed for one in contract.silent}
    assert with_values(silent, {one.path: one.agreed for one in contract.silent}).value == contract.terms.value


RESTATED = st.tuples(
    st.integers(1, 6),
    st.fixed_dictionaries(
        {},
        optional={
            "value": CENTS,
            "po_number": st.none() | st.sampled_from(["PO-1", "PO-2"]),
            "milestones": st.lists(MILESTONES, max_size=3, unique_by=lambda m: m["key"]),
        },
    ),
)


@settings(max_examples=100, deadline=None)
@given(RESTATED, st.lists(KEYS, max_size=1))
def test_accepting_makes_the_published_terms_the_agreed_ones(
    said: tuple[int, dict[str, object]], removed: Sequence[str]
) -> None:
    history = [signing(1), amending(1, 2, remove_milestones=list(removed)), signing(7, event_id="again", **said[1])]
    contract = fold(history)
    name = CORRECTED
    changes = orjson.loads(orjson.dumps(accepting(contract), default=str))
    data = {"contract_id": "C-1", "revision": contract.revision, "overrides": contract.revision, "changes": changes}
    event_ = Event(history[0].source, f"{OWN_ID}1", name, history[-1].occurred_at, understand(name, orjson.dumps(data)))
    accepted = fold([*history, event_])
    assert accepted.silent == ()
    assert accepted.terms is not None
    published = as_published(contract)
    assert published is not None
    assert by_path(accepted.terms) == by_path(published)


def test_what_was_published_is_the_agreed_terms_with_the_differences() -> None:
    contract = fold([signing(1), more(2)])
    published = as_published(contract)
    assert published is not None
    assert published.value == Decimal("31000.00")
    assert published == fold([more(1)]).terms
