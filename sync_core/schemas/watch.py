"""Which versions are sent, by whom, and which fields nobody here knows: counted behind a watermark, never at the door.

Events are read by the transaction that recorded them, below the oldest one that still runs, so that none is passed
over. Counts and watermark are one transaction: a run that dies counts nothing twice.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sync_core.clock import Clock
from sync_core.events import REGISTRY
from sync_core.intake import sql
from sync_core.intake.intake import registered_of
from sync_core.schemas.fit import Shape, shapes, unknown_fields

log = logging.getLogger(__name__)

WATERMARK: Final = "schemas"
BATCH: Final = 500
MOST_BATCHES: Final = 100  # of one run; the next goes on
MOST_PATHS: Final = 200  # of one source and type; what comes after that many is counted under MORE
MORE: Final = "…"
_LONGEST: Final = 200

# Locked, so that two runs count one after the other.
_PLACE = sa.text("SELECT value, updated_at FROM core.watermark WHERE name = :name FOR UPDATE")
_MOVE = sa.text("""
    INSERT INTO core.watermark (name, value, updated_at) VALUES (:name, :value, :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
""")
_NEXT = sa.text("""
    SELECT seq, CAST(recorded_xid AS text) AS xid, source, received_by, coalesce(sent_type, type) AS type,
           CAST(coalesce(sent, data) AS text) AS data, recorded_at
    FROM core.event
    WHERE recorded_xid >= CAST(:xid AS xid8) AND (recorded_xid > CAST(:xid AS xid8) OR seq > :seq)
      AND recorded_xid < pg_snapshot_xmin(pg_current_snapshot()) AND recorded_at > CAST(:since AS timestamptz)
    ORDER BY recorded_xid, seq LIMIT :most
""")
_HEAD = sa.text("SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text)")
_KNOWN_PATHS = sa.text("""
    SELECT source, type, path FROM core.schema_drift WHERE (source, type) IN (
        SELECT source, type FROM unnest(CAST(:sources AS text[]), CAST(:types AS text[])) AS p(source, type))
""")
_COUNT = sa.text("""
    INSERT INTO core.schema_usage AS u (type, source, received_by, used_on, events, last_at)
    SELECT type, source, received_by, used_on, events, last_at FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        type text, source text, received_by text, used_on date, events bigint, last_at timestamptz)
    ON CONFLICT (type, source, received_by, used_on) DO UPDATE
    SET events = u.events + excluded.events, last_at = greatest(u.last_at, excluded.last_at)
""")
_NOTE = sa.text("""
    INSERT INTO core.schema_drift AS d (source, type, path, shape, events, first_seen_at, last_seen_at)
    SELECT source, type, path, shape, events, first_at, last_at FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
        source text, type text, path text, shape text, events bigint, first_at timestamptz, last_at timestamptz)
    ON CONFLICT (source, type, path) DO UPDATE
    SET events = d.events + excluded.events, last_seen_at = greatest(d.last_seen_at, excluded.last_seen_at)
