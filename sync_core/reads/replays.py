"""Replays: the list of them, one with its totals, its items, and one item's plan field by field."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from sync_core.reads.amounts import MoneyTotal, Part, add_up
from sync_core.reads.paging import Listed, Listing, Order, Row, Values, Where, Window
from sync_core.reads.replay_items import STOPPED
from sync_core.reads.scope import OF_CONTRACT, Entities, bound
from sync_core.replay.replay import ItemState, Origin, PreviewState, ReplayState


@dataclass(frozen=True, slots=True)
class Totals:
    """Over the items within the reader's reach; `whole`: that is all of them.

    `states` add up to `items`: each item is in one of them at every moment. Effects and money are of what was or may be
    carried out: neither skipped nor stopped by its preview; money is that of those which write.
    """

    whole: bool
    items: int
    states: Mapping[ItemState, int]
    previews: Mapping[PreviewState, int]
    waiting: int  # confirmed, not dispatched yet
    in_hand: int  # dispatched, not ended yet
    creates: int
    updates: int
    activates: int
    closes: int
    no_ops: int
    conflicts: int
    money: MoneyTotal
    changed: int  # skipped because their plan was not the confirmed one any more
    ready: int  # what a confirmation would carry out: previewed, and nothing found that stops it
    ready_money: MoneyTotal  # of those of them that write
    stopped: int  # previewed, and something found that stops it before any write: it cannot be carried out
    stopped_money: MoneyTotal  # all that these contracts are worth

    @property
    def ended(self) -> int:
        return self.items - self.states[ItemState.PENDING]


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """One replay in a list. Times are UTC. `states` as in Totals, `whole` too."""

    replay_id: int
    title: str
    origin: Origin
    state: ReplayState
    lane: str | None  # of "everything that this ERP missed"
    selection: Mapping[str, Any]  # as it was asked for
    items: int  # all, whoever looks
    created_at: datetime
    created_by: str
    offered_from: int | None
    reason: str
    ticket: str
    per_minute: int
    confirmed_by: str | None
    confirmed_at: datetime | None
    needs_approval: bool
    approval_why: str  # without its figures for whoever does not see all of it
    approved_by: str | None
    approved_at: datetime | None
    approval_reason: str
    ended_by: str | None  # who cancelled or refused it
    finished_at: datetime | None
    version: int
    whole: bool
    states: Mapping[ItemState, int]
    move_from: str | None = None  # of a move: the ERP that its contracts leave
    move_to: str | None = None
    undoes: int | None = None  # the move that this one takes back

    @property
    def noun(self) -> str:
        return "Move" if self.move_to else "Replay"


@dataclass(frozen=True, slots=True)
class ReplayDetail:
    replay: ReplayRow
    totals: Totals
    remaining: timedelta | None  # until the last item is dispatched, at the present rate; None: it is not running


ReplayPage = Listed[ReplayRow]

_COLUMNS: Final = """replay_id, title, origin, state, lane, selection, items, created_at, created_by, offered_from,
    reason, ticket, per_minute, confirmed_by, confirmed_at, needs_approval, approval_why, approved_by, approved_at,
    approval_reason, ended_by, finished_at, version, entities, move_from, move_to, undoes"""
_WHY_BEYOND: Final = "the whole of it is above a threshold of the estate"
_VISIBLE: Final = "(CAST(:entities AS text[]) IS NULL OR entities && CAST(:entities AS text[]))"
_ORDER: Final = Order("created_at", descending=True, nullable=False, kind=datetime, row_id="replay_id")
_ONE = sa.text(f"SELECT {_COLUMNS} FROM core.replay WHERE replay_id = :replay_id AND {_VISIBLE}")
_STATES = sa.text(f"""
    SELECT i.replay_id, i.state, count(*) AS n
    FROM core.replay_item AS i JOIN core.contract AS c USING (contract_id)
    WHERE i.replay_id = ANY(:ids) AND {OF_CONTRACT} GROUP BY 1, 2
""")
_VERSION = sa.text(f"SELECT version FROM core.replay WHERE replay_id = :replay_id AND {_VISIBLE}")
_TOTALS = sa.text(f"""
    SELECT i.state, i.preview, i.confirmed AND i.dispatched_at IS NULL AS waits,
           i.dispatched_at IS NOT NULL AS dispatched,
           i.creates + i.updates + i.activates + i.closes > 0 AS writes, i.skip = 'changed' AS changed,
           i.state = 'pending' AND i.preview = 'done' AND i.findings = '[]' AS ready,
           {STOPPED} AS stopped,
           CASE WHEN i.money_reporting IS NULL THEN i.currency END AS unconverted,
           count(*) AS n, sum(i.creates) AS creates, sum(i.updates) AS updates, sum(i.activates) AS activates,
           sum(i.closes) AS closes, sum(i.no_ops) AS no_ops, sum(i.conflicts) AS conflicts,
           sum(i.money_reporting) AS reporting, sum(i.money) AS amount
    FROM core.replay_item AS i JOIN core.contract AS c USING (contract_id)
    WHERE i.replay_id = :replay_id AND {OF_CONTRACT} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
