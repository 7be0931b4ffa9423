"""Verifying the tables against the events, in batches: many contracts need no more memory than few.

All of it is one snapshot: what comes meanwhile is not seen, neither in the events nor in the tables.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from sync_core.connectors import discovery
from sync_core.desired import Kind
from sync_core.errors import StoredEventUnreadable
from sync_core.estate.estate import Estate
from sync_core.events import Event
from sync_core.intake.contract_events import stored
from sync_core.keys import BusinessKey, ErpRef
from sync_core.master import lookup
from sync_core.master.match import Masters
from sync_core.moving.moving import Behind, Placement
from sync_core.reads.scope import OF_CONTRACT, Entities, bound
from sync_core.watch.plan_again import Held, Noted, Run
from sync_core.watch.verify import COLUMNS, Difference, Live, verified

BATCH: Final = 1_000
MOST_DIFFERENCES: Final = 10_000  # kept; all are counted

_CONTRACTS = sa.text(f"""
    SELECT c.*, p.lane AS placed, p.leaving, p.behind, CAST(:until AS timestamptz) IS NULL OR NOT EXISTS (
               SELECT FROM core.event AS e WHERE e.source = c.source AND e.external_id = c.external_id
                 AND e.recorded_at > :until) AND NOT EXISTS (
               SELECT FROM core.run AS r WHERE r.contract_id = c.contract_id AND r.recorded_at > :until)
               AND c.updated_at <= :until AS row_is_then
    FROM core.contract AS c LEFT JOIN core.placement AS p USING (contract_id)
    WHERE c.contract_id > :after AND {OF_CONTRACT} AND (CAST(:entity AS text) = '' OR c.legal_entity = :entity)
    ORDER BY c.contract_id LIMIT :batch
""")
_EVENTS = sa.text("""
    SELECT c.contract_id, e.source, e.id, e.type, e.occurred_at, CAST(e.data AS text) AS data
    FROM core.contract AS c JOIN core.event AS e USING (source, external_id)
    WHERE c.contract_id = ANY(:ids) AND (CAST(:until AS timestamptz) IS NULL OR e.recorded_at <= :until)
    ORDER BY c.contract_id, e.seq
""")
_RUNS = sa.text("""
    SELECT r.* FROM unnest(CAST(:ids AS bigint[])) AS c(contract_id) CROSS JOIN LATERAL (
        SELECT contract_id, run_id, rev, lane, outcome, state, digest, policy, started_at, recorded_at
        FROM core.run AS r
        WHERE r.contract_id = c.contract_id AND (CAST(:until AS timestamptz) IS NULL OR r.recorded_at <= :until)
          AND r.outcome NOT IN ('lost', 'skipped')
        ORDER BY r.started_at DESC LIMIT 1) AS r
""")
_OPERATIONS = sa.text("""
    SELECT run_id, action, kind, business_key, ref, status, before, after FROM core.operation
    WHERE contract_id = ANY(:ids) AND run_id = ANY(:runs) ORDER BY run_id, step
""")
_HELD = sa.text("""
    SELECT contract_id, system, kind, business_key, state, ref, fields, agreed FROM core.crosswalk
    WHERE contract_id = ANY(:ids)
""")
_KINDS = sa.text("SELECT system, answer FROM core.reference WHERE what = 'capabilities' AND answer IS NOT NULL")
_PREPARE = sa.text("SELECT set_config('jit', 'off', true)")


@dataclass(slots=True)
class Verified:
    """What a verification came to. `compared`: how many contracts' row, crosswalk, plan."""

    as_of: datetime | None
    contracts: int = 0
    compared: dict[str, int] = field(default_factory=lambda: {"contract": 0, "crosswalk": 0, "plan": 0})
    not_all: dict[str, int] = field(default_factory=dict)  # why something was not compared: contracts
    other_rules: int = 0  # contracts whose plan, lane and dates were not: other rules were in force at their last run
    unreadable: int = 0
    different: int = 0  # contracts
    differing: int = 0  # differences
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return not self.differing and not self.unreadable


def verify(
    conn: sa.Connection, estate: Estate, *, as_of: datetime | None = None, entity: str = "",
    entities: Entities = None, progress: Callable[[int], None] | None = None, batch: int = BATCH,
) -> Verified:  # fmt: skip
    """`conn` is a read-only snapshot. `as_of`: only what was recorded by then (aware); None is now."""
    done, after = Verified(as_of), 0
    conn.execute(_PREPARE)
    kinds = {row.system: frozenset(Kind(k) for k in row.answer if k in list(Kind)) for row in conn.execute(_KINDS)}
    keeps = discovery.keeps(estate)
    limits = {"until": as_of, "entity": entity.replace("\0", ""), "batch": batch, **bound(entities)}
    while rows := conn.execute(_CONTRACTS, {**limits, "after": after}).all():
        after = rows[-1].contract_id
        for live, events in _of_batch(conn, rows, as_of, kinds, done):
            _count(done, replace(live, keeps=keeps), events, estate)
        if progress is not None:
            progress(done.contracts)
    return done


