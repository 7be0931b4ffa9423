"""What is restated by other baselines, assumptions and rates names them, and blames no contract for it."""

from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from metrics.snapshot.pdf import board_pack, described
from metrics.snapshot.tables import tables_of
from metrics.snapshot.take import take
from tests.metrics.snapshot.firm import Firm

_STATE = sa.text("""
    INSERT INTO metrics.stated_value (kind, name, value, reason, recorded_at, recorded_by, batch)
    VALUES (:kind, :name, :value, 'the year before', :now, 'fay@example.com', 'b')
""")


def state(one: Firm, kind: str, name: str, value: str) -> None:
    with one.engine.begin() as conn:
        conn.execute(_STATE, {"kind": kind, "name": name, "value": Decimal(value), "now": one.clock.now()})


def test_savings_restated_by_a_baseline_name_it_and_who_stated_it(one: Firm) -> None:
    state(one, "assumption", "cost_of_setup_hour", "10")
    one.later(timedelta(hours=1))
    one.caught_up()
    first = one.made()
    one.later(timedelta(hours=5))
    state(one, "baseline", "setup_hours", "1000")
    state(one, "assumption", "cost_of_setup_hour", "12.5")
    as_of = one.caught_up()
    content = take(one.engine, one.estate, week=one.week, as_of=as_of, since=datetime.fromisoformat(
        first.manifest["as_of"]))  # fmt: skip
    told = content.restatement
    assert [(kpi.slug, kpi.by_contracts, kpi.by_stated) for kpi in told.kpis] == [("roi", False, True)]
    assert [(s.kind, s.name, s.before, s.after, s.by) for s in told.stated] == [
        ("assumption", "cost_of_setup_hour", Decimal(10), Decimal("12.5"), "fay@example.com"),
        ("baseline", "setup_hours", None, Decimal(1000), "fay@example.com"),
    ]
    assert {s.known_from for s in told.stated} == {as_of}
    shown = described(content, release="1")
    assert "1 assumption, 1 baseline stated since moved Saved against the baseline." in shown["subline"]
    assert "came to be known late" not in shown["subline"]
    assert shown["restated"][0]["why"] == "stated numbers"
    assert shown["stated"][0][:4] == ["assumption cost of setup hour", "10", "12.5", "fay@example.com"]
    assert board_pack(content, release="1").startswith(b"%PDF")
    [table] = [table for table in tables_of(content) if table.name == "stated"]
    assert [row[:4] for row in table.rows] == [
        ("assumption", "cost_of_setup_hour", Decimal(10), Decimal("12.5")), ("baseline", "setup_hours", None, 1000),
    ]  # fmt: skip


def test_a_rate_that_says_the_same_again_is_no_change(one: Firm) -> None:
    first = one.made()
    one.later(timedelta(hours=5))
    with one.engine.begin() as conn:
        conn.execute(sa.text("""
            INSERT INTO metrics.exchange_rate (currency, valid_on, rate, reporting, recorded_at, recorded_by, batch)
            SELECT currency, valid_on, CASE currency WHEN 'GBP' THEN rate * 2 ELSE rate END, reporting, :now, 'fay', 'b'
            FROM metrics.exchange_rate"""), {"now": one.clock.now()})  # fmt: skip
    as_of = one.caught_up()
    since = datetime.fromisoformat(first.manifest["as_of"])
    told = take(one.engine, one.estate, week=one.week, as_of=as_of, since=since).restatement
    assert {kpi.by_contracts for kpi in told.kpis} <= {False}
    assert {(s.kind, s.name, s.after / (s.before or 1)) for s in told.stated} <= {("exchange rate", "GBP", 2)}
    assert bool(told.stated) == bool(told.kpis)
