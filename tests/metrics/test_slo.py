"""Objectives over real rows, worked out by hand: what is counted when, what breaks one, and what is told of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics import slo, slo_events
from metrics.burn import PERIOD, WINDOWS, Events
from metrics.measures import Measures
from metrics.slo import OBJECTIVES, Objective, Standing, State, judge
from metrics.slo_events import Looked, Stuck
from sync_core.authority import Actor, ActorKind, Permission, Reach, person
from sync_core.clock import VirtualClock
from sync_core.delivery.scan import Scan
from sync_core.reads.snapshot import snapshot
from sync_core.telemetry.latencies import Kind, Latencies, Series
from tests import rows
from tests.collectors.test_journal import add_run, counted
from tests.delivery.support import announcer, told
from tests.metrics.support import caught_up
from tests.reads.handmade import add_contract
from tests.rows import NOW

# NOW is Monday the 23rd of November 2026, 06:00 UTC; London works from 9:00 to 17:30 and is at UTC.
MONDAY = datetime(2026, 11, 16, 9, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
_NAMED = {one.name: one for one in OBJECTIVES}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


def add(engine: sa.Engine, signed: datetime, active: datetime | None, **columns: object) -> int:
    state = "waiting" if active is None else "active"
    known: dict[str, object] = {
        "state": state, "legal_entity": "GB01", "value_reporting": Decimal(100), "signed_at": signed,
        "received_at": signed, "first_active_at": active, "state_since": active or signed,
    }  # fmt: skip
    return add_contract(engine, signed=24.0, took=None, **(known | columns))


def events(engine: sa.Engine, name: str, now: datetime = NOW) -> dict[timedelta, Events]:
    with snapshot(engine) as conn:
        return dict(_NAMED[name].read(Looked(conn, now, rows.estate())))


def test_two_working_days_by_hand(database: sa.Engine, clock: VirtualClock) -> None:
    add(database, MONDAY, MONDAY + 2 * DAY)  # Wednesday 9:00: 17 working hours to the minute, in time
    add(database, MONDAY, MONDAY + 2 * DAY + HOUR)  # one hour more: late since Wednesday 9:00
    add(database, MONDAY + 4 * DAY, None)  # Friday: its time is up on Tuesday, so nothing is decided
    add(database, MONDAY + 2 * DAY, None)  # Wednesday, open: late since Friday 9:00
    add(database, MONDAY, None, test=True)
    caught_up(database, clock, rows.estate())
    found = events(database, "provisioned-in-time")
    assert found[PERIOD] == Events(3, 2)
    friday = MONDAY + 4 * DAY
    assert events(database, "provisioned-in-time", friday + timedelta(minutes=2))[timedelta(minutes=5)] == Events(1, 1)
    assert events(database, "provisioned-in-time", friday - HOUR)[HOUR * 6] == Events(0, 0)
    wednesday = MONDAY + 2 * DAY + timedelta(minutes=2)
    assert events(database, "provisioned-in-time", wednesday)[timedelta(minutes=5)] == Events(2, 1)


def test_a_miss_stays_one_when_the_contract_is_cancelled(database: sa.Engine, clock: VirtualClock) -> None:
    late = add(database, MONDAY, None)  # its time was up on Wednesday 9:00
    add(database, MONDAY, None, state="ended", state_since=MONDAY + 2 * DAY - HOUR)  # ended before that
    caught_up(database, clock, rows.estate())
    before = events(database, "provisioned-in-time")
    assert before[PERIOD] == Events(1, 1)
    clock.advance(HOUR)
    with database.begin() as conn:
        conn.execute(sa.text("UPDATE core.contract SET state = 'ended', state_since = :now WHERE contract_id = :id"),
                     {"now": NOW, "id": late})  # fmt: skip
        conn.execute(sa.text("INSERT INTO metrics.mark (contract_id) VALUES (:id)"), {"id": late})
    caught_up(database, clock, rows.estate())
    with database.connect() as conn:
        known = sa.text("SELECT outcome FROM metrics.contract_fact WHERE known_to IS NULL AND contract_id = :id")
        assert conn.scalar(known, {"id": late}) == "cancelled"
    assert events(database, "provisioned-in-time") == before
    with snapshot(database) as conn:
        assert slo_events.stuck(Looked(conn, NOW, rows.estate())) == []


def test_an_in_time_contract_counts_when_it_was_billable_and_not_before(
    database: sa.Engine, clock: VirtualClock
) -> None:
    add(database, MONDAY, MONDAY + 3 * HOUR)
    caught_up(database, clock, rows.estate())
    assert events(database, "provisioned-in-time", MONDAY + 2 * HOUR)[PERIOD] == Events(0, 0)
    assert events(database, "provisioned-in-time", MONDAY + 4 * HOUR)[6 * HOUR] == Events(1, 0)
    assert events(database, "provisioned-in-time", MONDAY + 4 * HOUR)[timedelta(minutes=5)] == Events(0, 0)
    assert events(database, "provisioned-in-time", MONDAY + 33 * DAY)[PERIOD] == Events(0, 0)


def test_a_single_stuck_contract_is_told_by_money_or_age(database: sa.Engine, clock: VirtualClock) -> None:
    add(database, MONDAY + 2 * DAY, None, external_id="SMALL")  # Wednesday: late by a day, of little money
    add(database, MONDAY + 2 * DAY, None, external_id="LARGE", value_reporting=Decimal(500_000))
    add(database, MONDAY, None, external_id="OLD")  # Monday: three days late
    add(database, MONDAY + 2 * DAY, None, external_id="UNKNOWN", value_reporting=None, currency="BRL")
    add(database, MONDAY + 4 * DAY, None, external_id="EARLY", value_reporting=Decimal(900_000))
    caught_up(database, clock, rows.estate())
    with snapshot(database) as conn:
        found = slo_events.stuck(Looked(conn, NOW, rows.estate()))
    assert [one.contract for one in found] == ["UNKNOWN", "LARGE", "OLD"]
    assert found[1].late_s == 8.5 * 3600
    [first] = [one for one in slo.evaluate(database, clock=clock, estate=rows.estate())
               if one.name == "provisioned-in-time"]  # fmt: skip
    assert (first.state, list(first.stuck)) == (State.STUCK, ["UNKNOWN", "LARGE", "OLD"])


def test_a_stuck_contract_is_told_to_those_who_reach_it_and_named_in_no_sentence(
    database: sa.Engine, clock: VirtualClock
) -> None:
    add(database, MONDAY, None, external_id="BRITISH")
    add(database, MONDAY, None, external_id="GERMAN", legal_entity="DE01", value_reporting=Decimal(900_000))
    caught_up(database, clock, rows.estate())
    slo.evaluate(database, clock=clock, estate=rows.estate())
    measures = Measures(database, clock=clock, estate=rows.estate())

    def seen(*grants: tuple[Permission, frozenset[str] | None]) -> dict[str, Standing]:
        scopes = {permission: Reach(entities, None) for permission, entities in grants}
        actor = Actor("program", ActorKind.PROGRAM, scopes=scopes)
        return {one.name: one for one in measures.within(actor).objectives()}

    whole = seen((Permission.KPI_READ, None), (Permission.CONTRACTS_READ, None))["provisioned-in-time"]
    assert (whole.stuck, whole.state) == (["GERMAN", "BRITISH"], State.STUCK)
    assert whole.says == "too few contracts for a rate, but 2 are stuck"
    british = frozenset({"GB01"})
    partly = seen((Permission.KPI_READ, None), (Permission.CONTRACTS_READ, british))["provisioned-in-time"]
    assert (partly.stuck, partly.says) == (["BRITISH"], whole.says)
    assert seen((Permission.KPI_READ, None))["provisioned-in-time"].stuck == []
    # What is said of contracts is said of the whole firm's: not to those who may see a part of it.
    limited = seen((Permission.KPI_READ, british), (Permission.CONTRACTS_READ, british))
    assert list(limited) == ["events-stored", "read-back", "api-latency", "erp-latency"]


def test_the_budgets_of_the_whole_firms_contracts_are_for_those_who_reach_all(
    database: sa.Engine, clock: VirtualClock
) -> None:
    add(database, MONDAY, MONDAY + 3 * HOUR)
    caught_up(database, clock, rows.estate())
    measures = Measures(database, clock=clock, estate=rows.estate())
    assert measures.budgets() == {}  # nobody looked yet
    slo.evaluate(database, clock=clock, estate=rows.estate())
    assert list(measures.within(person("pat@example.com", ["executive"])).budgets()) == ["provisioned-in-time"]
    assert measures.within(person("pat@example.com", ["executive@DE01"])).budgets() == {}


async def test_what_goes_out_of_a_stuck_contract_does_not_name_it(
    database: sa.Engine, async_database: AsyncEngine, clock: VirtualClock
) -> None:
    add(database, MONDAY, None, external_id="GERMAN", legal_entity="DE01")
    caught_up(database, clock, rows.estate())
    slo.evaluate(database, clock=clock, estate=rows.estate())
    assert await Scan(async_database, rows.estate(), announcer(async_database).values).objectives(NOW) == 1
    [sent] = told(database)
    assert sent["data"]["state"] == "stuck"
    assert "GERMAN" not in str(dict(sent))


def _observe(engine: sa.Engine, at: datetime, operation: str, outcome: str, seconds: float, n: int) -> None:
    latencies = Latencies()
    for _ in range(n):
        latencies.observe(Series(Kind.WEB, "tieline", operation, True, outcome), seconds)
    latencies.store(engine, now=at)


def test_deliveries_that_were_refused_are_the_senders_fault(database: sa.Engine) -> None:
    _observe(database, NOW, "POST /v1/events", "ok", 0.01, 95)
    _observe(database, NOW, "POST /v1/events", "refused", 0.01, 900)
    _observe(database, NOW, "POST /v1/events", "failed", 0.01, 5)
    assert events(database, "events-stored")[HOUR] == Events(100, 5)


def test_a_request_is_in_time_up_to_the_bound_itself(database: sa.Engine) -> None:
    _observe(database, NOW, "GET /v1/contracts", "ok", 0.5, 98)
    _observe(database, NOW, "GET /v1/contracts", "ok", 0.51, 1)
    _observe(database, NOW, "GET /v1/contracts", "failed", 0.01, 1)
    _observe(database, NOW, "GET pages", "ok", 30, 50)
    assert events(database, "api-latency")[HOUR] == Events(100, 2)
    assert events(database, "api-latency")[PERIOD] == Events(100, 2)
    assert events(database, "api-latency", NOW + 2 * HOUR)[HOUR] == Events(0, 0)


def test_erp_calls_and_read_backs_come_from_the_journal(database: sa.Engine, clock: VirtualClock) -> None:
    at = NOW - timedelta(minutes=3)
    with database.begin() as conn:
        add_run(conn, 1, at=at, calls=[("a.b", 2500, "ok", True), ("a.b", 2501, "ok", True)])
        add_run(conn, 2, at=at, outcome="retry", error_class="ambiguous",
                error="cloud: after the write it still needs: update project P")  # fmt: skip
    counted(database, clock)
    assert events(database, "erp-latency")[HOUR] == Events(2, 1)
    assert events(database, "read-back")[HOUR] == Events(2, 1)


def test_amendments_by_their_bill_day(database: sa.Engine) -> None:
    """The 20th: done the day before is in time, on the day is not, open is not; billed before it was made is out."""
    insert = sa.text("""
        INSERT INTO metrics.amendment_fact (contract_id, number, legal_entity, service_line, geography, billing,
            currency, test, outcome, period, executed_at, received_at, done_at, ended_at, waits, executed_work_s,
            received_work_s, day_s, delta, bill_on, known_from, retroactive)
        VALUES (:number, :number, 'GB01', '', '', '', 'GBP', :test, :outcome, DATE '2026-11-09', :executed, :executed,
            :done, :ended, false, 0, 0, 30600, 0, :bill_on, :executed,
            false)
    """)
    executed = datetime(2026, 11, 10, 12, tzinfo=UTC)
    on, ended = executed.date().replace(day=20), datetime(2026, 11, 12, 8, tzinfo=UTC)
    cases = [
        (datetime(2026, 11, 19, 23, 59, tzinfo=UTC), on, "synced", False, executed),
        (datetime(2026, 11, 20, 0, 0, tzinfo=UTC), on, "synced", False, executed),
        (None, on, "open", False, executed),
        (None, on.replace(day=28), "open", False, executed),
        (None, None, "open", False, executed),
        (datetime(2026, 11, 19, tzinfo=UTC), None, "synced", False, executed),
        (None, on, "superseded", False, executed),  # its contract ended on the 12th
        (None, on.replace(day=12), "superseded", False, executed),  # and this one's day had begun
        (None, on, "open", True, executed),
        (None, on.replace(day=9), "open", False, executed),
    ]
    with database.begin() as conn:
        for number, (done, bill_on, outcome, test, at) in enumerate(cases, start=1):
            conn.execute(insert, {"number": number, "done": done, "bill_on": bill_on, "outcome": outcome, "test": test,
                                  "executed": at, "ended": ended if outcome == "superseded" else None})  # fmt: skip
    assert events(database, "amendments-in-time")[PERIOD] == Events(5, 3)
    just_after = datetime(2026, 11, 20, 0, 1, tzinfo=UTC)
    assert events(database, "amendments-in-time", just_after)[timedelta(minutes=5)] == Events(3, 2)


# ---- what is made of the counts ---------------------------------------------------------------------------------


def verdict(name: str, total: int, bad: int, stuck: list[Stuck] | None = None) -> Standing:
    return judge(_NAMED[name], {window: Events(total, bad) for window in WINDOWS}, stuck or [])


def test_states_by_hand() -> None:
    assert verdict("api-latency", 0, 0).state is State.UNKNOWN
    assert verdict("api-latency", 1000, 5).state is State.MET
    assert verdict("api-latency", 1000, 5).budget_left == pytest.approx(0.5)
    assert verdict("api-latency", 1000, 10).state is State.TICKET, "1 over three days"
    assert verdict("api-latency", 1000, 60).state is State.PAGE, "6 over six hours"
    assert verdict("read-back", 1000, 0).state is State.MET
    assert verdict("read-back", 1000, 1).state is State.VIOLATED
    assert verdict("read-back", 0, 0).state is State.UNKNOWN
    long_ago = judge(_NAMED["read-back"], {window: Events(9, 0) for window in WINDOWS} | {PERIOD: Events(90, 1)}, [])
    assert (long_ago.state, long_ago.severity, long_ago.budget_left) == (State.EXHAUSTED, None, 0)
    spent = {window: Events(1000, 0) for window in WINDOWS} | {PERIOD: Events(1000, 20)}
    assert judge(_NAMED["api-latency"], spent, []).state is State.EXHAUSTED


def test_stuck_contracts_count_only_where_rates_say_nothing() -> None:
    one = Stuck(1, "C-1", "GB01", Decimal(1), 5)
    assert verdict("provisioned-in-time", 10, 1, [one]).state is State.STUCK
    assert verdict("provisioned-in-time", 1000, 0, [one]).state is State.MET
    assert verdict("provisioned-in-time", 10, 1).state is State.UNKNOWN


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda one: one.name)
def test_every_objective_can_break(objective: Objective) -> None:
    assert verdict(objective.name, 10**6, 10**6).state in slo.SEVERITY


async def test_a_broken_objective_is_told_once_and_again_when_it_grows_worse(
    database: sa.Engine, async_database: AsyncEngine, clock: VirtualClock
) -> None:
    scan = Scan(async_database, rows.estate(), announcer(async_database).values)

    async def minute(state: str) -> int:
        clock.advance(timedelta(minutes=1))
        found = replace(verdict("api-latency", 1000, 5), state=State(state), says="made up")
        with database.begin() as conn:
            conn.execute(slo._KEEP, [slo._row(found, clock.now())])
        return await scan.objectives(clock.now())

    assert [await minute(state) for state in ("met", "ticket", "ticket", "page", "page")] == [0, 1, 0, 1, 0]
    assert [await minute(state) for state in ("met", "page", "ticket")] == [0, 0, 0], "an hour has not passed"
    assert [row["severity"] for row in told(database)] == ["medium", "high"]
    [first, _] = told(database)
    assert first["type"] == "com.tieline.objective.broken.v1"
    assert first["data"]["objective"] == {"name": "api-latency", "title": _NAMED["api-latency"].title, "target": 0.99}
    assert await minute("met") == 0
    clock.advance(timedelta(minutes=61))
    assert [await minute(state) for state in ("met", "ticket")] == [0, 1], "that trouble is over, this is a new one"


def test_standings_are_read_as_they_were_kept(database: sa.Engine, clock: VirtualClock) -> None:
    made = slo.evaluate(database, clock=clock, estate=rows.estate())
    with snapshot(database) as conn:
        read = slo.standings(conn)
    assert [replace(one, evaluated_at=None) for one in read] == made
    assert {one.state for one in read} == {State.UNKNOWN}
    assert [one.name for one in read] == [one.name for one in OBJECTIVES]
