"""ISO weeks as people write them, and the window that they mean."""

from datetime import UTC, date, datetime

import pytest

from metrics import weeks
from metrics.asking import InvalidAsk, Window

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)  # a Wednesday in week 48


def window(start: str | None = None, end: str | None = None, now: datetime = NOW) -> Window:
    return weeks.window(start, end, now=now, zone="Europe/London")


def test_without_anything_said_it_is_the_thirteen_weeks_up_to_now() -> None:
    assert window() == Window(date(2026, 8, 31), date(2026, 11, 30))
    assert [weeks.week_name(monday) for monday in (window().mondays[0], window().mondays[-1])] == [
        "2026-W36", "2026-W48",
    ]  # fmt: skip


def test_a_week_as_the_end_is_in_it_and_a_monday_is_not() -> None:
    assert window("2026-W40", "2026-W47") == Window(date(2026, 9, 28), date(2026, 11, 23))
    assert window("2026-09-28", "2026-11-23") == window("2026-w40", "2026w47")
    assert window(None, "2026-W47") == Window(date(2026, 8, 24), date(2026, 11, 23))
    assert window("2026-W47") == Window(date(2026, 11, 16), date(2026, 11, 30))


def test_a_year_can_have_a_week_53_and_the_first_days_of_january_may_belong_to_it() -> None:
    assert weeks.monday_of("2026-W53") == date(2026, 12, 28)
    assert weeks.week_name(date(2026, 12, 28)) == "2026-W53"
    assert weeks.week_of(datetime(2027, 1, 3, 23, tzinfo=UTC), "Europe/London") == date(2026, 12, 28)
    with pytest.raises(InvalidAsk, match="no week"):
        weeks.monday_of("2027-W53")


def test_a_week_ends_by_the_clock_of_its_zone() -> None:
    sunday = datetime(2026, 3, 29, 22, 30, tzinfo=UTC)  # 23:30 in London, where summer time began that day
    assert weeks.week_of(sunday, "Europe/London") == date(2026, 3, 23)
    assert weeks.week_of(sunday, "Europe/Berlin") == date(2026, 3, 30)
    assert weeks.end_of(date(2026, 3, 23), "Europe/London") == datetime(2026, 3, 29, 23, tzinfo=UTC)
    assert weeks.last_ended(sunday, "Europe/London") == date(2026, 3, 16)


@pytest.mark.parametrize("text", ["2026-W00", "2026-W54", "2026-11-18", "today", "", "2026-W4", "9999-W52", "0001-W01",
                                  "2026-W47-1", "9999-12-27"])  # fmt: skip
def test_what_is_no_week_and_no_monday_is_named(text: str) -> None:
    for start, end, name in ((text, None, "from"), (None, text, "to")):
        with pytest.raises(InvalidAsk, match=name):
            window(start, end)


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InvalidAsk, match="not after"):
        window("2026-W47", "2026-W40")
