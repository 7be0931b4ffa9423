"""Signed, in the ERP, billed, paid, recognised: against plain sums over the raw rows."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, By, Filters
from metrics.kpi import Result
from sync_core.clock import VirtualClock
from tests import rows
from tests.databases import DatabaseUrls
from tests.metrics.money_rows import fact, reporting, signed, told
from tests.metrics.reconciled import EARNED, EXPLAINED, SUMS, WINDOW, ZERO, asked_of, measures_of


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


def test_totals_are_the_sums_of_their_rows_and_of_the_raw_tables(
    database_urls: DatabaseUrls, database: sa.Engine, clock: VirtualClock
) -> None:
    rows.seed(database_urls.owner, 2_000)
    _earn(database)
    measures = measures_of(database, clock)
    asked = measures.kpi("reconciliation", Ask(WINDOW), By.LABEL)
    _adds_up(asked)
    listed: list[Any] = []
    after: str | None = None
    while True:
        page = measures.drill("reconciliation", Ask(WINDOW), after=after, limit=500)
        listed += page.rows
        after = page.after
        if after is None:
            break
    assert len(listed) == page.count == asked.answer.n
    raw = _raw(database)
    for currency in ("USD", "GBP", "EUR", "BRL"):
        for name in SUMS:
            figures = {figure.key: figure.value for figure in asked.parts[currency].figures}
            shown = figures.get(f"{name}:{currency}") or ZERO
            assert shown == sum((row[name] for row in listed if row["currency"] == currency), ZERO)
            assert shown == raw[name][currency]
        for name, amount in _earned(database)[currency].items():
            assert (figures.get(f"{name}:{currency}") or ZERO) == amount
    assert sum((row["recognised"] for row in listed if row["recognised"] is not None), ZERO) > 0
    _rows_are_what_is_shown(asked, listed)
    within = Ask(WINDOW, filters=Filters(legal_entity=frozenset({"DE01"})))
    narrowed = measures.kpi("reconciliation", within)
    assert narrowed.answer.n == sum(row["legal_entity"] == "DE01" for row in listed)
    assert measures.drill("reconciliation", within).total == narrowed.answer.value


def _earn(engine: sa.Engine) -> None:
    """One ERP reports revenue, the other one none: a posting for two of three contracts, some reversed in part."""
    reporting(engine, "cloud")
    reporting(engine, "legacy", "invoice")
    with engine.begin() as conn:
        conn.execute(
            sa.text("""
            INSERT INTO core.financial_fact (system, kind, ref, project_key, contract_id, amount, currency, status,
                                             occurred_on, recorded_at)
            SELECT lane, 'revenue', 'R' || contract_id || '-' || part, 'crm/' || external_id, contract_id,
                round(value * share, 2), currency, 'posted', CAST(CAST(:now AS timestamptz) AS date), :now
            FROM core.contract CROSS JOIN (VALUES (1, 0.61, 3), (2, -0.07, 5)) AS p(part, share, every)
            WHERE first_active_at IS NOT NULL AND lane = 'cloud' AND contract_id % every > 0"""),
            {"now": rows.NOW},
        )


def _rows_are_what_is_shown(asked: Result, listed: list[Any]) -> None:
    """The rows of the drill-down add up to the figures, and those without a number are those that are told apart."""
    for currency, part in asked.parts.items():
        figures = {figure.key: figure.value for figure in part.figures}
        own = [row for row in listed if row["currency"] == currency]
        known = [row for row in own if row["recognised"] is not None]
        assert (figures.get(f"recognised:{currency}") or ZERO) == sum((row["recognised"] for row in known), ZERO)
        net = [row["deferred"] for row in known]
        assert (figures.get(f"deferred:{currency}") or ZERO) == sum((one for one in net if one > 0), ZERO)
        assert (figures.get(f"accrued:{currency}") or ZERO) == -sum((one for one in net if one < 0), ZERO)
        assert (figures.get("without_revenue") or 0) in (0, len(own) - len(known))


def _earned(engine: sa.Engine) -> dict[str, dict[str, Decimal]]:
    """By currency, contract by contract from the raw rows: recognised, and how far the bills are ahead or behind."""
    with engine.connect() as conn:
        contracts = conn.execute(sa.text("""
            SELECT contract_id, currency, lane, first_active_at FROM core.contract
            WHERE signed_at IS NOT NULL AND NOT test""")).all()  # fmt: skip
        found = conn.execute(sa.text("SELECT * FROM core.financial_fact ORDER BY seq")).all()
        sources = conn.execute(sa.text("SELECT system FROM core.financial_source WHERE 'revenue' = ANY(reports)"))
        reports = set(sources.scalars())
    newest = {(f.system, f.kind, f.ref): f for f in found}
    of: dict[int, list[Any]] = defaultdict(list)
    for one in newest.values():
        of[one.contract_id].append(one)
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(EARNED, ZERO))
    for contract in contracts:
        own = [one for one in of[contract.contract_id] if one.currency == contract.currency]
        billing = {one.system for one in of[contract.contract_id] if one.kind == "invoice"}  # in any currency
        if contract.first_active_at is not None:
            billing.add(contract.lane)
        if billing - reports:
            continue
        recognised = sum((one.amount for one in own if one.kind == "revenue"), ZERO)
        bills = (one.amount for one in own if one.kind == "invoice" and one.status != "cancelled")
        rest = sum(bills, ZERO) - recognised
        held = sums[contract.currency]
        held["recognised"] += recognised
        held["deferred" if rest > 0 else "accrued"] += abs(rest)
    return sums


def _adds_up(asked: Result) -> None:
    """In each currency: signed is billed, less credited, and remaining, and what is explained, and what is not."""
    for currency, part in asked.parts.items():
        figures = {figure.key: figure.value for figure in part.figures}
        own = {name: Decimal(str(figures.get(f"{name}:{currency}") or 0)) for name in (*SUMS, "gap")}
        rate = {"USD": Decimal(1), "GBP": Decimal("1.25"), "EUR": Decimal("1.10")}.get(currency)
        if rate is None:
            continue
        explained = sum((Decimal(str(figures[name] or 0)) for name in EXPLAINED), ZERO)
        left = own["billed"] - own["credited"] + own["remaining"] + own["gap"]
        assert own["signed"] * rate == left * rate + explained


def _raw(engine: sa.Engine) -> dict[str, dict[str, Decimal]]:
    """Row by row from the core's tables, without the facts."""
    with engine.connect() as conn:
        contracts = conn.execute(sa.text("""
            SELECT contract_id, currency, value, state, first_active_at FROM core.contract
            WHERE signed_at IS NOT NULL AND NOT test""")).all()  # fmt: skip
        found = conn.execute(sa.text("SELECT * FROM core.financial_fact ORDER BY seq")).all()
        project = sa.text("""SELECT contract_id, CAST(fields ->> 'value' AS numeric) AS value FROM core.crosswalk
                             WHERE kind = 'project'""")
        held = {row.contract_id: row.value for row in conn.execute(project)}
    newest = {(f.system, f.kind, f.ref): f for f in found}
    sums: dict[str, dict[str, Decimal]] = {name: defaultdict(Decimal) for name in SUMS}
    by_contract: dict[int, list[Any]] = defaultdict(list)
    for one in newest.values():
        by_contract[one.contract_id].append(one)
    for contract in contracts:
        own = by_contract[contract.contract_id]
        invoices = [one.amount for one in own if one.kind == "invoice" and one.status != "cancelled"]
        billed, credited = sum((a for a in invoices if a > 0), ZERO), -sum((a for a in invoices if a < 0), ZERO)
        runs = contract.first_active_at is not None and contract.state != "ended"
        left = max(held.get(contract.contract_id, ZERO) - (billed - credited), ZERO) if runs else ZERO
        paid = sum((one.amount for one in own if one.kind == "payment"), ZERO)
        for name, amount in zip(SUMS, (contract.value, billed, credited, paid, left), strict=True):
            sums[name][contract.currency] += amount
    return sums


