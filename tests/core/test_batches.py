"""The window of an ERP with batches, in its own zone, over midnights and changes of the clocks."""

from datetime import UTC, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sync_core.lanes.batches import BatchWindow

NIGHTLY = BatchWindow(time(22), time(4), time(6), "Europe/Vienna")
DAILY = BatchWindow(time(12), time(13, 30), time(13), "America/New_York")
ALWAYS = BatchWindow(time(0), time(0), time(6), "UTC")

moments = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - its zone is given beside
windows = st.builds(
    BatchWindow,
    st.times(),
    st.times(),
    st.times(),
    st.sampled_from(["UTC", "Europe/Vienna", "Asia/Tokyo", "America/New_York"]),
)


def test_a_nightly_window_is_open_over_midnight_in_its_own_zone() -> None:
    assert not NIGHTLY.is_open(datetime(2026, 3, 3, 20, 59, 59, tzinfo=UTC))
    assert NIGHTLY.is_open(datetime(2026, 3, 3, 21, tzinfo=UTC))
    assert NIGHTLY.is_open(datetime(2026, 3, 4, 2, 59, tzinfo=UTC))
    assert not NIGHTLY.is_open(datetime(2026, 3, 4, 3, tzinfo=UTC))


def test_it_follows_summer_time() -> None:
    before, after = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert NIGHTLY.opens_after(before) == datetime(2026, 3, 28, 21, tzinfo=UTC)
    assert NIGHTLY.opens_after(after) == datetime(2026, 3, 29, 20, tzinfo=UTC)


def test_a_batch_is_answered_in_the_morning_after_its_window_has_closed() -> None:
    morning = datetime(2026, 3, 4, 5, tzinfo=UTC)
    assert NIGHTLY.answer_after(datetime(2026, 3, 3, 21, 30, tzinfo=UTC)) == morning
    assert NIGHTLY.answer_after(datetime(2026, 3, 4, 2, 30, tzinfo=UTC)) == morning
    assert NIGHTLY.answer_after(datetime(2026, 3, 4, 3, 0, 1, tzinfo=UTC)) == morning + timedelta(days=1)


def test_an_answer_before_the_closing_is_that_of_the_next_day() -> None:
    sent = datetime(2026, 1, 5, 17, 30, tzinfo=UTC)  # 12:30 in New York
    assert DAILY.is_open(sent)
    assert DAILY.answer_after(sent) == datetime(2026, 1, 6, 18, tzinfo=UTC)


def test_opening_and_closing_at_once_means_always_open() -> None:
    assert all(ALWAYS.is_open(datetime(2026, 3, 3, hour, 30, tzinfo=UTC)) for hour in range(24))


@given(windows, moments)
def test_it_opens_after_now_and_is_open_then(window: BatchWindow, now: datetime) -> None:
    opens = window.opens_after(now)
    assert now < opens <= now + timedelta(hours=49)
    in_the_gap = window.is_open(opens) is False  # a time that the clocks jump over comes an hour later by the wall
    assert not in_the_gap or window.is_open(opens + timedelta(hours=1)) or window.closes != window.opens


@given(windows, moments)
def test_an_answer_never_comes_before_it_was_asked_for(window: BatchWindow, now: datetime) -> None:
    assert now < window.answer_after(now) <= now + timedelta(hours=75)
