"""The next bill run: days of the month in the legal entity's zone."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.estate.bill_runs import billing_run, next_bill_run
from sync_core.estate.estate import Entity

US = Entity("US01", "LLC", "US", "USD", "America/New_York", "cloud", bill_runs=(15, -1))


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-02-10T12:00Z", "2026-02-15T14:00Z"),
        ("2026-02-15T13:59Z", "2026-02-15T14:00Z"),
        ("2026-02-15T14:00Z", "2026-02-28T14:00Z"),
        ("2026-02-28T14:00Z", "2026-03-15T13:00Z"),  # summer time began in between
        ("2026-12-31T20:00Z", "2027-01-15T14:00Z"),
    ],
)
def test_a_run_begins_with_the_working_day_of_its_entity(now: str, then: str) -> None:
    assert next_bill_run(US, datetime.fromisoformat(now)) == datetime.fromisoformat(then)


@pytest.mark.parametrize(
    ("bill_on", "then"),
    [
        ("2026-02-15", "2026-02-15T14:00Z"),
        ("2026-02-16", "2026-02-28T14:00Z"),
        ("2026-03-16", "2026-03-31T13:00Z"),
        ("2026-01-02", "2026-02-15T14:00Z"),  # missed: in the next one
        (None, "2026-02-15T14:00Z"),
    ],
)
def test_the_run_that_bills_a_day_is_the_first_from_it_on(bill_on: str | None, then: str) -> None:
    day = date.fromisoformat(bill_on) if bill_on else None
    assert billing_run(US, day, datetime(2026, 2, 10, 12, tzinfo=UTC)) == datetime.fromisoformat(then)


def test_a_day_that_a_month_lacks_is_its_last() -> None:
    entity = replace(US, timezone="UTC", bill_runs=(31,))
    assert next_bill_run(entity, datetime(2026, 2, 1, tzinfo=UTC)) == datetime(2026, 2, 28, 9, tzinfo=UTC)
    assert next_bill_run(replace(entity, bill_runs=()), datetime(2026, 2, 1, tzinfo=UTC)) is None


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)), st.sets(st.integers(1, 31), min_size=1))  # noqa: DTZ001
def test_the_next_run_is_after_now_and_within_a_month(at: datetime, days: set[int]) -> None:
    now = at.replace(tzinfo=UTC)
    run = next_bill_run(replace(US, bill_runs=tuple(days)), now)
    assert run is not None
    assert now < run <= now + timedelta(days=62)
    assert run.date() >= date(2020, 1, 1)
