"""Write-back: tells each CLM what became of its contracts, in bulk, without holding a row while it is told.

A contract to report has `writeback_at` set; it is cleared where the row is still as it was told. One worker at a time
tells a CLM: the holder of its turn, a row of core.watermark that is committed before anything is sent. So a newer
state is read and sent only when the call that told an older one is over, and the CLM never ends with the older.

A turn whose holder died, or whose last call got no answer, ends TURN_S later: a request that still runs in the CLM is
over by then. A holder that stood still longer than that finds its turn lost and has its contracts told once more.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.errors import ClmError
from sync_core.keys import ExternalId
from sync_core.ports import ClmConnector, ClmUnanswered, WriteBack
from sync_core.telemetry.latencies import Kind, timed
from sync_core.writeback import told

log = logging.getLogger(__name__)

# A call begins within SEND_WITHIN_S of taking or renewing the turn and is given up CALL_S later; what is left of the
# turn is for the CLM to be done with it.
TURN_S, SEND_WITHIN_S, CALL_S = 45.0, 5.0, 20.0
LEAVE_S = 3.0  # who is told to stop waits so long for the call under way
_LONGEST_NOTE = 300
GIVE_UP_AFTER = 3  # refusals in a row without one success: the CLM is in trouble, not one contract

# Without it an idle worker would take and end a turn every few seconds.
_ANY_DUE = sa.text("SELECT 1 FROM core.contract WHERE source = :source AND writeback_at <= :now LIMIT 1")
# A turn is a lease, so it is the database's clock that counts. Whoever waits for the row sees what its holder commits.
_TAKE = sa.text("""
    INSERT INTO core.watermark AS w (name, value, updated_at) VALUES (:name, :holder, now())
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
    WHERE w.value IS NULL OR w.value = excluded.value OR w.updated_at < now() - make_interval(secs => :turn_s)
    RETURNING name
""")
_RENEW = sa.text("""
    UPDATE core.watermark SET updated_at = now() WHERE name = :name AND value = :holder RETURNING name
""")
_END = sa.text("UPDATE core.watermark SET value = NULL, updated_at = now() WHERE name = :name AND value = :holder")
_DUE = sa.text(f"""
    SELECT contract_id, external_id, state, project_ref, lane, first_active_at, writeback_at, done_rev, held_values,
           revision, {told.NEXT_BILL} AS next_bill_on, c.currency, {told.SUMS},
           (SELECT k.message FROM core.case AS k WHERE k.contract_id = c.contract_id AND k.state = 'open'
              AND k.cause = 'approval_needed' AND k.decided_by IS NULL) AS asks,
           (SELECT e.data FROM core.event AS e WHERE e.source = c.source AND e.external_id = c.external_id
              AND e.type = 'com.tieline.workflow.decided.v1' ORDER BY e.seq DESC LIMIT 1) AS decided
    FROM core.contract AS c {told.JOIN}
    WHERE source = :source AND writeback_at <= :now ORDER BY writeback_at LIMIT :most
""")
# These three lock in the order of the workers' group commit. The time alone would not do: on a clock that stands a
# newer state is due at the same moment. Nor would the state: a note is due anew without one, by an event that was done.
_DONE = sa.text("""
    WITH same AS (
        SELECT c.contract_id FROM core.contract AS c JOIN jsonb_to_recordset(CAST(:told AS jsonb)) AS t(
            id bigint, due_at timestamptz, state text, project_ref text, lane text, first_active_at timestamptz,
            done_rev bigint, facts bigint, held jsonb)
            ON t.id = c.contract_id AND t.due_at = c.writeback_at
        WHERE c.state = t.state AND c.project_ref IS NOT DISTINCT FROM t.project_ref AND c.lane = t.lane
          AND c.first_active_at IS NOT DISTINCT FROM t.first_active_at AND c.done_rev = t.done_rev
          AND c.held_values IS NOT DISTINCT FROM t.held AND t.facts IS NOT DISTINCT FROM (
              SELECT max(f.seq) FROM core.financial_fact AS f
              WHERE f.contract_id = c.contract_id AND f.currency = c.currency)
        ORDER BY c.source, c.external_id FOR UPDATE OF c
    )
    UPDATE core.contract AS c SET writeback_at = NULL FROM same WHERE c.contract_id = same.contract_id
