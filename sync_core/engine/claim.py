"""Taking contracts off the queue, keeping them while work runs, and giving back what a dead worker held.

A contract's row is its place in the queue. Due times come from the Clock; leases alone use the database's
clock, because every worker must agree on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.desired import Fields, Kind
from sync_core.domains.conflicts import Choice
from sync_core.engine import items
from sync_core.engine.carried_out import carried_out
from sync_core.engine.differing import differing
from sync_core.engine.items import ReplayItem
from sync_core.events import Amended, Corrected, Event, SchemaUnknown, Signed, understand
from sync_core.keys import BusinessKey, ContractId, ErpRef
from sync_core.locks import Lock, held
from sync_core.master import lookup
from sync_core.master.match import Masters
from sync_core.moving.adoption import Adopted, Result
from sync_core.moving.moving import Behind, Placement
from sync_core.telemetry.measured import marking


@dataclass(frozen=True, slots=True)
class Claimed:
    """A contract that is ours until its lease ends."""

    contract_id: ContractId
    source: str
    external_id: str
    state: str
    state_since: datetime
    lane: str
    due_at: datetime
    lease_token: int
    attempt: int
    unclean_at: datetime | None  # a worker before us may have left a request running
    done_rev: int
    first_active_at: datetime | None
    project_ref: str | None
    last_error: str | None
    open_causes: frozenset[str] = frozenset()  # of its exceptions, but where it is due or ended
    decided_causes: frozenset[str] = frozenset()  # likewise: closed by decision, and they may be found again
    replay: ReplayItem | None = None  # this run carries it


# SKIP LOCKED: rows that another worker is claiming are its own. Only unleased rows are taken; what a lost
# worker held is given back by RELEASE_LOST, and waits until the ERP has settled, whatever new events say.
# ANY(ARRAY(...)), not a join: the planner cannot know `want.batch`, expects millions and would scan the table.
_CLAIM = sa.text("""
    WITH want AS (
        SELECT w.lane, w.batch, make_interval(secs => coalesce(l.settle_s, 0)) AS settle
        FROM jsonb_to_recordset(CAST(:lanes AS jsonb)) AS w(lane text, batch int) LEFT JOIN core.lane AS l USING (lane)
    ), picked AS (
        SELECT due.contract_id
        FROM want CROSS JOIN LATERAL (
            SELECT contract_id FROM core.contract
            WHERE lane = want.lane AND due_at <= :now AND lease_owner IS NULL
              AND (unclean_at IS NULL OR unclean_at + want.settle <= :now)
            ORDER BY priority DESC, due_at LIMIT want.batch
            FOR UPDATE SKIP LOCKED
        ) AS due
    )
    UPDATE core.contract AS c
    SET lease_owner = :worker, lease_until = now() + make_interval(secs => :lease_s),
        lease_token = lease_token + 1, attempt = attempt + 1
    WHERE c.contract_id = ANY(ARRAY(SELECT contract_id FROM picked))
    RETURNING c.contract_id, c.source, c.external_id, c.state, c.state_since, c.lane, c.due_at, c.lease_token,
              c.attempt, c.unclean_at, c.done_rev, c.first_active_at, c.project_ref, c.last_error,
              CASE WHEN c.state IN ('blocked', 'active', 'suspended', 'draft') THEN ARRAY(
                  SELECT k.cause FROM core.case AS k WHERE k.contract_id = c.contract_id AND k.state = 'open')
              END AS open_causes,
              CASE WHEN c.state IN ('blocked', 'active', 'suspended', 'draft') THEN ARRAY(
                  SELECT k.cause FROM core.case AS k WHERE k.contract_id = c.contract_id AND k.state = 'decided')
              END AS decided_causes,
              c.replay_id, c.priority
""")


async def claim(
    conn: AsyncConnection, *, lanes: Mapping[str, int], worker: int, lease_s: float, now: datetime
) -> list[Claimed]:
    """Up to `lanes[lane]` due contracts per lane, those with most money nearest to its bill date first."""
    wanted = [{"lane": lane, "batch": batch} for lane, batch in lanes.items() if batch > 0]
    if not wanted:
        return []
    rows = await conn.execute(
        _CLAIM, {"lanes": orjson.dumps(wanted).decode(), "now": now, "worker": worker, "lease_s": lease_s}
    )
    ordered = sorted(rows, key=lambda row: (-row.priority, row.due_at))
    claimed = [
        replace(
            Claimed(*row[:-4]),
            open_causes=frozenset(row.open_causes or ()),
            decided_causes=frozenset(row.decided_causes or ()),
        )
        for row in ordered
    ]
    marked = {ContractId(row.contract_id): int(row.replay_id) for row in ordered if row.replay_id is not None}
    if not marked:
        return claimed
    carried = await items.take(conn, marked)
    return [replace(c, replay=carried[c.contract_id]) if c.contract_id in carried else c for c in claimed]


# One statement, so that wanted_rev and the events are of one snapshot: an event stored later raises the
# revision above what we saw, and finishing makes the contract due again.
_LOAD = sa.text("""
    SELECT c.contract_id, c.wanted_rev, e.source, e.id, e.type, e.occurred_at, e.recorded_at, e.correlation_id,
           e.traceparent, CAST(e.data AS text) AS data,
           c.unclean_at IS NOT NULL OR c.last_error_class IN (
               'transient', 'ambiguous', 'erp_rejected', 'credentials', 'schema_unknown', 'internal') AS unsure
    FROM core.contract AS c JOIN core.event AS e USING (source, external_id)
    WHERE c.contract_id = ANY(:ids) ORDER BY e.seq
