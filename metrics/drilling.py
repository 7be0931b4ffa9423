"""The rows behind a number: largest first, page by page, with the sum over all of them, which is the number."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any, Final

import sqlalchemy as sa

from metrics.asking import InvalidAsk
from metrics.kpi import Column, Drill, Value
from metrics.source import Source
from metrics.walking import Walk, first_of


@dataclass(frozen=True, slots=True)
class Listing:
    """`rows` is a SELECT with {valid} where Source.valid goes; `order` falls, `key` (an integer) breaks ties.

    `some`: the condition on rows `r` that few meet; of all others `order` is 0, or null.
    """

    rows: str
    columns: tuple[Column, ...]
    order: str
    key: str
    adds: str | None  # the column that sums to the number
    some: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """How many rows there are and what they add up to, where that is known without a look at each."""

    n: int
    total: Value


def drill(
    source: Source, listing: Listing, *, after: str | None, limit: int, known: Known | None = None,
    bound: Mapping[str, object] | None = None, walks: Sequence[Walk] = (), waiting: str = "",
) -> Drill:  # fmt: skip
    """Few statements; `bound` is what `rows` and `walks` bind. Raises InvalidAsk for an `after` that no answer gave.

    `walks`, of what is latest, find the first rows without a look at the others; they need `known`. `waiting` selects
    the rows that stand in quarantine and in no fact: `key` (below zero), `place` and columns of the listing; they are
    listed among the others and are not in `known`.
    """
    if source.as_of is None:
        return Drill(listing.columns, [], listing.adds, None, 0)
    rows, place = listing.rows.format(valid=source.valid()), _place(after)
    values = {"limit": limit + 1, "order_after": place[0] if place else None, "key_after": place[1] if place else None}
    bound = bound or {}
    if walks and known:
        also = [_WAITING.format(waiting=waiting, behind=_BEHIND.format("w.place", "w.key"))] if waiting else []
        page = source.run(first_of(walks, first=place is None, also=also), **bound, **values)
    elif listing.some and known:
        page = _few_of(source, listing, rows, {**bound, **values})
    else:
        page = _ranked(source, listing, rows, {**bound, **values}, waiting)
    places = {row.key: row.place for row in page if row.key is not None}
    listed = [*_whole(source, listing, rows, page, bound), *_unread(source, listing, waiting, places)] if places else []
    shown = sorted(listed, key=lambda row: (places[row[listing.key]], row[listing.key]), reverse=True)[:limit]
    last = shown[-1][listing.key] if len(places) > limit else None
    found = _everything(source, listing, waiting, page, known)
    more = None if last is None else f"{places[last]}:{last}"
    return Drill(listing.columns, shown, listing.adds, found.total, found.n, more)


def _everything(source: Source, listing: Listing, waiting: str, page: "_Page", known: Known | None) -> Known:
    if known is None:
        return Known(int(page[0].n), page[0].total if listing.adds else None)
    unread = source.run(f"SELECT count(*) AS n FROM ({waiting}) AS w")[0].n if waiting else 0
    return Known(known.n + unread, known.total)


def few(
    rows: Iterable[Mapping[str, object]], columns: tuple[Column, ...], *, adds: str, after: str | None, limit: int
) -> Drill:
    """Of a handful of rows that no table holds, in an order that stays: the place of each breaks ties."""
    worth = [(Decimal(str(row[adds])), -at, row) for at, row in enumerate(rows)]
    place = _place(after)
    behind = None if place is None else (Decimal(place[0]), place[1])
    listed = sorted((one for one in worth if behind is None or one[:2] < behind), key=lambda one: one[:2], reverse=True)
    last = listed[limit - 1] if len(listed) > limit else None
    total = sum((amount for amount, _, _ in worth), Decimal(0)) if worth else None
    more = None if last is None else f"{last[0]:f}:{last[1]}"
    return Drill(columns, [row for _, _, row in listed[:limit]], adds, total, len(worth), more)


_Page = Sequence[sa.Row[*tuple[Any, ...]]]
_BEHIND: Final = "(CAST(:order_after AS numeric) IS NULL OR ({0}, {1}) < (CAST(:order_after AS numeric), :key_after))"
# Ranked by what they are ranked by alone, so that all else is read of the rows of the page only.
_RANKED: Final = """
    WITH ranked AS MATERIALIZED (
        SELECT coalesce(r.{order}, -1) AS place, r.{key} AS key, r.contract_id, {adds} AS adds FROM ({rows}) AS r
        {waiting}
    )
    SELECT everything.n, everything.total, page.place, page.key, page.contract_id
    FROM (SELECT count(*) AS n, sum(k.adds) AS total FROM ranked AS k) AS everything LEFT JOIN (
        SELECT k.* FROM ranked AS k WHERE {behind} ORDER BY k.place DESC, k.key DESC LIMIT :limit
    ) AS page ON true
