"""What was saved, line by line, against plain arithmetic over what was told: any lives of contracts and invoices."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, Window
from sync_core.estate.calendar import working_time
from tests import rows
from tests.metrics.billing import day, dispute, invoice
from tests.metrics.flow_rows import made, said
from tests.metrics.test_roi import Firm

SIGNED = day("2026-06-03")
WINDOW = Window(date(2026, 6, 1), date(2026, 11, 30))
TODAY = date(2026, 11, 23)
HOUR = timedelta(hours=1)
BASELINE = {
    "setup_hours": "10", "touches_per_contract": "1.5", "dispute_rate": "0.2", "findings_per_contract": "1",
    "forecast_error": "0.5", "sync_dispute_rate": "0.1",
}  # fmt: skip
ASSUMED = {
    "cost_of_setup_hour": "3", "hours_of_touch": "0.5", "cost_of_hour": "80", "cost_of_dispute": "120",
    "cost_of_finding": "1000", "cost_of_forecast_point": "7",
}  # fmt: skip
_LIVES = st.tuples(
    st.integers(-2, 60), st.booleans(), st.lists(st.integers(-30, 90), max_size=2),
    st.lists(st.tuples(st.integers(0, 170), st.one_of(st.none(), st.integers(0, 80))), max_size=3),
)  # fmt: skip
_Life = tuple[timedelta | None, list[timedelta], list[tuple[date, int | None]]]


@pytest.fixture
def firm(database: sa.Engine) -> Firm:
    made_up = Firm(database)
    made_up.state("baseline", **BASELINE)
    made_up.state("assumption", **ASSUMED)
    return made_up


@pytest.fixture
def told() -> list[_Life]:
    """Of all examples: active after, corrected after, and invoices with the days after which each was disputed."""
    return []


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(_LIVES, min_size=1, max_size=6))
def test_any_lives_are_worth_what_plain_arithmetic_makes_of_them(
    firm: Firm, told: list[_Life], drawn: list[tuple[int, bool, list[int], list[tuple[int, int | None]]]]
) -> None:
    for hours, is_open, corrections, invoices in drawn:
        active = None if is_open else hours * HOUR
        contract = made(firm.engine, SIGNED, None if active is None else SIGNED + active, currency="USD")
        said(firm.engine, contract, "approved", SIGNED, revision=1, approval="approved")  # news, so it is measured
        for place, after in enumerate(corrections):
            said(firm.engine, contract, "corrected", SIGNED + after * HOUR, revision=2 + place, overrides=1, changes={})
        issued = [(date(2026, 6, 1) + timedelta(days=on), after) for on, after in invoices]
        for place, (on, disputed) in enumerate(issued):
            ref = f"{contract.external_id}-{place}"
            invoice(firm.engine, contract.contract_id, ref, "100", str(on))
            if disputed is not None:
                at = str(on + timedelta(days=disputed))
                dispute(firm.engine, contract.contract_id, ref, "100", at, cause="quality")
        told.append((active, [after * HOUR for after in corrections], issued))
    firm.refresh()
    answer = firm.measures.kpi("roi", Ask(WINDOW)).answer
    expected = _lines(told)
    found = {line: answer.figure(f"{line}_money").value for line in expected}
    assert found == {line: pytest.approx(worth) if worth is not None else None for line, worth in expected.items()}
    counted = [worth for worth in expected.values() if worth is not None]
    assert answer.n == len(counted)
    assert answer.value == (pytest.approx(sum(counted)) if counted else None)


def _lines(told: list[_Life]) -> dict[str, Decimal | None]:
    provisioned = [life for life in told if life[0] is not None and life[0] >= timedelta(0)]
    early = [life for life in told if life[0] is not None and life[0] < timedelta(0)]
    worked = sum((_hours(life[0]) for life in provisioned), Decimal(0))
    touched = sum(any(after <= active for after in fixed) for active, fixed, _ in provisioned if active is not None)
    fixed_later = sum(
        any(after > active for after in fixed) for active, fixed, _ in told if active is not None
    )  # fmt: skip
    invoices = [one for _, _, listed in told for one in listed]
    ripe = [one for one in invoices if _monday(one[0]) + timedelta(days=66) <= TODAY]
    disputed = sum(after is not None and after <= 60 for _, after in ripe)
    months = {on.replace(day=1) for on, _ in invoices if on < date(2026, 11, 1)}
    return {
        "setup": _worth("setup_hours", worked, len(provisioned), "cost_of_setup_hour"),
        "touches": _worth("touches_per_contract", Decimal(touched), len(provisioned), "hours_of_touch", "cost_of_hour"),
        "findings": _worth("findings_per_contract", Decimal(len(early) + fixed_later), len(provisioned) + len(early),
                           "cost_of_finding"),
        "disputes": _worth("dispute_rate", Decimal(disputed), len(ripe), "cost_of_dispute"),
        "mismatches": _worth("sync_dispute_rate", Decimal(0), len(ripe), "cost_of_finding"),
        # Nothing was foreseen for any month: an error of all that was billed, in each.
        "forecast": _worth("forecast_error", Decimal(len(months)), len(months), "cost_of_forecast_point", units=100),
    }  # fmt: skip


def _worth(baseline: str, total: Decimal, cases: int, *prices: str, units: int = 1) -> Decimal | None:
    if not cases:
        return None
    worth = (Decimal(BASELINE[baseline]) * cases - total) * units
    for name in prices:
        worth *= Decimal(ASSUMED[name])
    return worth


def _hours(active: timedelta | None) -> Decimal:
    known = rows.estate().entities["GB01"]
    end: datetime = SIGNED + (active or timedelta(0))
    return Decimal(int(working_time(SIGNED, end, known.working_time, known.timezone).total_seconds())) / 3600


def _monday(on: date) -> date:
    return on - timedelta(days=on.weekday())
