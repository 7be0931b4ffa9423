"""The forecast error itself, against a slow fold of the raw events and the raw invoices: any plans, any invoices."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, Filters, Window
from metrics.kpi import Answer
from tests.metrics.billing import invoice, scheduled
from tests.metrics.by_hand import begins, converted
from tests.metrics.plans import Plans

FIRST = date(2026, 5, 1)
TODAY = date(2026, 11, 23)
CURRENCIES = ("USD", "GBP", "EUR", "BRL")
_lines = count(1)


@pytest.fixture
def plans(database: sa.Engine) -> Plans:
    return Plans(database)


_KEYS = st.sampled_from(["a", "b", "c"])
_MILESTONE = st.tuples(_KEYS, st.integers(1, 99), st.integers(0, 200))  # key, amount, day after the first of May
_EVENT = st.tuples(
    st.sampled_from(["signed", "amended", "corrected", "terminated"]), st.integers(0, 180),
    st.lists(_MILESTONE, max_size=3, unique_by=lambda m: m[0]), st.lists(_KEYS, max_size=1),
)  # fmt: skip
# Day after the first of May, amount, currency or the contract's, last status, of another invoice.
_INVOICE = st.tuples(
    st.integers(0, 200), st.integers(-20, 120).filter(bool), st.one_of(st.none(), st.sampled_from(CURRENCIES)),
    st.sampled_from(["issued", "issued", "paid", "cancelled", "draft"]), st.booleans(),
)  # fmt: skip
_CONTRACT = st.tuples(
    st.sampled_from(CURRENCIES), st.sampled_from(["milestones", "milestones", "milestones", "time_and_materials"]),
    st.integers(0, 5).map(lambda n: n == 0), st.lists(_MILESTONE, max_size=3, unique_by=lambda m: m[0]),
    st.lists(_EVENT, max_size=3), st.lists(_INVOICE, max_size=5),
)  # fmt: skip
_Event = tuple[str, int, list[tuple[str, int, int]], list[str]]
_Invoice = tuple[int, int, str | None, str, bool]
_Contract = tuple[str, str, bool, list[tuple[str, int, int]], list[_Event], list[_Invoice]]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(_CONTRACT, min_size=1, max_size=4), start=st.integers(-1, 8), weeks=st.integers(5, 35))
def test_any_plans_and_invoices_give_what_a_slow_fold_of_the_raw_rows_gives(
    plans: Plans, drawn: list[_Contract], start: int, weeks: int
) -> None:
    """Examples stay in the database: each has a service line of its own, and all together are one answer more."""
    line = f"line {next(_lines)}"
    _add(
        plans, f"{line}-x", line, ("USD", "milestones", False, [], [], [])
    )  # a line of tests alone cannot be asked for
    for number, one in enumerate(drawn):
        _add(plans, f"{line}-{number}", line, one)
    plans.refresh()
    first = date(2026, 4, 27) + timedelta(weeks=start)
    window = Window(first, first + timedelta(weeks=weeks))
    for only in (line, None):
        chosen = Filters() if only is None else Filters(service_line=frozenset({only}))
        answer = plans.measures.kpi("forecast-accuracy", Ask(window, filters=chosen)).answer
        _agrees(answer, _recounted(plans.engine, only, window))


def _add(plans: Plans, name: str, line: str, drawn: _Contract) -> None:
    currency, billing, test, milestones, events, invoices = drawn
    contract_id = plans.contract(name, service_line=line, currency=currency, billing=billing, test=test)
    for number, (what, after, listed, removed) in enumerate([("signed", 0, milestones, []), *events], 1):
        more: dict[str, object] = {"overrides": 1} if what == "corrected" else {}
        if what == "amended":
            more["amendment"] = {"number": number, "executed_at": "2026-05-01T00:00:00Z"}
        parts = [(key, str(amount), str(FIRST + timedelta(days=due))) for key, amount, due in listed]
        scheduled(plans.engine, name, what, number, str(FIRST + timedelta(days=after - 11)),
                  () if what == "terminated" else parts,
                  removed=removed if what in ("amended", "corrected") else (), **more)  # fmt: skip
    for number, (after, amount, other, status, rebill) in enumerate(invoices):
        more = {"invoice_ref": f"{name}/0"} if rebill and number else {}
        for said in dict.fromkeys(["issued", status] if status != "draft" else ["draft"]):
            invoice(plans.engine, contract_id, f"{name}/{number}", str(amount), str(FIRST + timedelta(days=after)),
                    status=said, currency=other or currency, **more)  # fmt: skip


@dataclass
class Expected:
    planned: dict[date, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # by month and currency
    billed: dict[date, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    milestones: int = 0
    invoices: int = 0
    by_time: int = 0
    of_tests: int = 0


def _recounted(engine: sa.Engine, line: str | None, window: Window) -> Expected:
    """Contract by contract: the milestones in force on the first day of each month, and what was issued in it."""
    found = Expected()
    every = _read(engine, "SELECT * FROM core.event")
    booked = _read(engine, "SELECT * FROM core.financial_fact WHERE kind = 'invoice' ORDER BY seq")
    for contract in _read(engine, "SELECT * FROM core.contract"):
        if line not in (None, contract["service_line"]):
            continue
        events = [event for event in every if event["external_id"] == contract["external_id"]]
        for month in _whole_months(window):
            if contract["billing"] != "milestones":
                break
            for part in _in_force(events, month):
                if part["due_on"][:7] != str(month)[:7]:
                    continue
                if contract["test"]:
                    found.of_tests += 1
                    continue
                found.milestones += 1
                found.planned[month][contract["currency"]] += Decimal(part["amount"])  # type: ignore[assignment]
        if contract["test"]:
            continue
        for bill in _issued([row for row in booked if row["contract_id"] == contract["contract_id"]]):
            month = bill["occurred_on"].replace(day=1)
            if month not in _whole_months(window):
                continue
            if contract["billing"] != "milestones":
                found.by_time += 1
                continue
            found.invoices += 1
            found.billed[month][bill["currency"]] += bill["amount"]
    return found


def _read(engine: sa.Engine, sql: str) -> list[dict[str, Any]]:
    with engine.connect() as conn:
        return [dict(row._mapping) for row in conn.execute(sa.text(sql))]


def _whole_months(window: Window) -> list[date]:
    """Day by day: those of which each day is in the window and over."""
    found = []
    for month in (date(2026, n, 1) for n in range(1, 13)):
        days = [month + timedelta(days=n) for n in range(31) if (month + timedelta(days=n)).month == month.month]
        if all(window.start <= day < window.end and day < TODAY for day in days):
            found.append(month)
    return found


def _in_force(events: Sequence[dict[str, Any]], month: date) -> list[dict[str, str]]:
    """A correction stands behind what it overrides; what is signed while an agreement stands changes nothing."""
    known = [e for e in events if e["recorded_at"] < begins(month)]
    parts: dict[str, dict[str, str]] | None = None
    ended = False
    for event in sorted(known, key=_place):
        data, what = event["data"], event["type"].split(".")[3]
        if what == "terminated":
            ended = True
        elif what == "signed":
            if parts is None or ended:
                parts, ended = {one["key"]: one for one in data["terms"]["milestones"]}, False
        elif parts is not None:
            parts |= {one["key"]: one for one in data["changes"]["milestones"]}
            for key in data["changes"].get("remove_milestones", []):
                parts.pop(key, None)
    return [] if parts is None or ended else list(parts.values())


def _place(event: dict[str, Any]) -> tuple[int, bool, int]:
    data = event["data"]
    return data.get("overrides", data["revision"]), "overrides" in data, data["revision"]


def _issued(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each invoice the last word; without drafts, cancelled ones, credit notes and re-bills."""
    last = {row["ref"]: row for row in rows}
    return [row for row in last.values()
            if row["status"] in ("issued", "paid") and row["amount"] > 0 and row["invoice_ref"] is None]  # fmt: skip