"""

_ALSO: Final = "UNION ALL SELECT CAST(w.place AS numeric), w.key, w.contract_id, 0 FROM ({0}) AS w"
_WAITING: Final = """
    (SELECT CAST(w.place AS numeric) AS place, w.key, w.contract_id FROM ({waiting}) AS w WHERE {behind}
     ORDER BY w.place DESC, w.key DESC LIMIT :limit)
"""


def _ranked(source: Source, listing: Listing, rows: str, values: Mapping[str, object], waiting: str) -> _Page:
    adds = f"r.{listing.adds}" if listing.adds else "0"
    behind = _BEHIND.format("k.place", "k.key")
    also = _ALSO.format(waiting) if waiting else ""
    sql = _RANKED.format(rows=rows, order=listing.order, key=listing.key, adds=adds, behind=behind, waiting=also)
    return source.run(sql, **values)


# One walk along the index of the key, to the end of the page.
_ALIKE: Final = """
    SELECT CAST({place} AS numeric) AS place, r.{key} AS key, r.contract_id FROM ({rows}) AS r
    WHERE NOT ({some}) AND {condition} AND {behind} ORDER BY r.{key} DESC LIMIT :limit
"""


def _few_of(source: Source, listing: Listing, rows: str, values: Mapping[str, object]) -> _Page:
    """Those that count for something, then those of 0; those without a value only where these do not fill the page."""
    key, some = listing.key, listing.some
    place = f"coalesce(r.{listing.order}, -1)"

    def alike(where: str, condition: str) -> str:
        behind = _BEHIND.format(where, f"r.{key}")
        return _ALIKE.format(place=where, key=key, rows=rows, some=some, condition=condition, behind=behind)

    page = source.run(
        f"""
        SELECT * FROM (
            SELECT {place} AS place, r.{key} AS key, r.contract_id FROM ({rows}) AS r
            WHERE {some} AND {_BEHIND.format(place, f"r.{key}")}
            UNION ALL SELECT * FROM ({alike("0", f"r.{listing.order} = 0")}) AS zero
        ) AS k ORDER BY k.place DESC, k.key DESC LIMIT :limit
        """,
        **values,
    )
    if len(page) == values["limit"]:
        return page
    return [*page, *source.run(alike("-1", f"r.{listing.order} IS NULL"), **values)][: int(str(values["limit"]))]


def _whole(
    source: Source, listing: Listing, rows: str, page: Iterable[sa.Row[Any]], bound: Mapping[str, object]
) -> list[Mapping[str, object]]:
    """By contract, which every fact has an index of."""
    ranked = [row for row in page if row.key is None or row.key >= 0]
    contracts, keys = [row.contract_id for row in ranked], [row.key for row in ranked]
    found = source.run(
        f"SELECT r.* FROM ({rows}) AS r WHERE r.contract_id = ANY(CAST(:contracts AS bigint[]))"
        f" AND r.{listing.key} = ANY(CAST(:keys AS bigint[]))",
        contracts=sorted(set(contracts)), keys=keys, **bound,
    )  # fmt: skip
    hidden = _moved_away(source, contracts)
    return [dict(row._mapping) | (_UNNAMED if row.contract_id in hidden else {}) for row in found]


def _unread(
    source: Source, listing: Listing, waiting: str, places: Mapping[int, object]
) -> Iterator[Mapping[str, object]]:  # fmt: skip
    """Those of the page that stand in quarantine; what nobody could read of them is not there."""
    keys = [key for key in places if key < 0]
    if not keys:
        return
    found = source.run(f"SELECT w.* FROM ({waiting}) AS w WHERE w.key = ANY(CAST(:keys AS bigint[]))", keys=keys)
    hidden = _moved_away(source, [row.contract_id for row in found if row.contract_id is not None])
    nothing = dict.fromkeys(column.key for column in listing.columns)
    for row in found:
        named = _UNNAMED if row.contract_id in hidden else {}
        yield nothing | dict(row._mapping) | {listing.key: row.key} | named


_UNNAMED: Final = {"contract": None, "title": None}
_MOVED_AWAY: Final = """
    SELECT contract_id FROM core.contract
    WHERE contract_id = ANY(CAST(:contracts AS bigint[])) AND legal_entity <> ALL(CAST(:reach AS text[]))
"""


def _moved_away(source: Source, contracts: Sequence[int]) -> frozenset[int]:
    """Those that were the viewer's, and are another entity's now: what they are called is not the viewer's any more."""
    if source.ask.reach is None:
        return frozenset()
    rows = source.run(_MOVED_AWAY, contracts=sorted(set(contracts)), reach=sorted(source.ask.reach))
    return frozenset(row.contract_id for row in rows)


def _place(after: str | None) -> tuple[str, int] | None:
    if after is None:
        return None
    order, _, key = after.rpartition(":")
    try:
        if not isfinite(float(order)):
            raise ValueError(order)
        return order, int(key)
    except ValueError as wrong:
        raise InvalidAsk("after: is none that an answer gave; pass `after` of the page before as it is") from wrong
