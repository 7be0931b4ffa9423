"""derive and diff, by property: whatever order, repetition or batching, the ERP ends in the same unbilled state."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.derive import derive
from sync_core.desired import Desired, Found, Kind, fields_of
from sync_core.errors import ErrorClass
from sync_core.events import Event, understand
from sync_core.keys import BusinessKey, ErpRef
from sync_core.plan import Action, Plan, diff
from tests.folds import fold
from tests.sows import SIGNED_AT, SOURCE, estate, milestone_terms, signed, tm_terms

ESTATE = estate()
TODAY = date(2026, 4, 1)
KEYS = ("design", "golive", "hypercare")
CATEGORIES = ("SR", "JR", "PM")


def event(number: int, kind: str, data: dict[str, object]) -> Event:
    name = f"com.tieline.contract.{kind}"
    return Event(SOURCE, f"e{number}", name, SIGNED_AT, understand(name, orjson.dumps(data)))


amounts = st.integers(1, 10_000_00).map(lambda cents: f"{cents / 100:.2f}")
milestones = st.fixed_dictionaries(
    {
        "key": st.sampled_from(KEYS),
        "name": st.sampled_from(["Design", "Go-live", "Hypercare"]),
        "amount": amounts,
        "due_on": st.dates(date(2026, 4, 1), date(2027, 3, 31)).map(date.isoformat),
    }
)
rates = st.fixed_dictionaries(
    {
        "category": st.sampled_from(CATEGORIES),
        "name": st.just("Consultant"),
        "rate": amounts,
        "planned_hours": st.integers(0, 500).map(str),
        "valid_from": st.sampled_from([None, "2026-03-01", "2026-06-01"]),
    }
)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """A signature, then amendments without gaps, each changing what it likes; perhaps an end."""
    by_milestones = draw(st.booleans())
    terms = milestone_terms(lines=[]) if by_milestones else tm_terms(lines=[])
    terms["milestones"] = [{**m, "line": None} for m in _milestones(terms)]
    terms["rates"] = [{**r, "line": None} for r in _rates(terms)]
    events = [event(1, "signed.v1", signed("C-1", terms))]
    for number in range(1, draw(st.integers(0, 4)) + 1):
        changes: dict[str, object] = {"value": draw(amounts)} if draw(st.booleans()) else {}
        if by_milestones:
            changes["milestones"] = draw(st.lists(milestones, max_size=2, unique_by=lambda m: m["key"]))
            changes["remove_milestones"] = draw(st.lists(st.sampled_from(KEYS), max_size=1))
        else:
            changes["rates"] = draw(st.lists(rates, max_size=2, unique_by=lambda r: r["category"]))
        header = {"number": number, "executed_at": SIGNED_AT.isoformat()}
        data = {"contract_id": "C-1", "revision": number + 1, "amendment": header, "changes": changes}
        events.append(event(number + 1, "amended.v1", data))
    if draw(st.integers(0, 4)) == 0:
        end = {"contract_id": "C-1", "revision": 9, "ended_on": "2026-05-01"}
        events.append(event(9, "terminated.v1", end))
    return events


def _milestones(terms: dict[str, object]) -> list[dict[str, object]]:
    found = terms["milestones"]
    assert isinstance(found, list)
    return found


def _rates(terms: dict[str, object]) -> list[dict[str, object]]:
    found = terms.get("rates", [])
    assert isinstance(found, list)
    return found


def carried_out(found: Sequence[Found], plan: Plan) -> list[Found]:
    """What an ERP holds after `plan`: the plan's own words, applied."""
    held = {f.ref: f for f in found}
    for operation in plan.operations:
        match operation.action:
            case Action.CREATE:
                ref = ErpRef(f"R{len(held) + 1:04d}")
                held[ref] = Found(operation.kind, operation.key, ref, dict(operation.after or {}))
            case Action.UPDATE | Action.ACTIVATE:
                ref = operation.ref or next(f.ref for f in held.values() if f.active and f.key == operation.key)
                held[ref] = replace(held[ref], fields={**held[ref].fields, **(operation.after or {})})
            case Action.CLOSE:
                assert operation.ref is not None
                whole = operation.kind is Kind.PROJECT
                for item in list(held.values()):
                    if item.ref == operation.ref or (whole and not item.kind.shared):
                        held[item.ref] = replace(item, active=False)
    return list(held.values())


