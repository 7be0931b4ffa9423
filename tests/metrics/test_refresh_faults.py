"""What may go wrong with a refresh: cut short, held up, another calendar, another shape of the facts."""

from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest
import sqlalchemy as sa

from metrics import refresh as refreshing
from metrics.asking import Ask, InvalidAsk, Window
from metrics.kpi import Result
from metrics.measures import Measures
from metrics.source import Source
from sync_core.clock import VirtualClock
from sync_core.estate.estate import Estate
from sync_core.reads.snapshot import snapshot
from tests import rows
from tests.databases import DatabaseUrls
from tests.metrics.support import caught_up

WINDOW = Window.weeks(rows.NOW, "Europe/London", 60)


class Power(Exception):
    """The machine goes off."""


class Cut(VirtualClock):
    """Goes off at the `after`-th look at the time."""

    def __init__(self, start: datetime, after: int) -> None:
        super().__init__(start)
        self.left = after

    def now(self) -> datetime:
        self.left -= 1
        if not self.left:
            raise Power
        return super().now()


@pytest.fixture
def seeded(database_urls: DatabaseUrls, database: sa.Engine) -> sa.Engine:
    rows.seed(database_urls.owner, 300)
    return database


def asked(engine: sa.Engine, now: datetime, as_of: datetime | None = None) -> Result:
    measures = Measures(engine, clock=VirtualClock(now), estate=rows.estate())
    return measures.kpi("cycle-time", Ask(WINDOW, as_of=as_of))


def cut_short(engine: sa.Engine, at: datetime, estate: Estate) -> None:
    """One batch of a refresh is committed, the rest is owed."""
    with pytest.raises(Power):
        refreshing.refresh(engine, clock=Cut(at, 2), estate=estate, batch=299)
    with engine.connect() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM metrics.refresh WHERE finished_at IS NULL")) == 1


def working_otherwise(estate: Estate, code: str) -> Estate:
    entities = tuple(
        replace(one, working_time=replace(one.working_time, closes=time(13))) if one.code == code else one
        for one in estate.entity
    )
    return replace(estate, entity=entities)


def in_tokyo(estate: Estate) -> Estate:
    """All weeks are cut otherwise."""
    return replace(estate, group=replace(estate.group, timezone="Asia/Tokyo"))


def test_a_refresh_cut_short_is_not_asked_for_before_it_has_finished(seeded: sa.Engine) -> None:
    cut_short(seeded, rows.NOW, rows.estate())
    with pytest.raises(InvalidAsk):
        asked(seeded, rows.NOW, as_of=rows.NOW + timedelta(minutes=1))
    assert asked(seeded, rows.NOW).data_as_of is None
    later = VirtualClock(rows.NOW + timedelta(hours=6))
    done = caught_up(seeded, later, rows.estate())
    assert done.at >= later.now()
    with pytest.raises(InvalidAsk):
        asked(seeded, later.now(), as_of=rows.NOW + timedelta(minutes=1))
    assert asked(seeded, later.now()).answer.n > 0


def test_a_calendar_that_changes_meanwhile_does_not_stop_the_refresh(seeded: sa.Engine) -> None:
    cut_short(seeded, rows.NOW, rows.estate())
    other = working_otherwise(rows.estate(), "US01")
    done = caught_up(seeded, VirtualClock(rows.NOW + timedelta(minutes=5)), other)
    assert asked(seeded, done.at).answer.n > 0


def test_while_a_refresh_goes_on_the_one_before_answers(seeded: sa.Engine) -> None:
    first = caught_up(seeded, VirtualClock(rows.NOW), rows.estate())
    before = asked(seeded, first.at)
    cut_short(seeded, rows.NOW + timedelta(hours=1), in_tokyo(rows.estate()))
    during = asked(seeded, first.at + timedelta(hours=1))
    assert (during.answer, during.data_as_of) == (before.answer, before.data_as_of)


def test_a_past_moment_keeps_the_calendar_of_then(seeded: sa.Engine) -> None:
    first = caught_up(seeded, VirtualClock(rows.NOW), rows.estate())
    before = asked(seeded, first.at, as_of=first.at)
    other = working_otherwise(rows.estate(), "US01")
    second = caught_up(seeded, VirtualClock(rows.NOW + timedelta(minutes=5)), other)
    assert asked(seeded, second.at, as_of=first.at).answer == before.answer
    assert asked(seeded, second.at).answer != before.answer


def test_another_zone_of_the_group_makes_all_rollups_anew(seeded: sa.Engine) -> None:
    caught_up(seeded, VirtualClock(rows.NOW), rows.estate())
    tokyo = in_tokyo(rows.estate())
    caught_up(seeded, VirtualClock(rows.NOW + timedelta(minutes=5)), tokyo)
    with snapshot(seeded) as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM metrics.cell WHERE n < 0")) == 0
        measures = sorted(conn.scalars(sa.text("SELECT DISTINCT measure FROM metrics.cell")))
        latest = Source(conn, Ask(WINDOW), estate=tokyo).cells(measures)
        versions = Source(conn, Ask(WINDOW), estate=tokyo, from_versions=True).cells(measures)
    assert sorted(map(repr, latest)) == sorted(map(repr, versions))


def test_what_a_transaction_that_still_runs_holds_up_is_not_called_known(seeded: sa.Engine) -> None:
    first = caught_up(seeded, VirtualClock(rows.NOW), rows.estate())
    with seeded.connect() as slow:
        slow.execute(sa.text("SELECT pg_current_xact_id()"))
        with seeded.begin() as other:  # committed, but behind the slow one
            other.execute(sa.text("SELECT pg_current_xact_id()"))
        clock = VirtualClock(rows.NOW + timedelta(hours=8))
        held_up = refreshing.refresh(seeded, clock=clock, estate=rows.estate())
        assert held_up.at == clock.now()
        assert first.covers <= held_up.covers <= first.at  # though eight hours have passed
        assert asked(seeded, held_up.at).data_as_of == held_up.covers