""")
_KNOWN = sa.text("""
    SELECT contract_id, system, kind, business_key, ref, fields ->> 'value' AS value,
           coalesce(fields, '{}') || coalesce(agreed, '{}') AS agreed, kept
    FROM core.crosswalk
    WHERE contract_id = ANY(:ids) AND state = 'confirmed' AND ref IS NOT NULL
""")

# Where contracts were moved to; and those of confirmed moves: until their turn they stay where they are. What is only
# previewed decides nothing.
_PLACED = sa.text("""
    SELECT c.contract_id, p.lane, p.leaving, p.behind, EXISTS (
        SELECT FROM core.replay_item AS i JOIN core.replay AS r USING (replay_id)
        WHERE i.contract_id = c.contract_id AND i.confirmed AND i.finished_at IS NULL
          AND r.move_to IS NOT NULL) AS awaited,
        EXISTS (SELECT FROM core.observed AS o WHERE o.contract_id = c.contract_id) AS observed,
        a.lane AS adopted_in, a.result, a.words, a.refs, a.decided_at, f.lane AS refused_by, f.batch
    FROM unnest(CAST(:ids AS bigint[])) AS c(contract_id) LEFT JOIN core.placement AS p USING (contract_id)
         LEFT JOIN core.adoption AS a ON a.contract_id = c.contract_id AND a.taken_at IS NULL
         LEFT JOIN core.batch_refusal AS f ON f.contract_id = c.contract_id
""")


@dataclass(slots=True)
class Loaded:
    """What the database knows of a claimed contract."""

    wanted_rev: int
    events: list[Event]
    captured_at: datetime  # when the first signature (or first event) was stored
    correlation_id: str
    traceparent: str | None
    known: dict[BusinessKey, ErpRef]
    project_in: str | None = None  # the ERP that holds the project, as last confirmed
    project_value: Decimal | None = None
    placement: Placement | None = None  # since it was moved
    awaited: bool = False  # a confirmed move that has not come to it yet is about to move it
    observed: bool = False  # its ERP was only observed so far
    refused: tuple[str, str] | None = None  # the batch, by its ERP and name, whose refusal was told last
    adoption: Adopted | None = None  # what was decided of a project that its ERP held before, and is not carried out
    agreed: dict[str, dict[tuple[Kind, BusinessKey], Fields]] = field(default_factory=dict)  # by ERP
    kept: set[Choice] = field(default_factory=set)  # conflicts of which a person said that the contract's value counts
    unsure: bool = False  # a run before this one may have written what nobody saw confirmed
    clm_differs: str | None = None  # what the CLM was seen to say otherwise than its events, in words
    masters: Masters | None = None  # master data that it may mean; None: there is none
    unreadable: str | None = None  # a stored event that this release cannot read any more
    captured: bool = False  # `captured_at` is that of a signature
    published: dict[str, datetime] = field(default_factory=dict)  # when what may be silent was stored, by id
    done: tuple[int, ...] = ()  # where it was signed anew: how many events each run knew that carried a plan out


async def load(conn: AsyncConnection, ids: Sequence[ContractId]) -> dict[ContractId, Loaded]:
    """Events and what else is known of the claimed contracts, in a few statements for all of them."""
    loaded: dict[ContractId, Loaded] = {}
    for row in await conn.execute(_LOAD, {"ids": list(ids)}):
        if row.contract_id not in loaded:
            loaded[row.contract_id] = Loaded(
                row.wanted_rev, [], row.recorded_at, row.correlation_id, row.traceparent, {}, unsure=row.unsure
            )
        _note_event(loaded[row.contract_id], row)
    for number, words in (await differing(conn, list(loaded))).items():
        loaded[number].clm_differs = words
    for number, known in (await carried_out(conn, {at: item.events for at, item in loaded.items()})).items():
        loaded[number].done = known
    for row in await conn.execute(_KNOWN, {"ids": list(ids)}):
        if row.contract_id in loaded:
            _note_known(loaded[row.contract_id], row)
    for row in await conn.execute(_PLACED, {"ids": list(loaded)}):
        _note_placed(loaded[row.contract_id], row)
    await lookup.find(conn, loaded)
    return loaded


def _note_event(item: Loaded, row: sa.Row[Any]) -> None:
    try:
        payload = understand(row.type, row.data)
    except SchemaUnknown as wrong:
        item.unreadable = f"event {row.id}: {wrong.message}"
        return
    item.events.append(Event(row.source, row.id, row.type, row.occurred_at, payload))
    item.correlation_id, item.traceparent = row.correlation_id, row.traceparent
    if isinstance(payload, Signed):
        item.captured_at = item.captured_at if item.captured else row.recorded_at
        item.captured = True
    if isinstance(payload, Signed | Amended | Corrected):
        item.published[row.id] = row.recorded_at


def _note_known(item: Loaded, row: sa.Row[Any]) -> None:
    kind, key = Kind(row.kind), BusinessKey(row.business_key)
    item.known[key] = ErpRef(row.ref)
    item.agreed.setdefault(row.system, {})[kind, key] = row.agreed
    item.kept.update((kind, key, name, wanted, found) for name, (wanted, found) in (row.kept or {}).items())
    if row.kind == Kind.PROJECT:
        item.project_in, item.project_value = row.system, Decimal(row.value) if row.value else None


def _note_placed(item: Loaded, row: sa.Row[Any]) -> None:
    item.awaited, item.observed = row.awaited, row.observed
    item.refused = (row.refused_by, row.batch) if row.refused_by is not None else None
    if row.adopted_in is not None:
        refs = {(Kind(kind), BusinessKey(key)): ErpRef(ref) for kind, key, ref in row.refs}
        item.adoption = Adopted(row.adopted_in, Result(row.result), row.words, refs, row.decided_at)
    if row.lane is not None:
        behind = {lane: Behind.parse(stored) for lane, stored in row.behind.items()}
        item.placement = Placement(row.lane, row.leaving, behind)


# Locked in the order in which intake and the group commit lock, so that none waits for another in a circle.
_RENEW = sa.text("""
    WITH mine AS (
        SELECT contract_id FROM core.contract WHERE contract_id = ANY(:ids) AND lease_owner = :worker
        ORDER BY source, external_id FOR UPDATE
    )
    UPDATE core.contract AS c SET lease_until = now() + make_interval(secs => :lease_s)
    FROM mine WHERE c.contract_id = mine.contract_id RETURNING c.contract_id, c.lease_token
