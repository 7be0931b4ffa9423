"""The rows behind a number: largest first, page by page, with the sum over all of them, which is the number."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from metrics.asking import InvalidAsk
from metrics.kpi import Column, Drill, Value
from metrics.source import Source


@dataclass(frozen=True, slots=True)
class Listing:
    """`rows` is a SELECT with {valid} where Source.valid goes; `order` falls, `key` (an integer) breaks ties."""

    rows: str
    columns: tuple[Column, ...]
    order: str
    key: str
    adds: str | None  # the column that sums to the number


def drill(source: Source, listing: Listing, *, after: str | None, limit: int, **bound: object) -> Drill:
    """Two statements; `bound` is what `rows` binds. Raises InvalidAsk for an `after` that no answer gave."""
    if source.as_of is None:
        return Drill(listing.columns, [], listing.adds, None, 0)
    rows, place = listing.rows.format(valid=source.valid()), _place(after)
    page = source.run(
        _RANKED.format(
            rows=rows, order=listing.order, key=listing.key, adds=f"r.{listing.adds}" if listing.adds else "0",
            behind="WHERE (k.place, k.key) < (CAST(:order_after AS numeric), :key_after)" if place else "",
        ),
        limit=limit + 1, order_after=place[0] if place else None, key_after=place[1] if place else None, **bound,
    )  # fmt: skip
    places = {row.key: row.place for row in page if row.key is not None}
    listed = _whole(source, listing, rows, page, bound) if places else []
    shown = sorted(listed, key=lambda row: (places[row[listing.key]], row[listing.key]), reverse=True)[:limit]
    last = shown[-1][listing.key] if len(places) > limit else None
    value: Value = page[0].total if listing.adds else None
    more = None if last is None else f"{places[last]}:{last}"
    return Drill(listing.columns, shown, listing.adds, value, int(page[0].n), more)


# Ranked by what they are ranked by alone, so that all else is read of the rows of the page only.
_RANKED: Final = """
    WITH ranked AS MATERIALIZED (
        SELECT coalesce(r.{order}, -1) AS place, r.{key} AS key, r.contract_id, {adds} AS adds FROM ({rows}) AS r
    )
    SELECT everything.n, everything.total, page.place, page.key, page.contract_id
    FROM (SELECT count(*) AS n, sum(k.adds) AS total FROM ranked AS k) AS everything LEFT JOIN (
        SELECT k.* FROM ranked AS k {behind} ORDER BY k.place DESC, k.key DESC LIMIT :limit
    ) AS page ON true
"""


def _whole(
    source: Source, listing: Listing, rows: str, page: Iterable[sa.Row[Any]], bound: Mapping[str, object]
) -> list[Mapping[str, object]]:
    """By contract, which every fact has an index of."""
    contracts, keys = [row.contract_id for row in page], [row.key for row in page]
    found = source.run(
        f"SELECT r.* FROM ({rows}) AS r WHERE r.contract_id = ANY(CAST(:contracts AS bigint[]))"
        f" AND r.{listing.key} = ANY(CAST(:keys AS bigint[]))",
        contracts=sorted(set(contracts)), keys=keys, **bound,
    )  # fmt: skip
    return [dict(row._mapping) for row in found]


def _place(after: str | None) -> tuple[str, int] | None:
    if after is None:
        return None
    order, _, key = after.rpartition(":")
    try:
        float(order)
        return order, int(key)
    except ValueError as wrong:
        raise InvalidAsk("after: is none that an answer gave; pass `after` of the page before as it is") from wrong
