"""Snapshots that were asked for are made once, kept, told of, delivered to every target, and to none twice."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator, FormatChecker

from metrics.asking import InvalidAsk
from metrics.snapshot import keeping
from metrics.snapshot.lease import renewed
from metrics.snapshot.package import MANIFEST
from sync_core.authority import Forbidden, person
from sync_core.commands.commands import Commands
from sync_core.commands.desk import CommandRefused, InvalidInput, NotFound
from sync_core.delivery.messages import OUTGOING
from tests.metrics.snapshot.firm import CHIEF, Firm, late_events, reads, told

BRITISH = person("uk@example.com", ["executive@GB01", "operator:tax@GB01"])


def test_what_was_asked_for_is_made_once_kept_and_told(one: Firm) -> None:
    asked = one.ask()
    assert one.maker.make_next() is not None
    assert one.maker.make_next() is None
    found = reads(one).snapshot(asked)
    assert found is not None
    assert (found.snapshot.state, found.snapshot.week, found.snapshot.release) == ("made", one.week, "1.2.3")
    assert found.snapshot.restated_since is None
    manifest = Commands(one.engine, clock=one.clock, estate=one.estate).snapshots.file(CHIEF, asked, MANIFEST)
    assert manifest.sha256 == found.snapshot.content_id
    assert {file.name for file in found.files} == {MANIFEST, *(f["name"] for f in json.loads(manifest.body)["files"])}
    [event] = told(one)
    schema = OUTGOING[keeping.EVENT].schema()
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(event["data"])
    assert (event["data"]["week"], event["legal_entity"]) == ("2026-W47", None)
    assert len(json.dumps(event["data"])) < 20_000


def test_two_workers_make_each_snapshot_once(one: Firm) -> None:
    ids = {one.ask(), one.ask(week=one.week - timedelta(days=7))}
    done: list[int] = []

    def work() -> None:
        while (made := one.maker.make_next()) is not None:
            done.append(made.snapshot_id)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(done) == sorted(ids)
    assert {row.state for row in reads(one).snapshots().rows} == {"made"}


def test_who_lost_the_lease_is_not_heard(one: Firm) -> None:
    one.ask()
    lost = keeping.claim(one.engine, now=one.clock.now())
    assert lost is not None
    with one.engine.begin() as conn:
        conn.execute(sa.text("UPDATE metrics.snapshot SET lease_until = now() - interval '1 s'"))
    assert one.maker.make_next() is not None
    keeping.failed(one.engine, lost, "too late", again_at=None)
    [row] = reads(one).snapshots().rows
    assert (row.state, row.error) == ("made", None)


def until(engine: sa.Engine, condition: str, *, within_s: float = 30) -> None:
    """Poll a condition on the snapshot and the database's clock."""
    deadline = time.monotonic() + within_s
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        while not conn.scalar(sa.text(f"SELECT {condition} FROM metrics.snapshot")):
            assert time.monotonic() < deadline, condition
            threading.Event().wait(0.02)


def test_a_snapshot_that_takes_longer_than_its_lease_keeps_it(one: Firm) -> None:
    one.ask()
    slow = replace(one.maker, lease_s=0.6)
    with ThreadPoolExecutor(1) as pool:
        with one.engine.begin() as conn:
            conn.execute(sa.text("LOCK TABLE metrics.contract_fact IN ACCESS EXCLUSIVE MODE"))
            making = pool.submit(slow.make_next)
            until(one.engine, "lease_until IS NOT NULL")
            with one.engine.connect() as other:
                first = other.scalar(sa.text("SELECT lease_until FROM metrics.snapshot"))
            until(one.engine, f"now() > CAST('{first}' AS timestamptz) + interval '1 s'")  # nearly two leases later
            assert not making.done()
            assert keeping.claim(one.engine, now=one.clock.now()) is None
        assert making.result(timeout=60) is not None
    [row] = reads(one).snapshots().rows
    assert (row.state, row.error) == ("made", None)
    with one.engine.connect() as conn:
        assert conn.execute(sa.text("SELECT attempts, lease_until FROM metrics.snapshot")).one() == (1, None)


