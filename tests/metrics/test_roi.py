"""Savings against a baseline, by hand; and the one dispute and the one assumption that move them by a known amount."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By, InvalidAsk, Window
from metrics.kpi import Answer, Unit
from metrics.measures import Measures
from sync_core.authority import person
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.commands.files import Form
from tests import rows
from tests.metrics.billing import day, dispute, invoice, scheduled
from tests.metrics.support import caught_up
from tests.reads.handmade import add_contract, insert

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
FINANCE = person("fay@example.com", ["operator:finance_operations"])
WINDOW = Window(date(2026, 6, 1), date(2026, 8, 3))


class Firm:
    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self.clock, self.estate = engine, VirtualClock(NOW), rows.estate()
        self.measures = Measures(engine, clock=self.clock, estate=self.estate)
        self.finance = Commands(engine, clock=self.clock, estate=self.estate).finance

    def contract(self, signed: str, hours: float) -> int:
        at = day(signed)
        return add_contract(
            self.engine, signed=None, state="active", signed_at=at, billing="milestones",
            first_active_at=at + timedelta(hours=hours), received_at=at,
        )  # fmt: skip

    def state(self, kind: str, **numbers: str) -> None:
        said = [{"name": name, "value": value, "reason": "the year before"} for name, value in numbers.items()]
        store = self.finance.import_baseline if kind == "baseline" else self.finance.import_assumptions
        store(FINANCE, json.dumps(said).encode(), Form.JSON)

    def refresh(self) -> datetime:
        self.clock.advance(timedelta(minutes=1))
        return caught_up(self.engine, self.clock, self.estate).at

    def roi(self, as_of: datetime | None = None) -> Answer:
        return self.measures.kpi("roi", Ask(WINDOW, as_of=as_of)).answer


@pytest.fixture
def firm(database: sa.Engine) -> Firm:
    return Firm(database)


def test_without_a_baseline_there_is_no_number(firm: Firm) -> None:
    assert firm.roi().value is None
    firm.contract("2026-06-03", 2)
    firm.state("assumption", cost_of_setup_hour="10")
    firm.refresh()
    answer = firm.roi()
    assert (answer.value, answer.n) == (None, 0)
    assert answer.why_none.startswith("no baseline")
    assert answer.figure("setup_saved").value is None
    assert answer.figure("setup_cost_of_setup_hour").value == 10


def test_a_line_is_the_measured_difference_times_the_assumption_and_the_two_stand_apart(firm: Firm) -> None:
    for hours in (2, 4):  # of a Wednesday noon in New York's morning: 08:00 to 10:00 and to 12:00
        firm.contract("2026-06-03", hours)
    firm.state("baseline", setup_hours="16.5", dispute_rate="0.1")
    firm.state("assumption", cost_of_setup_hour="30")
    firm.refresh()
    answer = firm.roi()
    # The day begins at 9:00: one working hour and three.
    assert answer.figure("setup_measured").value == 2
    # (16.5 - 2) x 2, at 30 an hour.
    assert answer.figure("setup_saved").value == 29
    assert (answer.value, answer.n) == (870, 1)
    assert answer.figure("setup_cost_of_setup_hour").note.startswith("assumed as 30: ")
    assert "disputes: nothing measured in the window" in answer.excluded
    assert "touches: no baseline (touches_per_contract)" in answer.excluded
    assert "the year before" in answer.figure("setup_baseline").note


def test_a_worse_number_than_before_costs(firm: Firm) -> None:
    one = firm.contract("2026-06-03", 2)
    scheduled(firm.engine, "H-x", "signed", 1, "2026-05-20")
    invoice(firm.engine, one, "I-1", "100", "2026-06-16")  # nothing was foreseen: an error of all of it
    firm.state("baseline", forecast_error="0.25")
    firm.state("assumption", cost_of_forecast_point="7")
    firm.refresh()
    assert firm.roi().value == Decimal(-75 * 7)


def test_lines_are_parts_that_add_up(firm: Firm) -> None:
    one = firm.contract("2026-06-03", 2)
    invoice(firm.engine, one, "I-1", "100", "2026-06-16")
    firm.state("baseline", dispute_rate="0.5", forecast_error="1.5", touches_per_contract="4")
    firm.state("assumption", cost_of_dispute="40", cost_of_forecast_point="2", hours_of_touch="0.5", cost_of_hour="80")
    firm.refresh()
    found = firm.measures.kpi("roi", Ask(WINDOW), By.LABEL)
    parts = {line: part.value for line, part in found.parts.items() if part.value is not None}
    assert parts == {"disputes": Decimal(20), "forecast": Decimal(100), "touches": Decimal(160)}
    # Half an invoice that was not disputed, and 0.5 of the one month: neither is a share.
    saved = [found.answer.figure(f"{line}_saved") for line in ("disputes", "forecast", "touches")]
    assert [(one.value, one.unit) for one in saved] == [(Decimal("0.5"), Unit.RATIO)] * 2 + [(Decimal(4), Unit.RATIO)]
    assert (found.answer.value, found.answer.n) == (Decimal(280), 3)


def test_the_rows_behind_it_are_its_lines_page_by_page_and_add_up_to_it(firm: Firm) -> None:
    assert firm.measures.drill("roi", Ask(WINDOW)).rows == []  # nothing was measured yet
    one = firm.contract("2026-06-03", 2)
    invoice(firm.engine, one, "I-1", "100", "2026-06-16")
    firm.refresh()
    bare = firm.measures.drill("roi", Ask(WINDOW))
    assert (bare.count, bare.total) == (0, None)  # no baseline, so no number and no rows of it
    firm.state("baseline", dispute_rate="0.5", forecast_error="0.25", touches_per_contract="0.25")
    firm.state("assumption", cost_of_dispute="40", cost_of_forecast_point="2", hours_of_touch="0.5", cost_of_hour="160")
    firm.refresh()
    first = firm.measures.drill("roi", Ask(WINDOW), limit=2)
    rest = firm.measures.drill("roi", Ask(WINDOW), limit=2, after=first.after)
    # Both at 20, in the order of the definition; the forecast is worse than before, so it costs: (0.25 - 1) x 100 x 2.
    told = [(row["line"], row["worth"]) for row in (*first.rows, *rest.rows)]
    assert told == [("Manual touches", 20), ("Disputes", 20), ("Forecast error", -150)]
    assert rest.after is None
    assert {first.count, rest.count, firm.roi().n} == {3}
    assert {first.total, rest.total, firm.roi().value} == {Decimal(-110)}
    row = first.rows[1]
    assert [row[key] for key in ("baseline", "measured", "cases", "saved", "price", "worth")] == [
        Decimal("0.5"), 0, 1, Decimal("0.5"), 40, 20,
    ]  # fmt: skip
    for wrong in ("nan:1", "inf:1", "x:1", "1"):
        with pytest.raises(InvalidAsk, match="after"):
            firm.measures.drill("roi", Ask(WINDOW), after=wrong)


def test_one_known_dispute_and_one_assumption_move_the_numbers_by_what_the_hand_works_out(firm: Firm) -> None:
    one = firm.contract("2026-06-03", 2)
    for n in range(10):
        invoice(firm.engine, one, f"I-{n}", "1000", "2026-06-10")
    firm.state("baseline", dispute_rate="0.3")
    firm.state("assumption", cost_of_dispute="120")
    first = firm.refresh()
    # (0.3 - 0) x 10 invoices x 120
    assert (firm.roi().value, firm.roi().n) == (Decimal(360), 1)

    body = "dispute;invoice;raised_on;status;amount;currency;cause\nD-7;I-3;2026-07-01;raised;250.00;USD;rate\n"
    done = firm.finance.import_disputes(FINANCE, body.encode(), Form.CSV)
    assert (done.stored, done.repeated) == (1, False)
    second = firm.refresh()
    rate = firm.measures.kpi("dispute-rate", Ask(WINDOW)).answer
    assert (rate.value, rate.figure("value_rate").value, rate.n_open) == (0.1, 0.025, 1)
    assert rate.figure("cause_rate").value == 1
    assert firm.roi().value == Decimal(360) - Decimal(120)  # one dispute at 120

    firm.state("assumption", cost_of_dispute="150")
    firm.refresh()
    assert firm.roi().value == Decimal(2 * 150)
    # What was known then stays what it was.
    assert [firm.roi(first).value, firm.roi(second).value] == [Decimal(360), Decimal(240)]
    assert firm.measures.kpi("dispute-rate", Ask(WINDOW, as_of=first)).answer.value == 0.0


def test_invoices_that_may_still_be_disputed_earn_nothing(firm: Firm) -> None:
    one = firm.contract("2026-06-03", 2)
    window = Window(date(2026, 8, 31), date(2026, 11, 30))
    for n in range(10):  # of the mature ones two of ten are disputed; as before
        invoice(firm.engine, one, f"I-{n}", "100", "2026-09-16")
        invoice(firm.engine, one, f"Y-{n}", "100", "2026-11-04")
    for n in range(2):
        dispute(firm.engine, one, f"I-{n}", "100", "2026-10-10", cause="rate")
    firm.state("baseline", dispute_rate="0.2", sync_dispute_rate="0.1")
    firm.state("assumption", cost_of_dispute="50", cost_of_finding="1000")
    firm.refresh()
    answer = firm.measures.kpi("roi", Ask(window)).answer
    assert (answer.figure("disputes_cases").value, answer.figure("disputes_money").value) == (10, 0)
    # Nothing is on record that was wrong on the day of issue: 0.1 x 10 x 1000.
    assert answer.figure("mismatches_money").value == 1000
    assert answer.value == 1000


def test_every_correction_after_the_activation_is_a_finding(firm: Firm) -> None:
    touched, late, clean = (firm.contract("2026-06-03", 2) for _ in range(3))
    for contract, on in ((touched, "2026-06-02"), (touched, "2026-06-20"), (late, "2026-09-20")):
        with firm.engine.connect() as conn:
            name = str(conn.scalar(sa.text("SELECT external_id FROM core.contract WHERE contract_id = :id"),
                                   {"id": contract}))  # fmt: skip
        scheduled(firm.engine, name, "corrected", 2 + (on > "2026-06-10"), on, overrides=1)
    assert clean
    firm.state("baseline", findings_per_contract="1")
    firm.state("assumption", cost_of_finding="300")
    firm.refresh()
    answer = firm.roi()
    assert (answer.figure("findings_measured").value, answer.value) == (Decimal(2) / 3, 300)


def test_findings_are_those_on_record_and_amendments_are_timed(firm: Firm) -> None:
    one = firm.contract("2026-06-03", 2)
    firm.contract("2026-06-03", -24)  # at work before it was signed: a finding
    invoice(firm.engine, one, "I-1", "100", "2026-06-12")
    with firm.engine.connect() as conn:
        name = str(conn.scalar(sa.text("SELECT external_id FROM core.contract WHERE contract_id = :id"), {"id": one}))
    scheduled(firm.engine, name, "signed", 1, "2026-06-03")
    amendment = {"number": 1, "executed_at": "2026-06-10T12:00:00Z"}
    scheduled(firm.engine, name, "amended", 2, "2026-06-10", amendment=amendment)
    insert(
        firm.engine, "run", run_id="00000000-0000-0000-0000-000000000001", contract_id=one, rev=2, lane="cloud",
        outcome="converged", state="active", correlation_id="k", started_at=day("2026-06-16"),
        finished_at=day("2026-06-16"), recorded_at=day("2026-06-16"),
    )  # fmt: skip
    dispute(firm.engine, one, "I-1", "50", "2026-06-20")  # while the amendment was not in the ERP: a line of its own
    firm.state("baseline", findings_per_contract="2", amendment_hours="100", sync_dispute_rate="1")
    firm.state("assumption", cost_of_finding="1000", cost_of_amendment_hour="3")
    firm.refresh()
    answer = firm.roi()
    assert (answer.figure("findings_measured").value, answer.figure("findings_money").value) == (Decimal("0.5"), 3000)
    assert (answer.figure("mismatches_measured").value, answer.figure("mismatches_money").value) == (1, 0)
    # Wednesday 08:00 to Tuesday 08:00 in New York: four working days of 8.5 h. (100 - 34) at 3 an hour.
    assert answer.figure("amendments_measured").value == 34
    assert (answer.figure("amendments_saved").value, answer.figure("amendments_money").value) == (66, 198)
    assert answer.n == 3
