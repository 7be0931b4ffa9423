"""Public holidays and summer time in the KPIs that count working time, each worked out by hand."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, Window
from metrics.kpi import Answer
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from sync_core.estate.estate import load
from tests import rows
from tests.metrics.flow_rows import ESTATE, amended, asked, facts, made, said, step
from tests.metrics.money_rows import signed, told
from tests.metrics.support import caught_up
from tests.reads.handmade import add_case, add_contract

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
DAY_H = 8.5  # from 9:00 to 17:30
BY_LAST_RUN = Window.weeks(rows.NOW, "Europe/London", 60)
STEPS = ("captured", "validated", "project_created", "billing_set_up", "active")

# Each is an hour of the first day and an hour of the last one, in the legal entity's zone.
CASES = [
    # Friday 2026-05-01 is a holiday in Germany: from Thursday 16:30 to Monday 10:00.
    pytest.param("DE01", datetime(2026, 4, 30, 14, 30, tzinfo=UTC), datetime(2026, 5, 4, 8, tzinfo=UTC), id="holiday"),
    # Summer time begins on Sunday 29 March: Friday 16:30 to Monday 10:00 in London is 64.5 hours, not 65.5.
    pytest.param("GB01", datetime(2026, 3, 27, 16, 30, tzinfo=UTC), datetime(2026, 3, 30, 9, tzinfo=UTC), id="begins"),
    # It ends on Sunday 25 October, and in New York a week later.
    pytest.param("GB01", datetime(2026, 10, 23, 15, 30, tzinfo=UTC), datetime(2026, 10, 26, 10, tzinfo=UTC), id="ends"),
    pytest.param("US01", datetime(2026, 10, 30, 20, 30, tzinfo=UTC), datetime(2026, 11, 2, 15, tzinfo=UTC), id="US"),
]  # fmt: skip


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


@pytest.mark.parametrize(("entity", "start", "end"), CASES)
def test_the_lag_of_an_amendment(
    database: sa.Engine, clock: VirtualClock, entity: str, start: datetime, end: datetime
) -> None:
    before = start - timedelta(days=30)
    for _ in range(20):
        contract = made(database, before, before + HOUR, entity=entity)
        said(database, contract, "signed", before, revision=1, signed_at=before.isoformat(), terms={"value": "100"})
        amended(database, contract, 1, start, received=start + HOUR / 2)
        step(database, contract, "active", end, amendment=1)
    answer = asked(database, clock, "amendment-lag").answer
    assert (answer.value, answer.n) == (2.0, 20)
    assert answer.figure("p90_own").value == 1.5
    assert answer.figure("p90_calendar").value == pytest.approx((end - start) / timedelta(days=1))
    assert answer.figure("in_time").value == 1.0


@pytest.mark.parametrize(("entity", "start", "end"), CASES)
def test_the_time_of_a_step(
    database: sa.Engine, clock: VirtualClock, entity: str, start: datetime, end: datetime
) -> None:
    for _ in range(20):
        contract = made(database, start, end + HOUR, entity=entity)
        for name, at in zip(STEPS, (start, end, end, end, end + HOUR), strict=True):
            step(database, contract, name, at)
    answer = asked(database, clock, "step-time").answer
    assert [answer.figure(f"{name}_p50").value for name in STEPS] == [0, 2, 0, 0, 1]
    assert answer.figure("validated_p90").value == 2.0
    assert answer.value == pytest.approx(2 / 3)
    assert answer.figure("validated_hours").value == 40
    assert answer.figure("validated_days").value == pytest.approx(20 * ((end - start) / timedelta(days=1)))
    assert {tuple(row["steps_work_s"]) for row in facts(database, "contract")} == {(0, 7200, 0, 0, 3600)}


@pytest.mark.parametrize(("entity", "start", "end"), CASES)
def test_a_step_that_still_runs(database: sa.Engine, entity: str, start: datetime, end: datetime) -> None:
    step(database, made(database, start, entity=entity), "captured", start)
    answer = _answered(database, "step-time", end)
    assert (answer.n_open, answer.figure("validated_hours").value) == (1, 2.0)


@pytest.mark.parametrize(("entity", "start", "end"), CASES)
def test_the_age_of_an_exception(database: sa.Engine, entity: str, start: datetime, end: datetime) -> None:
    """6.5 hours later it is one working day old, to the second."""
    add_case(database, add_contract(database, legal_entity=entity), "rate_missing", opened_at=start)
    for after, bucket in ((timedelta(0), 0), (6.5 * HOUR - SECOND, 0), (6.5 * HOUR, 1)):
        at = end + after
        answer = _answered(database, "exception-ageing", at)
        assert [answer.figure(f"working_{key}").value for key in ("0_1", "1_3")] == [1 - bucket, bucket], after
        listed = Measures(database, clock=VirtualClock(at), estate=ESTATE).drill("exception-ageing", Ask(_window(at)))
        [row] = listed.rows
        hours = 2 + after / HOUR
        assert float(str(row["working_days"])) == pytest.approx(hours / DAY_H, abs=1e-4)


# NOW is Monday 2026-11-23 1:00 in New York, where Wednesday 2026-11-11 is a holiday to those who keep it.
@pytest.mark.parametrize(("country", "since", "hours"), [
    # Tuesday 16:30: one hour, then Thursday and Friday, and a week.
    ("US", datetime(2026, 11, 10, 21, 30, tzinfo=UTC), 1 + 7 * DAY_H),
    (None, datetime(2026, 11, 10, 21, 30, tzinfo=UTC), 1 + 8 * DAY_H),
    # Friday 30 October 16:30, in summer time still: one hour, then three weeks.
    (None, datetime(2026, 10, 30, 20, 30, tzinfo=UTC), 1 + 15 * DAY_H),
], ids=["holiday", "no holiday", "summer time"])  # fmt: skip
def test_the_days_of_money_that_is_stuck(
    database: sa.Engine, clock: VirtualClock, country: str | None, since: datetime, hours: float
) -> None:
    keeps = f'erp = "cloud"\nworking_time = {{ country = "{country}" }}\n'
    estate = load(rows.ESTATE_TEXT.replace('erp = "cloud"\n', keeps, 1)) if country else rows.estate()
    days_ago = (rows.NOW - since) / timedelta(days=1)
    told(database, "C-1", [signed(value="100", milestones=[])], days_ago=days_ago)
    caught_up(database, clock, estate)
    measures = Measures(database, clock=clock, estate=estate)
    answer = measures.kpi("stuck-money", Ask(BY_LAST_RUN)).answer
    assert float(str(answer.figure("money_days").value)) == pytest.approx(100 * hours / DAY_H, abs=0.005)
    [row] = measures.drill("stuck-money", Ask(BY_LAST_RUN)).rows
    assert float(str(row["working_days"])) == pytest.approx(hours / DAY_H, abs=1e-6)


def _window(at: datetime) -> Window:
    return Window.weeks(at, "Europe/London", 8)


def _answered(engine: sa.Engine, slug: str, at: datetime) -> Answer:
    """After a refresh at that moment."""
    clock = VirtualClock(at)
    caught_up(engine, clock, ESTATE)
    return Measures(engine, clock=clock, estate=ESTATE).kpi(slug, Ask(_window(at))).answer
