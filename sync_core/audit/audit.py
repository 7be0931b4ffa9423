"""The audit: what people and programs did, append-only and hash-chained, in the transaction of the action itself.

Each row's hash covers the row before it, so a changed, removed, added or moved row breaks the chain at its place.
The head (`core.audit_head`) is locked last in a transaction, so that commands wait for each other only to commit;
ids have no gaps, because they come from the head and not from a sequence. Workers never append per contract: a
command has one row, with a Merkle root over its items.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa

from sync_core.authority import Actor

GENESIS: Final = bytes(32)  # what the first row follows


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing done, before it has its place in the chain. `detail` is any JSON: previews, before and after."""

    action: str  # "exception.assign": noun and verb, stable, filtered by
    subject: str  # what it was done to, as a reader finds it again: "exception 4711", "replay 12"
    reason: str = ""
    contract_id: int | None = None
    legal_entity: str | None = None
    correlation_id: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    items: Sequence[Any] = ()  # what it was done to one by one; only their root is kept


class Row(NamedTuple):
    """A row of core.audit, exactly as stored, in the order of COLUMNS: what the hash is made of."""

    id: int
    occurred_at: datetime
    actor: str
    actor_kind: str
    roles: str
    action: str
    subject: str
    reason: str
    contract_id: int | None
    legal_entity: str | None
    correlation_id: str
    detail: str  # canonical JSON text, kept to the byte
    items: int
    items_root: bytes | None
    previous: bytes
    hash: bytes


COLUMNS: Final = ", ".join(Row._fields)
_HEAD = sa.text("SELECT id, hash FROM core.audit_head FOR UPDATE")
_INSERT = sa.text(f"""
    INSERT INTO core.audit ({COLUMNS})
    VALUES (:id, :occurred_at, :actor, :actor_kind, :roles, :action, :subject, :reason, :contract_id, :legal_entity,
            :correlation_id, :detail, :items, :items_root, :previous, :hash)
""")
_MOVE_HEAD = sa.text("UPDATE core.audit_head SET id = :id, hash = :hash")


def append(conn: sa.Connection, actor: Actor, entries: Sequence[Entry], *, now: datetime) -> list[int]:
    """Ids of the new rows. Locks the head until the caller commits, so call it last."""
    if not entries:
        return []
    head = conn.execute(_HEAD).one()
    rows = following(int(head.id), bytes(head.hash), actor, entries, now=now)
    conn.execute(_INSERT, [row._asdict() for row in rows])
    conn.execute(_MOVE_HEAD, {"id": rows[-1].id, "hash": rows[-1].hash})
    return [row.id for row in rows]


def following(last: int, previous: bytes, actor: Actor, entries: Sequence[Entry], *, now: datetime) -> list[Row]:
    """The rows that would stand behind row `last` with the hash `previous`."""
    rows: list[Row] = []
    for number, entry in enumerate(entries, last + 1):
        rows.append(_row(number, actor, entry, now, rows[-1].hash if rows else previous))
    return rows


def _row(number: int, actor: Actor, entry: Entry, now: datetime, previous: bytes) -> Row:
    row = Row(
        id=number,
        occurred_at=now.astimezone(UTC),
        actor=clean(actor.name),
        actor_kind=actor.kind.value,
        roles=clean(actor.roles),
        action=entry.action,
        subject=clean(entry.subject),
        reason=clean(entry.reason),
        contract_id=entry.contract_id,
        legal_entity=entry.legal_entity,
        correlation_id=clean(entry.correlation_id),
        detail=clean(canonical(entry.detail)),
        items=len(entry.items),
        items_root=items_root(entry.items),
        previous=previous,
        hash=b"",
    )
    return row._replace(hash=link(previous, content_of(row)))


def digest(row: Mapping[str, Any] | sa.RowMapping) -> bytes:
    """The hash that a row must have: the link of its content behind the row before it."""
    return link(bytes(row["previous"]), content_of(Row(**{**row, "hash": b""})))


def content_of(row: Row) -> bytes:
    """SHA-256 over all columns but `previous` and `hash`, in a form that leaves no doubt where one ends.

    Raises AttributeError or TypeError for a row whose values are not of the table's kinds.
    """
    parts = [
        row.id, row.occurred_at.astimezone(UTC).isoformat(timespec="microseconds"), row.actor, row.actor_kind,
        row.roles, row.action, row.subject, row.reason, row.contract_id, row.legal_entity, row.correlation_id,
        row.detail, row.items, None if row.items_root is None else row.items_root.hex(),
    ]  # fmt: skip
    return hashlib.sha256(orjson.dumps(parts)).digest()


def link(previous: bytes, content: bytes) -> bytes:
    """A row's hash. Whoever has the contents' hashes alone can follow the chain, and reads no row by it."""
    return hashlib.sha256(previous + content).digest()


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces; decimals, dates and enums as texts."""
    return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z).decode()


def clean(text: str) -> str:
    """PostgreSQL's text holds no U+0000."""
    return text.replace("\x00", "\ufffd").replace("\\u0000", "\\ufffd")


def leaf(item: object) -> bytes:
    return hashlib.sha256(b"\x00" + canonical(item).encode()).digest()


def items_root(items: Iterable[object]) -> bytes | None:
    """Merkle root (RFC 6962's shape: leaves and nodes are told apart by a first byte); None without items."""
    level = [leaf(item) for item in items]
    if not level:
        return None
    while len(level) > 1:
        paired = [hashlib.sha256(b"\x01" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = [*paired, level[-1]] if len(level) % 2 else paired
    return level[0]
