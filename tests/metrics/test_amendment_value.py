"""The value of the amendment lag, what is late and what bill runs miss, against plain arithmetic over what was told."""

from calendar import monthrange
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.proportion import wilson
from sync_core.clock import VirtualClock
from sync_core.estate.calendar import working_time
from tests import rows
from tests.metrics.amendment_rows import HOUR, MONDAY, active, done
from tests.metrics.flow_rows import ESTATE, amended, asked
from tests.reads.handmade import insert

_STORIES = st.tuples(
    st.sampled_from(["GB01", "US01", "DE01"]), st.integers(0, 300), st.one_of(st.none(), st.integers(0, 90)),
    st.one_of(st.none(), st.integers(-10, 40)), st.booleans(),
)  # fmt: skip
_WORKING_DAY_S = 8.5 * 3600
_Told = tuple[str, datetime, datetime | None, date | None]  # entity, executed, read back, effective


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


@pytest.fixture
def told() -> list[_Told]:
    """Of all examples: they add to each other."""
    return []


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(_STORIES, min_size=4, max_size=14))
def test_any_amendments_give_what_plain_arithmetic_gives(
    database: sa.Engine, clock: VirtualClock, told: list[_Told],
    drawn: list[tuple[str, int, int | None, int | None, bool]],
) -> None:  # fmt: skip
    for entity, after, took, effective, unread in drawn:
        contract, executed = active(database, entity=entity), MONDAY + after * HOUR
        effective_on = None if effective is None else MONDAY.date() + timedelta(days=effective)
        if unread:  # nobody knows of its effective day
            insert(database, "quarantine", source=rows.SOURCE, event_id=f"q-{contract.contract_id}",
                   type="com.tieline.contract.amended.v9", external_id=contract.external_id, reason="not registered",
                   signature=True, body=b"{}", received_by="webhook", correlation_id="q", occurred_at=executed,
                   recorded_at=executed)  # fmt: skip
            told.append((entity, executed, None, None))
            continue
        amended(database, contract, 1, executed, effective=effective_on)
        end = None if took is None or executed + took * HOUR > rows.NOW else executed + took * HOUR
        if end is not None:
            done(database, contract, 1, end)
        told.append((entity, executed, end, effective_on or executed.date()))
    answer = asked(database, clock, "amendment-lag").answer
    ended = [_worked(entity, start, end) for entity, start, end, _ in told if end is not None]
    still = [_worked(entity, start, rows.NOW) for entity, start, end, _ in told if end is None]
    assert (answer.n, answer.n_open) == (len(told), len(still))
    expected = _slow_p90(ended, still) if len(told) >= 20 else None
    assert answer.value == (None if expected is None else pytest.approx(expected / 3600))
    late, kept = sum(s > _WORKING_DAY_S for s in still), sum(s <= _WORKING_DAY_S for s in ended)
    decided = len(ended) + late
    assert answer.figure("late").value == late
    assert answer.figure("in_time").value == (kept / decided if decided else None)
    assert (answer.figure("in_time_low").value, answer.figure("in_time_high").value) == (
        wilson(kept, decided) or (None, None)
    )
    waiting = [(entity, start, on) for entity, start, end, on in told if end is None and on is not None]
    assert answer.figure("missed_run").value == sum(_in_force(*one) < _runs(one[0])[0] for one in waiting)
    assert answer.figure("next_run").value == sum(_in_force(*one) < _runs(one[0])[1] for one in waiting)


def _worked(entity: str, start: datetime, end: datetime) -> int:
    known = ESTATE.entities[entity]
    return int(working_time(start, end, known.working_time, known.timezone).total_seconds())


def _slow_p90(ended: list[int], still: list[int]) -> int | None:
    survival = Fraction(1)
    for t in sorted(set(ended)):
        survival *= 1 - Fraction(ended.count(t), sum(time >= t for time in ended + still))
        if survival <= Fraction(1, 10):
            return t
    return None


def _in_force(entity: str, executed: datetime, on: date) -> datetime:
    return max(executed, datetime.combine(on, time(), ZoneInfo(ESTATE.entities[entity].timezone)))


def _runs(entity: str) -> tuple[datetime, datetime]:
    """The last one and the next: in the morning of the 15th and of the last day of each month."""
    zone = ZoneInfo(ESTATE.entities[entity].timezone)
    days = [date(2026, month, day) for month in (10, 11, 12) for day in (15, monthrange(2026, month)[1])]
    moments = [datetime.combine(day, time(9), zone) for day in days]
    return max(one for one in moments if one <= rows.NOW), min(one for one in moments if one > rows.NOW)