""")


def replay_page(
    conn: sa.Connection,
    window: Window,
    *,
    entities: Entities,
    states: Sequence[ReplayState] = (),
    moves: bool | None = None,
) -> ReplayPage:
    """Newest first: those of which anything is within reach. Without `states`: in any; `moves`: only those, or none."""
    conditions, values = [_VISIBLE], Values(bound(entities))
    if states:
        conditions.append("state = ANY(:states)")
        values["states"] = [s.value for s in states]
    if moves is not None:
        conditions.append(f"move_to IS {'NOT ' if moves else ''}NULL")
    where = Where(tuple(conditions), values)
    page = Listing(_COLUMNS, "core.replay", where, _ORDER, lambda row: row).page(conn, window)
    counted = _states(conn, [row.replay_id for row in page.rows], entities)
    rows = tuple(_replay(row, counted, entities) for row in page.rows)
    return Listed(rows, page.total, page.capped, page.after, page.before)


def replay_detail(conn: sa.Connection, replay_id: int, *, reporting: str, entities: Entities) -> ReplayDetail | None:
    row = conn.execute(_ONE, {"replay_id": replay_id, **bound(entities)}).one_or_none()
    if row is None:
        return None
    groups = conn.execute(_TOTALS, {"replay_id": replay_id, **bound(entities)}).all()
    totals = _totals(groups, reporting, whole=_whole(row, entities))
    replay = _replay(row, {replay_id: totals.states}, entities)
    running = replay.state is ReplayState.RUNNING
    remaining = timedelta(minutes=totals.waiting / replay.per_minute) if running else None
    return ReplayDetail(replay, totals, remaining)


def replay_version(conn: sa.Connection, replay_id: int, *, entities: Entities) -> int | None:
    found: int | None = conn.scalar(_VERSION, {"replay_id": replay_id, **bound(entities)})
    return found


def _whole(row: Row, entities: Entities) -> bool:
    return entities is None or entities.issuperset(row.entities)


def _states(conn: sa.Connection, ids: Sequence[int], entities: Entities) -> Mapping[int, Mapping[ItemState, int]]:
    found: dict[int, dict[ItemState, int]] = {replay_id: dict.fromkeys(ItemState, 0) for replay_id in ids}
    for row in conn.execute(_STATES, {"ids": list(ids), **bound(entities)}):
        found[row.replay_id][ItemState(row.state)] = row.n
    return found


def _totals(groups: Sequence[Row], reporting: str, *, whole: bool) -> Totals:
    def count(**alike: object) -> int:
        return sum(g.n for g in groups if all(getattr(g, name) == value for name, value in alike.items()))

    def counts(group: Row) -> bool:
        return bool(group.state != ItemState.SKIPPED and not group.stopped)

    def effects(name: str) -> int:
        return int(sum(getattr(g, name) for g in groups if counts(g)))

    def conflicts() -> int:
        """They stop a contract, so that they are not of what is carried out."""
        return int(sum(g.conflicts for g in groups if counts(g) or g.stopped))

    def money(keep: Callable[[Row], bool]) -> MoneyTotal:
        return add_up((Part(g.n, g.reporting, g.unconverted, g.amount) for g in groups if keep(g)), reporting)

    return Totals(
        whole=whole,
        items=sum(g.n for g in groups),
        states={state: count(state=state) for state in ItemState},
        previews={preview: count(preview=preview) for preview in PreviewState},
        waiting=count(state=ItemState.PENDING, waits=True),
        in_hand=count(state=ItemState.PENDING, dispatched=True),
        creates=effects("creates"),
        updates=effects("updates"),
        activates=effects("activates"),
        closes=effects("closes"),
        no_ops=effects("no_ops"),
        conflicts=conflicts(),
        money=money(lambda group: bool(group.writes and counts(group))),
        changed=count(changed=True),
        ready=count(ready=True),
        ready_money=money(lambda group: bool(group.ready and group.writes)),
        stopped=count(stopped=True),
        stopped_money=money(lambda group: bool(group.stopped)),
    )


def _replay(row: Row, counted: Mapping[int, Mapping[ItemState, int]], entities: Entities) -> ReplayRow:
    values = {name: getattr(row, name) for name in row._fields if name != "entities"}
    values |= {"origin": Origin(row.origin), "state": ReplayState(row.state)}
    whole = _whole(row, entities)
    if row.approval_why and not whole:
        values["approval_why"] = _WHY_BEYOND
    return ReplayRow(**values, whole=whole, states=counted[row.replay_id])
