"""Every headline that moved between two takings is explained: by contracts that are listed, or by a new release."""

from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from metrics.catalog import kpis
from metrics.kpi import Span
from metrics.snapshot.content import Content
from metrics.snapshot.pdf import board_pack, described
from metrics.snapshot.tables import tables_of
from metrics.snapshot.take import take
from tests.metrics.snapshot.firm import Firm, late_events
from tests.metrics.snapshot.test_windows import few

# Of contracts of a week: what had happened by the first report and came to be known after it.
_LONGER = sa.text("""
    UPDATE core.contract SET first_active_at = least(first_active_at + interval '9 days', :then)
    WHERE contract_id IN (
        SELECT contract_id FROM core.contract
        WHERE state = 'active' AND NOT test
          AND signed_at >= CAST(:monday AS date) AND signed_at < CAST(:monday AS date) + 7
        ORDER BY first_active_at - signed_at, contract_id LIMIT :many)
    RETURNING contract_id
""")
_ACTIVE = sa.text("""
    UPDATE core.contract SET first_active_at = :then, state = 'active', state_since = :then
    WHERE contract_id IN (
        SELECT contract_id FROM core.contract
        WHERE state IN ('blocked', 'waiting') AND NOT test
          AND signed_at >= CAST(:monday AS date) AND signed_at < CAST(:monday AS date) + 7
        ORDER BY contract_id LIMIT :many)
    RETURNING contract_id
""")
_EARLIER = sa.text("""
    UPDATE core.contract SET signed_at = signed_at - interval '30 hours'
    WHERE contract_id IN (
        SELECT contract_id FROM core.contract
        WHERE state IN ('blocked', 'waiting') AND NOT test
          AND signed_at >= CAST(:monday AS date) + 2 AND signed_at < CAST(:monday AS date) + 6
        ORDER BY contract_id LIMIT :many)
    RETURNING contract_id
""")
_RUN = sa.text("""
    INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, started_at, finished_at,
                          recorded_at)
    SELECT gen_random_uuid(), contract_id, 9, 'cloud', 'converged', state, 'k', :then, :then, :now FROM core.contract
    WHERE contract_id = ANY(CAST(:ids AS bigint[]))
""")


def first_report(one: Firm, *, weeks_ago: int = 0) -> datetime:
    return datetime.fromisoformat(one.made(week=one.week - timedelta(weeks=weeks_ago)).manifest["as_of"])


def came_late(one: Firm, statement: sa.TextClause, *, weeks_ago: int, many: int) -> set[int]:
    """Known five hours after the first report, and true an hour before it."""
    happened = one.clock.now() - timedelta(hours=1)
    one.later(timedelta(hours=5))
    named = {"then": happened, "monday": one.week - timedelta(weeks=weeks_ago), "many": many}
    with one.engine.begin() as conn:
        bound = {name: named[name] for name in statement.compile().params}
        ids = list(conn.scalars(statement, bound))
        conn.execute(_RUN, {"then": happened, "now": one.clock.now(), "ids": ids})
    return set(ids)


def taken(one: Firm, then: datetime, *, weeks_ago: int = 0, versions: dict[str, int] | None = None) -> Content:
    week = one.week - timedelta(weeks=weeks_ago)
    return take(one.engine, one.estate, week=week, as_of=one.caught_up(), since=then, versions=versions)


def explained(content: Content) -> None:
    """What was restated by contracts has contracts whose rows moved a measure that it needs, in its window."""
    for kpi in content.restatement.kpis:
        facts_of = {measure.partition(".")[0] for need in kpis()[kpi.slug].needs(None) for measure in need.measures}
        moved = {row.anew for row in content.restatement.moved if row.fact in facts_of}
        assert not kpi.by_contracts or False in moved, kpi.slug
        assert not kpi.by_release or True in moved, kpi.slug


def test_what_is_late_of_an_earlier_week_explains_the_headline_of_four(one: Firm) -> None:
    """A week with too few cases is told by four: contracts of the first of them move its headline."""
    few(one, 0)
    then = first_report(one)
    ids = came_late(one, _LONGER, weeks_ago=3, many=12)
    assert ids
    content = taken(one, then)
    [cycle] = [kpi for kpi in content.restatement.kpis if kpi.slug == "cycle-time"]
    assert (cycle.of_before, cycle.of, cycle.by_contracts, cycle.by_release) == ("4 weeks", "4 weeks", True, False)
    assert cycle.before == next(
        kpi.headline.value for kpi in take(one.engine, one.estate, week=one.week, as_of=then).kpis
        if kpi.definition.slug == "cycle-time"
    )  # fmt: skip
    assert {row.contract_id for row in content.restatement.moved} == ids
    explained(content)
    [table] = [table for table in tables_of(content) if table.name == "restated"]
    told = next(row for row in table.rows if row[0] == "cycle-time")
    assert told[-2:] == ("4 weeks", f"definition version {kpis()['cycle-time'].definition.version}")
    [moved] = [table for table in tables_of(content) if table.name == "moved"]
    assert {row[-1] for row in moved.rows} == {"known late"}


