"""What is stuck, added up. How much depends on the moment: each refresh adds up what stands at its end, and the newest
answer by legal entity, which is nearly all that is asked, is read from that. Others are added up when they are asked.
"""

import hashlib
import logging
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa

from metrics.asking import Ask, By, Window
from metrics.bill_runs import cut_offs
from metrics.cells import Row
from metrics.exposures import stuck
from metrics.facts.fact import DIMENSIONS
from metrics.rates import worth
from metrics.source import Source, chosen
from sync_core.estate.estate import Estate

log = logging.getLogger(__name__)

FIRST_CAUSE: Final = "blocker"  # of all that is in step
_ROWS: Final = stuck(
    f"f.test, f.unverified, f.since, {', '.join(f'f.{name}' for name in DIMENSIONS)}",
    f"{{valid}} AND f.settled IS DISTINCT FROM 0 AND {chosen('f')}",
    all_of_them=True,
)
# What a contract misses and its net are the whole of it or nothing in most cases, and are then not converted again.
# Those that are settled in step are counted, for nothing of them is to be worked out.
_MADE: Final = f"""
    SELECT t.grp, t.test, t.unverified, t.cause, t.currency, t.age, t.day_s, count(*) AS contracts,
           count(*) FILTER (WHERE t.gross <> 0) AS stuck, sum(t.gross) AS gross, sum(t.net) AS net,
           sum(t.misses) AS misses, sum(t.gross * t.waited_s) AS gross_s,
           sum(t.gross_worth) AS gross_worth, sum(CASE t.net WHEN t.gross THEN t.gross_worth
               WHEN -t.gross THEN -t.gross_worth ELSE {worth("t.net", "t.rate")} END) AS net_worth,
           sum(CASE t.misses WHEN 0 THEN 0 WHEN t.gross THEN t.gross_worth ELSE {worth("t.misses", "t.rate")} END)
               AS misses_worth,
           min(t.since) FILTER (WHERE t.gross <> 0) AS oldest
    FROM (
        SELECT f.{{group}} AS grp, f.test, f.unverified, f.cause, f.currency, f.gross, f.net, f.misses, f.waited_s,
               f.day_s, f.since, f.rate, {worth("f.gross", "f.rate")} AS gross_worth,
               CASE WHEN f.waited_s < f.day_s THEN 0 WHEN f.waited_s < 3 * f.day_s THEN 1 ELSE 2 END AS age
        FROM ({_ROWS}) AS f OFFSET 0
    ) AS t GROUP BY 1, 2, 3, 4, 5, 6, 7
    UNION ALL
    SELECT f.{{group}}, f.test, f.unverified, '{FIRST_CAUSE}', f.currency, 0, 1, count(*),
           0, 0, 0, 0, 0, 0, 0, 0, NULL
    FROM metrics.exposure_fact AS f WHERE {{valid}} AND f.settled = 0 AND {chosen("f")} GROUP BY 1, 2, 3, 5
"""
_KEPT: Final = """
    SELECT c.legal_entity AS grp, c.* FROM metrics.stuck_cell AS c
    WHERE CAST(:legal_entity AS text[]) IS NULL OR c.legal_entity = ANY(CAST(:legal_entity AS text[]))
"""
_READ: Final = "SELECT c.*, c.gross_s / c.day_s AS money_days FROM ({cells}) AS c"

_DROP = sa.text("DELETE FROM metrics.stuck_cell")
_KEEP = sa.text(f"""
    INSERT INTO metrics.stuck_cell (
        legal_entity, test, unverified, cause, currency, age, day_s, contracts, stuck, gross, net, misses, gross_s,
        gross_worth, net_worth, misses_worth, oldest)
    {_MADE.format(group=By.LEGAL_ENTITY, valid="f.known_to IS NULL")}
""")
_KEEP_BINDS: Final = tuple(_KEEP.compile().params)
_KEPT_BY = sa.text("UPDATE metrics.refresh SET stuck_by = :stuck_by WHERE at = :at")


def cells(source: Source, by: By) -> list[Row]:
    """Of contracts alike, by one of DIMENSIONS: `grp`, `test`, `unverified`, `cause`, `currency`, `age` (0: for less
    than a working day, 1: for less than three, 2); sums of money in `currency`, those ending in `_worth` converted
    contract by contract and null without a rate; `money_days`; since when the `oldest` stands. One statement.
    """
    kept = source.latest and source.as_of == source.known_at and source.stuck_by == _basis(source)
    if kept and by is By.LEGAL_ENTITY and source.ask.level != 1:
        return [*source.run(_READ.format(cells=_KEPT))]
    return [*source.run(_READ.format(cells=_MADE.format(group=by, valid=source.valid())), **bound(source))]


def bound(source: Source) -> dict[str, object]:
    """What statements about exposures bind: the bill runs that come next, and the day in the group's zone."""
    moment = source.as_of or datetime.min.replace(tzinfo=UTC)
    today = moment.astimezone(ZoneInfo(source.estate.group.timezone)).date()
    return {"runs": cut_offs(source.estate, moment), "today": today}


def keep(conn: sa.Connection, estate: Estate, *, at: datetime) -> None:
    """Add up what stands when the refresh of `at` has finished, instead of what stood before. The caller commits.

    Where it cannot be added up, that is logged and nothing is kept: whoever asks adds it up then, and is told why not.
    """
    source = Source(conn, Ask(Window.weeks(at, estate.group.timezone, 1)), estate=estate)
    values = {**source.values, **bound(source)}
    try:
        with conn.begin_nested():
            conn.execute(_DROP)
            conn.execute(_KEEP, {name: values[name] for name in _KEEP_BINDS})
            conn.execute(_KEPT_BY, {"at": at, "stuck_by": _basis(source)})
    except sa.exc.DBAPIError:
        log.exception("money that is stuck could not be added up as of %s", at)


def _basis(source: Source) -> str:
    """A digest of how it is added up, and of what the estate says of it: both may be others than the refresh's."""
    by = [_MADE, bound(source)["runs"], source.values["zone"], source.values["reporting"]]
    return hashlib.sha256(orjson.dumps(by)).hexdigest()[:16]
