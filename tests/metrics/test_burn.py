"""Burn rates by hand; and every alert that is declared can fire, for any objective."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.burn import (
    PERIOD,
    POLICIES,
    WINDOWS,
    Alarm,
    Counted,
    Events,
    Policy,
    budget_left,
    burn,
    firing,
    is_thin,
    most,
    worst,
)
from metrics.slo import OBJECTIVES

H, M, D = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def counted(total: int, bad: int, **windows: Events) -> Counted:
    """The same in all windows, but for those named like h1, m5."""
    return {window: windows.get(_name(window), Events(total, bad)) for window in WINDOWS}


def _name(window: timedelta) -> str:
    return f"h{window // H}" if window >= H else f"m{window // M}"


def test_the_thresholds_are_those_of_the_workbook_where_the_objective_allows_them() -> None:
    for objective in (0.95, 0.99, 0.999):
        assert [round(p.threshold(objective), 6) for p in POLICIES] == [14.4, 6.0, 1.0]
    assert [p.short for p in POLICIES] == [5 * M, 30 * M, 6 * H]
    assert set(WINDOWS) == {5 * M, 30 * M, H, 6 * H, 3 * D, PERIOD}


def test_a_threshold_above_what_can_be_is_capped() -> None:
    """At 90 % the highest burn rate is 10: 14.4 could never fire. 14.4 needs more than 93.06 %."""
    assert most(0.9) == pytest.approx(10)
    assert POLICIES[0].threshold(0.9) == pytest.approx(10)
    assert POLICIES[0].threshold(0.9305) < 14.4
    assert POLICIES[0].threshold(0.9306) == pytest.approx(14.4)


def test_burn_rates_by_hand() -> None:
    assert burn(Events(1000, 1), 0.999) == pytest.approx(1)
    assert burn(Events(100, 5), 0.95) == pytest.approx(1)
    assert burn(Events(100, 72), 0.95) == pytest.approx(14.4)
    assert burn(Events(0, 0), 0.95) is None
    assert burn(Events(7, 0), 0.95) == 0
    assert burn(Events(7, 1), 1.0) == math.inf


def test_budgets_by_hand() -> None:
    """1,000 events at 99 % may have 10 bad ones: 4 bad leave 60 %, 15 overspend it by half."""
    assert budget_left(counted(1000, 0), 0.99) == 1
    assert budget_left(counted(1000, 4), 0.99) == pytest.approx(0.6)
    assert budget_left(counted(1000, 15), 0.99) == pytest.approx(-0.5)
    assert budget_left(counted(0, 0), 0.99) is None
    assert (budget_left(counted(9, 0), 1.0), budget_left(counted(9, 1), 1.0)) == (1, 0)


def test_both_windows_must_burn() -> None:
    """At 99 %: 15 % bad burn at 15. Over for an hour but not in the last five minutes: no page any more."""
    burning = counted(1000, 0, h1=Events(1000, 150), m5=Events(100, 15))
    assert [one.policy.long for one in firing(burning, 0.99, least=10)] == [H]
    ended = counted(1000, 0, h1=Events(1000, 150), m5=Events(100, 0))
    assert firing(ended, 0.99, least=10) == []
    begun = counted(1000, 0, h1=Events(1000, 100), m5=Events(100, 100))
    assert firing(begun, 0.99, least=10) == []


def test_one_failure_of_few_events_fires_nothing() -> None:
    """Forty signatures a week: an hour has none or one, three days have seventeen. One late contract is no page."""
    found = {window: Events(*few) for window, few in
             zip(WINDOWS, ((1, 1), (1, 1), (1, 1), (1, 1), (17, 1), (170, 1)), strict=True)}  # fmt: skip
    assert burn(found[H], 0.95) == pytest.approx(20)
    assert firing(found, 0.95, least=20) == []
    assert is_thin(found, 0.95, least=20)


@given(st.floats(0.5, 0.9999), st.integers(1, 50))
def test_one_bad_event_alone_never_fires(objective: float, least: int) -> None:
    for policy in POLICIES:
        enough = policy.enough(objective, least)
        assert enough >= least
        rate = burn(Events(enough, 1), objective)
        assert rate is not None
        assert rate < policy.threshold(objective) or enough == 1 == policy.enough(objective, 1)


@given(st.floats(0.01, 0.99999), st.integers(1, 100))
def test_every_alert_can_fire_for_any_objective(objective: float, least: int) -> None:
    """When everything is bad, every policy is met; so no threshold lies beyond what can be."""
    plenty = max(policy.enough(objective, least) for policy in POLICIES)
    fired = firing(counted(plenty, plenty), objective, least=least)
    assert [one.policy for one in fired] == list(POLICIES)
    assert worst(fired) is Alarm.PAGE


@pytest.mark.parametrize("objective", [one for one in OBJECTIVES if one.objective < 1], ids=lambda one: one.name)
@pytest.mark.parametrize("policy", POLICIES, ids=lambda one: f"{one.alarm}-{one.long // H}h")
def test_each_objective_can_fire_each_of_its_alerts_alone(objective, policy: Policy) -> None:  # type: ignore[no-untyped-def]
    """Only the policy's own two windows are bad, and nothing else."""
    enough = policy.enough(objective.objective, objective.least)
    found = {window: Events(10**6, 0) for window in WINDOWS}
    found[policy.long], found[policy.short] = Events(enough, enough), Events(enough, enough)
    fired = firing(found, objective.objective, least=objective.least)
    assert policy in [one.policy for one in fired]


def test_nothing_may_be_bad_where_the_objective_is_all() -> None:
    assert firing(counted(1000, 1000), 1.0, least=1) == []
