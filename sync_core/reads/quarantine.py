"""What was delivered and not understood: why, and its bytes as text that harms nobody who looks at it."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import sqlalchemy as sa

from sync_core.reads.paging import COUNT_LIMIT, Listed, Listing, Order, Row, Where, Window
from sync_core.reads.scope import Entities, bound, within

IN_LIST, IN_FULL = 2_000, 200_000  # bytes shown of a body

State = Literal["waiting", "released", "dismissed"]


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """`state` "" lists all."""

    state: State | Literal[""] = "waiting"
    source: str = ""
    signature: bool | None = None


@dataclass(frozen=True, slots=True)
class QuarantinedEvent:
    """`signature`: it may carry executed terms, so it counts as an open case until it is released or dismissed."""

    quarantine_id: int
    source: str
    event_id: str
    type: str
    external_id: str | None
    legal_entity: str  # of its contract, if that is known
    reason: str
    signature: bool
    received_by: str
    correlation_id: str
    occurred_at: datetime
    recorded_at: datetime
    released_at: datetime | None
    dismissed_at: datetime | None
    dismissed_by: str | None
    dismissed_reason: str | None
    body: str  # plain text, cut after `shown` bytes
    size: int  # bytes of the whole
    cut: bool

    @property
    def state(self) -> State:
        return "released" if self.released_at else "dismissed" if self.dismissed_at else "waiting"


@dataclass(frozen=True, slots=True)
class Unread:
    """How much waits; 10,000 stands for more."""

    events: int
    signatures: int  # of them, what may carry executed terms


QuarantinePage = Listed[QuarantinedEvent]

_FROM: Final = "core.quarantine AS q LEFT JOIN core.contract AS c USING (source, external_id)"
_COLUMNS: Final = """q.quarantine_id, source, q.event_id, q.type, external_id,
    coalesce(c.legal_entity, '') AS legal_entity, q.reason, q.signature, q.received_by, q.correlation_id, q.occurred_at,
    q.recorded_at, q.released_at, q.dismissed_at, q.dismissed_by, q.dismissed_reason, octet_length(q.body) AS size"""
_WITHIN: Final = within("coalesce(c.legal_entity, '')")
_STATES: Final = {
    "waiting": "q.released_at IS NULL AND q.dismissed_at IS NULL",
    "released": "q.released_at IS NOT NULL",
    "dismissed": "q.dismissed_at IS NOT NULL",
}
_ORDER: Final = Order("q.recorded_at", False, False, datetime, "q.quarantine_id")
_COUNTED: Final = "(SELECT count(*) FROM (SELECT FROM {from_} WHERE {where} LIMIT :most) AS q)"
_UNREAD = sa.text(f"""
    SELECT {_COUNTED.format(from_=_FROM, where=f"{_STATES['waiting']} AND {_WITHIN}")} AS events,
           {_COUNTED.format(from_=_FROM, where=f"{_STATES['waiting']} AND q.signature AND {_WITHIN}")} AS signatures
""")
_ONE = sa.text(f"""
    SELECT {_COLUMNS}, substring(q.body FROM 1 FOR {IN_FULL}) AS shown FROM {_FROM}
    WHERE q.quarantine_id = :one AND {_WITHIN}
""")


def quarantine(conn: sa.Connection, wanted: QuarantineFilter, window: Window, *, entities: Entities) -> QuarantinePage:
    """Oldest first, 2,000 bytes of each body. Raises InvalidCursor."""
    conditions, values = [_WITHIN], dict[str, object](bound(entities))
    if wanted.state:
        conditions.append(_STATES[wanted.state])
    if wanted.source:
        conditions.append("source = :source")
        values["source"] = wanted.source.replace("\0", "")
    if wanted.signature is not None:
        conditions.append("q.signature" if wanted.signature else "NOT q.signature")
    columns = f"{_COLUMNS}, substring(q.body FROM 1 FOR {IN_LIST}) AS shown"
    return Listing(columns, _FROM, Where(tuple(conditions), values), _ORDER, _event).page(conn, window)


def unread(conn: sa.Connection, *, entities: Entities) -> Unread:
    row = conn.execute(_UNREAD, {"most": COUNT_LIMIT, **bound(entities)}).one()
    return Unread(row.events, row.signatures)


def quarantined(conn: sa.Connection, quarantine_id: int, *, entities: Entities) -> QuarantinedEvent | None:
    """With 200,000 bytes of its body; None when there is none within reach."""
    found = conn.execute(_ONE, {"one": quarantine_id, **bound(entities)}).one_or_none()
    return None if found is None else _event(found)


def _event(row: Row) -> QuarantinedEvent:
    body = bytes(row.shown)
    return QuarantinedEvent(
        row.quarantine_id, row.source, row.event_id, row.type, row.external_id, row.legal_entity, row.reason,
        row.signature, row.received_by, row.correlation_id, row.occurred_at, row.recorded_at, row.released_at,
        row.dismissed_at, row.dismissed_by, row.dismissed_reason, as_text(body), row.size, row.size > len(body),
    )  # fmt: skip


def as_text(body: bytes) -> str:
    """Bytes that are no UTF-8, control and direction characters stand as U+FFFD; line ends and tabs stay."""
    text = body.decode("utf-8", "replace")
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else "\ufffd" for c in text)
