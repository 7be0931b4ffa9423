"""CSV files: no cell is a formula, no cell is lost, numbers are exact."""

import csv
import io
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.reads.export import LONGEST, safe_csv
from tests.hostile import BLOCKS, FORMULAS, HTML, HUGE

BEGINS_A_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def cells(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_begins_like_a_formula_gets_an_apostrophe(text: str) -> None:
    head, row = cells(safe_csv(pd.DataFrame({text: [text]})))
    assert (head, row) == ([f"'{text}"], [f"'{text}"])


@pytest.mark.parametrize("text", [HTML, BLOCKS, 'a "quoted", text; with\r\nlines', "Müller & Söhne 株式会社", " =1"])
def test_any_other_text_comes_back_as_it_was(text: str) -> None:
    assert cells(safe_csv(pd.DataFrame({"a": [text], "b": ["x"]})))[1] == [text, "x"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30), min_size=1))
def test_no_cell_is_a_formula_and_each_keeps_its_place(texts: list[str]) -> None:
    found = cells(safe_csv(pd.DataFrame({"first": texts, "second": texts[::-1]})))[1:]
    assert [row[0].removeprefix("'") for row in found] == [text.removeprefix("'") for text in texts]
    assert [row[1].removeprefix("'") for row in found] == [text.removeprefix("'") for text in texts[::-1]]
    assert not any(cell.startswith(BEGINS_A_FORMULA) for row in found for cell in row)


def test_numbers_and_times_are_exact_and_negative_ones_stay_numbers() -> None:
    frame = pd.DataFrame(
        {
            "amount": [Decimal("-12345678901234567890.10"), None, Decimal("1E+3"), Decimal("NaN")],
            "count": [7, -7, 0, 1],
            "share": [0.5, float("nan"), -1.25, 2.0],
            "at": [datetime(2026, 11, 25, 9, tzinfo=timezone(timedelta(hours=2))), None, pd.NaT, None],
            "on": [date(2026, 11, 25), None, None, None],
        }
    )
    body = safe_csv(frame).decode("utf-8-sig").split("\r\n")
    assert body[1] == "-12345678901234567890.10,7,0.5,2026-11-25T07:00:00+00:00,2026-11-25"
    assert body[2] == ",-7,,,"
    assert body[3].startswith("1000,0,-1.25,,")
    assert body[4].startswith(",1,2.0,,")


def test_a_file_begins_with_its_mark_and_an_empty_one_has_its_head() -> None:
    assert safe_csv(pd.DataFrame(columns=["a", "b"])) == b'\xef\xbb\xbf"a","b"\r\n'


def test_a_cell_is_no_longer_than_a_spreadsheet_takes_and_holds_no_nul() -> None:
    row = cells(safe_csv(pd.DataFrame({"a": [HUGE], "b": ["x\x00y"], "c": [datetime(2026, 1, 1, tzinfo=UTC)]})))[1]
    assert row == [HUGE[:LONGEST], "x\ufffdy", "2026-01-01T00:00:00+00:00"]