""")


async def renew(
    conn: AsyncConnection, ids: Sequence[ContractId], *, worker: int, lease_s: float
) -> dict[ContractId, int]:
    """Tokens of the leases that are still ours, now for another `lease_s`."""
    rows = await conn.execute(_RENEW, {"ids": list(ids), "worker": worker, "lease_s": lease_s})
    return {ContractId(row.contract_id): row.lease_token for row in rows}


# A worker lives while its session holds its advisory lock. Taking the lease back raises the token, so whatever
# a paused worker still wants to write is refused; its request may still run in the ERP, hence the wait.
_RELEASE_LOST = sa.text(f"""
    WITH live AS MATERIALIZED (
        SELECT key AS worker_id FROM ({held(Lock.WORKER)}) AS h
    ), lost AS (
        SELECT contract_id FROM core.contract
        WHERE lease_owner IS NOT NULL
          AND (lease_until < now() OR lease_owner NOT IN (SELECT worker_id FROM live))
        ORDER BY source, external_id FOR UPDATE SKIP LOCKED
    ), freed AS (
        UPDATE core.contract AS c
        SET lease_owner = NULL, lease_until = NULL, lease_token = c.lease_token + 1, unclean_at = :now
        FROM lost WHERE c.contract_id = lost.contract_id RETURNING c.contract_id
    ), {marking("freed")}, dead AS MATERIALIZED (
        SELECT worker_id FROM core.worker WHERE worker_id NOT IN (SELECT worker_id FROM live)
    ), previews AS (
        UPDATE core.replay_item AS i SET preview_worker = NULL, preview_until = NULL
        FROM dead WHERE i.preview_worker = dead.worker_id
    ), reservations AS (
        UPDATE core.crosswalk SET reserved_until = now() + make_interval(secs => coalesce(
            (SELECT settle_s FROM core.lane WHERE lane = system), 0)), holder = NULL
        WHERE state = 'creating' AND holder IS NOT NULL AND holder NOT IN (SELECT worker_id FROM live)
    ), gone AS (
        DELETE FROM core.worker WHERE worker_id NOT IN (SELECT worker_id FROM live)
          AND started_at < CAST(:now AS timestamptz) - interval '10 s'
    )
    SELECT count(*) FROM freed
""")


async def release_lost(conn: AsyncConnection, *, now: datetime) -> int:
    """Give back what dead or stalled workers held; the number of contracts freed."""
    return int(await conn.scalar(_RELEASE_LOST, {"now": now}) or 0)
