"""Headline, legal entities and rows are of the same weeks, and two weeks are compared by windows that have a name."""

from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from metrics.kpi import Answer, Figure, Span, Unit
from metrics.snapshot import wording
from metrics.snapshot.content import Content
from metrics.snapshot.pdf import described
from metrics.snapshot.tables import tables_of
from metrics.snapshot.take import take
from metrics.weeks import week_name
from sync_core.reads.snapshots import SnapshotDiff
from tests.metrics.snapshot.firm import Firm, reads

# All but six of a week's signatures are put on trial: too few for a percentile of the week.
_FEW = sa.text("""
    WITH tried AS (
        UPDATE core.contract SET test = true WHERE contract_id IN (
            SELECT contract_id FROM core.contract
            WHERE signed_at >= CAST(:monday AS date) AND signed_at < CAST(:monday AS date) + 7 AND NOT test
            ORDER BY contract_id OFFSET 6)
        RETURNING contract_id)
    INSERT INTO metrics.mark (contract_id) SELECT contract_id FROM tried
""")


def few(one: Firm, *back: int) -> None:
    with one.engine.begin() as conn:
        for weeks in back:
            conn.execute(_FEW, {"monday": one.week - timedelta(weeks=weeks)})
    one.later(timedelta(hours=1))
    one.caught_up()


def taken(one: Firm) -> Content:
    return take(one.engine, one.estate, week=one.week, as_of=one.caught_up())


def test_rows_and_legal_entities_are_those_of_the_headline(one: Firm) -> None:
    few(one, 0)
    content = taken(one)
    tables = {table.name: table for table in tables_of(content)}
    pooled = {kpi.definition.slug for kpi in content.kpis if kpi.pooled}
    assert {"cycle-time", "contract-to-cash"} <= pooled
    for kpi in content.kpis:
        slug = kpi.definition.slug
        if kpi.span is Span.WEEK:
            assert kpi.drill is not None
            assert kpi.drill.count == kpi.headline.n, slug
            assert sum(part.n for part in kpi.entities.values()) <= kpi.headline.n, slug
            assert kpi.headline.n > kpi.answer.n or slug not in pooled, slug
            if kpi.answer.value is None and kpi.answer.n < 20:
                assert kpi.pooled is not None or kpi.headline.n == 0, slug
        rows = tables[f"rows_{slug.replace('-', '_')}"] if kpi.drill is not None else None
        if rows is not None and rows.rows:
            assert rows.fields[-1].key == "rows_of"
            assert {row[-1] for row in rows.rows} == {wording.window_name(kpi.of, content.week)}, slug
    assert {row[-2] for row in tables["entities"].rows if row[0] == "cycle-time"} == {"4 weeks"}


def test_a_week_with_too_few_is_of_four_even_where_four_have_not_come_so_far(one: Firm) -> None:
    """Contract to cash: of a week as young as that nobody has paid, nor of the four weeks."""
    few(one, 0)
    content = taken(one)
    [cash] = [kpi for kpi in content.kpis if kpi.definition.slug == "contract-to-cash"]
    assert (cash.of, cash.answer.value) == ("4 weeks", None)
    assert cash.answer.n < 20 <= cash.headline.n
    assert not cash.headline.why_none.startswith("n = ")


def compared(one: Firm) -> SnapshotDiff:
    few(one, 0, 1)
    earlier = one.week - timedelta(days=7)
    for week in (earlier, one.week):
        one.ask(week=week)
    while one.maker.make_next() is not None:
        pass
    found = reads(one).snapshot_diff(earlier, one.week)
    assert found is not None
    return found


def test_two_weeks_of_four_weeks_each_overlap_and_the_board_packs_own_change_stands_beside(one: Firm) -> None:
    found = compared(one)
    [cycle] = [kpi for kpi in found.kpis if kpi.slug == "cycle-time"]
    assert (cycle.of, cycle.other_of, cycle.overlap) == ("4 weeks", "4 weeks", True)
    assert cycle.change == (cycle.other or 0) - (cycle.value or 0)
    content = taken(one)
    in_pack = {kpi["slug"]: kpi["change"] for kpi in described(content, release="1")["measures"]}
    for kpi in found.kpis:
        said = wording.change(kpi.other, kpi.previous, Unit(kpi.unit), found.currency)
        assert said == in_pack[kpi.slug], kpi.slug
        assert kpi.overlap == (kpi.of == kpi.other_of and kpi.of.endswith(" weeks")), kpi.slug
        if kpi.previous is not None and kpi.other is not None:
            assert kpi.previous_change == kpi.other - kpi.previous


def test_a_value_whose_target_has_an_open_half_lacks_that_half_and_not_the_value(one: Firm) -> None:
    p90 = Figure("p90", "90th percentile", None, Unit.WORKING_HOURS, at_least=9.0)
    half_known = Answer(0.3, 40, figures=(p90,))
    content = take(one.engine, one.estate, week=one.week, as_of=one.caught_up())
    told = tuple(
        replace(kpi, answer=half_known, pooled=None) if kpi.definition.slug == "cycle-time" else kpi
        for kpi in content.kpis
    )
    shown = described(replace(content, kpis=told), release="1")
    title = "Contract-to-project cycle time"
    assert f"Half of the target is open: {title} (90th percentile not reached yet)." in shown["headline"]
    assert f"Not reached yet: {title}" not in shown["headline"]
    [cycle] = [measure for measure in shown["measures"] if measure["slug"] == "cycle-time"]
    assert cycle["value"] == "18 working min"
    assert "90th percentile at least 9.0 working h, target 17.0 working h: open" in cycle["lines"]


def test_a_window_is_called_by_the_week_that_it_ends_with(one: Firm) -> None:
    name, four_ago = week_name(one.week), week_name(one.week - timedelta(days=28))
    assert wording.window_name("week", one.week) == name
    assert wording.window_name("4 weeks", one.week) == f"4 weeks to {name}"
    assert wording.window_name("state", one.week) == f"end of {name}"
    assert wording.window_before("4 weeks", one.week) == f"4 weeks to {four_ago}"
    assert wording.window_before("state", one.week) == f"end of {week_name(one.week - timedelta(days=7))}"