def _count(done: Verified, live: Live, events: Sequence[Event], estate: Estate) -> None:
    done.contracts += 1
    verdict = verified(live, events, estate)
    for what in verdict.compared:
        done.compared[what] += 1
    if verdict.why:
        done.not_all[verdict.why] = done.not_all.get(verdict.why, 0) + 1
    done.other_rules += verdict.other_rules
    if verdict.differences:
        done.different += 1
        done.differing += len(verdict.differences)
        done.differences += verdict.differences[: MOST_DIFFERENCES - len(done.differences)]


def _of_batch(
    conn: sa.Connection, rows: Sequence[sa.Row[Any]], as_of: datetime | None, kinds: dict[str, frozenset[Kind]],
    done: Verified,
) -> Iterator[tuple[Live, Sequence[Event]]]:  # fmt: skip
    ids = [row.contract_id for row in rows]
    events = _events(conn, ids, as_of)
    runs = _runs(conn, ids, as_of)
    held: dict[int, list[Held]] = {}
    for row in conn.execute(_HELD, {"ids": ids}):
        held.setdefault(row.contract_id, []).append(_held(row))
    masters = masters_of(conn, events)
    for row in rows:
        known = events.get(row.contract_id, [])
        if known is None:
            done.contracts, done.unreadable = done.contracts + 1, done.unreadable + 1
        elif known:
            live = _live(row, runs.get(row.contract_id), held.get(row.contract_id, []), kinds)
            yield replace(live, masters=masters.get(row.contract_id)), known
        elif as_of is None:
            done.contracts, done.different, done.differing = done.contracts + 1, done.different + 1, done.differing + 1
            done.differences.append(Difference(row.contract_id, row.external_id, "contract", "events", "none", "a row"))


def _events(conn: sa.Connection, ids: Sequence[int], as_of: datetime | None) -> dict[int, list[Event] | None]:
    """None: one of them cannot be read."""
    found: dict[int, list[Event] | None] = {}
    for row in conn.execute(_EVENTS, {"ids": list(ids), "until": as_of}):
        known = found.setdefault(row.contract_id, [])
        if known is None:
            continue
        try:
            known.append(stored(row))
        except StoredEventUnreadable:
            found[row.contract_id] = None
    return found


def masters_of(conn: sa.Connection, events: Mapping[int, Sequence[Event] | None]) -> dict[int, Masters]:
    """As master data stands now; empty where none was ever received."""
    known = {contract_id: listed for contract_id, listed in events.items() if listed}
    if not known or conn.scalar(lookup.NONE):
        return {}
    return lookup.answers(known, conn.execute(lookup.FIND, lookup.question(known)))


def _runs(conn: sa.Connection, ids: Sequence[int], as_of: datetime | None) -> dict[int, Run]:
    rows = conn.execute(_RUNS, {"ids": list(ids), "until": as_of}).all()
    noted: dict[object, list[Noted]] = {}
    for row in conn.execute(_OPERATIONS, {"ids": list(ids), "runs": [row.run_id for row in rows]}):
        noted.setdefault(row.run_id, []).append(
            Noted(row.action, Kind(row.kind), BusinessKey(row.business_key), ErpRef(row.ref) if row.ref else None,
                  row.status, row.before, row.after)
        )  # fmt: skip
    return {
        row.contract_id: Run(
            row.rev, row.lane, row.outcome, row.state, row.digest, row.policy, row.started_at, row.recorded_at,
            tuple(noted.get(row.run_id, ())),
        )
        for row in rows
    }  # fmt: skip


def _held(row: sa.Row[Any]) -> Held:
    ref = ErpRef(row.ref) if row.ref else None
    return Held(row.system, Kind(row.kind), BusinessKey(row.business_key), row.state, ref, row.fields or {},
                frozenset(row.agreed or ()))  # fmt: skip


def _live(row: sa.Row[Any], run: Run | None, held: Sequence[Held], kinds: dict[str, frozenset[Kind]]) -> Live:
    placement = None
    if row.placed is not None:
        placement = Placement(row.placed, row.leaving, {lane: Behind.parse(b) for lane, b in row.behind.items()})
    projects = [one.system for one in held if one.kind is Kind.PROJECT and one.state == "confirmed"]
    return Live(
        contract_id=row.contract_id, external_id=row.external_id,
        columns={name: getattr(row, name) for name in COLUMNS}, wanted_rev=row.wanted_rev, done_rev=row.done_rev,
        updated_at=row.updated_at, row_is_then=row.row_is_then, placement=placement,
        project_in=projects[0] if projects else None, run=run, held=tuple(held), kinds=kinds,
    )  # fmt: skip
