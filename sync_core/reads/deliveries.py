"""What others are told, and how far each of them is: subscribers, notification rules, outgoing events."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from sync_core.estate.delivery import Subscriber
from sync_core.estate.estate import Estate
from sync_core.reads.paging import Listed, Listing, Order, Row, Where
from sync_core.reads.scope import Entities, bound

_SUBSCRIBERS = sa.text("""
    SELECT d.name, s.*, head.seq AS head, waiting.since AS waiting_since, waiting.behind
    FROM jsonb_to_recordset(CAST(:declared AS jsonb)) AS d(name text, entities text[], prefixes text[])
    CROSS JOIN (SELECT coalesce(max(seq), 0) AS seq FROM core.outgoing) AS head
    LEFT JOIN core.subscriber AS s ON s.name = d.name
    LEFT JOIN LATERAL (
        SELECT min(recorded_at) AS since, count(*) AS behind FROM (
            SELECT recorded_at FROM core.outgoing
            WHERE seq > s.sent_seq AND (addressee = d.name OR addressee IS NULL
                  AND (d.entities IS NULL OR legal_entity = '*' OR legal_entity = ANY(d.entities))
                  AND EXISTS (SELECT FROM unnest(d.prefixes) AS p WHERE starts_with(type, p)))
            ORDER BY seq LIMIT :most
        ) AS o
    ) AS waiting ON true
    ORDER BY d.name
""")
_NOTICES = sa.text("SELECT * FROM core.notice WHERE name = ANY(CAST(:names AS text[]))")
MOST_COUNTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class SubscriberState:
    """One subscriber of the estate. `behind` is exact up to 10,000; `lag` is the age of the oldest that waits."""

    name: str
    url: str
    types: tuple[str, ...]
    entities: tuple[str, ...] | None
    sent_seq: int | None  # None: no worker has served it yet
    head: int
    behind: int
    lag: timedelta | None
    failures: int
    next_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    last_ok_at: datetime | None
    paused_by: str | None
    paused_at: datetime | None
    pause_reason: str | None
    version: int


@dataclass(frozen=True, slots=True)
class NoticeState:
    """One notification rule of the estate, and how its last sending went."""

    name: str
    on: tuple[str, ...]
    failures: int
    next_at: datetime | None
    last_error: str | None
    last_ok_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """`type_prefix`: what the type begins with, `com.tieline.` left out."""

    type_prefix: str = ""
    contract_id: int | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One outgoing event. `waiting_for`: subscribers that want it and do not have it yet."""

    seq: int
    id: str
    type: str
    subject: str
    contract_id: int | None
    legal_entity: str | None
    severity: str
    occurred_at: datetime
    recorded_at: datetime
    waiting_for: tuple[str, ...]


DeliveryPage = Listed[DeliveryRow]

_ORDER: Final = Order("o.recorded_at", descending=True, nullable=False, kind=datetime, row_id="o.seq")
_COLUMNS: Final = """o.seq, o.id, o.type, o.subject, o.addressee, o.contract_id, o.legal_entity, o.severity,
    o.occurred_at, o.recorded_at"""


def subscribers(conn: sa.Connection, estate: Estate, *, now: datetime, entities: Entities) -> list[SubscriberState]:
    """Those within reach, by name."""
    seen = {one.name: one for one in estate.subscriber if _within(one, entities)}
    declared = [
        {"name": one.name, "entities": None if one.entities is None else list(one.entities), "prefixes": one.prefixes}
        for one in seen.values()
    ]
    statement = _SUBSCRIBERS.bindparams(sa.bindparam("declared", type_=sa.JSON))
    rows = conn.execute(statement, {"declared": declared, "most": MOST_COUNTED})
    return [_subscriber(seen[row[0]], row, now) for row in rows]


def _within(one: Subscriber, entities: Entities) -> bool:
    return entities is None or (one.entities is not None and entities.issuperset(one.entities))


def _subscriber(one: Subscriber, row: sa.Row[Any], now: datetime) -> SubscriberState:
    return SubscriberState(
        name=one.name,
        url=one.url,
        types=one.types,
        entities=one.entities,
        sent_seq=row.sent_seq,
        head=row.head,
        behind=row.behind or 0,
        lag=None if row.waiting_since is None else max(now - row.waiting_since, timedelta()),
        failures=row.failures or 0,
        next_at=row.next_at,
        last_error=row.last_error,
        last_error_at=row.last_error_at,
        last_ok_at=row.last_ok_at,
        paused_by=row.paused_by,
        paused_at=row.paused_at,
        pause_reason=row.pause_reason,
        version=row.version or 1,
    )


def notices(conn: sa.Connection, estate: Estate) -> list[NoticeState]:
    """In the order of the estate file."""
    rows = {row.name: row for row in conn.execute(_NOTICES, {"names": [rule.name for rule in estate.notify]})}
    states = []
    for rule in estate.notify:
        row = rows.get(rule.name)
        words = tuple(word.value for word in rule.on)
        if row is None:
            states.append(NoticeState(rule.name, words, 0, None, None, None))
        else:
            states.append(NoticeState(rule.name, words, row.failures, row.next_at, row.last_error, row.last_ok_at))
    return states


def delivery_listing(
    wanted: DeliveryFilter, states: list[SubscriberState], *, entities: Entities
) -> Listing[DeliveryRow]:
    """Outgoing events within reach, newest first. `states`: of the subscribers that are asked about."""
    conditions = ["(CAST(:entities AS text[]) IS NULL OR o.legal_entity = '*'"
                  " OR o.legal_entity = ANY(CAST(:entities AS text[])))"]  # fmt: skip
    values = dict[str, object](bound(entities))
    if wanted.type_prefix:
        conditions.append("starts_with(o.type, :type_prefix)")
        values["type_prefix"] = f"com.tieline.{wanted.type_prefix.removeprefix('com.tieline.')}"
    if wanted.contract_id is not None:
        conditions.append("o.contract_id = :contract_id")
        values["contract_id"] = wanted.contract_id

    def make(row: Row) -> DeliveryRow:
        return _row(row, states)

    return Listing(_COLUMNS, "core.outgoing AS o", Where(tuple(conditions), values), _ORDER, make)


def _row(row: Row, states: list[SubscriberState]) -> DeliveryRow:
    return DeliveryRow(
        seq=row.seq,
        id=row.id,
        type=row.type,
        subject=row.subject,
        contract_id=row.contract_id,
        legal_entity=row.legal_entity,
        severity=row.severity,
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        waiting_for=tuple(one.name for one in states if _waits(one, row)),
    )


def _waits(one: SubscriberState, row: Row) -> bool:
    if one.sent_seq is None or row.seq <= one.sent_seq:
        return False
    if row.addressee is not None:
        return bool(row.addressee == one.name)
    reached = one.entities is None or row.legal_entity == "*" or row.legal_entity in one.entities
    return reached and row.type.startswith(tuple(pattern.removesuffix("*") for pattern in one.types))
