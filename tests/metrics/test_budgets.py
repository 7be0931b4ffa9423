"""How a budget was spent, by hand; it ends where the objective's own count says that it stands."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from metrics import slo
from metrics.budgets import budgets, spent
from metrics.burn import PERIOD, Events
from metrics.slo import OBJECTIVES
from metrics.slo_events import Looked
from sync_core.clock import VirtualClock
from sync_core.reads.snapshot import snapshot
from tests import rows
from tests.collectors.test_journal import add_run, counted
from tests.databases import DatabaseUrls
from tests.metrics.support import caught_up
from tests.rows import NOW


def test_a_budget_goes_down_by_the_day_and_ends_at_what_is_left() -> None:
    points = spent({29: Events(50, 0), 10: Events(25, 2), 0: Events(25, 1)}, 0.9, now=NOW)
    assert [(point.at, round(point.left, 6)) for point in (points[0], points[19], points[20], points[-1])] == [
        (NOW - PERIOD, 1.0), (NOW - timedelta(days=11), 1.0), (NOW - timedelta(days=10), 0.8), (NOW, 0.7),
    ]  # fmt: skip
    assert len(points) == 31
    assert spent({}, 0.9, now=NOW) == []
    assert spent({3: Events(10, 3)}, 0.9, now=NOW)[-1].left == pytest.approx(-2)


def test_each_budget_ends_where_its_objective_stands(database: sa.Engine, database_urls: DatabaseUrls) -> None:
    rows.seed(database_urls.owner, 300)
    clock = VirtualClock(NOW)
    caught_up(database, clock, rows.estate())
    with database.begin() as conn:
        for day in (0.1, 1, 5, 12, 29):
            slow = 4_000.0 if day > 4 else 20.0
            at = NOW - timedelta(days=day)
            add_run(conn, int(day * 10), at=at, calls=[("project.create", slow, "ok", True)] * 3)
    counted(database, clock)
    standings = {one.name: one for one in slo.evaluate(database, clock=clock, estate=rows.estate())}
    with snapshot(database) as conn:
        found = budgets(slo.standings(conn))
    assert {"provisioned-in-time", "erp-latency"} <= found.keys()
    assert "read-back" not in found
    assert "api-latency" not in found
    for name, points in found.items():
        assert points[-1].left == pytest.approx(standings[name].budget_left)
        assert [point.left for point in points] == sorted((point.left for point in points), reverse=True)
    assert found["erp-latency"][-1].left == pytest.approx(1 - 9 / (15 * 0.05))


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda one: one.name)
def test_days_add_up_to_the_period(database: sa.Engine, database_urls: DatabaseUrls, objective: slo.Objective) -> None:
    rows.seed(database_urls.owner, 200)
    caught_up(database, VirtualClock(NOW), rows.estate())
    with snapshot(database) as conn:
        looked = Looked(conn, NOW, rows.estate())
        days, whole = objective.read.by_day(looked), objective.read(looked)[PERIOD]
    assert all(0 <= ago < PERIOD.days for ago in days)
    assert (sum(one.total for one in days.values()), sum(one.bad for one in days.values())) == (whole.total, whole.bad)
