"""The times in which an ERP could not be used, as charts are annotated with them."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, Window
from metrics.measures import Measures
from metrics.outages import Outage
from sync_core.authority import Forbidden, person
from sync_core.clock import VirtualClock
from tests import rows
from tests.reads.handmade import insert

WINDOW = Window.weeks(rows.NOW, "Europe/London", 4)


def change(engine: sa.Engine, lane: str, hours: float, breaker: str, reason: str | None = None) -> None:
    at = rows.NOW - timedelta(hours=hours)
    insert(engine, "lane_history", lane=lane, breaker=breaker, reason=reason, occurred_at=at)


def measures(engine: sa.Engine) -> Measures:
    return Measures(engine, clock=VirtualClock(rows.NOW), estate=rows.estate())


def test_outages_last_until_their_lane_is_closed_again_or_go_on(database: sa.Engine) -> None:
    change(database, "cloud", 50, "open", "503")
    change(database, "legacy", 49, "paused", "bad password")
    change(database, "cloud", 40, "closed")
    change(database, "cloud", 30, "open")  # half an hour: too short for a chart of weeks
    change(database, "cloud", 29.5, "closed")
    change(database, "cloud", 24 * 60, "open")  # before the window
    change(database, "cloud", 24 * 60 - 9, "closed")
    began = rows.NOW - timedelta(hours=50)
    assert measures(database).outages(Ask(WINDOW)) == (
        Outage("cloud", "503", began, began + timedelta(hours=10)),
        Outage("legacy", "bad password", began + timedelta(hours=1), None),
    )


def test_without_outages_there_are_none(database: sa.Engine) -> None:
    assert measures(database).outages(Ask(WINDOW)) == ()


def test_outages_are_for_those_who_see_kpis(database: sa.Engine) -> None:
    nobody = measures(database).within(person("new@example.com", []))
    with pytest.raises(Forbidden):
        nobody.outages(Ask(WINDOW))