AMOUNTS = st.integers(-60, 90).filter(bool)


RATES = {"USD": Decimal(1), "GBP": Decimal("1.25"), "EUR": Decimal("1.10")}


def _unexplained(engine: sa.Engine) -> Decimal | None:
    """Contract by contract from the raw rows: what was signed and is neither billed nor left, and did not end unbilled.

    None where all of it is in currencies without a rate.
    """
    with engine.connect() as conn:
        contracts = conn.execute(
            sa.text("""
            SELECT c.contract_id, c.currency, c.value, c.state, CAST(x.fields ->> 'value' AS numeric) AS held
            FROM core.contract AS c JOIN core.crosswalk AS x ON x.contract_id = c.contract_id AND x.kind = 'project'""")
        ).all()
        invoices = "SELECT contract_id, amount FROM core.financial_fact WHERE kind = 'invoice'"
        facts = conn.execute(sa.text(invoices)).all()
    found: dict[str, Decimal] = {}
    for one in contracts:
        billed = sum((fact.amount for fact in facts if fact.contract_id == one.contract_id), ZERO)
        ended = one.state == "ended"
        remaining = ZERO if ended else max(one.held - billed, ZERO)
        gap = one.value - billed - remaining
        if ended:  # what was not billed by then is explained, as far as it was signed
            gap -= min(max(gap, ZERO), one.value)
        if gap:
            found[one.currency] = found.get(one.currency, ZERO) + abs(gap)
    known = [amount * RATES[currency] for currency, amount in found.items() if currency in RATES]
    return sum(known, ZERO) if known or not found else None


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.integers(10, 200), held=st.integers(10, 200), invoices=st.lists(AMOUNTS, max_size=4),
    state=st.sampled_from(["active", "waiting", "ended"]), currency=st.sampled_from(["USD", "GBP", "EUR", "BRL"]),
    postings=st.lists(AMOUNTS, max_size=3), lane=st.sampled_from(["cloud", "legacy"]),
)  # fmt: skip
def test_every_currency_adds_up_whatever_was_billed(
    database: sa.Engine, clock: VirtualClock, value: int, held: int, invoices: list[int], state: str, currency: str,
    postings: list[int], lane: str,
) -> None:  # fmt: skip
    reporting(database, "cloud")
    clock.advance(timedelta(seconds=1))
    name = f"P-{clock.now().timestamp()}"
    contract = told(database, name, [signed(value=str(held), currency=currency)], confirmed=1, state=state,
                    value=Decimal(value), lane=lane)  # fmt: skip
    for number, amount in enumerate(invoices):
        fact(database, contract, "invoice", f"{name}/{number}", amount, currency=currency, system=lane)
    for number, amount in enumerate(postings):
        fact(database, contract, "revenue", f"{name}/{number}", amount, currency=currency, system=lane)
    asked = asked_of(database, clock, By.LABEL)
    _adds_up(asked)
    assert asked.answer.value == _unexplained(database)
    raw, earned = _raw(database), _earned(database)
    for label, part in asked.parts.items():
        figures = {figure.key: figure.value for figure in part.figures}
        for what in SUMS:
            assert (figures.get(f"{what}:{label}") or ZERO) == raw[what][label]
        for what in EARNED:
            assert (figures.get(f"{what}:{label}") or ZERO) == earned[label][what]
