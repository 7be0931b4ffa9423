"""The dashboard's time while the demo's past is made, and after."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from app.demo.clock import BEGUN, MARK, DemoClock
from tests.reads.handmade import add_event

REACHED = datetime(2026, 8, 12, tzinfo=UTC)


def mark(database: sa.Engine, value: str) -> None:
    with database.begin() as conn:
        conn.execute(
            sa.text("""INSERT INTO core.watermark (name, value, updated_at) VALUES (:name, :value, :at)
                       ON CONFLICT (name) DO UPDATE SET value = excluded.value"""),
            {"name": MARK, "value": value, "at": REACHED},
        )


def is_now(clock: DemoClock) -> bool:
    return abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_time_is_that_of_the_machine_where_no_past_is_made(database: sa.Engine) -> None:
    clock = DemoClock(database)
    assert is_now(clock)
    assert clock.notice() is None
    mark(database, "played")
    assert is_now(DemoClock(database))


def test_time_is_where_the_past_has_come_to_and_the_notice_says_so(database: sa.Engine) -> None:
    mark(database, f"{BEGUN}2026-11-23T00:00:00+00:00")
    clock = DemoClock(database)
    assert clock.now() == REACHED
    assert clock.notice() == "The demo's past is being made: 12 Aug 2026 reached"


def test_the_newest_event_is_nearer_than_the_last_day_noted(database: sa.Engine) -> None:
    mark(database, f"{BEGUN}2026-11-23T00:00:00+00:00")
    add_event(database, "C-1", "t", "{}", at=REACHED + timedelta(hours=7))
    assert DemoClock(database).now() == REACHED + timedelta(hours=7)