""")


@dataclass(frozen=True, slots=True)
class Watched:
    """What one run came to."""

    events: int
    new_fields: int


@dataclass(frozen=True, slots=True)
class Place:
    """Up to it all is counted. `since`: events recorded until then were, whatever their transactions are called."""

    xid: str = "0"
    seq: int = 0
    since: str = "-infinity"


@dataclass(slots=True)
class _Use:
    events: int
    last_at: datetime


@dataclass(slots=True)
class _Stray:
    shape: str
    events: int
    first_at: datetime
    last_at: datetime


@dataclass(slots=True)
class Tally:
    """Of one batch."""

    uses: dict[tuple[str, str, str, date], _Use] = field(default_factory=dict)  # type, source, received_by, day
    strays: dict[tuple[str, str, str], _Stray] = field(default_factory=dict)  # source, type, path

    def count(self, rows: Iterable[sa.Row[Any]], known: Mapping[str, Mapping[str, Shape]]) -> "Tally":
        """`known`: the fields of each type. Days are those of UTC."""
        for row in rows:
            used = row.type, row.source, row.received_by, row.recorded_at.date()
            use = self.uses.setdefault(used, _Use(0, row.recorded_at))
            use.events, use.last_at = use.events + 1, max(use.last_at, row.recorded_at)
            for path, shape in unknown_fields(known[row.type], orjson.loads(row.data)) if row.type in known else ():
                at = row.source, row.type, _shown(path)
                stray = self.strays.setdefault(at, _Stray(shape, 0, row.recorded_at, row.recorded_at))
                stray.events, stray.last_at = stray.events + 1, max(stray.last_at, row.recorded_at)
        return self

    def within(self, noted: Iterable[tuple[str, str, str]]) -> "Tally":
        """With as many paths of one source and type as there is room for besides the noted ones."""
        held: dict[tuple[str, str], set[str]] = {}
        for source, kind, path in noted:
            held.setdefault((source, kind), set()).add(path)
        kept: dict[tuple[str, str, str], _Stray] = {}
        for (source, kind, path), stray in self.strays.items():
            paths = held.setdefault((source, kind), set())
            if path not in paths and len(paths) >= MOST_PATHS:
                path = MORE
            paths.add(path)
            before = kept.setdefault((source, kind, path), _Stray(stray.shape, 0, stray.first_at, stray.last_at))
            before.events, before.last_at = before.events + stray.events, max(before.last_at, stray.last_at)
        return Tally(self.uses, kept)

    def usage(self) -> list[dict[str, object]]:
        return [
            {"type": kind, "source": source, "received_by": by, "used_on": day, "events": use.events,
             "last_at": use.last_at}
            for (kind, source, by, day), use in sorted(self.uses.items())
        ]  # fmt: skip

    def drift(self) -> list[dict[str, object]]:
        return [
            {"source": source, "type": kind, "path": path, "shape": stray.shape, "events": stray.events,
             "first_at": stray.first_at, "last_at": stray.last_at}
            for (source, kind, path), stray in sorted(self.strays.items())
        ]  # fmt: skip


def _shown(path: str) -> str:
    """Names of fields are the sender's: PostgreSQL takes no U+0000, and nobody reads more than so much."""
    plain = path.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


async def watch(engine: AsyncEngine, *, clock: Clock) -> Watched:
    """Count all that is committed since the last run, the whole past in the first ones. Commits each batch."""
    events = new = 0
    async with engine.connect() as conn:
        registered = registered_of(await conn.execute(sql.REGISTERED, {"types": None}))
    known = {name: shapes(one.schema()) for name, one in REGISTRY.items()}
    known |= {name: shapes(one.schema) for name, one in registered.items()}
    for _ in range(MOST_BATCHES):
        async with engine.begin() as conn:
            rows, found = await _batch(conn, known, clock.now())
        events, new = events + rows, new + found
        if rows < BATCH:
            break
    return Watched(events, new)


async def _batch(conn: AsyncConnection, known: Mapping[str, Mapping[str, Shape]], now: datetime) -> tuple[int, int]:
    place = await _place(conn)
    at = {"xid": place.xid, "seq": place.seq, "since": place.since}
    rows = (await conn.execute(_NEXT, {**at, "most": BATCH})).all()
    if not rows:
        return 0, 0
    # Besides the loop of the contracts that are provisioned.
    tally = await asyncio.to_thread(Tally().count, rows, known)
    noted = await _noted(conn, sorted({(source, kind) for source, kind, _ in tally.strays}))
    kept = tally.within(noted)
    await conn.execute(_COUNT, {"rows": _json(kept.usage())})
    if kept.strays:
        await conn.execute(_NOTE, {"rows": _json(kept.drift())})
    moved = orjson.dumps(Place(rows[-1].xid, rows[-1].seq, place.since)).decode()
    await conn.execute(_MOVE, {"name": WATERMARK, "value": moved, "now": now})
    return len(rows), len(kept.strays.keys() - noted)


async def _place(conn: AsyncConnection) -> Place:
    row = (await conn.execute(_PLACE, {"name": WATERMARK})).one_or_none()
    place = Place() if row is None else Place(**orjson.loads(row.value))
    head: str = await conn.scalar(_HEAD)
    if row is not None and int(head) < int(place.xid):
        log.warning("the database counts transactions from anew; events go on to be counted by their time")
        return Place(since=row.updated_at.isoformat())
    return place


async def _noted(conn: AsyncConnection, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str, str]]:
    if not pairs:
        return set()
    bound = {"sources": [source for source, _ in pairs], "types": [kind for _, kind in pairs]}
    return {(row.source, row.type, row.path) for row in await conn.execute(_KNOWN_PATHS, bound)}


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    return orjson.dumps(rows).decode()
