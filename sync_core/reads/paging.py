"""Pages by key: the next page begins where this one ended, so that the thousandth costs what the first does.

Matches are counted up to COUNT_LIMIT. Fewer than that are sorted there and then, so that a filter which few rows meet
costs one scan; where there are more, the page is one walk along the index of its order, in at most two segments: rows
with a value, then rows without one. A cursor comes from a URL: it is checked, never evaluated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from sync_core.errors import TielineError

MAX_PAGE_SIZE = 500
COUNT_LIMIT = 10_000

T = TypeVar("T")
Row = sa.Row[Any]
Values = dict[str, object]


class InvalidCursor(TielineError):
    """The page link is damaged or of another listing; start again at the first page."""

    code = "reads.invalid_cursor"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The row at the edge of a page: its sort value as text (None: it has none) and its id."""

    value: str | None
    row_id: int

    def __str__(self) -> str:
        return f"{self.row_id}" if self.value is None else f"{self.row_id}~{self.value}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        number, separator, value = text.partition("~")
        if not (number.isascii() and number.isdigit()) or len(number) > 18 or len(text) > 80:
            raise InvalidCursor(f"{text[:40]!r} is no page link of ours; start again at the first page")
        return cls(value if separator else None, int(number))


@dataclass(frozen=True, slots=True)
class Window:
    """Which page: at most `size` rows after one cursor, or before one, or the first ones."""

    size: int = 50
    after: Cursor | None = None
    before: Cursor | None = None

    @property
    def backward(self) -> bool:
        return self.before is not None

    @property
    def cursor(self) -> Cursor | None:
        return self.before or self.after

    @property
    def rows(self) -> int:
        return max(1, min(self.size, MAX_PAGE_SIZE))


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page. `total` is exact up to 10,000; beyond, `total_text` says so."""

    rows: tuple[T, ...]
    total: int
    capped: bool
    after: Cursor | None  # of the next page
    before: Cursor | None  # of the previous page

    @property
    def total_text(self) -> str:
        return f"{self.total:,}+" if self.capped else f"{self.total:,}"


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions, joined by AND, with the values they bind."""

    conditions: tuple[str, ...]
    values: Values

    def sql(self, *more: str) -> str:
        return " AND ".join([*self.conditions, *more]) or "true"


@dataclass(frozen=True, slots=True)
class Order:
    """How a listing is sorted, rows without a value last. `kind` is the column's Python type."""

    column: str
    descending: bool
    nullable: bool
    kind: type[datetime] | type[Decimal] | type[date]
    row_id: str

    def way(self, *, backward: bool) -> tuple[str, str]:
        """ASC or DESC, and how the rows beyond one compare to it."""
        return ("DESC", "<") if self.descending is not backward else ("ASC", ">")


