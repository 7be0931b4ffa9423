"""The estate's own targets of the objectives."""

import pytest
import sqlalchemy as sa

from metrics import slo
from metrics.budgets import budgets
from metrics.slo import OBJECTIVES
from sync_core.clock import VirtualClock
from sync_core.estate.estate import load
from sync_core.estate.objectives import NAMES
from sync_core.reads.snapshot import snapshot
from sync_core.telemetry.latencies import Kind, Latencies, Series
from tests import rows
from tests.rows import NOW


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


def test_the_estate_knows_every_objective_by_its_name() -> None:
    assert tuple(one.name for one in OBJECTIVES) == NAMES


def test_the_target_of_the_estate_holds_and_the_suggested_one_is_still_told(
    database: sa.Engine, clock: VirtualClock
) -> None:
    estate = load(f'{rows.ESTATE_TEXT}\n[[objective]]\nname = "api-latency"\ntarget = 0.8\n')
    slow = Series(Kind.WEB, "tieline", "GET /v1/contracts", False, "ok")
    calls = Latencies()
    for took in (0.1, 0.1, 0.1, 2.0, 0.1, 0.1, 0.1, 2.0, 0.1, 0.1):  # a fifth is too slow: all of that budget
        calls.observe(slow, took)
    calls.store(database, now=NOW)
    asked, other = ({one.name: one for one in slo.evaluate(database, clock=clock, estate=firm)}["api-latency"]
                    for firm in (estate, rows.estate()))  # fmt: skip
    assert (asked.objective, asked.suggested) == (0.8, 0.99)
    assert asked.budget_left == pytest.approx(0)
    assert (other.objective, other.suggested) == (0.99, 0.99)
    assert other.budget_left == pytest.approx(-19)
    slo.evaluate(database, clock=clock, estate=estate)
    with snapshot(database) as conn:
        read = {one.name: one for one in slo.standings(conn)}["api-latency"]
        left = budgets([read])["api-latency"]
    assert read.objective == 0.8
    assert left[-1].left == pytest.approx(0)
