"""Working time minute by minute against both ways in which it is worked out: Python's, and the database's by set."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.calendars import keep
from sync_core.estate.calendar import working_days_before, working_time
from sync_core.estate.estate import Entity, Estate, WorkingTime
from tests import rows
from tests.metrics.plain_time import AMERICAN, GERMAN, Office

# Offices by day and by night, which are open when clocks change; their countries keep the holidays of `closed`.
OFFICES = {
    "DE": ("DE", Office("Europe/Berlin", closed=GERMAN)),
    "US": ("US", Office("America/New_York", time(8, 30), time(17), closed=AMERICAN)),
    "GB": (None, Office("Europe/London")),
    "NIGHT": (None, Office("Europe/London", time(0), time(6), (0, 1, 2, 3, 4, 5, 6))),
    "DENVER": ("US", Office("America/Denver", time(0), time(23, 45), (5, 6, 0), AMERICAN)),
    "LORD_HOWE": (None, Office("Australia/Lord_Howe", time(0), time(9), (6, 0))),  # half an hour of summer time
    "KOLKATA": (None, Office("Asia/Kolkata", time(10), time(19), (0, 1, 2, 3, 4, 5))),
}
# Around holidays, and Sundays on which clocks change somewhere.
TURNS = [
    date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 3), date(2026, 4, 5), date(2026, 5, 1), date(2026, 5, 25),
    date(2026, 7, 3), date(2026, 10, 4), date(2026, 10, 25), date(2026, 11, 1), date(2026, 11, 11), date(2026, 11, 26),
    date(2026, 12, 25), date(2027, 1, 1), date(2027, 3, 28), date(2027, 7, 5), date(2027, 12, 24),
]  # fmt: skip
MOMENTS = st.tuples(st.sampled_from(TURNS), st.integers(-4, 3), st.integers(0, 24 * 60 - 1)).map(
    lambda drawn: datetime.combine(drawn[0] + timedelta(days=drawn[1]), time(), UTC) + timedelta(minutes=drawn[2])
)
LASTING = st.one_of(st.integers(0, 48 * 60), st.integers(0, 12 * 24 * 60)).map(lambda n: timedelta(minutes=n))


def _calendar(name: str) -> WorkingTime:
    country, office = OFFICES[name]
    return WorkingTime(office.opens, office.closes, office.weekdays, country)


@pytest.fixture
def kept(database: sa.Engine) -> sa.Engine:
    """All offices are legal entities, and their calendars are in the database."""
    known = rows.estate()
    entities = tuple(
        Entity(name, name, country or "XX", "USD", office.zone, "cloud", _calendar(name))
        for name, (country, office) in OFFICES.items()
    )
    estate: Estate = replace(known, entity=entities)
    with database.begin() as conn:
        keep(conn, estate, at=rows.NOW)
    return database


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(OFFICES)), start=MOMENTS, lasting=LASTING)
def test_any_time_has_as_much_working_time_as_it_has_open_minutes(
    kept: sa.Engine, name: str, start: datetime, lasting: timedelta
) -> None:
    office, end = OFFICES[name][1], start + lasting
    minutes = office.minutes(start, end)
    assert working_time(start, end, _calendar(name), office.zone) == timedelta(minutes=minutes)
    with kept.connect() as conn:
        one, both = conn.execute(
            sa.text("""SELECT metrics.worked(:name, :end) - metrics.worked(:name, :start),
                              metrics.worked_each(:name, ARRAY[CAST(:start AS timestamptz), :end])"""),
            {"name": name, "start": start, "end": end},
        ).one()
    assert (one, both[1] - both[0]) == (60 * minutes, 60 * minutes)


@settings(max_examples=100)
@given(name=st.sampled_from(["DE", "US", "GB", "KOLKATA"]), end=MOMENTS, ages=st.sets(st.integers(1, 8), min_size=1))
def test_since_the_bound_of_an_age_so_many_working_days_have_passed(name: str, end: datetime, ages: set[int]) -> None:
    office = OFFICES[name][1]
    wanted = sorted(ages)
    found = working_days_before(end, wanted, _calendar(name), office.zone)
    day = (office.closes.hour - office.opens.hour) * 60 + office.closes.minute - office.opens.minute
    assert [office.minutes(since, end) for since in found] == [days * day for days in wanted]
    # It is the last such moment: a minute later it is less.
    assert [office.minutes(since + timedelta(minutes=1), end) for since in found] == [n * day - 1 for n in wanted]


@pytest.mark.parametrize(("name", "start", "end", "hours"), [
    ("NIGHT", datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC), 5),  # 23 hours a day
    ("NIGHT", datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC), 7),  # 25 hours a day
    ("LORD_HOWE", datetime(2026, 4, 4, 12, tzinfo=UTC), datetime(2026, 4, 5, 12, tzinfo=UTC), 9.5),
    ("DE", datetime(2026, 5, 1, 0, tzinfo=UTC), datetime(2026, 5, 2, 0, tzinfo=UTC), 0),
    ("US", datetime(2026, 7, 2, 12, tzinfo=UTC), datetime(2026, 7, 6, 13, 30, tzinfo=UTC), 9.5),  # Friday for Saturday
])  # fmt: skip
def test_minutes_are_counted_as_one_does_by_hand(name: str, start: datetime, end: datetime, hours: float) -> None:
    assert OFFICES[name][1].minutes(start, end) == hours * 60
