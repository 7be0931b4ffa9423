"""Whether a plan still is the confirmed one: pure, over every kind of change."""

from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from sync_core.desired import Kind
from sync_core.plan import Action
from sync_core.replay.replay import Effect, departures, digest_of, told

LANES = ("cloud", "cloud")
_VALUES = st.one_of(st.none(), st.booleans(), st.text(max_size=5))
_FIELDS = st.one_of(st.none(), st.dictionaries(st.sampled_from(["name", "value", "po"]), _VALUES, max_size=3))
_EFFECTS = st.builds(
    Effect,
    action=st.sampled_from(Action),
    kind=st.sampled_from([kind for kind in Kind if not kind.shared]),
    key=st.sampled_from(["a", "b", "c", "d"]),
    ref=st.one_of(st.none(), st.sampled_from(["E1", "E2"])),
    before=_FIELDS,
    after=_FIELDS,
)
_PLANS = st.lists(_EFFECTS, max_size=6, unique_by=lambda e: e.whole)
CREATE = Effect(Action.CREATE, Kind.PROJECT, "clm/C-1", None, None, {"name": "Rollout"})
CUSTOMER = Effect(Action.CREATE, Kind.CUSTOMER, "CUST-1", None, None, {"name": "Harbour"})
LINKED = Effect(Action.NO_OP, Kind.CUSTOMER, "CUST-1", "C9", None, None)


@given(_PLANS)
def test_a_plan_survives_its_storing(plan: list[Effect]) -> None:
    again = [Effect.parse(orjson.loads(orjson.dumps(effect.stored))) for effect in plan]
    assert again == plan
    assert digest_of("cloud", again) == digest_of("cloud", plan) != digest_of("legacy", plan)
    assert departures(plan, again, lanes=LANES, touched=False) == []


@given(_PLANS, _PLANS)
def test_a_first_try_goes_ahead_only_with_equal_effects(confirmed: list[Effect], now: list[Effect]) -> None:
    same = {e.whole for e in confirmed} == {e.whole for e in now}
    assert (departures(confirmed, now, lanes=LANES, touched=False) == []) is same


@given(_PLANS, _PLANS)
def test_a_later_try_writes_nothing_that_was_not_confirmed(confirmed: list[Effect], now: list[Effect]) -> None:
    departed = departures(confirmed, now, lanes=LANES, touched=True)
    allowed = {e.outcome for e in confirmed if e.writes}
    assert (departed == []) is all(e.outcome in allowed for e in now if e.writes)


@given(_PLANS)
def test_what_is_left_of_a_confirmed_plan_may_be_finished(plan: list[Effect]) -> None:
    for done in range(len(plan) + 1):
        assert departures(plan, plan[done:], lanes=LANES, touched=True) == []


@given(_PLANS)
def test_another_erp_is_a_change_even_of_nothing(plan: list[Effect]) -> None:
    assert departures(plan, plan, lanes=("legacy", "cloud"), touched=True) != []


def test_a_shared_object_may_come_into_being_for_another_contract_but_not_go() -> None:
    assert departures([CUSTOMER, CREATE], [LINKED, CREATE], lanes=LANES, touched=False) == []
    assert departures([LINKED, CREATE], [CUSTOMER, CREATE], lanes=LANES, touched=False) == [
        "now needed: create customer CUST-1"
    ]


def test_words_name_what_changed_and_no_more_than_fits() -> None:
    update = Effect(Action.UPDATE, Kind.PROJECT, "clm/C-1", "E1", {"value": "1"}, {"value": "2"})
    assert told(departures([CREATE], [update], lanes=LANES, touched=False)) == (
        "changed: now: update project clm/C-1 (value); no longer: create project clm/C-1"
    )
    many = [replace(CREATE, key=str(n)) for n in range(9)]
    assert told(departures([], many, lanes=LANES, touched=False)).endswith("; and 6 more")