""")
# The longer it has been tried, the longer it waits: half the age of the contract's last change, 5 s to 10 min,
# spread by up to a quarter so that they do not come back all at once.
_LATER = sa.text("""
    WITH mine AS (
        SELECT c.contract_id FROM core.contract AS c JOIN jsonb_to_recordset(CAST(:refused AS jsonb)) AS t(
            id bigint, due_at timestamptz) ON t.id = c.contract_id AND t.due_at = c.writeback_at
        ORDER BY c.source, c.external_id FOR UPDATE OF c
    )
    UPDATE core.contract AS c
    SET writeback_at = CAST(:now AS timestamptz) + (0.875 + random() / 4)
        * greatest(interval '5 s', least(interval '10 min', (CAST(:now AS timestamptz) - c.updated_at) / 2))
    FROM mine WHERE c.contract_id = mine.contract_id
""")
_AGAIN = sa.text("""
    WITH mine AS (
        SELECT contract_id FROM core.contract WHERE contract_id = ANY(:ids) ORDER BY source, external_id FOR UPDATE
    )
    UPDATE core.contract AS c SET writeback_at = :now FROM mine WHERE c.contract_id = mine.contract_id
""")


async def write_back(engine: AsyncEngine, clms: Mapping[str, ClmConnector], *, clock: Clock, most: int = 200) -> int:
    """Report every contract that is due, `most` in one call; how many were told. Commits. Workers may overlap.

    `clms` by CloudEvents source, all at once: one that hangs holds up no other. A CLM that fails is logged and its
    contracts stay due, later; nothing but a lost database is raised. Cancelled, it gives the call under way a moment.
    """
    turns = [_Turn(engine, source, clm, clock, most) for source, clm in clms.items()]
    ended = await asyncio.gather(*(turn.tell() for turn in turns), return_exceptions=True)
    for result in ended:
        if isinstance(result, BaseException):
            raise result
    return sum(result for result in ended if isinstance(result, int))


@dataclass(frozen=True, slots=True)
class _Report:
    contract_id: int
    item: WriteBack
    due_at: datetime
    done_rev: int
    facts: int | None  # the newest financial fact that it tells of
    held: Mapping[str, Any] | None


@dataclass(slots=True)
class _Turn:
    """One round of one worker with one CLM."""

    engine: AsyncEngine
    source: str
    clm: ClmConnector
    clock: Clock
    most: int
    holder: str = field(default_factory=lambda: secrets.token_hex(8))
    held: bool = False  # ours to end
    over: bool = False  # nothing more may be sent in it
    send_before: float = 0.0  # time.monotonic()

    async def tell(self) -> int:
        total = 0
        try:
            while not self.over and (told := await self._uncut(self._batch())):
                total += told
        finally:
            if self.held:
                await self._execute(_END, self._names)
        return total

    @property
    def _names(self) -> dict[str, str]:
        return {"name": f"write-back:{self.source}", "holder": self.holder}

    async def _batch(self) -> int:
        """How many were told in one call, or one by one; 0: there is nothing more to do now."""
        reports = await self._reports()
        if not reports:
            return 0
        told, refused = await self._send(reports)
        await self._finish(told, refused)
        return len(told)

    async def _reports(self) -> list[_Report]:
        """What is due, if it is our turn. When nothing is, the turn ends with that very look, so none slips through."""
        begun = time.monotonic()
        now = self.clock.now()
        due = {"source": self.source, "now": now}
        async with self.engine.begin() as conn:
            if not self.held and (await conn.execute(_ANY_DUE, due)).first() is None:
                return []
            if (await conn.execute(_TAKE, {**self._names, "turn_s": TURN_S})).first() is None:
                self.held = False
                return []
            rows = (await conn.execute(_DUE, {**due, **told.binds(now.date()), "most": self.most})).all()
            if not rows:
                await conn.execute(_END, self._names)
        self.held, self.send_before = bool(rows), begun + SEND_WITHIN_S
        return [_report(row) for row in rows]

    async def _send(self, reports: Sequence[_Report]) -> tuple[list[_Report], list[_Report]]:
        """Told and refused. After a refusal one by one, because one contract may spoil the call for all."""
        try:
            await self._call(reports)
        except ClmUnanswered as wrong:
            return [], self._unanswered(reports, wrong)
        except ClmError as wrong:
            log.warning("write-back of %d contracts failed: %s", len(reports), wrong)
            return await self._send_singly(reports) if len(reports) > 1 else ([], list(reports))
        return list(reports), []

    async def _send_singly(self, reports: Sequence[_Report]) -> tuple[list[_Report], list[_Report]]:
        told: list[_Report] = []
        refused: list[_Report] = []
        for place, report in enumerate(reports):
            try:
                await self._call([report])
                told.append(report)
            except ClmUnanswered as wrong:
                return told, [*refused, *self._unanswered(reports[place:], wrong)]
            except ClmError as wrong:
                log.info("write-back of %s failed: %s", report.item.external_id, wrong)
                refused.append(report)
                if not told and len(refused) == GIVE_UP_AFTER:
                    return [], list(reports)
        return told, refused

    def _unanswered(self, reports: Sequence[_Report], wrong: ClmError) -> list[_Report]:
        """All are tried later. The turn is not ended: the request may still run in the CLM."""
        log.warning("write-back of %d contracts was not answered: %s", len(reports), wrong)
        self.held, self.over = False, True
        return list(reports)

    async def _call(self, reports: Sequence[_Report]) -> None:
        if time.monotonic() >= self.send_before:
            begun = time.monotonic()
            if not await self._execute(_RENEW, self._names):
                raise ClmUnanswered(self.source, "another worker took the turn over")
            self.send_before = begun + SEND_WITHIN_S
        try:
            with timed(Kind.CLM, self.clm.name, "write_back", writes=True):
                async with asyncio.timeout(CALL_S):
                    await self.clm.write_back([report.item for report in reports])
        except TimeoutError as late:
            raise ClmUnanswered(self.source, f"no answer within {CALL_S:g} s") from late

    async def _finish(self, done: Sequence[_Report], refused: Sequence[_Report]) -> None:
        now = self.clock.now()
        async with self.engine.begin() as conn:
            if (await conn.execute(_RENEW, self._names)).first() is None:
                # Somebody may have told newer states before our call arrived: whatever is true now is told after it.
                log.warning("the turn to tell %s was lost while it was told; telling it again", self.source)
                self.held, self.over = False, True
                await conn.execute(_AGAIN, {"ids": [r.contract_id for r in (*done, *refused)], "now": now})
                return
            if done:
                await conn.execute(_DONE, {"told": _json([_said(report) for report in done])})
                await conn.execute(told.KEEP, {"told": told.stored([_kept(report) for report in done]), "now": now})
            if refused:
                later = [{"id": report.contract_id, "due_at": report.due_at} for report in refused]
                await conn.execute(_LATER, {"refused": _json(later), "now": now})

    async def _uncut(self, work: Coroutine[Any, Any, int]) -> int:
        """Finish `work` even when its caller is cancelled, so that the end of a call that was sent is recorded."""
        task = asyncio.create_task(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait([task], timeout=LEAVE_S)
            if not done:
                self.held = False  # nobody knows what becomes of the call: the turn runs out by itself
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    async def _execute(self, statement: sa.TextClause, names: Mapping[str, str]) -> bool:
        async with self.engine.begin() as conn:
            return (await conn.execute(statement, names)).rowcount == 1


def _report(row: sa.Row[Any]) -> _Report:
    note = note_of(row.asks, row.decided)
    item = WriteBack(
        ExternalId(row.external_id), row.state, row.project_ref, row.lane, row.first_active_at, note,
        row.revision if row.state in ("active", "suspended") else None, told.billing_of(row), row.held_values or {},
    )  # fmt: skip
    return _Report(row.contract_id, item, row.writeback_at, row.done_rev, row.facts, row.held_values)


def note_of(asks: str | None, decided: Mapping[str, Any] | None) -> str | None:
    """What the CLM's people should know of approvals: one that is asked for, else the last decision."""
    if asks:
        return asks[:_LONGEST_NOTE]
    if decided is None:
        return None
    if decided["decision"] == "approved":
        return f"approved by {decided['by']}"[:_LONGEST_NOTE]
    return f"refused by {decided['by']}: {decided['reason']}"[:_LONGEST_NOTE]


def _said(report: _Report) -> dict[str, object]:
    item = report.item
    return {
        "id": report.contract_id,
        "due_at": report.due_at,
        "state": item.status,
        "project_ref": item.project_ref,
        "lane": item.erp,
        "first_active_at": item.provisioned_at,
        "done_rev": report.done_rev,
        "facts": report.facts,
        "held": report.held,
    }


def _kept(report: _Report) -> dict[str, object]:
    return {"id": report.contract_id, "said": report.item.said}


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    return orjson.dumps(rows).decode()