def test_an_open_contract_whose_clock_began_at_another_moment_is_listed(one: Firm) -> None:
    """It is open in the same week as before, so no cell shows it: its age does, of which the curve is made."""
    then = first_report(one)
    ids = came_late(one, _EARLIER, weeks_ago=0, many=12)
    told = taken(one, then).restatement
    assert ids
    assert {row.contract_id for row in told.moved if row.what == "signed_at"} == ids
    assert {row.anew for row in told.moved} == {False}


def test_a_week_that_tells_itself_lists_no_other_week(one: Firm) -> None:
    then = first_report(one)
    assert came_late(one, _LONGER, weeks_ago=3, many=12)
    content = taken(one, then)
    assert content.restatement.kpis == ()
    assert content.restatement.moved == ()


def test_whatever_comes_late_every_headline_that_moved_is_explained(one: Firm) -> None:
    few(one, 0)
    then = first_report(one)
    one.later(timedelta(days=3))
    late_events(one)
    content = taken(one, then)
    explained(content)
    assert {kpi.slug for kpi in content.restatement.kpis if kpi.of == "4 weeks"}
    before = {kpi.definition.slug: kpi for kpi in take(one.engine, one.estate, week=one.week, as_of=then).kpis}
    for kpi in content.restatement.kpis:
        told = before[kpi.slug]
        assert (kpi.before, kpi.n_before, kpi.of_before) == (told.headline.value, told.headline.n, told.of), kpi.slug
        assert told.span is not Span.STATE


# ---- another release ------------------------------------------------------------------------------------------------

# As a release wrote them by which each cycle took an hour longer.
_OTHERWISE = sa.text(
    "UPDATE metrics.contract_fact SET cycle_work_s = cycle_work_s + 3600 WHERE cycle_work_s IS NOT NULL"
)
_SHAPE = sa.text("UPDATE metrics.shape SET digest = 'of the release before'")
_RELEASES = sa.text("""
    INSERT INTO core.release (system, version, first_seen_at, last_seen_at)
    VALUES ('tieline', '0.9', :then, :then), ('tieline', '1.0', :now, :now)
""")


def of_another_release(one: Firm, then: datetime) -> None:
    """What is known until now was measured by it; the next refresh is of this one."""
    with one.engine.begin() as conn:
        conn.execute(_OTHERWISE)
        conn.execute(_SHAPE)
        conn.execute(_RELEASES, {"then": then - timedelta(days=9), "now": then + timedelta(minutes=1)})


def test_what_a_release_measures_otherwise_is_no_late_news(one: Firm) -> None:
    then = first_report(one, weeks_ago=1)
    of_another_release(one, then)
    late = came_late(one, _LONGER, weeks_ago=1, many=2)
    versions = {slug: kpi.definition.version for slug, kpi in kpis().items()} | {"cycle-time": 0}
    content = taken(one, then, weeks_ago=1, versions=versions)
    told = content.restatement
    assert told.anew is not None
    assert (told.anew.why, told.anew.release, told.anew.complete) == ("release", "1.0", True)
    [cycle] = [kpi for kpi in told.kpis if kpi.slug == "cycle-time"]
    assert cycle.by_release
    assert {row.contract_id for row in told.moved if not row.anew} == late
    anew = {row.contract_id for row in told.moved if row.anew}
    assert anew
    assert not anew & late
    assert told.anew.contracts == len(anew)
    assert told.contracts == len(late)
    explained(content)
    shown = described(content, release="1.0")
    version = kpis()["cycle-time"].definition.version
    named = f"Contract-to-project cycle time (definition version {version}, before 0)"
    assert f"Measured anew by release 1.0 moved {named}" in shown["subline"]
    assert "came to be known later is of 2 contracts" in shown["restated_says"]
    assert f"Defined otherwise since: {named}" in shown["restated_says"]
    assert "a new release" in next(row["why"] for row in shown["restated"] if "cycle time" in row["title"])
    assert board_pack(content, release="1.0").startswith(b"%PDF")
    [moved] = [table for table in tables_of(content) if table.name == "moved"]
    assert {row[-1] for row in moved.rows} == {"known late", "measured anew by release 1.0"}


def test_what_happened_since_is_told_by_neither(one: Firm) -> None:
    """Activated after the first report and before the upgrade: the old facts know it as open, and so it stays."""
    then = first_report(one)
    of_another_release(one, then)
    one.later(timedelta(hours=5))
    with one.engine.begin() as conn:
        bound = {"then": one.clock.now(), "monday": one.week, "many": 3}
        ids = list(conn.scalars(_ACTIVE, bound))
        conn.execute(_RUN, {"then": one.clock.now(), "now": one.clock.now(), "ids": ids})
    told = taken(one, then).restatement
    assert ids
    assert told.anew is not None
    assert told.contracts == 0
    assert not {row.contract_id for row in told.moved} & set(ids)
    assert {row.anew for row in told.moved} == {True}


def test_another_zone_of_the_group_is_told_as_that(one: Firm) -> None:
    then = first_report(one)
    one.later(timedelta(hours=1))
    one.estate = replace(one.estate, group=replace(one.estate.group, reporting_currency="EUR"))
    told = taken(one, then).restatement
    assert told.anew is not None
    assert (told.anew.why, told.contracts) == ("settings", 0)
