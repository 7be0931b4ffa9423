"""Numbers as people read them, and where the points of a chart stand."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from metrics.kpi import Answer, Better, Unit, Value
from metrics.snapshot import chart, wording
from metrics.snapshot.content import Restatement
from metrics.snapshot.flat import parquet_of
from metrics.snapshot.pdf_restated import late
from metrics.snapshot.table import Field, Kind, Table
from pages.kit.format import money_exact
from pages.parts.snapshot.words import moved_contracts
from sync_core.money import EXACT, Money, rounded
from sync_core.reads.snapshots import SnapshotSeal


@pytest.mark.parametrize(("value", "unit", "currency", "shown"), [
    (Decimal("13600000"), Unit.MONEY, "USD", "$13.6M"), (Decimal("-410499"), Unit.MONEY, "EUR", "\u2212€410K"),
    (Decimal("1244000000"), Unit.MONEY, "CHF", "CHF\u00a01.24B"), (Decimal("0.4"), Unit.MONEY, "USD", "$0"),
    (Decimal("-0.4"), Unit.MONEY, "USD", "$0"), (0.8333, Unit.SHARE, "USD", "83.3%"),
    (6.43, Unit.HOURS, "USD", "6.4 h"),
    (0.25, Unit.WORKING_HOURS, "USD", "15 working min"), (0.0, Unit.WORKING_HOURS, "USD", "0 working min"),
    (2.1, Unit.DAYS, "USD", "2.1 d"), (0.04, Unit.SECONDS, "USD", "0.04 s"), (1234, Unit.COUNT, "USD", "1,234"),
    (None, Unit.COUNT, "USD", "no value"),
])  # fmt: skip
def test_a_value_is_shown_with_its_unit(value: Value, unit: Unit, currency: str, shown: str) -> None:
    assert wording.shown(value, unit, currency) == shown


def test_money_has_the_decimals_of_its_currency_and_is_rounded_half_even() -> None:
    for currency, text in (("USD", "2.34"), ("JPY", "2"), ("KWD", "2.345")):
        assert str(wording.amount_of(Decimal("2.345"), currency)) == text
    assert str(wording.amount_of(5, "USD")) == "5.00"


@pytest.mark.parametrize(("why", "said", "to_a_board"), [
    ("not reached: at least 31.0 days", "not reached: at least 31.0 days", "not reached: at least 31.0 days"),
    ("no baseline: import one with `tieline baseline import FILE`",
     "no baseline: import one with `tieline baseline import FILE`", "no baseline"),
    ("", "no cases", "no cases"),
])  # fmt: skip
def test_why_there_is_no_number_is_said_in_the_same_words_in_every_file(why: str, said: str, to_a_board: str) -> None:
    answer = Answer(None, 58 if why.startswith("not") else 0, why_none=why)
    assert (wording.why_none(answer), wording.why_none_for_a_board(answer)) == (said, to_a_board)
    assert wording.why_none(Answer(1.0, 58)) == ""


def test_the_age_of_facts_is_told_once_they_are_older_than_two_refresh_periods() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    assert wording.aged(at - timedelta(minutes=2), at) is None
    assert wording.aged(at - timedelta(minutes=3), at) == at - timedelta(minutes=3)
    assert wording.aged(None, at) is wording.aged(at, None) is None


def test_what_a_computation_leaves_behind_is_no_part_of_a_number() -> None:
    assert wording.decimal_of(0.1 + 0.2) == Decimal("0.3")
    assert str(wording.decimal_of(1e-9)) == "0"
    assert str(wording.decimal_of(-1e-9)) == "0"


@pytest.mark.parametrize("huge", [Decimal(10) ** 17 + Decimal("0.25"), -(Decimal(10) ** 40), Decimal("1e60"), 1e30])
def test_however_large_a_number_is_it_is_shown_and_written(huge: Decimal | float) -> None:
    exact = huge if isinstance(huge, Decimal) else Decimal(repr(huge))
    assert wording.decimal_of(huge) == exact
    assert wording.finest(exact) == exact
    assert wording.amount_of(huge, "KWD") == exact
    assert rounded(exact, "JPY") == exact.to_integral_value(context=EXACT)
    for unit in Unit:
        assert wording.shown(huge, unit, "USD")
    assert money_exact(Money(exact, "USD"))
    small = Decimal(3)
    numbers = (Field("a", "A", Kind.NUMBER), Field("b", "B", Kind.NUMBER))
    read = pq.read_table(io.BytesIO(parquet_of(Table("t", "T", numbers, ((exact, small), (None, small)), 2))))
    assert read.column("b").to_pylist() == [small, small]
    assert read.column("a").to_pylist()[0] == exact


def test_a_change_has_its_sign_and_says_whether_it_is_good() -> None:
    assert wording.change(0.8, 0.9, Unit.SHARE, "USD") == "\u221210.0 pp"
    assert wording.change(3, 3, Unit.COUNT, "USD") == "unchanged"
    assert wording.change(None, 3, Unit.COUNT, "USD") == ""
    assert [wording.got(1, 2, better) for better in Better] == ["better", "worse", ""]
    assert wording.got(2, 2, Better.LOWER) == ""


@pytest.mark.parametrize(("values", "ticks"), [
    ([0.0], (0, 0.25, 0.5, 0.75, 1.0)), ([8.5, 4.0], (0, 2.5, 5, 7.5, 10)), ([-3.0, 5.0], (-4, -2, 0, 2, 4, 6)),
    ([17.6e6], (0, 5e6, 10e6, 15e6, 20e6)),
])  # fmt: skip
def test_an_axis_begins_at_zero_and_has_round_steps(values: list[float], ticks: tuple[float, ...]) -> None:
    scale = chart.axis(values)
    assert scale.ticks == ticks
    assert all(0 <= scale.at(value) <= 1 for value in values)


def test_an_axis_of_counts_has_no_halves() -> None:
    assert chart.axis([2.0], whole=True).ticks == (0, 1, 2)


def test_a_line_has_a_gap_where_there_is_no_value() -> None:
    found = chart.runs([Decimal(1), None, Decimal(2), Decimal(4)], chart.axis([1, 2, 4]))
    assert [[point[0] for point in run] for run in found] == [[0.0], [0.6667, 1.0]]
    assert found[1][1][1] == 1.0


@pytest.mark.parametrize(("complete", "said"), [
    (True, "2,350 contracts"), (False, "at least 2,350 contracts (the list is cut)"),
])  # fmt: skip
def test_a_list_of_late_knowledge_that_is_cut_says_so(*, complete: bool, said: str) -> None:
    assert late(Restatement(None, contracts=2_350, complete=complete)) == said
    seal = SnapshotSeal("key", "seal", "UTC", "USD", 1, 1, 1, 2_350, complete)
    assert ("cut" in moved_contracts(seal), "at least" in moved_contracts(seal)) == (not complete, not complete)
