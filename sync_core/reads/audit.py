"""The audit as people read it: filtered, newest first, paged; one row whole; what the last verification found.

Rows that belong to no legal entity (sign-ins, settings, estate-wide commands) are for readers without a limit alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from sync_core.reads.paging import Listed, Listing, Order, Row, Where
from sync_core.reads.scope import Entities, bound, within

_TRIGRAM, _LONGEST, _MOST_ACTORS, _RECENT = 3, 200, 500, 10_000
_COUNTED: Final = 1_000  # a reader of the audit narrows a longer list anyway, and counting is what a page costs

VERIFIED: Final = "audit.verified"  # the name in core.watermark under which a verification leaves its result


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Empty fields do not filter. `text` is searched in actor, action, subject and reason, any case."""

    actor: str = ""  # exactly
    action: str = ""  # exactly, or its beginning when it ends in a dot: "exception."
    contract: str = ""  # the contract's id in its CLM
    contract_id: int | None = None
    legal_entity: str = ""
    subject: str = ""  # exactly: "exception 4711"
    since: datetime | None = None
    until: datetime | None = None  # exclusive
    text: str = ""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing done. Hashes in hex; times are UTC."""

    id: int
    occurred_at: datetime
    actor: str
    actor_kind: str
    roles: str
    action: str
    subject: str
    reason: str
    contract_id: int | None
    external_id: str | None  # None: of no contract, or of one that retention deleted
    legal_entity: str | None
    correlation_id: str
    detail: Mapping[str, Any]
    items: int
    items_root: str | None
    previous: str
    hash: str


AuditPage = Listed[AuditRow]


@dataclass(frozen=True, slots=True)
class AuditChoices:
    """What the list can be filtered by, in the order of the alphabet."""

    actors: tuple[str, ...]  # 500 at most
    actions: tuple[str, ...]
    families: tuple[str, ...]  # "exception.": what the actions begin with


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """The last verification; `verified_at` None: there was none yet. `rows` it read, `rows_now` there are."""

    verified_at: datetime | None
    whole: bool
    rows: int
    rows_now: int
    checkpoints: int
    message: str  # what is wrong, in one line
    row_id: int | None


_FROM: Final = "core.audit AS a LEFT JOIN core.contract AS c ON c.contract_id = a.contract_id"
_COLUMNS: Final = """a.id, a.occurred_at, a.actor, a.actor_kind, a.roles, a.action, a.subject, a.reason, a.contract_id,
    c.external_id, a.legal_entity, a.correlation_id, a.detail, a.items, a.items_root, a.previous, a.hash"""
_ORDER: Final = Order("a.occurred_at", descending=True, nullable=False, kind=datetime, row_id="a.id")
# Word for word the expression of the index audit_search.
_SEARCHED: Final = "(a.actor || ' ' || a.action || ' ' || a.subject || ' ' || a.reason)"
_WITHIN: Final = within("a.legal_entity")
_CONTRACT: Final = """a.contract_id = ANY(ARRAY(SELECT k.contract_id FROM core.contract AS k
    WHERE k.external_id = :contract))"""

_ONE = sa.text(f"SELECT {_COLUMNS} FROM {_FROM} WHERE a.id = :id AND {_WITHIN}")
_STATUS = sa.text("""
    SELECT head.id AS rows_now, mark.value, mark.updated_at
    FROM core.audit_head AS head LEFT JOIN core.watermark AS mark ON mark.name = :name
""")
# From one distinct value to the next along the index: as many steps as there are values.
_DISTINCT = """
    WITH RECURSIVE known AS (
        (SELECT {column} AS one FROM core.audit ORDER BY {order} LIMIT 1)
        UNION ALL
        SELECT (SELECT {column} FROM core.audit WHERE {column} {beyond} known.one ORDER BY {order} LIMIT 1)
        FROM known WHERE known.one IS NOT NULL
    ) SELECT one FROM known WHERE one IS NOT NULL LIMIT :most
"""
_ACTORS = sa.text(_DISTINCT.format(column="actor", order="actor", beyond=">"))
_ACTIONS = sa.text(_DISTINCT.format(column="action", order="action USING ~<~", beyond="~>~"))
_WITHIN_REACH = sa.text("""
    SELECT DISTINCT actor, action FROM (
        SELECT actor, action FROM core.audit WHERE legal_entity = ANY(:entities)
        ORDER BY occurred_at DESC, id DESC LIMIT :recent
    ) AS recent
