"""Numbers are written in one form per kind, and the units change where a reader expects it."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from metrics.kpi import Unit
from pages.kit import format as fmt
from pages.kit import measure_words as words
from pages.kit.words import entity
from sync_core.money import Money


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("0", "$0"),
        ("950", "$950"),
        ("999.49", "$999"),
        ("999.50", "$1.0K"),
        ("1240", "$1.2K"),
        ("9949", "$9.9K"),
        ("9950", "$10K"),
        ("410000", "$410K"),
        ("999499", "$999K"),
        ("999500", "$1.0M"),
        ("13600000", "$13.6M"),
        ("999949999", "$999.9M"),
        ("999995000", "$1.00B"),
        ("1240000000", "$1.24B"),
        ("-2800000", "−$2.8M"),
        ("-0.4", "$0"),
    ],
)
def test_money_has_about_three_digits(amount: str, written: str) -> None:
    assert fmt.money(usd(amount)) == written


@pytest.mark.parametrize(
    ("currency", "written"), [("EUR", "€1.2M"), ("GBP", "£1.2M"), ("INR", "₹1.2M"), ("SGD", "SGD\u00a01.2M")]
)
def test_money_always_names_its_currency(currency: str, written: str) -> None:
    assert fmt.money(Money(Decimal(1200000), currency)) == written


@pytest.mark.parametrize(
    ("change", "beside", "written"),
    [
        ("400000", "13600000", "+$0.4M"),
        ("-1200", "410000", "−$1K"),
        ("10000", "13600000", "$0.0M"),
        ("0", "0", "$0"),
    ],
)
def test_a_change_of_money_has_the_unit_of_its_figure(change: str, beside: str, written: str) -> None:
    assert fmt.money_delta(usd(change), beside=usd(beside)) == written


def test_exact_money_keeps_the_minor_units_of_its_currency() -> None:
    assert fmt.money_exact(usd("-13600000.5")) == "−$13,600,000.50"
    assert fmt.money_exact(Money(Decimal(5000), "JPY")) == "¥5,000"
    assert fmt.money_exact(Money(Decimal("-3.5"), "KWD")) == "−KWD\u00a03.500"


def test_a_money_column_has_no_decimals() -> None:
    assert fmt.money_column("USD") == "$%,.0f"
    assert fmt.money_column("SGD") == "SGD\u00a0%,.0f"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (timedelta(0), "0 min"),
        (timedelta(seconds=40), "1 min"),
        (timedelta(minutes=42), "42 min"),
        (timedelta(minutes=59, seconds=40), "1.0 h"),
        (timedelta(hours=6.4), "6.4 h"),
        (timedelta(hours=47.9), "47.9 h"),
        (timedelta(hours=47.96), "2.0 d"),
        (timedelta(days=2.1), "2.1 d"),
        (timedelta(hours=-1.7), "−1.7 h"),
        (timedelta(seconds=-10), "0 min"),
    ],
)
def test_durations_go_from_minutes_to_hours_to_days(value: timedelta, written: str) -> None:
    assert fmt.duration(value) == written


def test_what_took_seconds_did_not_take_nothing() -> None:
    assert fmt.duration(timedelta(seconds=7)) == "under 1 min"
    assert fmt.duration(timedelta(seconds=30)) == "1 min"
    assert fmt.duration(timedelta(0)) == "0 min"


def test_a_change_of_duration_has_the_unit_of_its_figure() -> None:
    assert fmt.duration_delta(timedelta(hours=-0.7), beside=timedelta(hours=6.4)) == "−0.7 h"
    assert fmt.duration_delta(timedelta(hours=12), beside=timedelta(days=5)) == "+0.5 d"
    assert fmt.duration_delta(timedelta(minutes=1), beside=timedelta(hours=6.4)) == "0.0 h"


def test_shares_are_percentages_and_their_changes_are_points() -> None:
    assert fmt.percent(0.878) == "87.8%"
    assert fmt.percent(Decimal("-0.0004")) == "0.0%"
    assert fmt.percent(Decimal("-0.12")) == "−12.0%"
    assert fmt.points(0.031) == "+3.1 pp"
    assert fmt.points(Decimal("-0.0125")) == "−1.3 pp"
    assert fmt.points(0) == "0.0 pp"


def test_counts_have_separators_and_a_true_minus() -> None:
    assert fmt.count(12000) == "12,000"
    assert fmt.count_delta(-180) == "−180"
    assert fmt.count_delta(12) == "+12"
    assert fmt.count_delta(0) == "0"
    assert fmt.plural(1, "contract") == "1 contract"
    assert fmt.plural(1200, "entity", "entities") == "1,200 entities"


def test_too_few_cases_show_their_number_and_no_percentile() -> None:
    assert fmt.percentile(timedelta(hours=6.4), cases=20) == "6.4 h"
    assert fmt.percentile(timedelta(hours=6.4), cases=19) == "n = 19"
    assert fmt.percentile(None, cases=0) == "n = 0"


def test_times_are_shown_in_utc_with_the_zone() -> None:
    assert fmt.moment(datetime(2026, 11, 3, 6, 5, tzinfo=UTC)) == "3 Nov 2026 06:05 UTC"
    india = timezone(timedelta(hours=5, minutes=30))
    assert fmt.moment(datetime(2026, 11, 3, 2, 0, tzinfo=india)) == "2 Nov 2026 20:30 UTC"
    assert fmt.day(datetime(2026, 11, 3, 2, 0, tzinfo=india)) == "2 Nov 2026"
    with pytest.raises(ValueError, match="aware"):
        fmt.moment(datetime(2026, 11, 3))  # noqa: DTZ001 - the naive time is the case


def test_text_of_others_is_no_markdown() -> None:
    assert fmt.plain("> 7 d") == r"\> 7 d"
    assert fmt.plain("[x](http://y) $3") == r"\[x\]\(http" + "\u2060" + r"\://y\) \$3"
    assert fmt.plain("Customer 1") == "Customer 1"


def test_a_code_span_holds_no_escapes() -> None:
    assert fmt.code("announce-renewals") == "`announce-renewals`"
    assert fmt.code("a`b") == "`a'b`"


def test_commands_in_words_become_code_spans() -> None:
    assert fmt.coded("none: use `tieline baseline import FILE`") == r"none\: use `tieline baseline import FILE`"
    assert fmt.coded("one ` alone") == r"one \` alone"


def test_why_cases_are_not_counted_agrees_with_their_number() -> None:
    assert words.excluded(1, "test contract") == "1 test contract"
    assert words.excluded(5, "test contract") == "5 test contracts"
    assert words.excluded(2, "on its way, no money differs") == "2 on their way, no money differs"
    assert words.value(0.0, Unit.DAYS, "") == "0 d"


def test_a_legal_entity_is_named_with_its_code() -> None:
    assert entity("MA-UK", "Meridian Advisory Ltd") == "MA-UK · Meridian Advisory Ltd"
    assert entity("MA-X", "MA-X (not in the estate)") == "MA-X (not in the estate)"
    assert entity("DE", "DE2 Beteiligungen") == "DE · DE2 Beteiligungen"
    assert entity("US", "USA Holding Inc") == "US · USA Holding Inc"
    assert entity("MA", "MA-UK Ltd") == "MA · MA-UK Ltd"
    assert entity("U.S", "UXS Ltd") == "U.S · UXS Ltd"
    assert entity("DE01", "DE01") == "DE01"
