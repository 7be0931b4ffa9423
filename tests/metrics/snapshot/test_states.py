"""A state in the snapshot of a week is that of the week's end, as it was known then; never today's."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from metrics import weeks
from metrics.asking import Ask, Window
from metrics.catalog import kpis
from metrics.kpi import Span
from metrics.measures import Measures
from metrics.snapshot import wording
from metrics.snapshot.content import KpiTaken
from metrics.snapshot.package import headlines
from metrics.snapshot.pdf import described
from metrics.snapshot.tables import tables_of
from metrics.snapshot.take import take
from sync_core.reads.reads import Reads
from tests.metrics.snapshot.firm import Firm, late_events

STATES = {slug for slug, kpi in kpis().items() if kpi.definition.span is Span.STATE}


def states(taken: tuple[KpiTaken, ...]) -> dict[str, KpiTaken]:
    return {one.definition.slug: one for one in taken if one.definition.slug in STATES}


def test_a_past_week_has_the_states_of_its_end(one: Firm) -> None:
    """Measured in the week; everything that comes after its end is no part of it."""
    week = one.week + timedelta(days=7)
    end = weeks.end_of(week, one.estate.group.timezone)
    one.clock.advance_to(end + timedelta(days=9))
    late_events(one)
    as_of = one.caught_up()
    content = take(one.engine, one.estate, week=week, as_of=as_of)
    measures = Measures(one.engine, clock=one.clock, estate=one.estate)
    window = Window(week, week + timedelta(days=7))
    found = states(content.kpis)
    assert found.keys() == STATES
    for slug, taken in found.items():
        assert taken.at == end
        assert taken.answer == measures.kpi(slug, Ask(window, end)).answer, slug
        assert taken.answer != measures.kpi(slug, Ask(window)).answer, slug  # today's
        assert taken.trend[-1].week == week
        assert taken.trend[-1].value == taken.answer.value
        assert {point.at for point in taken.trend} == {end}  # nothing was measured before
        assert taken.previous is None
    for name in ("kpis", "entities", "figures", "trend"):
        [table] = [table for table in tables_of(content) if table.name == name]
        place = [field.key for field in table.fields].index("at")
        assert {row[place] for row in table.rows if row[0] in STATES} == {end}, name
        assert {row[place] for row in table.rows if row[0] not in STATES} <= {None}, name
    told = {line["slug"]: line["at"] for line in headlines(content)}
    assert {told[slug] for slug in STATES} == {end.isoformat(timespec="microseconds")}
    panels = {panel["slug"]: panel for panel in described(content, release="1")["panels"]}
    assert all("30 Nov 2026" in panels[slug]["at"] for slug in STATES)
    # The last refresh before that was days earlier, and every file says so.
    known = {taken.data_as_of for taken in found.values()}
    assert all(at is not None and end - at > timedelta(days=1) for at in known)
    [table] = [table for table in tables_of(content) if table.name == "kpis"]
    place = [field.key for field in table.fields].index("data_as_of")
    assert {row[place] for row in table.rows if row[0] in STATES} == known
    assert {row[place] for row in table.rows if row[0] not in STATES} == {None}
    for slug in STATES:
        facts_at = found[slug].facts_at
        assert facts_at is not None
        told_at = f"data as of {wording.short_moment(facts_at, content.zone)}"
        assert told_at in panels[slug]["at"]
        assert told_at in panels[slug]["of"]


def test_what_was_not_measured_at_the_end_of_the_week_is_not_known(one: Firm) -> None:
    """The first refresh came after the week had ended."""
    made = one.made()
    as_of = datetime.fromisoformat(made.manifest["as_of"])
    content = take(one.engine, one.estate, week=one.week, as_of=as_of)
    for taken in states(content.kpis).values():
        assert (taken.at, taken.answer.value, taken.answer.n) == (None, None, 0)
        assert taken.answer.why_none.startswith("not known")
        assert taken.trend == ()
        assert taken.drill is None
    assert {one["kpi"] for one in made.manifest["states"]} == STATES
    assert all(line["as_of"] is None and "not known" in line["why_none"] for line in made.manifest["states"])
    panels = {panel["slug"]: panel for panel in described(content, release="1")["panels"]}
    assert all("not known" in panels[slug]["why"] for slug in STATES)


def test_the_states_of_a_running_week_are_those_of_the_snapshot(one: Firm) -> None:
    week = one.week + timedelta(days=7)
    one.later(timedelta(hours=1))
    as_of = one.caught_up()
    content = take(one.engine, one.estate, week=week, as_of=as_of)
    assert not content.over
    assert {taken.at for taken in states(content.kpis).values()} == {as_of}
    [kpi] = [one for one in described(content, release="1")["panels"] if one["slug"] == "stuck-money"]
    assert "not over yet" in kpi["at"]


def test_two_weeks_are_compared_as_of_their_ends_whenever_they_were_made(one: Firm) -> None:
    first, second = one.week + timedelta(days=7), one.week + timedelta(days=14)
    one.later(timedelta(days=8))
    late_events(one)
    one.caught_up()
    one.later(timedelta(days=7))
    one.ask(week=first)
    one.ask(week=second)
    while one.maker.make_next() is not None:
        pass
    found = Reads(one.engine, clock=one.clock, estate=one.estate).snapshot_diff(first, second)
    assert found is not None
    assert all(kpi.change != 0 for kpi in found.kpis if kpi.slug in STATES)
    measures = Measures(one.engine, clock=one.clock, estate=one.estate)
    for kpi in found.kpis:
        if kpi.slug in STATES:
            end = weeks.end_of(first, one.estate.group.timezone)
            then = measures.kpi(kpi.slug, Ask(Window(first, second), end)).answer
            assert kpi.n == then.n


def test_time_and_other_weeks_restate_nothing(one: Firm) -> None:
    """Days go by, open contracts are provisioned, others are signed and stuck: nothing of that is late knowledge."""
    week = one.week + timedelta(days=7)
    end = weeks.end_of(week, one.estate.group.timezone)
    one.later(timedelta(days=2))
    with one.engine.begin() as conn:  # signed in the week, and open when it ends
        conn.execute(sa.text("""
            UPDATE core.contract SET signed_at = CAST(:now AS timestamptz) - interval '1 d', received_at = :now
            WHERE contract_id IN (SELECT contract_id FROM core.contract WHERE state IN ('waiting', 'blocked')
                                  ORDER BY contract_id LIMIT 40)"""), {"now": one.clock.now()})  # fmt: skip
        conn.execute(_RUN, {"now": one.clock.now()})
    one.caught_up()
    one.clock.advance_to(end + timedelta(hours=4))
    one.ask(week=week)
    assert one.maker.make_next() is not None
    one.later(timedelta(days=5))
    with one.engine.begin() as conn:
        conn.execute(sa.text("""
            UPDATE core.contract SET state = 'active', state_since = :now, first_active_at = :now
            WHERE state IN ('waiting', 'blocked')"""), {"now": one.clock.now()})  # fmt: skip
        conn.execute(_RUN, {"now": one.clock.now()})
    one.caught_up()
    one.ask(week=week)
    assert one.maker.make_next() is not None
    [second, _] = Reads(one.engine, clock=one.clock, estate=one.estate).snapshots().rows
    seal = Reads(one.engine, clock=one.clock, estate=one.estate).snapshot(second.snapshot_id)
    assert seal is not None
    assert seal.seal is not None
    assert second.restated_since is not None
    assert (seal.seal.restated, seal.seal.moved) == (0, 0)
    told = Reads(one.engine, clock=one.clock, estate=one.estate).snapshot_restated(second.snapshot_id)
    assert told is not None
    assert told.kpis == ()


def test_what_had_happened_and_came_to_be_known_late_is_restated(one: Firm) -> None:
    """Forty contracts of the week were active already when it was first reported; a contract of the next week counts
    nowhere, and states stay.
    """
    first = one.made()
    then = datetime.fromisoformat(first.manifest["as_of"])
    happened = one.clock.now() - timedelta(minutes=30)
    one.later(timedelta(hours=5))
    bound = {"then": happened, "now": one.clock.now(), "monday": one.week}
    with one.engine.begin() as conn:
        ids = list(conn.scalars(sa.text("""
            UPDATE core.contract SET state = 'active', state_since = :then, first_active_at = :then
            WHERE contract_id IN (SELECT contract_id FROM core.contract WHERE state IN ('waiting', 'blocked')
                AND signed_at >= CAST(:monday AS date) AND signed_at < CAST(:monday AS date) + 7
                ORDER BY contract_id LIMIT 40) RETURNING contract_id"""), bound))  # fmt: skip
        conn.execute(sa.text("""
            INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, started_at,
                                  finished_at, recorded_at)
            SELECT gen_random_uuid(), id, 2, 'cloud', 'converged', 'active', 'k', :then, :then, :now
            FROM unnest(CAST(:ids AS bigint[])) AS id"""), {**bound, "ids": ids})  # fmt: skip
    as_of = one.caught_up()
    content = take(one.engine, one.estate, week=one.week, as_of=as_of, since=then)
    told = content.restatement
    assert ids
    assert {moved.contract_id for moved in told.moved} == set(ids)
    assert told.contracts == len(ids)
    restated = {kpi.slug for kpi in told.kpis}
    assert "cycle-time" in restated
    assert not restated & STATES
    for kpi in told.kpis:
        unit = next(taken.definition.unit for taken in content.kpis if taken.definition.slug == kpi.slug)
        shown = [wording.shown(value, unit, "USD") for value in (kpi.before, kpi.after)]
        assert shown[0] != shown[1] or kpi.n_before != kpi.n_after


_RUN = sa.text("""
    INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, started_at, finished_at,
                          recorded_at)
    SELECT gen_random_uuid(), contract_id, 9, 'cloud', 'converged', state, 'k', :now, :now, :now FROM core.contract
    WHERE signed_at > CAST(:now AS timestamptz) - interval '14 d'
""")


def test_a_snapshot_of_a_running_week_is_no_first_report(one: Firm) -> None:
    """Numbers so far are not what the week was first reported with."""
    week = one.week + timedelta(days=7)
    one.ask(week=week)
    assert one.maker.make_next() is not None
    one.clock.advance_to(weeks.end_of(week, one.estate.group.timezone) + timedelta(hours=4))
    one.ask(week=week)
    assert one.maker.make_next() is not None
    [second, _] = Reads(one.engine, clock=one.clock, estate=one.estate).snapshots().rows
    assert second.restated_since is None
