"""What was saved, line by line, against plain arithmetic over what was told: any lives of contracts and invoices."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, Window
from tests.metrics.billing import day, dispute, invoice
from tests.metrics.by_hand import begins, worked_s
from tests.metrics.flow_rows import Made, amended, made, ran, said
from tests.metrics.test_roi import Firm

SIGNED = day("2026-06-03")
WINDOW = Window(date(2026, 6, 1), date(2026, 11, 30))
TODAY = date(2026, 11, 23)
HOUR = timedelta(hours=1)
BASELINE = {
    "setup_hours": "10", "touches_per_contract": "1.5", "dispute_rate": "0.2", "findings_per_contract": "1",
    "forecast_error": "0.5", "sync_dispute_rate": "0.1", "amendment_hours": "20",
}  # fmt: skip
ASSUMED = {
    "cost_of_setup_hour": "3", "hours_of_touch": "0.5", "cost_of_hour": "80", "cost_of_dispute": "120",
    "cost_of_finding": "1000", "cost_of_forecast_point": "7", "cost_of_amendment_hour": "2",
}  # fmt: skip
# Active after, still open, corrected after; invoices with the day after the first of June, and of a dispute the days
# after it and its cause; amendments with the day of their execution after the signature, and days until the ERP had it.
_LIVES = st.tuples(
    st.integers(-2, 60), st.booleans(), st.lists(st.integers(-30, 90), max_size=2),
    st.lists(st.tuples(st.integers(0, 170), st.one_of(st.none(), st.integers(0, 80)),
                       st.sampled_from([None, None, "rate", "quality"])), max_size=3),
    st.lists(st.tuples(st.integers(0, 100), st.one_of(st.none(), st.integers(0, 40))), max_size=2),
)  # fmt: skip
_Drawn = tuple[int, bool, list[int], list[tuple[int, int | None, str | None]], list[tuple[int, int | None]]]


@dataclass(frozen=True)
class Life:
    active: timedelta | None
    corrected: list[timedelta]
    invoices: list[tuple[date, int | None, str | None]]  # issued, disputed after so many days, the cause as reported
    amendments: list[tuple[datetime, datetime | None]]  # executed, read back


@pytest.fixture
def firm(database: sa.Engine) -> Firm:
    made_up = Firm(database)
    made_up.state("baseline", **BASELINE)
    made_up.state("assumption", **ASSUMED)
    return made_up


@pytest.fixture
def told() -> list[Life]:
    """Of all examples."""
    return []


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(_LIVES, min_size=1, max_size=6))
def test_any_lives_are_worth_what_plain_arithmetic_makes_of_them(
    firm: Firm, told: list[Life], drawn: list[_Drawn]
) -> None:
    for hours, is_open, corrections, invoices, amendments in drawn:
        active = None if is_open else hours * HOUR
        contract = made(firm.engine, SIGNED, None if active is None else SIGNED + active, currency="USD")
        said(firm.engine, contract, "approved", SIGNED, revision=1, approval="approved")  # news, so it is measured
        for place, after in enumerate(corrections):
            said(firm.engine, contract, "corrected", SIGNED + after * HOUR, revision=2 + place, overrides=1, changes={})
        issued = [(date(2026, 6, 1) + timedelta(days=on), after, cause) for on, after, cause in invoices]
        for place, (on, disputed, cause) in enumerate(issued):
            ref = f"{contract.external_id}-{place}"
            invoice(firm.engine, contract.contract_id, ref, "100", str(on))
            if disputed is not None:
                at = str(on + timedelta(days=disputed))
                dispute(firm.engine, contract.contract_id, ref, "100", at, cause=cause)
        told.append(Life(active, [after * HOUR for after in corrections], issued, _amended(firm, contract, amendments)))
    firm.refresh()
    answer = firm.measures.kpi("roi", Ask(WINDOW)).answer
    expected = _lines(told)
    found = {line: answer.figure(f"{line}_money").value for line in expected}
    assert found == {line: pytest.approx(worth) if worth is not None else None for line, worth in expected.items()}
    counted = [worth for worth in expected.values() if worth is not None]
    assert answer.n == len(counted)
    assert answer.value == (pytest.approx(sum(counted)) if counted else None)


def _amended(firm: Firm, contract: Made, drawn: list[tuple[int, int | None]]) -> list[tuple[datetime, datetime | None]]:
    """In the order of their execution; a run reads back all that came before it began."""
    runs = [SIGNED + timedelta(days=after + lasted) for after, lasted in drawn if lasted is not None]
    for at in runs:
        ran(firm.engine, contract, at, at, rev=99, state="active")
    found = []
    for number, (after, _) in enumerate(sorted(drawn, key=lambda one: one[0]), 1):
        executed = SIGNED + timedelta(days=after)
        amended(firm.engine, contract, number, executed, revision=10 + number)
        found.append((executed, min((at for at in runs if at >= executed), default=None)))
    return found


def _differed(life: Life, on: date) -> bool:
    """Through the whole day of issue the ERP had not what was executed before it."""
    ends = begins(on + timedelta(days=1))
    return any(executed < begins(on) and (done is None or done >= ends) for executed, done in life.amendments)


def _lines(told: list[Life]) -> dict[str, Decimal | None]:
    activated = [(life, life.active) for life in told if life.active is not None]
    provisioned = [(life, active) for life, active in activated if active >= timedelta(0)]
    early = len(activated) - len(provisioned)
    worked = sum((_hours(SIGNED, SIGNED + active) for _, active in provisioned), Decimal(0))
    touched = sum(any(after <= active for after in life.corrected) for life, active in provisioned)
    fixed_later = sum(any(after > active for after in life.corrected) for life, active in activated)
    invoices = [(life, *one) for life in told for one in life.invoices]
    ripe = [one for one in invoices if _monday(one[1]) + timedelta(days=66) <= TODAY]
    disputed = [one for one in ripe if one[2] is not None and one[2] <= 60]
    mismatches = sum(cause != "quality" and _differed(life, on) for life, on, _, cause in disputed)
    synced = [(executed, done) for life in told for executed, done in life.amendments if done is not None]
    lag = sum((_hours(executed, done) for executed, done in synced), Decimal(0))
    months = {on.replace(day=1) for _, on, _, _ in invoices if on < date(2026, 11, 1)}
    return {
        "setup": _worth("setup_hours", worked, len(provisioned), "cost_of_setup_hour"),
        "touches": _worth("touches_per_contract", Decimal(touched), len(provisioned), "hours_of_touch", "cost_of_hour"),
        "findings": _worth("findings_per_contract", Decimal(early + fixed_later), len(activated), "cost_of_finding"),
        "disputes": _worth("dispute_rate", Decimal(len(disputed)), len(ripe), "cost_of_dispute"),
        "mismatches": _worth("sync_dispute_rate", Decimal(mismatches), len(ripe), "cost_of_finding"),
        "amendments": _worth("amendment_hours", lag, len(synced), "cost_of_amendment_hour"),
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


def _hours(start: datetime, end: datetime) -> Decimal:
    return Decimal(worked_s(start, end, "GB01")) / 3600


def _monday(on: date) -> date:
    return on - timedelta(days=on.weekday())
