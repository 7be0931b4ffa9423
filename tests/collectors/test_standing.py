"""What stands is sampled once a minute, whoever looks; months come before they are needed and go when they are over."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.jobs.telemetry import collect, keep_months
from collectors import standing
from metrics.asking import InvalidAsk
from metrics.backlog import Waiting, backlog, made, over_all
from metrics.technical import DATABASE, Technical, span
from sync_core.clock import VirtualClock
from sync_core.locks import Lock
from sync_core.reads.snapshot import snapshot
from sync_core.telemetry.latencies import Kind, Latencies, Series
from sync_core.telemetry.sql import OPEN_MONTHS
from tests import rows
from tests.collectors.test_journal import add_run, counted
from tests.reads.handmade import add_contract, insert
from tests.rows import NOW

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


def test_the_backlog_by_hand(database: sa.Engine, clock: VirtualClock) -> None:
    """Ready 3 (oldest 10 min), one each of the others, blocked for 2 h; 5 done in 15 min, so it drains in 9 min."""
    for minutes in (1, 5, 10):
        add_contract(database, due_at=NOW - minutes * MINUTE)
    add_contract(database, due_at=NOW + MINUTE)
    add_contract(database, due_at=NOW - HOUR, lease_owner=7)
    add_contract(database, state="blocked", due_at=NOW - MINUTE, state_since=NOW - 2 * HOUR)
    add_contract(database, state="set_aside", state_since=NOW - 3 * HOUR)
    add_contract(database, took=1)
    with database.begin() as conn:
        for number in range(5):
            add_run(conn, number, at=NOW - 3 * MINUTE)
        add_run(conn, 6, at=NOW - 16 * MINUTE)
        add_run(conn, 7, at=NOW - 3 * MINUTE, outcome="retry", error_class="transient")
    counted(database, clock)
    with snapshot(database) as conn:
        found = backlog(conn, now=NOW)
    one = found["cloud"]
    assert one.contracts == {
        Waiting.READY: 3, Waiting.SCHEDULED: 1, Waiting.IN_FLIGHT: 1, Waiting.BLOCKED: 1, Waiting.DEAD: 1,
    }  # fmt: skip
    assert (one.oldest_age_s[Waiting.READY], one.oldest_age_s[Waiting.BLOCKED]) == (600, 7200)
    assert one.completed == 5
    assert one.drain_s == pytest.approx(540)
    assert over_all(found) == one


def test_what_is_never_completed_never_drains() -> None:
    assert made({Waiting.READY: 3}, {}, 0).drain_s is None
    assert made({}, {}, 0).drain_s == 0
    assert over_all({}).contracts == dict.fromkeys(Waiting, 0)


def test_a_minute_is_sampled_once(database: sa.Engine, clock: VirtualClock) -> None:
    add_contract(database, due_at=NOW - 10 * MINUTE)
    insert(database, "lane", lane="cloud", breaker="paused", max_in_flight=4)
    assert standing.sample(database, clock=clock, estate=rows.estate()) > 10
    assert standing.sample(database, clock=clock, estate=rows.estate()) == 0
    clock.advance(MINUTE)
    assert standing.sample(database, clock=clock, estate=rows.estate()) > 10
    technical = Technical(database, clock=clock)
    found = technical.samples(["backlog", "backlog_oldest_s", "breaker"], timedelta(minutes=15), points=15)
    assert [(one.name, one.system, one.label, one.value) for one in found] == [
        ("backlog", "cloud", "ready", 1), ("backlog", "cloud", "ready", 1),
        ("backlog_oldest_s", "cloud", "ready", 600), ("backlog_oldest_s", "cloud", "ready", 660),
        ("breaker", "cloud", "", 2), ("breaker", "cloud", "", 2),
    ]  # fmt: skip
    database_now = technical.report().database
    assert set(DATABASE) - {"db_replication_lag_s", "db_cache_hit_ratio"} <= database_now.keys()
    assert database_now["db_connections_max"] > 0
    assert 0 <= database_now["db_cache_hit_ratio"] <= 1


def test_the_job_says_what_it_did_and_repeats_nothing(database: sa.Engine, clock: VirtualClock) -> None:
    with database.begin() as conn:
        add_run(conn, 1, calls=[("a.b", 1, "ok", False)])
    counted(database, clock)
    assert collect(database, clock=clock, estate=rows.estate()).startswith("0 runs with 0 calls counted, ")
    assert collect(database, clock=clock, estate=rows.estate()) == "0 runs with 0 calls counted, 0 samples"


def test_months_are_opened_ahead_and_dropped_when_they_are_over(database: sa.Engine) -> None:
    latencies = Latencies()
    for month in range(1, 13):
        latencies.observe(Series(Kind.WEB, "tieline", "GET pages", False, "ok"), 0.01)
        latencies.store(database, now=datetime(2026, month, 28, tzinfo=UTC))
    now = datetime(2026, 12, 29, tzinfo=UTC)
    assert keep_months(database, now=now) == "10 tables of months opened, 27 dropped"
    assert keep_months(database, now=now) == "0 tables of months opened, 0 dropped"
    with database.connect() as conn:
        minutes = list(conn.scalars(sa.text("SELECT at FROM telemetry.call_minute ORDER BY at")))
        assert [at.month for at in minutes] == [10, 11, 12]
        assert conn.scalar(sa.text("SELECT count(*) FROM telemetry.call_hour")) == 12
        assert conn.scalar(sa.text("SELECT n FROM telemetry.call_total")) == 12


def test_two_who_open_a_month_at_the_same_moment_both_succeed(database: sa.Engine) -> None:
    year = {"first": datetime(2031, 1, 1, tzinfo=UTC), "last": datetime(2031, 1, 2, tzinfo=UTC)}
    waits = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = :lock")

    def open_it() -> int:
        with database.begin() as conn:
            return int(conn.scalar(OPEN_MONTHS, year) or 0)

    with ThreadPoolExecutor(1) as other, database.connect() as watch:
        with database.begin() as conn:
            assert conn.scalar(OPEN_MONTHS, year) == 5
            second = other.submit(open_it)
            while not watch.scalar(waits, {"lock": Lock.TELEMETRY}):
                watch.rollback()
        second.result(timeout=60)
        assert open_it() == 0


def test_the_application_can_neither_make_tables_nor_drop_others(database: sa.Engine) -> None:
    for statement in ("CREATE TABLE telemetry.mine (a int)", "DROP TABLE telemetry.call_total",
                      "DELETE FROM telemetry.call_total"):  # fmt: skip
        with database.begin() as conn, pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
            conn.execute(sa.text(statement))
    for table in ("call_total", "slo", "x'; DROP TABLE core.event; --"):
        with database.begin() as conn, pytest.raises(sa.exc.DBAPIError, match="no such table by the month"):
            conn.execute(sa.text("SELECT telemetry.drop_months(:table, now())"), {"table": table})
    with database.begin() as conn, pytest.raises(sa.exc.DBAPIError, match="three years"):
        conn.execute(sa.text("SELECT telemetry.open_months(now() - interval '9 years', now())"))


def test_windows_have_a_shortest_and_a_longest() -> None:
    at = datetime(2026, 11, 23, 6, 10, 20, tzinfo=UTC)
    begin, end = at.replace(hour=5, minute=56, second=0), at.replace(minute=11, second=0)
    assert span(timedelta(minutes=15), at) == (begin, end, "minute")
    since, _, step = span(timedelta(days=30), at)
    assert (since, step) == (datetime(2026, 10, 24, 6, tzinfo=UTC), "hour")
    for wrong in (timedelta(minutes=14), timedelta(days=31)):
        with pytest.raises(InvalidAsk, match="15 minutes and 30 days"):
            span(wrong, at)