def _agrees(answer: Answer, expected: Expected) -> None:
    months = sorted(expected.planned.keys() | expected.billed.keys())
    planned = {month: converted(expected.planned.get(month, {})) or Decimal(0) for month in months}  # type: ignore[arg-type]
    billed = {month: converted(expected.billed.get(month, {})) for month in months}  # type: ignore[arg-type]
    scored = [month for month in months if billed[month] is not None]
    errors = [(planned[month] - (billed[month] or 0), billed[month] or Decimal(0)) for month in months]
    shares = [abs(planned[month] - amount) / amount for month in scored if (amount := billed[month])]
    whole = sum((amount for _, amount in errors), Decimal(0))
    assert answer.n == len(scored)
    assert answer.value == (pytest.approx(float(sum(shares) / len(shares))) if shares else None)
    bias, weighted = sum(error for error, _ in errors), sum(abs(error) for error, _ in errors)
    assert answer.figure("bias").value == (pytest.approx(float(bias / whole)) if whole else None)
    assert answer.figure("weighted").value == (pytest.approx(float(weighted / whole)) if whole else None)
    assert answer.excluded == {
        "invoice billed by time and materials": expected.by_time,
        "month in which nothing was billed": sum(month not in expected.billed for month in months),
        "month in which nothing billed has an exchange rate": sum(
            month in expected.billed and billed[month] is None for month in months
        ),
        "milestone of a test contract": expected.of_tests,
    }
    for key, bare, by_month in (
        ("forecast", "forecast_unconverted", expected.planned), ("billed", "unconverted", expected.billed),
    ):  # fmt: skip
        amounts: Counter[str] = sum(by_month.values(), Counter())
        nothing = Decimal(0) if months and not amounts else None
        assert answer.figure(key).value == (converted(amounts) if amounts else nothing)  # type: ignore[arg-type]
        listed = {f.key: f.value for f in answer.figures if f.key.startswith(f"{bare}_")}
        assert listed == ({f"{bare}_BRL": amounts["BRL"]} if amounts["BRL"] else {})
    assert (answer.figure("milestones").value, answer.figure("invoices").value) == (
        expected.milestones, expected.invoices,
    )  # fmt: skip