def state(found: Sequence[Found]) -> dict[tuple[Kind, BusinessKey], object]:
    """The ERP's unbilled state, without its references."""
    return {(f.kind, f.key): dict(f.fields) for f in found if f.active and not f.kind.shared}


def wanted(events: Sequence[Event]) -> Desired:
    return derive(fold(events), ESTATE, on=TODAY)


@given(histories())
@settings(max_examples=150, deadline=None)
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(events: list[Event]) -> None:
    desired = wanted(events)
    found = carried_out([], diff(desired, []))
    again = diff(desired, found)
    assert not again.writes
    assert not again.conflicts


@given(histories(), st.randoms(use_true_random=False), st.data())
@settings(max_examples=150, deadline=None)
def test_any_order_repetition_and_batching_ends_in_the_same_erp_state(
    events: list[Event], shuffle: object, data: st.DataObject
) -> None:
    direct = carried_out([], diff(wanted(events), []))
    arrival = data.draw(st.permutations(events * 2))
    found: list[Found] = []
    seen: list[Event] = []
    while arrival:
        size = data.draw(st.integers(1, len(arrival)))
        seen, arrival = seen + arrival[:size], arrival[size:]
        found = carried_out(found, diff(wanted(seen), found))
    assert state(found) == state(direct)


@given(histories())
@settings(max_examples=100, deadline=None)
def test_the_project_becomes_billable_in_the_last_operation(events: list[Event]) -> None:
    plan = diff(wanted(events), [])
    activations = [n for n, o in enumerate(plan.operations) if o.action is Action.ACTIVATE]
    assert activations in ([], [len(plan.operations) - 1])
    created = [o for o in plan.operations if o.action is Action.CREATE and o.kind is Kind.PROJECT]
    assert all(o.after is not None and o.after["billable"] is False for o in created)


@given(histories(), st.data())
@settings(max_examples=100, deadline=None)
def test_a_billed_milestone_is_never_written(events: list[Event], data: st.DataObject) -> None:
    found = carried_out([], diff(wanted(events[:1]), []))
    billed = {f.ref for f in found if f.kind is Kind.MILESTONE and data.draw(st.booleans())}
    found = [replace(f, billed=f.ref in billed) for f in found]
    plan = diff(wanted(events), found)
    assert not {o.ref for o in plan.writes if o.kind is Kind.MILESTONE} & billed
    assert all(o.why is ErrorClass.ERP_REJECTED for o in plan.conflicts)


@given(histories(), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_surplus_doubles_go_and_the_known_one_stays(events: list[Event], copies: int) -> None:
    desired = wanted(events[:1])
    found = carried_out([], diff(desired, []))
    keep = {f.key: f.ref for f in found if f.kind is Kind.MILESTONE or f.kind is Kind.PROJECT}
    doubles = [replace(f, ref=ErpRef(f"A{n}{f.ref}")) for n in range(copies) for f in found if f.kind is Kind.MILESTONE]
    left = carried_out([*doubles, *found], diff(desired, [*doubles, *found], keep=keep))
    assert {f.ref for f in left if f.active} == {f.ref for f in found}


def test_the_preview_names_only_the_fields_that_change() -> None:
    events = [event(1, "signed.v1", signed("C-1"))]
    found = carried_out([], diff(wanted(events), []))
    moved = {"key": "golive", "name": "Go-live", "amount": "15000.00", "due_on": "2026-10-15", "line": "1"}
    header = {"number": 1, "executed_at": SIGNED_AT.isoformat()}
    change = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": {"milestones": [moved]}}
    (operation,) = diff(wanted([*events, event(2, "amended.v1", change)]), found).writes
    assert (operation.before, operation.after) == ({"bill_on": "2026-09-30"}, {"bill_on": "2026-10-15"})


def test_a_future_rate_takes_effect_on_its_day() -> None:
    card = [
        {"category": "SR", "name": "Senior", "rate": "240.00"},
        {"category": "SR", "name": "Senior", "rate": "260.00", "valid_from": "2026-07-01"},
    ]
    contract = fold([event(1, "signed.v1", signed("C-1", tm_terms(rates=card)))])
    before, after = (derive(contract, ESTATE, on=day) for day in (date(2026, 6, 30), date(2026, 7, 1)))
    rate_of = {
        name: [fields_of(o)["rate"] for o in desired.objects if o.kind is Kind.LABOUR_RATE]
        for name, desired in (("before", before), ("after", after))
    }
    assert rate_of == {"before": ["240"], "after": ["260"]}
    assert (before.changes_on, after.changes_on) == (date(2026, 7, 1), None)
