"""Tables as CSV files that no spreadsheet takes for a program.

A cell of text that begins like a formula gets an apostrophe in front of it, and every text is quoted, so that a
separator or a quotation mark in it begins no cell of its own. Numbers stay numbers, a negative one too.
Source: https://owasp.org/www-community/attacks/CSV_Injection (read 2026-11-25).
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

# What Excel and LibreOffice take for the beginning of a formula, the full-width forms for some languages of theirs.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
LONGEST: Final = 32_767  # characters of one cell; Excel drops the file's rest at more


def safe_csv(frame: "pd.DataFrame") -> bytes:
    """The frame's columns, without its index: UTF-8 with a byte order mark, CRLF, a head row.

    Decimals are exact, times in ISO 8601 and UTC, what is missing is empty. Text beyond LONGEST characters is cut.
    """
    known = (frame[name] for name in frame.columns)
    columns = [one.astype(object).where(one.notna(), None).tolist() for one in known]
    lines = [",".join(_text(str(name)) for name in frame.columns)]
    lines += [",".join(map(_cell, row)) for row in zip(*columns, strict=True)]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8-sig", errors="replace")


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float | Decimal) and not isfinite(value)):
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="seconds")
    return value.isoformat() if isinstance(value, date) else _text(str(value))


def _text(text: str) -> str:
    kept = text.replace("\x00", "\ufffd")[:LONGEST].replace('"', '""')
    return f'"\'{kept}"' if kept.startswith(_FORMULA) else f'"{kept}"'