@dataclass(frozen=True, slots=True)
class Worked:
    """Of an order that is worked out by joins: how little of them it takes to count, and to find a page of many.

    `table` is the FROM clause of what `where` speaks of, `needs` those of its columns that the joins use. `valued` is a
    condition that all rows with a value meet, by an index, so that the others are never sorted; they are walked by id.
    """

    table: str  # "... AS <alias>"
    needs: str
    joins: str
    bare_joins: str  # of rows one by one
    valued: str

    @property
    def found(self) -> str:
        """The rows that were counted, with what is joined to them."""
        return f"found AS {self.table.rpartition(' ')[2]} {self.joins}"


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """What is listed: `columns` of `source` (a FROM clause) that meet `where`, each row made into a T."""

    columns: str
    source: str
    where: Where
    order: Order
    make: Callable[[Row], T]
    count_limit: int = COUNT_LIMIT
    worked: Worked | None = None

    def page(self, conn: sa.Connection, window: Window) -> Listed[T]:
        """One page of it, in display order. Raises InvalidCursor."""
        total, ids = self._few(conn, window)
        rows = self._walk(conn, window) if total > self.count_limit else self._rows(conn, ids)
        more, rows = len(rows) > window.rows, rows[: window.rows]
        if window.backward:
            rows.reverse()
        before, after = (more, True) if window.backward else (window.after is not None, more)
        return Listed(
            tuple(self.make(row) for row in rows),
            min(total, self.count_limit),
            total > self.count_limit,
            self._cursor(rows[-1]) if rows and after else None,
            self._cursor(rows[0]) if rows and before else None,
        )

    def first(self, conn: sa.Connection, most: int) -> tuple[T, ...]:
        """The rows from the beginning, `most` at most, for an export: one statement, or two."""
        return tuple(self.make(row) for row in self._along(conn, None, most, backward=False))

    def _few(self, conn: sa.Connection, window: Window) -> tuple[int, list[int]]:
        """How many match, counted to the limit + 1, and if they are fewer the ids of the page, one more than fits."""
        order, backward = self.order, window.backward
        way, _ = order.way(backward=backward)
        by = f"(value IS NULL) {'DESC' if backward else 'ASC'}, value {way}, row_id {way}"
        condition, values = beyond(order, window.cursor, backward=backward)
        value = f"SELECT {order.row_id} AS row_id, {order.column} AS value"
        found, ranked = f"{value} FROM {self.source}", "found"
        if self.worked is not None:
            found = f"SELECT {self.worked.needs} FROM {self.worked.table}"
            ranked = f"({value} FROM {self.worked.found}) AS ranked"
        text = f"""
            WITH found AS MATERIALIZED ({found} WHERE {self.where.sql()} LIMIT :count_rows),
            counted AS (SELECT count(*) AS n FROM found)
            SELECT n, page.row_id FROM counted LEFT JOIN LATERAL (
                SELECT row_id, value FROM {ranked} WHERE n < :count_rows AND {condition} ORDER BY {by} LIMIT :page_rows
            ) AS page ON true ORDER BY {by}
        """
        bound = {**self.where.values, **values, "count_rows": self.count_limit + 1, "page_rows": window.rows + 1}
        rows = conn.execute(sa.text(text), bound).all()
        return rows[0].n, [row.row_id for row in rows if row.row_id is not None]

    def _rows(self, conn: sa.Connection, ids: Sequence[int]) -> list[Row]:
        if not ids:
            return []
        text = f"SELECT {self.columns} FROM {self.source} WHERE {self.order.row_id} = ANY(:ids)"
        name = _attribute(self.order.row_id)
        by_id = {
            getattr(row, name): row for row in conn.execute(sa.text(text), {**self.where.values, "ids": list(ids)})
        }
        return [by_id[row_id] for row_id in ids]

    def _walk(self, conn: sa.Connection, window: Window) -> list[Row]:
        if self.worked is not None:
            return self._rows(conn, self._ids_along(conn, self.worked, window))
        return self._along(conn, window.cursor, window.rows + 1, backward=window.backward)

    def _ids_along(self, conn: sa.Connection, worked: Worked, window: Window) -> list[int]:
        """Of the page, one more than fits."""
        found: list[int] = []
        way, _ = self.order.way(backward=window.backward)
        for segment in segments(self.order, window.cursor, backward=window.backward):
            left = window.rows + 1 - len(found)
            if left > 0:
                joins, by, more = worked.joins, segment.by, (*segment.conditions, worked.valued)
                if segment.bare:
                    joins, by, more = worked.bare_joins, f"{self.order.row_id} {way}", segment.conditions
                text = f"""
                    SELECT {self.order.row_id} AS row_id FROM {worked.table} {joins}
                    WHERE {self.where.sql(*more)} ORDER BY {by} LIMIT :page_rows"""
                found += conn.scalars(sa.text(text), {**self.where.values, **segment.values, "page_rows": left}).all()
        return found

    def _along(self, conn: sa.Connection, cursor: Cursor | None, most: int, *, backward: bool) -> list[Row]:
        found: list[Row] = []
        for segment in segments(self.order, cursor, backward=backward):
            left = most - len(found)
            if left > 0:
                where = self.where.sql(*segment.conditions)
                text = f"SELECT {self.columns} FROM {self.source} WHERE {where} ORDER BY {segment.by} LIMIT :page_rows"
                found += conn.execute(sa.text(text), {**self.where.values, **segment.values, "page_rows": left}).all()
        return found

    def _cursor(self, row: Row) -> Cursor:
        value, row_id = getattr(row, _attribute(self.order.column)), getattr(row, _attribute(self.order.row_id))
        text = value.isoformat() if isinstance(value, datetime) else None if value is None else str(value)
        return Cursor(text, row_id)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of an index: rows with a value, or rows without."""

    conditions: tuple[str, ...]
    values: Values
    by: str
    bare: bool = False  # without


def segments(order: Order, cursor: Cursor | None, *, backward: bool) -> list[Segment]:
    """In the order in which they are read."""
    way, compares = order.way(backward=backward)
    # As the index is written: DESC NULLS LAST, read backwards ASC NULLS FIRST.
    nulls = (" NULLS LAST" if way == "DESC" else " NULLS FIRST") if order.nullable else ""
    by = f"{order.column} {way}{nulls}, {order.row_id} {way}"
    known = (f"{order.column} IS NOT NULL",) if order.nullable else ()
    valued, bare = Segment(known, {}, by), Segment((f"{order.column} IS NULL",), {}, by, bare=True)
    if cursor is None:
        return [valued, bare] if order.nullable else [valued]
    values: Values = {"edge_id": cursor.row_id}
    if cursor.value is None:
        bare = Segment((*bare.conditions, f"{order.row_id} {compares} :edge_id"), values, by, bare=True)
        return [bare, valued] if backward else [bare]
    values["edge"] = _value(order, cursor.value)
    valued = Segment((*known, f"({order.column}, {order.row_id}) {compares} (:edge, :edge_id)"), values, by)
    return [valued] if backward or not order.nullable else [valued, bare]


def beyond(order: Order, cursor: Cursor | None, *, backward: bool) -> tuple[str, Values]:
    """The condition, over columns `value` and `row_id`, for the rows beyond the cursor."""
    if cursor is None:
        return "true", {}
    _, compares = order.way(backward=backward)
    values: Values = {"edge_id": cursor.row_id}
    if cursor.value is None:
        after = f"value IS NULL AND row_id {compares} :edge_id"
        return (f"(value IS NOT NULL OR {after})" if backward else after), values
    values["edge"] = _value(order, cursor.value)
    after = f"(value, row_id) {compares} (:edge, :edge_id)"
    return (after if backward else f"(value IS NULL OR {after})"), values


def _value(order: Order, text: str) -> datetime | Decimal | date:
    """Raises InvalidCursor for what cannot be a value of the order."""
    try:
        value = order.kind.fromisoformat(text) if issubclass(order.kind, date) else Decimal(text)
    except (ValueError, InvalidOperation) as wrong:
        raise InvalidCursor("the page link belongs to another sorting; start again at the first page") from wrong
    usable = value.is_finite() if isinstance(value, Decimal) else True
    usable = value.tzinfo is not None if isinstance(value, datetime) else usable
    if not usable:
        raise InvalidCursor("the page link belongs to another sorting; start again at the first page")
    return value


def _attribute(column: str) -> str:
    return column.rpartition(".")[2]
