"""An objective that burns, from the requests that were measured to the event that tells of it, and back again."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics import slo
from metrics.slo import Standing, State
from sync_core.clock import VirtualClock
from sync_core.delivery.messages import OUTGOING
from sync_core.delivery.scan import Scan
from sync_core.reads.snapshot import snapshot
from sync_core.telemetry.latencies import Kind, Latencies, Series
from tests import rows
from tests.delivery.support import announcer, told
from tests.rows import NOW

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
READ = Series(Kind.WEB, "tieline", "GET /v1/contracts", False, "ok")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


def answered(engine: sa.Engine, at: datetime, *, quick: int, slow: int = 0) -> None:
    """What a process counted until then, stored as it stores it: within 0.5 s, and in two seconds."""
    observed = Latencies()
    for seconds, many in ((0.02, quick), (2.0, slow)):
        for _ in range(many):
            observed.observe(READ, seconds)
    observed.store(engine, now=at)


def three_quiet_days(engine: sa.Engine, *, per_hour: int) -> None:
    """Up to an hour ago."""
    for hours in range(72, 1, -1):
        answered(engine, NOW - hours * HOUR, quick=per_hour)


def evaluated(engine: sa.Engine, clock: VirtualClock) -> Standing:
    """As a page reads it, after the look of this minute."""
    slo.evaluate(engine, clock=clock, estate=rows.estate())
    with snapshot(engine) as conn:
        [found] = [one for one in slo.standings(conn) if one.name == "api-latency"]
    return found


async def test_an_hour_of_slow_requests_pages_is_announced_and_is_over_when_they_are_quick(
    database: sa.Engine, async_database: AsyncEngine, clock: VirtualClock
) -> None:
    """A fifth is slow where a hundredth may be: the budget burns 20 times as fast as it may, and 14.4 pages."""
    scan = Scan(async_database, rows.estate(), announcer(async_database).values)
    three_quiet_days(database, per_hour=600)
    before = evaluated(database, clock)
    assert (before.state, before.broken, await scan.objectives(clock.now())) == (State.MET, False, 0)

    for minute in range(60):
        answered(database, NOW + minute * MINUTE, quick=8, slow=2)
    clock.advance(59 * MINUTE)
    burning = evaluated(database, clock)
    assert (burning.state, burning.severity, burning.broken_at) == (State.PAGE, "high", clock.now())
    assert burning.burn_rates[str(60 * 60)] == burning.burn_rates[str(5 * 60)] == pytest.approx(20)
    assert "burns 20.0 times as fast as it may over 1 h and 20.0 times over a twelfth" in burning.says
    assert "120 of 43,200 requests in 30 days" in burning.says
    assert await scan.objectives(clock.now()) == 1
    assert await scan.objectives(clock.now()) == 0, "it was told"
    [event] = told(database)
    assert (event["type"], event["subject"], event["severity"], event["legal_entity"]) == (
        "com.tieline.objective.broken.v1", "objective/api-latency", "high", "*",
    )  # fmt: skip
    assert (event["data"]["state"], event["data"]["says"]) == ("page", burning.says)
    Draft202012Validator(OUTGOING[event["type"]].schema(), format_checker=FormatChecker()).validate(event["data"])

    for _ in range(6):
        clock.advance(MINUTE)
        answered(database, clock.now(), quick=10)
    quick = evaluated(database, clock)
    assert (quick.state, quick.severity, quick.broken) == (State.MET, None, True), "it recovers for an hour"
    assert quick.burn_rates[str(60 * 60)] > 14.4, "the hour is as bad as it was; its last twelfth is not"
    clock.advance(61 * MINUTE)
    over = evaluated(database, clock)
    assert (over.state, over.broken) == (State.MET, False)
    assert await scan.objectives(clock.now()) == 0


@pytest.mark.parametrize(("slow", "state"), [(0, State.MET), (1, State.TICKET), (5, State.TICKET), (6, State.PAGE)])
def test_an_alert_fires_from_its_threshold_on_and_not_below(
    database: sa.Engine, clock: VirtualClock, slow: int, state: State
) -> None:
    """So many of a hundred, in every hour of three days, are so many times what may be: 1 is a ticket, 6 pages."""
    for hours in range(71, -1, -1):
        answered(database, NOW - hours * HOUR, quick=100 - slow, slow=slow)
    for minutes in (25, 20, 15, 10, 4):  # the shortest windows have requests, too
        answered(database, NOW - minutes * MINUTE, quick=100 - slow, slow=slow)
    found = evaluated(database, clock)
    assert found.state is state
    assert found.broken is (state is not State.MET)
