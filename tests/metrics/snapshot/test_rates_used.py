"""A snapshot carries every exchange rate that its numbers were converted at, and says what each was used for."""

import csv
import io
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pypdf
import sqlalchemy as sa

from metrics import weeks
from metrics.snapshot.package import BOARD_PACK, Package
from metrics.snapshot.rates_used import (
    FIRST_MADE,
    FLOWS,
    KNOWN_NOW,
    STATES,
    STATES_BEFORE,
    STATES_SO_FAR,
)
from metrics.snapshot.take import take
from sync_core.money import rounded
from tests.metrics.snapshot.firm import Firm

_IMPORT = sa.text("""
    INSERT INTO metrics.exchange_rate (currency, valid_on, rate, reporting, recorded_at, recorded_by, batch)
    VALUES ('GBP', :day, :rate, 'USD', :now, 'fay@example.com', 'b')
""")
_ESTATE = date(2020, 1, 1)  # the day of the rates in the estate file


def imported(one: Firm, rate: str, day: date) -> None:
    with one.engine.begin() as conn:
        conn.execute(_IMPORT, {"day": day, "rate": Decimal(rate), "now": one.clock.now()})


def after(one: Firm, week: date, by: timedelta) -> None:
    one.clock.advance_to(weeks.end_of(week, one.estate.group.timezone) + by)


def table(made: Package, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(made.files[f"{name}.csv"].decode("utf-8-sig"))))


def pounds(rates: list[dict[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """What each rate of the pound was used for."""
    found = [one for one in rates if one["currency"] == "GBP"]
    assert len({(one["rate"], one["valid_from"]) for one in found}) == len(found), "each rate once"
    return {(one["rate"], one["valid_from"]): one["used_for"] for one in found}


def last_page(made: Package) -> str:
    text: str = pypdf.PdfReader(io.BytesIO(made.files[BOARD_PACK])).pages[-1].extract_text()
    return " ".join(text.split())


def test_states_and_flows_have_each_their_rate_in_every_file(one: Firm) -> None:
    """The pound is stated anew after the week has ended: its states stay at the rate that was known then."""
    week = one.week + timedelta(days=7)
    after(one, week, timedelta(days=3))
    day = one.clock.now().date()
    imported(one, "1.31", day)
    made = one.made(week=week)
    rates = made.manifest["exchange_rates"]
    assert pounds(rates) == {("1.31", str(day)): [FLOWS], ("1.25", str(_ESTATE)): [STATES]}
    assert [line["rate"] for line in rates if line["currency"] == "GBP"] == ["1.31", "1.25"], "that of the flows first"
    euros = [line for line in rates if line["currency"] == "EUR"]
    assert euros == [{"currency": "EUR", "rate": "1.1", "valid_from": str(_ESTATE), "used_for": [FLOWS, STATES]}]
    assert made.manifest["kind"] == "tieline.snapshot.v4"
    assert [line["used_for"].split("; ") for line in table(made, "rates")] == [line["used_for"] for line in rates]
    text = last_page(made)
    assert f"GBP 1.31 {day} {FLOWS}" in text
    assert f"GBP 1.25 {_ESTATE} {STATES}" in text

    of_states = {line["currency"]: Decimal(line["rate"]) for line in rates if STATES in line["used_for"]}
    of_states["USD"] = Decimal(1)
    rows = [row for row in table(made, "rows-stuck-money") if row["exposure_reporting"]]
    assert sum(row["currency"] == "GBP" for row in rows) > 1
    for row in rows:
        worked_out = rounded(Decimal(row["exposure"]) * of_states[row["currency"]], "USD")
        assert worked_out == Decimal(row["exposure_reporting"]), row


def test_the_end_of_the_week_before_and_the_trend_name_their_rates(one: Firm) -> None:
    """A rate that is stated in each of five weeks, and once more after the last of them."""
    first = one.week + timedelta(days=7)
    five = [first + timedelta(days=7 * n) for n in range(5)]
    for n, week in enumerate(five):
        if n in (0, 2, 3, 4):  # what was stated in the first holds in the second as well
            imported(one, f"1.3{n}", one.clock.now().date())
        one.caught_up()
        after(one, week, timedelta(days=1))
    imported(one, "1.39", one.clock.now().date())
    made = one.made(week=five[-1])
    used = {rate: uses for (rate, _), uses in pounds(made.manifest["exchange_rates"]).items()}
    assert used == {
        "1.39": [FLOWS],
        "1.34": [STATES],
        "1.33": [STATES_BEFORE],
        "1.3": ["trend of states, as of the ends of 2026-W48 to 2026-W49"],
        "1.32": ["trend of states, as of the end of 2026-W50"],
    }
    text = last_page(made)
    assert "GBP 1.33" in text
    assert "trend of states, as of" not in text
    assert "2 more rates, of earlier weeks in the trend of states, in the workbook." in text


def test_one_rate_for_all_is_listed_once_with_all_that_it_was_used_for(one: Firm) -> None:
    week = one.week + timedelta(days=7)
    one.later(timedelta(hours=1))
    made = one.made(week=week)
    assert {str(line["used_for"]) for line in made.manifest["exchange_rates"]} == {str([FLOWS, STATES_SO_FAR])}
    assert len({line["currency"] for line in made.manifest["exchange_rates"]}) == 2
    assert len(made.manifest["exchange_rates"]) == 2


def test_a_restatement_names_the_rates_of_then_and_of_now(one: Firm) -> None:
    """The rate of a day before the first report is corrected after it, and the pound is stated anew since."""
    first = one.made()
    one.later(timedelta(days=2))
    imported(one, "2.5", _ESTATE)
    imported(one, "1.31", one.clock.now().date())
    as_of = one.caught_up()
    since = datetime.fromisoformat(first.manifest["as_of"])
    content = take(one.engine, one.estate, week=one.week, as_of=as_of, since=since)
    assert [kpi.by_stated for kpi in content.restatement.kpis], "something reads otherwise"
    found = {str(rate.rate.normalize()): rate.uses for rate in content.rates if rate.currency == "GBP"}
    assert found == {"1.31": (FLOWS,), "1.25": (FIRST_MADE,), "2.5": (KNOWN_NOW,)}
    again = take(one.engine, one.estate, week=one.week, as_of=as_of, since=since)
    assert again.rates == content.rates
