"""The rows behind a number: largest first, page by page, with the sum over all of them, which is the number."""

from collections.abc import Mapping
from dataclasses import dataclass

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
    rows = listing.rows.format(valid=source.valid())
    if source.as_of is None:
        return Drill(listing.columns, [], listing.adds, None, 0)
    adds = f"sum(r.{listing.adds})" if listing.adds else "NULL"
    [(count, total)] = source.run(f"SELECT count(*), {adds} FROM ({rows}) AS r", **bound)
    order = f"coalesce(r.{listing.order}, -1)"
    place = _place(after)
    behind = f"WHERE ({order}, r.{listing.key}) < (CAST(:order_after AS numeric), :key_after)" if place else ""
    found = source.run(
        f"SELECT r.*, {order} AS place_ FROM ({rows}) AS r {behind} ORDER BY place_ DESC, r.{listing.key} DESC"
        f" LIMIT :limit",
        limit=limit + 1,
        order_after=place[0] if place else None,
        key_after=place[1] if place else None,
        **bound,
    )
    listed: list[Mapping[str, object]] = [dict(row._mapping) for row in found[:limit]]
    more = f"{listed[-1]['place_']}:{listed[-1][listing.key]}" if len(found) > limit else None
    kept = [{name: value for name, value in row.items() if name != "place_"} for row in listed]
    value: Value = total
    return Drill(listing.columns, kept, listing.adds, value, int(str(count)), more)


def _place(after: str | None) -> tuple[str, int] | None:
    if after is None:
        return None
    order, _, key = after.rpartition(":")
    try:
        float(order)
        return order, int(key)
    except ValueError as wrong:
        raise InvalidAsk("after: is none that an answer gave; pass `after` of the page before as it is") from wrong
