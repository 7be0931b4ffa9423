"""Where the time goes: steps by hand, and that the steps of any contract add up to its cycle."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, By
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from sync_core.estate.calendar import working_time
from tests import rows
from tests.metrics.flow_rows import ESTATE, WINDOW, asked, facts, made, said, step

TUESDAY = datetime(2026, 11, 10, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STEPS = ("captured", "validated", "project_created", "billing_set_up", "active")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


def test_without_contracts_nothing_is_slowest(database: sa.Engine, clock: VirtualClock) -> None:
    answer = asked(database, clock, "step-time").answer
    assert (answer.value, answer.n, answer.figure("slowest").label) == (None, 0, "None")


def test_each_step_has_its_median_and_its_share(database: sa.Engine, clock: VirtualClock) -> None:
    for _ in range(20):
        contract = made(database, TUESDAY, TUESDAY + 6 * HOUR)
        for name, hours in zip(STEPS, (0.5, 3, 3.5, 5, 6), strict=True):
            step(database, contract, name, TUESDAY + hours * HOUR)
    found = asked(database, clock, "step-time", By.LEGAL_ENTITY)
    answer = found.answer
    assert [answer.figure(f"{name}_p50").value for name in STEPS] == [0.5, 2.5, 0.5, 1.5, 1.0]
    shares = [answer.figure(f"{name}_share").value for name in STEPS]
    assert shares == pytest.approx([1 / 12, 5 / 12, 1 / 12, 1 / 4, 1 / 6])
    assert sum(float(str(answer.figure(f"{name}_share_calendar").value)) for name in STEPS) == pytest.approx(1)
    assert answer.value == pytest.approx(5 / 12)
    assert answer.figure("slowest").label == "Checks and exceptions"
    assert answer.figure("validated_hours").value == 50
    assert found.parts["GB01"] == answer


def test_what_is_still_running_counts_in_its_step(database: sa.Engine, clock: VirtualClock) -> None:
    for n in range(20):
        contract = made(database, TUESDAY, TUESDAY + HOUR if n < 5 else None)
        step(database, contract, "captured", TUESDAY)
        if n < 5:
            for name in STEPS[1:]:
                step(database, contract, name, TUESDAY + HOUR)
    answer = asked(database, clock, "step-time").answer
    assert (answer.n, answer.n_open, answer.figure("validated_open").value) == (20, 15, 15)
    assert answer.figure("validated_p50").value is None  # three of four are still in it
    assert answer.figure("validated_p50").note == f"not reached: at least {7.5 + 8 * 8.5:.1f}"
    assert answer.value == 1.0
    assert answer.figure("validated_hours").value == 5 + 15 * 75.5
    assert answer.figure("validated_days").value == pytest.approx((5 * 1 + 15 * (12 * 24 + 20)) / 24)
    shown = Measures(database, clock=clock, estate=ESTATE).drill("step-time", Ask(WINDOW), limit=1)
    assert (shown.count, shown.rows[0]["waiting_for"]) == (20, "validated")


def test_cancelled_and_test_contracts_are_counted_apart(database: sa.Engine, clock: VirtualClock) -> None:
    made(database, TUESDAY, state="ended")
    made(database, TUESDAY, TUESDAY + HOUR, test=True)
    made(database, TUESDAY, TUESDAY - HOUR)
    answer = asked(database, clock, "step-time").answer
    assert answer.n == 0
    assert set(answer.excluded.values()) == {1}


_REACHED = st.lists(st.one_of(st.none(), st.integers(-30, 200)), min_size=4, max_size=4)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(st.tuples(_REACHED, st.one_of(st.none(), st.integers(0, 150))), min_size=1, max_size=12))
def test_the_steps_of_any_contract_add_up(
    database: sa.Engine, clock: VirtualClock, lives: list[tuple[list[int | None], int | None]]
) -> None:
    """Whatever order the moments were noted in, and whichever are missing."""
    for reached, active in lives:
        contract = made(database, TUESDAY, None if active is None else TUESDAY + active * HOUR)
        said(database, contract, "approved", TUESDAY, revision=1, approval="approved")  # news, so it is measured
        for name, hours in zip(STEPS, reached, strict=False):
            if hours is not None:
                step(database, contract, name, TUESDAY + hours * HOUR)
    answer = asked(database, clock, "step-time").answer
    known, now = facts(database, "contract"), rows.NOW
    for row in known:
        done = [taken for taken in row["steps_s"] if taken is not None]
        assert all(taken >= 0 for taken in done)
        assert sum(done) == ((row["active_at"] or row["step_at"]) - row["signed_at"]).total_seconds()
        assert sum(taken for taken in row["steps_work_s"] if taken is not None) == _worked(
            row["signed_at"], row["active_at"] or row["step_at"]
        )
        assert len(done) == (5 if row["active_at"] else ("signed", *STEPS).index(row["step"]))
    listed = Measures(database, clock=clock, estate=ESTATE).drill("step-time", Ask(WINDOW), limit=500)
    assert listed.count == len(listed.rows) == answer.n
    spent = {name: sum(float(str(row[f"{name}_hours"] or 0)) for row in listed.rows) for name in STEPS}
    assert answer.value is None or float(answer.value) == pytest.approx(max(spent.values()) / sum(spent.values()))
    whole = sum(_worked(row["signed_at"], row["active_at"] or now) for row in known)
    assert sum(float(str(answer.figure(f"{name}_hours").value)) for name in STEPS) == pytest.approx(whole / 3600)


def _worked(start: datetime, end: datetime) -> int:
    entity = ESTATE.entities["GB01"]
    return int(working_time(start, max(start, end), entity.working_time, entity.timezone).total_seconds())
