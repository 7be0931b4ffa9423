"""Differences between CLM, Tieline and ERP, newest first, and how the watch for them goes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import sqlalchemy as sa

from sync_core.reads.paging import Listed, Listing, Order, Row, Where
from sync_core.reads.scope import OF_CONTRACT, Entities, bound
from sync_core.watch.drift import Stands
from sync_core.watch.drift_rows import WATCHED

State = Literal["open", "closed", "all"]


@dataclass(frozen=True, slots=True)
class DriftFilter:
    """Empty fields do not filter."""

    state: State = "open"
    stands: Stands | None = None
    legal_entity: str = ""
    system: str = ""
    contracts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One difference; open while `closed_at` is None. `field` "": the whole object, which is there or is not."""

    drift_id: int
    contract_id: int
    external_id: str
    title: str
    legal_entity: str
    system: str
    kind: str
    business_key: str
    field: str
    ours: str | None
    theirs: str | None
    stands: Stands
    function: str | None
    words: str
    first_seen_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
    currency: str | None  # the contract's; None: not known


DriftPage = Listed[DriftRow]

_FROM: Final = "core.drift AS d JOIN core.contract AS c ON c.contract_id = d.contract_id"
_COLUMNS: Final = """d.drift_id, d.contract_id, c.external_id, c.title, c.legal_entity, d.system, d.kind,
    d.business_key, d.field, d.ours, d.theirs, d.stands, d.function, d.words, d.first_seen_at, d.last_seen_at,
    d.closed_at, c.currency"""
_ORDER: Final = Order("d.first_seen_at", descending=True, nullable=False, kind=datetime, row_id="d.drift_id")
_STATES: Final = {"open": "d.closed_at IS NULL", "closed": "d.closed_at IS NOT NULL", "all": ""}


def drift_listing(wanted: DriftFilter, *, entities: Entities) -> Listing[DriftRow]:
    """The differences that meet the filter within reach, to be read page by page."""
    conditions, values = [OF_CONTRACT], dict[str, object](bound(entities))
    conditions += [state] if (state := _STATES[wanted.state]) else []
    named = {"d.stands": wanted.stands and wanted.stands.value, "c.legal_entity": wanted.legal_entity,
             "d.system": wanted.system}  # fmt: skip
    for column, value in named.items():
        if value:
            name = column.partition(".")[2]
            conditions.append(f"{column} = :{name}")
            values[name] = value.replace("\0", "")
    if wanted.contracts:
        conditions.append("d.contract_id = ANY(:contracts)")
        values["contracts"] = list(wanted.contracts)
    return Listing(_COLUMNS, _FROM, Where(tuple(conditions), values), _ORDER, _row)


def _row(row: Row) -> DriftRow:
    return DriftRow(
        row.drift_id, row.contract_id, row.external_id, row.title, row.legal_entity, row.system, row.kind,
        row.business_key, row.field, row.ours, row.theirs, Stands(row.stands), row.function, row.words,
        row.first_seen_at, row.last_seen_at, row.closed_at, row.currency,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class WatchState:
    """How the watch goes, over the contracts within reach. `oldest_at`: the oldest comparison of those in turn."""

    watched: int
    never: int  # not compared yet
    unread: int  # their last comparison could not read all
    oldest_at: datetime | None
    newest_at: datetime | None
    asked: int  # wait to be compared, because somebody asked
    held_up: int  # of these: something is being done for them, or they wait for people
    ours: int  # open differences
    owners: int
    allowed: int
    repairable: int  # contracts with open differences of ours in an ERP


_STATE = sa.text(f"""
    WITH checks AS (
        SELECT count(*) AS watched, count(*) FILTER (WHERE d.checked_at IS NULL) AS never,
               count(*) FILTER (WHERE d.outcome = 'unread') AS unread,
               min(d.checked_at) FILTER (WHERE d.left_at IS NULL) AS oldest_at,
               max(d.checked_at) AS newest_at, count(*) FILTER (WHERE d.asked_at IS NOT NULL) AS asked,
               count(*) FILTER (WHERE d.asked_at IS NOT NULL AND (
                   c.state <> ALL(:watched) OR c.wanted_rev <> c.done_rev OR c.replay_id IS NOT NULL)) AS held_up
        FROM core.drift_check AS d JOIN core.contract AS c USING (contract_id) WHERE {OF_CONTRACT}
    ), differences AS (
        SELECT count(*) FILTER (WHERE d.stands = 'ours') AS ours,
               count(*) FILTER (WHERE d.stands = 'owner') AS owners,
               count(*) FILTER (WHERE d.stands = 'allowed') AS allowed,
               count(DISTINCT d.contract_id) FILTER (WHERE d.stands = 'ours' AND d.kind <> 'contract') AS repairable
        FROM core.drift AS d JOIN core.contract AS c USING (contract_id)
        WHERE d.closed_at IS NULL AND {OF_CONTRACT}
    )
    SELECT * FROM checks, differences
""")


_TO_MEND = sa.text(f"""
    SELECT count(*) FROM core.drift AS d JOIN core.contract AS c USING (contract_id)
    WHERE d.closed_at IS NULL AND d.stands <> 'allowed' AND {OF_CONTRACT}
""")


def to_mend(conn: sa.Connection, *, entities: Entities) -> int:
    """How many open differences call for something."""
    return int(conn.execute(_TO_MEND, bound(entities)).scalar_one())


def watch_state(conn: sa.Connection, *, entities: Entities) -> WatchState:
    row = conn.execute(_STATE, {"watched": list(WATCHED), **bound(entities)}).one()
    return WatchState(*row)
