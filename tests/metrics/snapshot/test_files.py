"""The files of a snapshot, opened again: charts, typed cells, hostile texts, and the same data in every format."""

import csv
import io
import re
import warnings
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pypdf
import pytest

from metrics.snapshot.package import BOARD_PACK, KEY_FILE, MANIFEST, WORKBOOK, Package, SnapshotBroken, verify
from metrics.snapshot.table import Kind, Table
from sync_core.audit.checkpoint import PublicKey, Signer
from tests.metrics.snapshot.firm import HOSTILE, SIGNER


def opened(made: Package) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not know sparklines
        return openpyxl.load_workbook(io.BytesIO(made.files[WORKBOOK]))


def test_the_workbook_has_charts_typed_cells_and_no_formula(made: Package, tables: list[Table]) -> None:
    book = opened(made)
    assert sum(len(sheet._charts) for sheet in book) > 1
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n", "d"}
    assert any(cell.value == HOSTILE and cell.data_type == "s" and cell.hyperlink is None for cell in cells)
    with zipfile.ZipFile(io.BytesIO(made.files[WORKBOOK])) as parts:
        sheets = [parts.read(name).decode() for name in parts.namelist() if name.startswith("xl/worksheets/")]
        assert not any("<f>" in text or "<hyperlink" in text for text in sheets)
        assert any("x14:sparkline" in text for text in sheets)
        assert {info.date_time for info in parts.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert any(name.startswith("xl/charts/chart") for name in parts.namelist())
    [rows] = [table for table in tables if table.name == "rows_cycle_time"]
    [sheet] = [sheet for sheet in book if sheet.title.endswith("cycle-time")]
    assert sheet.freeze_panes == "B2"
    assert [cell.value for cell in sheet[1]] == [field.label for field in rows.fields]
    for line, row in enumerate(rows.rows, 2):
        for cell, value, field in zip(sheet[line], row, rows.fields, strict=True):
            if isinstance(value, datetime):
                assert cell.is_date
                assert abs(cell.value.replace(tzinfo=UTC) - value).total_seconds() < 1
            elif field.kind is Kind.NUMBER and value is not None:
                assert cell.value == pytest.approx(float(str(value)))
            else:
                assert cell.value == value


def test_csv_and_parquet_hold_the_same(made: Package, tables: list[Table]) -> None:
    assert {table.name for table in tables} == {one["name"] for one in made.manifest["tables"]}
    for table in tables:
        name = table.name.replace("_", "-")
        read = pq.read_table(io.BytesIO(made.files[f"{name}.parquet"])).to_pylist()
        lines = list(csv.reader(io.StringIO(made.files[f"{name}.csv"].decode("utf-8-sig"))))
        assert lines[0] == [field.key for field in table.fields]
        assert len(read) == len(lines) - 1 == len(table.rows)
        for record, line, row in zip(read, lines[1:], table.rows, strict=True):
            assert [plain(value) for value in record.values()] == [plain(value) for value in row]
            assert [text.removeprefix("'") for text in line] == [in_csv(value) for value in row]


def plain(value: object) -> object:
    if isinstance(value, Decimal):
        return value.normalize()
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def in_csv(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def test_no_spreadsheet_takes_a_text_of_the_csv_for_a_formula(made: Package) -> None:
    seen = 0
    for name, body in made.files.items():
        if not name.endswith(".csv"):
            continue
        for line in csv.reader(io.StringIO(body.decode("utf-8-sig"))):
            for cell in line:
                seen += cell == f"'{HOSTILE}"
                number = re.fullmatch(r"-[0-9.]+", cell)
                assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), (name, cell)
    assert seen


def test_the_board_pack_says_the_numbers_as_text(made: Package) -> None:
    read = pypdf.PdfReader(io.BytesIO(made.files[BOARD_PACK]))
    text = "\n".join(page.extract_text() for page in read.pages)
    assert "Week 47, 2026" in text
    assert "Contract-to-project cycle time" in text
    assert "This is the first report of the week" in text
    assert "Europe/London" in text
    assert read.metadata is not None
    assert read.metadata.title == "Meridian: week 2026-W47"
    assert read.metadata.creation_date == datetime.fromisoformat(made.manifest["as_of"]).replace(microsecond=0)
    fonts = {str(font["/BaseFont"]) for page in read.pages for font in fonts_of(page)}
    assert fonts
    assert all("+Inter" in font or "+Libertinus" in font for font in fonts)  # embedded subsets, none of the system


def fonts_of(page: Any) -> list[Any]:
    return [font.get_object() for font in page["/Resources"].get_object()["/Font"].get_object().values()]


def written(folder: Path, made: Package) -> Path:
    for name, body in made.files.items():
        (folder / name).write_bytes(body)
    return folder


def test_a_folder_is_verified_by_its_signature_and_every_file(made: Package, tmp_path: Path) -> None:
    folder = written(tmp_path, made)
    keys = {SIGNER.public.id: SIGNER.public}
    found = verify(folder, keys)
    assert (found.week, found.key_given, found.files) == ("2026-W47", True, len(made.files) - 1)
    assert not verify(folder, {}).key_given
    stranger = Signer.parse("HwEcAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").public
    with pytest.raises(SnapshotBroken, match="not one of those given"):
        verify(folder, {stranger.id: stranger})
    for name, change in (
        ("kpis.csv", b"x"), (BOARD_PACK, made.files[BOARD_PACK] + b" "), (KEY_FILE, stranger.pem.encode()),
        (MANIFEST, made.files[MANIFEST].replace(b'"2026-W47"', b'"2026-W46"')), (MANIFEST, b"{}"), (MANIFEST, b"\xff"),
    ):  # fmt: skip
        (folder / name).write_bytes(change)
        with pytest.raises(SnapshotBroken):
            verify(folder, keys)
        (folder / name).write_bytes(made.files[name])
    (folder / "more.csv").write_bytes(b"")
    with pytest.raises(SnapshotBroken, match=r"more\.csv"):
        verify(folder, keys)
    (folder / "more.csv").unlink()
    (folder / "trend.csv").unlink()
    with pytest.raises(SnapshotBroken, match=r"trend\.csv is missing"):
        verify(folder, keys)


def test_the_key_of_the_folder_is_the_makers(made: Package) -> None:
    assert PublicKey.parse(made.files[KEY_FILE].decode()).id == made.manifest["key_id"] == SIGNER.public.id


def test_each_number_of_the_workbook_has_the_format_of_its_unit(made: Package, tables: list[Table]) -> None:
    book = opened(made)
    formats = {"working hours": "working h", "USD": "USD", "share": "0.0%", "count": "#,##0", "days": '"d"'}
    for name, sheet in (("kpis", "Measures"), ("figures", "Beside the measures")):
        [table] = [table for table in tables if table.name == name]
        unit, value = (next(n for n, field in enumerate(table.fields) if field.key == key) for key in ("unit", "value"))
        seen = set()
        for line, row in enumerate(table.rows, 2):
            if row[value] is not None and row[unit] in formats:
                assert formats[str(row[unit])] in book[sheet].cell(line, value + 1).number_format, row
                seen.add(row[unit])
        assert "share" in seen
    [foreseen] = [table for table in tables if table.name == "rows_forecast_accuracy"]
    [sheet] = [sheet for sheet in book if sheet.title.endswith("forecast-accuracy")]
    places = {field.key: place for place, field in enumerate(foreseen.fields)}
    assert len({row[places["currency"]] for row in foreseen.rows}) > 1
    for line, row in enumerate(foreseen.rows, 2):
        assert str(row[places["currency"]]) in sheet.cell(line, places["forecast"] + 1).number_format


def test_the_board_pack_has_words_for_people_and_all_figures(made: Package, tables: list[Table]) -> None:
    read = pypdf.PdfReader(io.BytesIO(made.files[BOARD_PACK]))
    text = "\n".join(page.extract_text() for page in read.pages)
    assert "`" not in text
    assert not re.findall(r"\b[a-z]+_[a-z_]+\b", text)
    assert "measures with a target are on target" in text
    [figures] = [table for table in tables if table.name == "figures"]
    labels = {str(row[2]) for row in figures.rows if row[3] is not None and row[0] == "auto-provisioned"}
    assert len(labels) > 7
    flat = "".join(text.split())
    assert {label for label in labels if "".join(label.split()) not in flat} == set()
