"""Tables as CSV and as Parquet files."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from metrics.snapshot.table import Cell, Kind, Table
from sync_core.money import EXACT
from sync_core.reads.export import safe_csv

_TYPES: Final = {
    Kind.TEXT: pa.string(), Kind.INTEGER: pa.int64(), Kind.NUMBER: pa.decimal128(38, 12), Kind.DAY: pa.date32(),
    Kind.MOMENT: pa.timestamp("us", tz="UTC"),
}  # fmt: skip


_FINEST: Final = Decimal("0.000000000001")
_LARGE: Final = Decimal(10) ** 26  # what no longer fits beside twelve decimals into 38 digits


def csv_of(table: Table) -> bytes:
    """UTF-8 with a byte order mark; a text that begins like a formula has an apostrophe before it."""
    columns = {
        field.key: pd.Series([row[place] for row in table.rows], dtype=object)
        for place, field in enumerate(table.fields)
    }
    return safe_csv(pd.DataFrame(columns))


def parquet_of(table: Table) -> bytes:
    """Typed columns, texts as they are; no statistics of who wrote it when."""
    columns = [[_cell(row[place], field.kind) for row in table.rows] for place, field in enumerate(table.fields)]
    schema = pa.schema([
        pa.field(field.key, _type(field.kind, cells), metadata={"label": field.label, "unit": field.unit or ""})
        for field, cells in zip(table.fields, columns, strict=True)
    ])  # fmt: skip
    arrays = [pa.array(values, type=schema.field(place).type) for place, values in enumerate(columns)]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), out, compression="zstd", version="2.6")
    return out.getvalue()


def _type(kind: Kind, cells: Sequence[Cell]) -> pa.DataType:
    large = kind is Kind.NUMBER and any(isinstance(cell, Decimal) and abs(cell) >= _LARGE for cell in cells)
    return pa.decimal256(76, 12) if large else _TYPES[kind]


def _cell(cell: Cell, kind: Kind) -> Cell:
    if isinstance(cell, datetime):
        return cell.astimezone(UTC)
    if kind is Kind.NUMBER and isinstance(cell, Decimal):
        return cell.quantize(_FINEST, context=EXACT)
    return cell
