"""Rates as they were known: taken over from the estate, replaced by imports, never seen before they were recorded."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, Window
from metrics.proportion import wilson
from metrics.rates import Rate, Rates, rates_of
from metrics.source import Source
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.commands.files import Form
from sync_core.estate.estate import Estate, ExchangeRate
from sync_core.reads.snapshot import snapshot
from tests import rows
from tests.commands.people import FINANCE
from tests.metrics.support import caught_up

WINDOW = Window.weeks(rows.NOW, "Europe/London", 13)


class Books:
    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self.clock, self.estate = engine, VirtualClock(rows.NOW), rows.estate()

    def refresh(self, estate: Estate | None = None) -> datetime:
        self.estate = estate or self.estate
        self.clock.advance(timedelta(minutes=1))
        return caught_up(self.engine, self.clock, self.estate).at

    def rates(self, as_of: datetime | None = None) -> Rates:
        with snapshot(self.engine) as conn:
            return rates_of(Source(conn, Ask(WINDOW, as_of=as_of), estate=self.estate))

    def say(self, line: str) -> None:
        finance = Commands(self.engine, clock=self.clock, estate=self.estate).finance
        finance.import_rates(FINANCE, f"currency,valid_on,rate\n{line}\n".encode(), Form.CSV)

    def stored(self) -> int:
        with self.engine.connect() as conn:
            return int(conn.execute(sa.text("SELECT count(*) FROM metrics.exchange_rate")).scalar_one())


@pytest.fixture
def books(database: sa.Engine) -> Books:
    return Books(database)


def test_nothing_is_known_before_the_first_refresh(books: Books) -> None:
    books.say("CHF,2026-01-01,1.1")
    assert books.rates().known == {}


def test_the_estates_rates_are_taken_over_once_and_again_when_they_change(books: Books) -> None:
    books.refresh()
    books.refresh()
    assert books.stored() == 2
    assert books.rates().known["GBP"] == Rate(Decimal("1.25"), date(2020, 1, 1))
    raised = (ExchangeRate("GBP", Decimal("1.30"), date(2020, 1, 1)), *books.estate.exchange_rate[1:])
    before = books.refresh()
    books.refresh(replace(books.estate, exchange_rate=raised))
    assert books.stored() == 3
    assert books.rates().convert(Decimal(100), "GBP") == Decimal(130)
    assert books.rates(before).convert(Decimal(100), "GBP") == Decimal(125)


def test_an_import_replaces_from_then_on_and_the_estate_does_not_undo_it(books: Books) -> None:
    first = books.refresh()
    books.say("GBP,2020-01-01,1.5")
    assert books.rates().convert(Decimal(2), "GBP") == Decimal("2.50")  # known from the next refresh on
    books.refresh()
    books.refresh()
    assert books.rates().convert(Decimal(2), "GBP") == Decimal(3)
    assert books.rates(first).convert(Decimal(2), "GBP") == Decimal("2.50")
    assert books.stored() == 3


def test_the_newest_day_that_has_come_counts_in_the_groups_zone(books: Books) -> None:
    books.say("GBP,2026-11-24,9")  # tomorrow
    books.say("GBP,2026-11-23,1.4")
    books.refresh()
    assert books.rates().date_of("GBP") == date(2026, 11, 23)
    books.clock.advance(timedelta(hours=18))  # midnight in London, where it is winter
    books.refresh()
    assert books.rates().date_of("GBP") == date(2026, 11, 24)


def test_rates_to_another_reporting_currency_are_not_used(books: Books) -> None:
    books.refresh()
    euro = replace(books.estate.group, reporting_currency="EUR")
    books.refresh(replace(books.estate, group=euro, exchange_rate=()))
    assert books.rates().known == {}


def test_a_sum_lists_what_has_no_rate_and_rounds_once() -> None:
    rates = Rates("USD", {"JPY": Rate(Decimal("0.0065"), date(2026, 11, 1))})
    total = rates.total({"USD": Decimal("0.005"), "JPY": Decimal(1), "BRL": Decimal("7.77")})
    assert total.amount == Decimal("0.0115")
    assert total.unconverted == {"BRL": Decimal("7.77")}
    assert total.rate_dates == {"JPY": date(2026, 11, 1)}
    assert [rates.shown(Decimal(text)) for text in ("0.0115", "0.025", "0.035")] == [
        Decimal("0.01"), Decimal("0.02"), Decimal("0.04"),
    ]  # fmt: skip
    assert rates.total({"BRL": Decimal(1)}).amount is None
    assert rates.total({}).amount is None
    assert rates.date_of("USD") is None


def test_wilsons_limits() -> None:
    assert wilson(0, 0) is None
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Newcombe 1998: 0.490 to 0.943
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(20, 20) == pytest.approx((0.8389, 1.0), abs=1e-4)
