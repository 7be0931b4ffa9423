"""A snapshot says what was known then, the same again to the byte, and what has moved since."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By, InvalidAsk, Window
from metrics.catalog import kpis
from metrics.kpi import Span
from metrics.measures import Measures
from metrics.snapshot.package import MANIFEST
from metrics.snapshot.tables import tables_of
from metrics.snapshot.take import moment_of, take
from metrics.snapshot.wording import decimal_of, is_money
from tests.metrics.snapshot.firm import Firm, late_events


def test_the_same_week_as_of_the_same_moment_is_the_same_to_the_byte(one: Firm) -> None:
    first = one.made()
    as_of = datetime.fromisoformat(first.manifest["as_of"])
    one.later(timedelta(days=9))
    late_events(one)
    one.caught_up()
    again = one.made(as_of=as_of)
    assert again.files.keys() == first.files.keys()
    differ = [name for name, body in first.files.items() if again.files[name] != body]
    assert differ == []
    between = one.made(as_of=as_of + timedelta(days=1))  # no refresh since: the same was known
    assert between.content_id == first.content_id
    now = one.made()
    assert now.manifest["restated_since"] == first.manifest["as_of"]
    assert now.content_id != first.content_id


def test_a_release_changes_no_hash_of_the_data(one: Firm) -> None:
    first = one.made()
    one.release = "9.9.9"
    one.later(timedelta(seconds=1))
    second = one.made(as_of=datetime.fromisoformat(first.manifest["as_of"]))
    assert second.manifest["tables"] == first.manifest["tables"]
    assert (first.manifest["release"], second.manifest["release"]) == ("1.2.3", "9.9.9")
    assert second.files[MANIFEST] != first.files[MANIFEST]


def test_its_numbers_are_those_of_the_measures(one: Firm) -> None:
    measures = Measures(one.engine, clock=one.clock, estate=one.estate)
    week = Window(one.week, one.week + timedelta(days=7))
    as_of = measures.kpi("cycle-time", Ask(week)).as_of  # the newest refresh, which may be after the clock's present
    assert as_of is not None
    content = take(one.engine, one.estate, week=one.week, as_of=as_of)
    assert [taken.definition.slug for taken in content.kpis] == list(kpis())
    quarter = Window(one.week - timedelta(days=84), one.week + timedelta(days=7))
    four = Window(one.week - timedelta(days=21), one.week + timedelta(days=7))
    for taken in content.kpis:
        slug = taken.definition.slug
        if taken.span is Span.STATE:  # test_states.py
            continue
        window = quarter if taken.span is Span.QUARTER else week
        assert taken.answer == measures.kpi(slug, Ask(window)).answer, slug
        assert taken.answer == measures.kpi(slug, Ask(window, as_of)).answer, slug
        if By.WEEK in taken.definition.splits:
            found = measures.kpi(slug, Ask(quarter, as_of), By.WEEK)
            assert taken.pooled_trend == bool(found.pooled)
            told = {**found.parts, **found.pooled}
            assert {p.week.isoformat(): (p.value, p.n) for p in taken.trend if p.n} == {
                monday: (told[monday].value, answer.n) for monday, answer in found.parts.items() if answer.n
            }, slug
        if taken.pooled is not None:
            assert taken.pooled == measures.kpi(slug, Ask(four, as_of)).answer
            assert taken.answer.value is None
    assert {taken.span for taken in content.kpis} == set(Span)
    [kpi_table] = [table for table in tables_of(content) if table.name == "kpis"]
    shown = {row[0]: row[4] for row in kpi_table.rows}
    for taken in content.kpis:
        if not is_money(taken.definition.unit):
            assert shown[taken.definition.slug] == decimal_of(taken.headline.value)


def test_a_restatement_names_the_contract_the_fact_and_both_values(one: Firm) -> None:
    """Active an hour before the first report, which came to be known five hours after it."""
    first = one.made()
    happened = one.clock.now() - timedelta(hours=1)
    one.later(timedelta(hours=5))
    with one.engine.begin() as conn:
        row = conn.execute(sa.text("""
            UPDATE core.contract SET first_active_at = :now, state = 'active', state_since = :now
            WHERE contract_id = (SELECT contract_id FROM core.contract
                WHERE state = 'blocked' AND signed_at >= CAST(:monday AS date) AND signed_at < CAST(:monday AS date) + 6
                ORDER BY contract_id LIMIT 1)
            RETURNING contract_id, external_id"""), {"now": happened, "monday": one.week}).one()  # fmt: skip
        conn.execute(sa.text("""
            INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, started_at,
                                  finished_at, recorded_at)
            VALUES (gen_random_uuid(), :id, 2, 'cloud', 'converged', 'active', 'k', :then, :then, :now)
        """), {"id": row.contract_id, "then": happened, "now": one.clock.now()})  # fmt: skip
    as_of = one.caught_up()
    then = datetime.fromisoformat(first.manifest["as_of"])
    assert first.manifest["restated_since"] is None
    told = take(one.engine, one.estate, week=one.week, as_of=as_of, since=then).restatement
    mine = {(m.fact, m.what): m for m in told.moved if m.contract_id == row.contract_id}
    outcome = mine["contract", "outcome"]
    assert (outcome.contract, outcome.before, outcome.after) == (row.external_id, "open", "provisioned")
    assert outcome.known_from == as_of
    assert "contract.provisioned" in outcome.measures
    assert told.kpis == ()  # one of so many moves no digit that is shown
    assert {m.contract_id for m in told.moved} == {row.contract_id}
    assert told.contracts == 1
    assert take(one.engine, one.estate, week=one.week, as_of=then, since=then).restatement.since is None


def test_what_is_of_thirteen_weeks_is_restated_by_any_of_them(one: Firm) -> None:
    first = one.made()
    assert {kpi.definition.slug for kpi in kpis().values() if kpi.definition.span is Span.QUARTER} == {
        "dispute-rate", "forecast-accuracy", "roi",
    }  # fmt: skip
    one.later(timedelta(hours=1))
    with one.engine.begin() as conn:
        contract_id = conn.scalar(sa.text("""
            INSERT INTO core.financial_fact (system, kind, ref, project_key, contract_id, invoice_ref, amount, currency,
                                             status, occurred_on, recorded_at)
            SELECT system, 'dispute', 'late', project_key, contract_id, ref, 10, currency, 'open', occurred_on + 1, :now
            FROM core.financial_fact
            WHERE kind = 'invoice' AND occurred_on >= :monday - 84 AND occurred_on < :monday - 56
              AND contract_id NOT IN (SELECT contract_id FROM core.financial_fact WHERE kind = 'dispute')
            ORDER BY seq LIMIT 1 RETURNING contract_id"""), {"now": one.clock.now(), "monday": one.week})  # fmt: skip
    as_of, then = one.caught_up(), datetime.fromisoformat(first.manifest["as_of"])
    told = take(one.engine, one.estate, week=one.week, as_of=as_of, since=then).restatement
    [restated] = told.kpis
    assert (restated.slug, restated.n_before) == ("dispute-rate", restated.n_after)
    assert isinstance(restated.before, float)
    assert isinstance(restated.after, float)
    assert round((restated.after - restated.before) * restated.n_after, 6) == 1
    before = take(one.engine, one.estate, week=one.week, as_of=then).kpis
    assert restated.before == next(kpi.answer.value for kpi in before if kpi.definition.slug == "dispute-rate")
    assert {moved.contract_id for moved in told.moved} == {contract_id}
    [disputed] = [moved for moved in told.moved if moved.fact == "invoice" and moved.what == "disputed"]
    currency = disputed.after.rpartition(" ")[2]
    assert (disputed.before, disputed.after) == (f"0.00 {currency}", f"10.00 {currency}")  # of one without a dispute, 0
    assert len(currency) == 3


def test_a_week_that_has_not_begun_and_a_moment_before_all_are_refused(one: Firm) -> None:
    as_of = moment_of(one.engine, one.clock.now())
    with pytest.raises(InvalidAsk, match="had not begun"):
        take(one.engine, one.estate, week=one.week + timedelta(days=14), as_of=as_of)
    with pytest.raises(InvalidAsk, match="nothing is known"):
        moment_of(one.engine, one.clock.now() - timedelta(days=400))
    running = take(one.engine, one.estate, week=one.week + timedelta(days=7), as_of=as_of)
    assert not running.over
    assert take(one.engine, one.estate, week=one.week, as_of=as_of).over