def test_a_lease_that_another_has_is_not_renewed(one: Firm) -> None:
    one.ask()
    lost = keeping.claim(one.engine, now=one.clock.now(), lease_s=-1)
    again = keeping.claim(one.engine, now=one.clock.now(), lease_s=-1)
    assert lost is not None
    assert again is not None
    with renewed(one.engine, lost, lease_s=0.03):
        names = {thread.name for thread in threading.enumerate()}
        while names & {f"lease of snapshot {lost.snapshot_id}"}:  # it ends by itself
            names = {thread.name for thread in threading.enumerate()}
    with one.engine.connect() as conn:
        assert conn.scalar(sa.text("SELECT lease_until < now() FROM metrics.snapshot"))


def test_what_cannot_be_made_is_refused_at_the_door(one: Firm) -> None:
    with pytest.raises(InvalidInput, match=r"nothing is known as of .* the first measures are of"):
        one.ask(as_of=one.clock.now() - timedelta(hours=1))
    with pytest.raises(InvalidInput, match="had not begun as of"):
        one.ask(as_of=one.clock.now() - timedelta(days=300))
    assert reads(one).snapshots().rows == ()


def test_what_could_not_be_made_says_why(one: Firm) -> None:
    """What was stored before it was checked at the door, or is not true any more."""
    asked = one.ask()
    with one.engine.begin() as conn:
        conn.execute(sa.text("UPDATE metrics.snapshot SET wanted_as_of = :at"), {"at": one.clock.now() - timedelta(9)})
    with pytest.raises(InvalidAsk):
        one.maker.make_here(keeping.asked(one.engine, asked))
    found = reads(one).snapshot(asked)
    assert found is not None
    assert found.snapshot.state == "failed"
    assert (found.snapshot.error or "").startswith("as_of: nothing is known as of")


def test_of_the_schedule_there_is_one_a_week(one: Firm) -> None:
    one.ask(scheduled=True)
    with pytest.raises(CommandRefused, match="by the schedule already"):
        one.ask(scheduled=True)
    assert one.ask() > 0


def test_only_who_reaches_the_whole_group_may_read_or_make_one(one: Firm) -> None:
    asked = one.ask()
    commands = Commands(one.engine, clock=one.clock, estate=one.estate).snapshots
    limited = reads(one).within(BRITISH)
    for call in (
        lambda: commands.make(BRITISH), lambda: commands.file(BRITISH, asked, MANIFEST), limited.snapshots,
        lambda: limited.snapshot(asked), lambda: limited.snapshot_diff(one.week, one.week),
    ):  # fmt: skip
        with pytest.raises(Forbidden, match="whole group"):
            call()
    assert reads(one).within(CHIEF).snapshots().total == 1
    assert commands.make(CHIEF).week == one.week
    with pytest.raises(NotFound):
        commands.file(CHIEF, asked, MANIFEST)
    with pytest.raises(InvalidInput, match="no Monday"):
        commands.make(CHIEF, week=one.week + timedelta(days=1))
    with pytest.raises(InvalidInput, match="not begun"):
        commands.make(CHIEF, week=one.week + timedelta(days=14))
    with pytest.raises(InvalidInput, match="as_of"):
        commands.make(CHIEF, as_of=one.clock.now() + timedelta(days=1))


def test_two_weeks_are_compared_by_their_newest_snapshots(one: Firm) -> None:
    earlier = one.week - timedelta(days=7)
    for week in (earlier, one.week):
        one.ask(week=week)
        one.maker.make_next()
    one.later(timedelta(hours=1))
    late_events(one, 300)
    one.caught_up()
    newest = one.ask()
    one.maker.make_next()
    with one.engine.begin() as conn:
        conn.execute(sa.text("""
            UPDATE metrics.snapshot SET headlines = (
                SELECT jsonb_agg(CASE WHEN e ->> 'slug' = 'cycle-time' THEN e || '{"version": 0}' ELSE e END)
                FROM jsonb_array_elements(headlines) AS e) WHERE week = :week"""), {"week": earlier})  # fmt: skip
    found = reads(one).snapshot_diff(earlier, one.week)
    assert found is not None
    assert found.other_id == newest
    changed = {kpi.slug: kpi for kpi in found.kpis}
    assert changed["cycle-time"].definition_changed
    assert not changed["auto-provisioned"].definition_changed
    for kpi in found.kpis:
        if kpi.value is not None and kpi.other is not None:
            assert kpi.change == kpi.other - kpi.value
    assert reads(one).snapshot_diff(earlier, date(2020, 1, 6)) is None