""")


def audit_listing(wanted: AuditFilter, *, entities: Entities) -> Listing[AuditRow]:
    """The rows that meet the filter within reach, newest first, to be read page by page."""
    return Listing(_COLUMNS, _FROM, _where(wanted, entities), _ORDER, audit_row, count_limit=_COUNTED)


def one_row(conn: sa.Connection, row_id: int, *, entities: Entities) -> AuditRow | None:
    """None when there is no such row within reach."""
    found = conn.execute(_ONE, {"id": row_id, **bound(entities)}).one_or_none()
    return None if found is None else audit_row(found)


def audit_choices(conn: sa.Connection, *, entities: Entities) -> AuditChoices:
    """With a limited reach: of the newest rows within it."""
    if entities is None:
        actors = {str(one) for one in conn.scalars(_ACTORS, {"most": _MOST_ACTORS})}
        actions = {str(one) for one in conn.scalars(_ACTIONS, {"most": _MOST_ACTORS})}
    else:
        rows = conn.execute(_WITHIN_REACH, {"entities": sorted(entities), "recent": _RECENT}).all()
        actors, actions = {row.actor for row in rows}, {row.action for row in rows}
    families = {f"{action.partition('.')[0]}." for action in actions}
    return AuditChoices(tuple(sorted(actors)[:_MOST_ACTORS]), tuple(sorted(actions)), tuple(sorted(families)))


def chain_status(conn: sa.Connection) -> ChainStatus:
    row = conn.execute(_STATUS, {"name": VERIFIED}).one_or_none()
    if row is None or row.value is None:
        return ChainStatus(None, False, 0, 0 if row is None else row.rows_now, 0, "", None)
    told = orjson.loads(row.value)
    return ChainStatus(
        row.updated_at, bool(told["whole"]), int(told["rows"]), row.rows_now, int(told["checkpoints"]),
        str(told["message"]), told["row_id"],
    )  # fmt: skip


def _where(wanted: AuditFilter, entities: Entities) -> Where:
    conditions: list[str] = []
    values: dict[str, object] = {}
    if entities is not None:
        conditions.append("a.legal_entity = ANY(:entities)")
        values["entities"] = sorted(entities)
    for name in ("actor", "legal_entity", "subject", "contract_id"):
        if (value := getattr(wanted, name)) not in ("", None):
            conditions.append(f"a.{name} = :{name}")
            values[name] = value
    if wanted.contract:
        conditions.append(_CONTRACT)
        values["contract"] = wanted.contract
    for name, way in (("since", ">="), ("until", "<")):
        if (moment := getattr(wanted, name)) is not None:
            conditions.append(f"a.occurred_at {way} :{name}")
            values[name] = moment
    _add_action(wanted.action, conditions, values)
    _add_text(wanted.text, conditions, values)
    return Where(tuple(conditions), values)


def _add_action(action: str, conditions: list[str], values: dict[str, object]) -> None:
    if action.endswith("."):
        conditions.append("a.action LIKE :action")
        values["action"] = f"{_literal(action)}%"
    elif action:
        conditions.append("a.action = :action")
        values["action"] = action


def _add_text(given: str, conditions: list[str], values: dict[str, object]) -> None:
    text = given.replace("\0", "").strip()[:_LONGEST]
    if not text:
        return
    # Trigrams need three characters; shorter text is looked for at the start of the subject.
    long = len(text) >= _TRIGRAM
    conditions.append(f"{_SEARCHED} ILIKE :pattern" if long else "a.subject LIKE :pattern")
    values["pattern"] = f"%{_literal(text)}%" if long else f"{_literal(text)}%"


def _literal(text: str) -> str:
    """Text that LIKE takes as it stands."""
    return text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def audit_row(row: Row) -> AuditRow:
    return AuditRow(
        id=row.id,
        occurred_at=row.occurred_at,
        actor=row.actor,
        actor_kind=row.actor_kind,
        roles=row.roles,
        action=row.action,
        subject=row.subject,
        reason=row.reason,
        contract_id=row.contract_id,
        external_id=row.external_id,
        legal_entity=row.legal_entity,
        correlation_id=row.correlation_id,
        detail=_detail(row.detail),
        items=row.items,
        items_root=None if row.items_root is None else bytes(row.items_root).hex(),
        previous=bytes(row.previous).hex(),
        hash=bytes(row.hash).hex(),
    )


def _detail(text: str) -> Mapping[str, Any]:
    """What cannot be read was changed behind Tieline's back; it is shown as it is."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"unreadable": text}
    return found if isinstance(found, dict) else {"value": found}
