"""Intake: what becomes of delivered events. Stored once, made due, or quarantined whole; nothing is dropped.

One statement stores a batch, whatever its size; a second one runs only for repeats or for what was not understood.
Needs READ COMMITTED (the default). After the caller's commit, ring the bell (sync_core/journal/bell.py).
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
import sqlalchemy as sa
from opentelemetry.trace import SpanKind
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.connectors import tracing
from sync_core.errors import MalformedEvent, TielineError
from sync_core.estate.estate import Estate
from sync_core.events import REGISTRY, SchemaUnknown
from sync_core.intake import sql
from sync_core.intake.cloudevents import CloudEvent, parse_structured
from sync_core.intake.rows import Row, as_json, held_row, read, stored_row, unreadable_row
from sync_core.schemas.registered import Registered

_log = logging.getLogger(__name__)

Key = tuple[str, str]  # source, id


class ReceiptStatus(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one delivered event; of a duplicate, what its first delivery was told."""

    event_id: str
    source: str
    status: ReceiptStatus
    recorded_at: datetime
    correlation_id: str
    reason: str | None = None  # why it is in quarantine
    differs: bool = False  # a duplicate whose type or data are not those of the first; the first one stands

    @property
    def duplicate(self) -> bool:
        return self.status is ReceiptStatus.DUPLICATE


@dataclass(frozen=True, slots=True)
class Released:
    receipts: tuple[Receipt, ...]
    last: int | None  # pass it as `after` for the next rows; None: there are no more


@dataclass(frozen=True, slots=True)
class _First:
    """What is on record of an event that came before."""

    recorded_at: datetime
    correlation_id: str
    content: tuple[object, object]
    reason: str | None

    @classmethod
    def of(cls, event: CloudEvent, receipt: Receipt) -> "_First":
        """An event that stands twice in one batch."""
        return cls(receipt.recorded_at, receipt.correlation_id, _content(event), receipt.reason)


async def accept(
    conn: AsyncConnection, events: Sequence[CloudEvent], *, estate: Estate, now: datetime, received_by: str
) -> list[Receipt]:
    """One receipt per event, in their order. The caller commits, and answers the sender only after that."""
    firsts: dict[Key, CloudEvent] = {}
    for event in events:
        firsts.setdefault((event.source, event.id), event)
    if not tracing.recorded():
        return await _accept(conn, events, firsts, estate=estate, now=now, received_by=received_by)
    steps = {
        key: tracing.begin(
            "event.receive", parent=event.traceparent, kind=SpanKind.CONSUMER, attributes=_about(event, received_by)
        )
        for key, event in firsts.items()
    }
    # What follows from the event names its receipt as the parent.
    firsts = {key: replace(event, traceparent=steps[key].traceparent) for key, event in firsts.items()}
    with tracing.ended(steps.values()):
        return await _accept(conn, events, firsts, estate=estate, now=now, received_by=received_by)


def _about(event: CloudEvent, received_by: str) -> dict[str, str]:
    return {
        "tieline.event": event.id,
        "tieline.event_type": event.type,
        "tieline.correlation_id": event.correlation_id,
        "tieline.received_by": received_by,
    }


async def _accept(
    conn: AsyncConnection,
    events: Sequence[CloudEvent],
    firsts: Mapping[Key, CloudEvent],
    *,
    estate: Estate,
    now: datetime,
    received_by: str,
) -> list[Receipt]:
    rows: list[Row] = []
    refused: dict[Key, Row] = {}
    strange = {event.type for event in firsts.values() if event.type not in REGISTRY}
    registered = await registered_schemas(conn, sorted(strange)) if strange else {}
    for key, event in firsts.items():
        try:
            core, payload = read(event, estate, registered, now=now)
            rows.append(
                stored_row(core, payload, estate, now=now, received_at=now, received_by=received_by, sent=event)
            )
        except SchemaUnknown as wrong:
            refused[key] = held_row(event, wrong.message, now=now)
    stored = await _store(conn, rows, now=now, releasing=False)
    held = await _hold(conn, list(refused.values()), now=now, received_by=received_by)
    before = await _first_receipts(conn, [key for key in firsts if key not in stored and key not in held])
    receipts = {key: _receipt(event, now, refused.get(key)) for key, event in firsts.items() if key not in before}
    answers, answered = [], set()
    for event in events:
        key = (event.source, event.id)
        if key in before or key in answered:
            first = before.get(key) or _First.of(firsts[key], receipts[key])
            answers.append(_repeated(event, first))
        else:
            answers.append(receipts[key])
        answered.add(key)
    return answers


def _line_of(correlation_id: str) -> dict[str, str]:
    """The log line is of this event, whichever of a batch, and says what its receipt says."""
    return {"correlation_id": correlation_id}


def _receipt(event: CloudEvent, now: datetime, refused: Row | None) -> Receipt:
    if refused is None:
        return Receipt(event.id, event.source, ReceiptStatus.ACCEPTED, now, event.correlation_id)
    reason = str(refused["reason"])
    words = "event %s of %s is not understood and went to quarantine: %s"
    _log.error(words, event.id, event.source, reason, extra=_line_of(event.correlation_id))
    return Receipt(event.id, event.source, ReceiptStatus.QUARANTINED, now, event.correlation_id, reason)


