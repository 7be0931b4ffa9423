"""The fixed-width layout of sandbox-legacy: what is written is read again, what has no place is refused."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.connectors.erp.sandbox_legacy.codes import Codes
from sync_core.connectors.erp.sandbox_legacy.layout import (
    CODE_PAGE,
    LAYOUTS,
    LENGTH,
    BadFile,
    Field,
    file_of,
    grouped,
    line_of,
    record_of,
    records_in,
)
from sync_core.errors import InvalidEstate

_PRINTABLE = "".join(c for c in bytes(range(256)).decode(CODE_PAGE, "ignore") if ord(c) >= 32 and ord(c) != 127)


def _value(field: Field) -> st.SearchStrategy[str]:
    if field.number:
        most = 10 ** (field.width - 1) - 1
        return st.one_of(st.just(""), st.integers(-most, most).map(str))
    return st.text(_PRINTABLE, max_size=field.width).map(lambda text: text.rstrip(" "))


records = st.sampled_from(sorted(LAYOUTS)).flatmap(
    lambda kind: st.fixed_dictionaries(
        {f.name: st.just(kind) if f.name == "type" else _value(f) for f in LAYOUTS[kind]}
    )
)


@given(st.lists(records.filter(lambda record: record["type"] not in ("00", "99")), max_size=5))
def test_a_file_is_read_as_it_was_written(rows: list[dict[str, str]]) -> None:
    content = file_of("T1", "BATCH", "20260303220000", (line_of(row) for row in rows))
    assert records_in(content.decode(CODE_PAGE)) == rows


def test_a_record_is_laid_out_as_the_manual_says() -> None:
    line = line_of({
        "type": "32", "action": "P", "key": "clm/C-1#M:design", "order": "clm/C-1", "name": "Entwürfe",
        "amount": "1000050", "currency": "03", "bill_on": "20260529", "category": "E10",
    })  # fmt: skip
    assert len(line) == LENGTH
    assert line[:13] == "32P          "
    assert line[13:93].rstrip() == "clm/C-1#M:design"
    assert line[93:173].rstrip() == "clm/C-1"
    assert line[183:213].rstrip() == "Entwürfe"
    assert line[213:228] == "000000001000050"
    assert line[228:231] == "03 "
    assert line[231:239] == "20260529"
    assert line[239:245] == "E10   "


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"type": "52", "terms": "NET30"}, "terms holds 4 characters"),
        ({"type": "20", "name": "日本"}, "is not in code page 1252"),
        ({"type": "20", "name": "a\r\nb"}, "control character"),
        ({"type": "31", "amount": "10.5"}, "whole number"),
    ],
)
def test_what_a_field_cannot_hold_is_refused_and_never_cut_off(values: dict[str, str], words: str) -> None:
    with pytest.raises(BadFile, match=words):
        line_of(values)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("99           00000001", "99           00000002"),
        lambda text: text.replace("\r\n", "\n"),
        lambda text: "",
    ],
)
def test_a_file_that_is_not_whole_is_refused(spoil: Callable[[str], str]) -> None:
    content = file_of("T1", "BATCH", "20260303220000", [line_of({"type": "52", "terms": "Z30"})]).decode(CODE_PAGE)
    with pytest.raises(BadFile):
        records_in(spoil(content))


def test_a_record_before_the_first_group_is_refused() -> None:
    with pytest.raises(BadFile, match="before the first group"):
        list(grouped([record_of(line_of({"type": "52", "terms": "Z30"}))]))


def test_one_of_their_codes_may_not_mean_two_of_ours() -> None:
    options = {"tax.AT-STD": "V20", "tax.DE-STD": "V20", "zone": "UTC"}
    with pytest.raises(InvalidEstate, match=r"tax\.AT-STD and tax\.DE-STD have the same code 'V20'"):
        Codes.of("old", options)
    with pytest.raises(InvalidEstate, match="must be 1 to 3 characters"):
        Codes.of("old", {"currency.EUR": "EURO"})


def test_accounts_may_be_called_alike_and_an_unknown_code_stays_visible() -> None:
    codes = Codes.of("old", {"account.4000": "8000"})
    assert (codes.code("account", "4000"), codes.code("account", "4100")) == ("8000", "4100")
    assert (codes.name("account", "8000"), codes.name("tax", "V99")) == ("4000", "V99")
    with pytest.raises(KeyError, match=r"add terms\.NET30 to its options"):
        codes.code("terms", "NET30")
