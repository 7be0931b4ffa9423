"""Ages in working days: the moment so many working days ago, through holidays, weekends and summer time."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.estate.calendar import working_days_before, working_time
from sync_core.estate.estate import WorkingTime
from sync_core.reads.ages import WORKING_DAYS, cuts_of
from tests.sows import estate

YEAR = datetime(2025, 1, 1, tzinfo=UTC)
BRITISH = WorkingTime(country="GB")
GULF = WorkingTime(opens=time(8), closes=time(16, 30), weekdays=(6, 0, 1, 2, 3), country="KW")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: YEAR + timedelta(minutes=minutes)),
    st.sampled_from([(BRITISH, "Europe/London"), (GULF, "Asia/Kuwait"), (WorkingTime(), "America/New_York")]),
)
def test_exactly_so_much_working_time_has_passed_since(now: datetime, place: tuple[WorkingTime, str]) -> None:
    calendar, zone = place
    day = timedelta(hours=8, minutes=30)
    found = working_days_before(now, WORKING_DAYS, calendar, zone)
    assert found == sorted(found, reverse=True)
    for days, moment in zip(WORKING_DAYS, found, strict=True):
        assert working_time(moment, now, calendar, zone) == days * day


def test_a_weekend_is_no_working_day() -> None:
    monday = datetime(2026, 3, 9, 12, tzinfo=UTC)  # three hours into the day
    assert working_days_before(monday, [1], BRITISH, "Europe/London") == [datetime(2026, 3, 6, 12, tzinfo=UTC)]


def test_each_legal_entity_has_its_cuts_and_unknown_ones_the_groups() -> None:
    cuts = cuts_of(estate(), datetime(2026, 3, 9, 12, tzinfo=UTC))
    assert set(cuts.by_entity) == {"", "US01", "GB01"}
    assert cuts.known == ["US01", "GB01"]


def test_a_calendar_without_working_days_is_said() -> None:
    with pytest.raises(ValueError, match="weekdays"):
        working_days_before(datetime(2026, 3, 9, tzinfo=UTC), [1], WorkingTime(weekdays=()), "UTC")


@pytest.mark.parametrize(("country", "days"), [("GB", 2), ("GB-ENG", 1), ("GB-SCT", 2), (None, 2)])
def test_a_part_of_a_country_has_its_own_holidays(country: str | None, days: int) -> None:
    """31 August 2026 is the summer bank holiday of England, where Scotland had its own on 3 August."""
    hours = WorkingTime(time(9), time(17), country=country)
    monday = datetime(2026, 8, 31, tzinfo=UTC)
    assert working_time(monday, monday + timedelta(days=2), hours, "Europe/London") == days * timedelta(hours=8)
