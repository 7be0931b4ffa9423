"""Tables that people hand in: read as they were meant, or refused with the line and what to write."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.commands.desk import InvalidInput
from sync_core.commands.files import Form, rows_of, unique

NEEDED = ("currency", "valid_on", "rate")


def read(text: str | bytes, form: Form = Form.CSV) -> list[tuple[str, date, Decimal]]:
    body = text if isinstance(text, bytes) else text.encode()
    rows = rows_of(body, form, needed=NEEDED, optional=("note",))
    return [(row.text("currency"), row.day("valid_on"), row.number("rate")) for row in rows]


def test_what_spreadsheets_write_is_understood() -> None:
    expected = [("EUR", date(2026, 11, 1), Decimal("1.0825")), ("GBP", date(2026, 11, 2), Decimal("1.25"))]
    plain = "currency,valid_on,rate\nEUR,2026-11-01,1.0825\nGBP,2026-11-02,1.25\n"
    assert read(plain) == expected
    assert read("\ufeff" + plain) == expected
    assert read(plain.replace(",", ";")) == expected
    assert read(plain.replace(",", "\t").replace("\n", "\r\n")) == expected
    assert read(plain.replace("EUR", '"EUR"').replace("\nGBP", "\n\n,,\nGBP")) == expected
    assert read("rate,Currency , VALID_ON\n1.0825,EUR,2026-11-01\n1.25,GBP,2026-11-02") == expected
    assert read(json.dumps([
        {"currency": "EUR", "valid_on": "2026-11-01", "rate": 1.0825},
        {"currency": "GBP", "valid_on": "2026-11-02", "rate": "1.25", "note": None},
    ]), Form.JSON) == expected  # fmt: skip


HEAD = "currency,valid_on,rate\nEUR,2026-11-01,1.08\n"
SEMICOLONS = "currency;valid_on;rate\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        (HEAD[:23], "has no rows"),
        (HEAD + "GBP,2026-11-02,1,25\n", "line 3: 4 values for 3 columns; a decimal comma"),
        (HEAD + 'GBP,2026-11-02,"1,25"\n', "line 3: rate: '1,25' has a comma; write 1234.56"),
        (SEMICOLONS + "GBP;2026-11-02;1,25\n", "line 2: rate: '1,25' has a comma"),
        (SEMICOLONS + "JPY;2026-11-02;1.250\n", "line 2: rate: '1.250' could be 1250 here"),
        (SEMICOLONS + "JPY;2026-11-02;1.250,5\n", "line 2: rate: '1.250,5' has a comma"),
        (HEAD + "GBP,02.11.2026,1.25\n", "line 3: valid_on: '02.11.2026' is no date; write it like 2026-11-23"),
        (HEAD + "GBP,11/02/2026,1.25\n", "line 3: valid_on"),
        (HEAD + "GBP,2026-02-30,1.25\n", "line 3: valid_on"),
        (HEAD + "GBP,20261102,1.25\n", "line 3: valid_on"),
        (HEAD + "GBP,0026-11-02,1.25\n", "line 3: valid_on: 0026-11-02 is not between"),
        (HEAD + "GBP,2026-11-02,1e3\n", "line 3: rate: '1e3' is no number"),
        (HEAD + "GBP,2026-11-02,NaN\n", "line 3: rate"),
        (HEAD + "GBP,2026-11-02,1 250\n", "line 3: rate"),
        (HEAD + "GBP,2026-11-02,'1.25\n", "line 3: rate"),
        (HEAD + "GBP,2026-11-02,\u0661\n", "line 3: rate"),
        (HEAD + "GBP,2026-11-02,\n", "line 3: rate is empty"),
        (HEAD + '"GBP,2026-11-02,1.25\n', "line 3: unexpected end of data"),
        (HEAD + 'GBP,2026-11-02,"1.25"x\n', "line 3"),
        ("currency;valid_on,rate\n", "line 1: its columns stand between different marks"),
        ("EUR,2026-11-01,1.08\n", "line 1: 'eur' is no column; they are currency, valid_on, rate, note"),
        ("currency\nEUR\n", "line 1: it names no columns"),
        ("currency,valid_on\nEUR,2026-11-01\n", "line 1: rate is missing"),
        ("currency,rate,valid_on,rate\n", "line 1: column 'rate' is there twice"),
        (HEAD.encode() + b"GBP,2026-11-02,\xff\n", "line 3 is not UTF-8"),
        (HEAD.encode("utf-16"), "the file is UTF-16"),
        (HEAD + "G\0P,2026-11-02,1.25\n", "line 3 holds U"),
        (HEAD + f"{'G' * 300},2026-11-02,1.25\n", "line 3: currency is longer"),
        ("currency,valid_on,rate\n" + "EUR,2026-11-01,1.08\n" * 50_001, "50,001 rows; at most"),
    ],
)
def test_what_could_be_misread_is_refused_with_its_line(text: str | bytes, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(text)
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "no JSON array"),
        ("[1]", "item 1 is no object"),
        ("[", "no JSON that can be read"),
        ('[{"currency": "EUR", "valid_on": "2026-11-01"}]', "item 1: rate is missing"),
        ('[{"currency": "EUR", "valid_on": "2026-11-01", "rate": true}]', "item 1: rate is no text and no number"),
        ('[{"currency": "EUR", "valid_on": "2026-11-01", "rate": {}}]', "item 1: rate is no text"),
        ('[{"currency": "EUR", "valid_on": "2026-11-01", "rate": NaN}]', "NaN is not JSON"),
        ('[{"currency": "EUR", "valid_on": "2026-11-01", "rate": 1.12345678901234567890}]', "send it as a string"),
        ('[{"currency": "EUR", "valid_on": "2026-11-01", "rate": "1,25"}]', "item 1: rate: '1,25' has a comma"),
        ('[{"currency": "EUR", "valid_on": "2026-11-01", "rate": 1, "rat": 2}]', "item 1: 'rat' is no column"),
        ('[{"currency": "E\\u0000", "valid_on": "2026-11-01", "rate": 1}]', "no JSON array"),
        ("[" * 100_000, "no JSON that can be read"),
    ],
)
def test_json_that_could_be_misread_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(text, Form.JSON)
    assert words in refused.value.message


def test_a_row_that_is_there_twice_names_both() -> None:
    rows = rows_of(b"currency,valid_on,rate\nEUR,2026-11-01,1\nGBP,2026-11-01,1\nEUR,2026-11-01,2\n", Form.CSV,
                   needed=NEEDED)  # fmt: skip
    with pytest.raises(InvalidInput, match="line 4: the currency is that of line 2 again"):
        unique(rows, [row.text("currency") for row in rows], "currency")


@given(st.decimals(0, 10**9, places=4, allow_nan=False), st.sampled_from([",", ";", "\t"]))
def test_a_number_is_never_another_number(number: Decimal, delimiter: str) -> None:
    line = delimiter.join(NEEDED) + "\n" + delimiter.join(("EUR", "2026-11-01", f"{number:f}"))
    assert read(line) == [("EUR", date(2026, 11, 1), number)]
    german: Callable[[str], str] = lambda text: text.replace(".", ",")  # noqa: E731
    with pytest.raises(InvalidInput):
        read(delimiter.join(NEEDED) + "\n" + delimiter.join(("EUR", "2026-11-01", german(f"{number:f}"))))


@given(st.binary(max_size=200), st.sampled_from(Form))
def test_any_bytes_are_read_or_refused(body: bytes, form: Form) -> None:
    try:
        rows = rows_of(body, form, needed=NEEDED)
    except InvalidInput:
        return
    assert all(row.values.keys() >= set(NEEDED) for row in rows)
