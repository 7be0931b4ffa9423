"""Every headline that moved between two takings is explained: by contracts that are listed, or by a new release."""

from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from metrics.catalog import kpis
from metrics.facts import facts
from metrics.kpi import Span
from metrics.snapshot.content import Content, Moved, Restated
from metrics.snapshot.pdf import board_pack, described
from metrics.snapshot.tables import tables_of
from metrics.snapshot.take import take
from pages.parts.snapshot.words import otherwise
from tests.metrics.snapshot.firm import Firm, late_events, reads
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
# Corrected by a person in what no measure is made of: only that it was corrected is counted.
_CORRECTED = sa.text("""
    WITH one AS (
        SELECT contract_id, source, external_id FROM core.contract
        WHERE state = 'active' AND NOT test
          AND signed_at >= CAST(:monday AS date) AND signed_at < CAST(:monday AS date) + 7
        ORDER BY contract_id LIMIT :many
    ), told AS (
        INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by, correlation_id,
                                data, attributes)
        SELECT source, 'own-' || contract_id, 'com.tieline.contract.corrected.v1', external_id, :then, :then, 'tieline',
               'own', jsonb_build_object('contract_id', external_id, 'revision', 9), '{}' FROM one
    )
    SELECT contract_id FROM one
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


def explained(one: Firm, content: Content) -> None:
    """What was restated has contracts that moved a measure which it is made of, with a version in its window."""
    for kpi in content.restatement.kpis:
        needed = {measure for need in kpis()[kpi.slug].needs(None) for measure in need.measures}
        needed |= {"contract.open"} if any(name.startswith("contract.") for name in needed) else set()
        for anew, said in ((False, kpi.by_contracts), (True, kpi.by_release)):
            moved = (row for row in content.restatement.moved if row.anew is anew and needed & set(row.measures))
            assert not said or any(in_window(one, content, kpi, row, needed) for row in moved), (kpi.slug, anew)


def in_window(one: Firm, content: Content, kpi: Restated, row: Moved, needed: set[str]) -> bool:
    """A version of it counts for a measure that it moved, in the weeks that the headline is of."""
    weeks = max(int(of.partition(" ")[0]) if of.endswith(" weeks") else 1 for of in (kpi.of_before, kpi.of))
    fact = facts()[row.fact]
    sql = sa.text(f"""
        SELECT EXISTS (
            SELECT FROM {fact.table} AS f CROSS JOIN {fact.contributions}
            WHERE f.contract_id = :id AND f.known_from <= :as_of AND x.measure = ANY(:measures)
              AND x.period >= :start AND x.period < :end)
    """)
    bound = {
        **fact.values, "id": row.contract_id, "as_of": content.as_of, "measures": sorted(needed & set(row.measures)),
        "start": content.week - timedelta(weeks=weeks - 1), "end": content.week + timedelta(weeks=1),
        "zone": content.zone, "reporting": content.reporting,
    }  # fmt: skip
    with one.engine.connect() as conn:
        return bool(conn.scalar(sql, {name: bound[name] for name in sql.compile().params}))


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
    explained(one, content)
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
    named = {measure for row in told.moved if row.fact == "contract" for measure in row.measures}
    assert named == {"contract.open", "contract.step", "contract.step_work"}, "what was signed counts as before"


def test_a_week_that_tells_itself_lists_no_other_week(one: Firm) -> None:
    then = first_report(one)
    assert came_late(one, _LONGER, weeks_ago=3, many=12)
    content = taken(one, then)
    assert content.restatement.kpis == ()
    assert content.restatement.moved == ()


def test_a_headline_of_four_weeks_that_reads_the_same_lists_no_other_week(one: Firm) -> None:
    few(one, 0)
    then = first_report(one)
    assert came_late(one, _CORRECTED, weeks_ago=3, many=12)
    told = taken(one, then).restatement
    assert (told.kpis, told.moved) == ((), ())


def test_whatever_comes_late_every_headline_that_moved_is_explained(one: Firm) -> None:
    few(one, 0)
    then = first_report(one)
    one.later(timedelta(days=3))
    late_events(one)
    content = taken(one, then)
    explained(one, content)
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


def of_another_release(one: Firm) -> None:
    """What is known until now was measured by it; the next refresh is of 1.0, of which no worker has begun yet."""
    with one.engine.begin() as conn:
        conn.execute(_OTHERWISE)
        conn.execute(_SHAPE)
    one.release = "1.0"


def test_what_a_release_measures_otherwise_is_no_late_news(one: Firm) -> None:
    then = first_report(one, weeks_ago=1)
    of_another_release(one)
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
    explained(one, content)
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
    of_another_release(one)
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


def test_another_reporting_currency_of_the_group_is_told_as_that(one: Firm) -> None:
    then = first_report(one)
    one.later(timedelta(hours=1))
    one.estate = replace(one.estate, group=replace(one.estate.group, reporting_currency="EUR"))
    assert one.made().manifest["measured_anew"]["why"] == "settings"
    told = taken(one, then).restatement
    assert told.anew is not None
    assert (told.anew.why, told.contracts) == ("settings", 0)


_ON_THE_EDGE = sa.text("""
    UPDATE core.contract SET signed_at = CAST(:monday AS timestamp) AT TIME ZONE :zone - interval '5 hours'
    WHERE contract_id IN (
        SELECT contract_id FROM core.contract
        WHERE state = 'active' AND NOT test AND signed_at >= CAST(:monday AS date)
          AND signed_at < CAST(:monday AS date) + 7 AND first_active_at > signed_at
        ORDER BY contract_id LIMIT 3)
    RETURNING contract_id
""")


def test_in_another_zone_of_the_group_a_contract_is_of_another_week_and_page_and_pack_say_why(one: Firm) -> None:
    """Signed on Sunday evening in the zone of before, which is Monday in the one since."""
    group = one.estate.group
    with one.engine.begin() as conn:
        ids = set(conn.scalars(_ON_THE_EDGE, {"monday": one.week, "zone": group.timezone}))
        conn.execute(sa.text("INSERT INTO metrics.mark SELECT unnest(CAST(:ids AS bigint[]))"), {"ids": list(ids)})
    one.later(timedelta(hours=1))
    one.caught_up()
    then = first_report(one)
    one.later(timedelta(hours=1))
    one.estate = replace(one.estate, group=replace(group, timezone="Asia/Tokyo"))
    one.made()
    content = taken(one, then)
    assert content.restatement.contracts == 0
    with one.engine.connect() as conn:
        newest = conn.scalar(sa.text("SELECT max(snapshot_id) FROM metrics.snapshot")) or 0
        weeks = conn.execute(
            sa.text("SELECT period FROM metrics.contract_fact WHERE contract_id = ANY(:ids) AND known_to IS NULL"),
            {"ids": list(ids)},
        )
        assert {row.period for row in weeks} == {one.week}
    moved = [row for row in content.restatement.moved if row.anew and "contract.provisioned" in row.measures]
    assert ids <= {row.contract_id for row in moved}
    explained(one, content)
    found = reads(one).snapshot(newest)
    assert found is not None
    assert found.seal is not None
    [sentence] = otherwise(found.seal)
    assert sentence.startswith("All facts were measured anew in another zone or reporting currency of the group")
    assert sentence in described(content, release=one.release)["restated_says"]