async def release(conn: AsyncConnection, *, estate: Estate, now: datetime, after: int = 0, most: int = 500) -> Released:
    """Let quarantined events that are understood by now go the way of all others. Safe to repeat and to overlap.

    Their first receipt stands: correlation id, occurred_at, and the contract's received_at are of that moment.
    """
    registered = await registered_schemas(conn)
    found = (
        await conn.execute(
            sql.OPEN_QUARANTINE,
            {"after": after, "types": [*REGISTRY, *registered], "sources": list(estate.clms), "most": most},
        )
    ).all()
    again = understood_again(found, estate=estate, now=now, registered=registered)
    for held, words in again.still:
        said = (held.event_id, held.source, words)
        _log.info("event %s of %s stays in quarantine: %s", *said, extra=_line_of(held.correlation_id))
    done = again.done
    await _store(conn, again.rows, now=now, releasing=True)
    if done:
        await conn.execute(sql.RELEASED, {"ids": [held.quarantine_id for held in done], "now": now})
    receipts = tuple(
        Receipt(held.event_id, held.source, ReceiptStatus.ACCEPTED, held.recorded_at, held.correlation_id)
        for held in done
    )
    return Released(receipts, found[-1].quarantine_id if len(found) == most else None)


@dataclass(frozen=True, slots=True)
class Again:
    """Quarantined rows looked at once more: those that are understood by now, and the others with the reason."""

    rows: list[Row]  # for the statement that stores events, with `releasing`
    done: list[sa.Row[Any]]
    still: list[tuple[sa.Row[Any], str]]


def understood_again(
    found: Sequence[sa.Row[Any]], *, estate: Estate, now: datetime, registered: Mapping[str, Registered]
) -> Again:
    """Pure. `found` has the columns of OPEN_QUARANTINE."""
    again = Again([], [], [])
    for held in found:
        try:
            event = parse_structured(held.body)
            event = replace(event, correlation_id=held.correlation_id, time=event.time or held.occurred_at)
            core, payload = read(event, estate, registered, now=now)
        except (MalformedEvent, SchemaUnknown) as wrong:
            again.still.append((held, wrong.message))
            continue
        at, by = held.recorded_at, held.received_by
        row = stored_row(core, payload, estate, now=now, received_at=at, received_by=by, sent=event)
        again.rows.append({**row, "source": held.source, "id": held.event_id})
        again.done.append(held)
    return again


async def hold_unreadable(
    conn: AsyncConnection, entries: Sequence[tuple[bytes, str]], *, source: str, now: datetime, received_by: str
) -> int:
    """Quarantine entries (raw bytes, reason) that are no events of `source`; how many were new."""
    for _, reason in entries:
        _log.error("an entry in the feed of %s is no event of it and goes to quarantine: %s", source, reason)
    rows = [unreadable_row(body, reason, source=source, now=now) for body, reason in entries]
    return len(await _hold(conn, rows, now=now, received_by=received_by))


async def registered_schemas(conn: AsyncConnection, types: Sequence[str] | None = None) -> dict[str, Registered]:
    """Versions that were registered while Tieline runs, by name; those of `types`, or all."""
    found = await conn.execute(sql.REGISTERED, {"types": None if types is None else list(types)})
    return registered_of(found)


def registered_of(rows: Iterable[sa.Row[Any]]) -> dict[str, Registered]:
    """Of rows of REGISTERED."""
    return {
        row.type: Registered(
            row.type, orjson.loads(row.body), row.reads_as, tuple((a, b) for a, b in orjson.loads(row.renames))
        )
        for row in rows
    }


async def _store(
    conn: AsyncConnection, rows: Sequence[Mapping[str, object]], *, now: datetime, releasing: bool
) -> set[Key]:
    """Keys of those that were new."""
    if not rows:
        return set()
    found = await conn.execute(sql.STORE, {"rows": as_json(rows), "now": now, "releasing": releasing})
    return {(row.source, row.id) for row in found}


async def _hold(
    conn: AsyncConnection, rows: Sequence[Mapping[str, object]], *, now: datetime, received_by: str
) -> set[Key]:
    if not rows:
        return set()
    found = await conn.execute(sql.QUARANTINE, {"rows": as_json(rows), "now": now, "received_by": received_by})
    return {(row.source, row.id) for row in found}


async def _first_receipts(conn: AsyncConnection, keys: Sequence[Key]) -> dict[Key, _First]:
    """Raises TielineError where a repeat cannot be seen, which READ COMMITTED excludes."""
    if not keys:
        return {}
    wanted = as_json([{"source": source, "id": event_id} for source, event_id in keys])
    found: dict[Key, _First] = {}
    for row in await conn.execute(sql.FIRST_RECEIPTS, {"keys": wanted}):
        stored = row.data is not None
        content = (row.type, orjson.loads(row.data)) if stored else _content(parse_structured(row.body))
        found[row.source, row.id] = _First(row.recorded_at, row.correlation_id, content, row.reason)
    if len(found) < len(keys):
        raise TielineError("a delivered event was neither new nor on record; run intake in READ COMMITTED")
    return found


def _content(event: CloudEvent) -> tuple[object, object]:
    return event.type, orjson.loads(event.data)


def _repeated(event: CloudEvent, first: _First) -> Receipt:
    differs = first.content != _content(event)
    if differs:
        words = "event %s of %s came again with other content; the first one stands"
        _log.error(words, event.id, event.source, extra=_line_of(first.correlation_id))
    return Receipt(
        event.id, event.source, ReceiptStatus.DUPLICATE, first.recorded_at, first.correlation_id, first.reason, differs
    )
