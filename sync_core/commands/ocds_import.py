"""Take in contract releases of OCDS, by the same intake as all events; see sync_core/ocds for what is read from them.

Asyncio, as intake is. Contracts go in batches, one transaction each: one query for what is on record, one statement of
intake for all that is new, one audit row. An import that ends half-way is finished by importing the file again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sync_core.audit import audit
from sync_core.authority import Actor, Permission
from sync_core.clock import Clock
from sync_core.commands.words import visible
from sync_core.engine.look import intend_of
from sync_core.estate.estate import Clm, Estate
from sync_core.events import Event
from sync_core.intake.contract_events import stored
from sync_core.intake.intake import ReceiptStatus, accept
from sync_core.journal.bell import notify
from sync_core.locks import Lock
from sync_core.ocds import reading
from sync_core.ocds.deciding import Became, Decision, decide
from sync_core.ocds.findings import Finding, Place, Why
from sync_core.ocds.history import NOTE, Version, versions
from sync_core.ocds.packaging import Read
from sync_core.ocds.reading import Statement
from sync_core.ocds.rules import Rules

COMMANDS: Final[Mapping[str, Permission]] = {"take_in": Permission.EVENTS_WRITE}
BATCH: Final = 500  # releases, and the rest of a contract's

# One import of a source after the other, so that each numbers amendments behind all that was stored before.
_ALONE = sa.text(f"SELECT pg_advisory_xact_lock({Lock.CONTRACTS}, hashtext(:source))")
_ON_RECORD = sa.text("""
    SELECT source, id, type, external_id, occurred_at, CAST(data AS text) AS data FROM core.event
    WHERE source = :source AND external_id = ANY(:contracts) AND data -> CAST(:note AS text) IS NOT NULL
    ORDER BY external_id, seq
""")
# What a release became is the first of these that any of its contracts became.
_WEIGHT: Final = (Became.FINDING, Became.CONTRACT, Became.AMENDMENT, Became.REPEAT)


@dataclass(frozen=True, slots=True)
class Taken:
    """One contract of a release, and what became of it. `waits_for`: what its checks will stop it for."""

    became: Became
    said: Statement
    waits_for: tuple[str, ...] = ()


@dataclass(slots=True)
class Imported:
    """`became` by release: each has one, so they add up to the releases read."""

    became: dict[int, Became] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def count(self, kind: Became) -> int:
        return sum(one is kind for one in self.became.values())

    @property
    def waiting(self) -> Counter[str]:
        """How many contracts will wait for each cause, as the last release of each leaves it."""
        last = {one.said.external_id: one.waits_for for one in self.taken if one.became is not Became.REPEAT}
        return Counter(cause for causes in last.values() for cause in causes)

    def note(self, place: Place, became: Became) -> None:
        now = self.became.get(place.number, Became.REPEAT)
        self.became[place.number] = min(now, became, key=_WEIGHT.index)

    def found(self, finding: Finding) -> None:
        self.findings.append(finding)
        self.note(finding.place, Became.FINDING)


class OcdsImport:
    """`engine` connects as the application's role, in READ COMMITTED."""

    def __init__(self, engine: AsyncEngine, *, clock: Clock, estate: Estate) -> None:
        self._engine, self._clock, self._estate = engine, clock, estate

    async def take_in(
        self, actor: Actor, clm: Clm, read: Iterable[Read], *, file: str, trial: bool = False, dry_run: bool = False
    ) -> Imported:
        """`dry_run`: only say what would be. `file`: its name, for the audit. `trial`: contracts that never count.

        Raises Forbidden, InvalidEstate for the source's options, StoredEventUnreadable.
        """
        actor.require(COMMANDS["take_in"])
        rules, done = Rules.of(clm, self._estate, trial=trial), Imported()
        told = sorted(statements(read, rules, done), key=lambda one: one.order)
        for entity in sorted({said.terms.legal_entity for said in told}):
            actor.require(COMMANDS["take_in"], entity=entity)
        for batch in _batches(told):
            async with self._engine.begin() as conn:
                await self._batch(conn, actor, clm, batch, done, file=file, dry_run=dry_run)
        if not dry_run and any(one.became in (Became.CONTRACT, Became.AMENDMENT) for one in done.taken):
            async with self._engine.begin() as conn:
                await notify(conn)
        done.findings.sort(key=lambda one: (one.place.number, one.contract))
        return done

    async def _batch(
        self,
        conn: AsyncConnection,
        actor: Actor,
        clm: Clm,
        batch: Sequence[Statement],
        done: Imported,
        *,
        file: str,
        dry_run: bool,
    ) -> None:
        await conn.execute(_ALONE, {"source": clm.source})
        record = await _on_record(conn, clm.source, sorted({said.external_id for said in batch}))
        decisions = []
        for said in batch:
            known = record.setdefault(said.external_id, [])
            decision = decide(known, said, clm.source, self._estate)
            if decision.events and decision.version is not None:
                known.append(decision.version)
            decisions.append(decision)
        if not dry_run:
            decisions = await self._store(conn, actor, clm, decisions, file=file)
        for decision in decisions:
            self._note(decision, clm.source, done)

    async def _store(
        self, conn: AsyncConnection, actor: Actor, clm: Clm, decisions: list[Decision], *, file: str
    ) -> list[Decision]:
        events, now = [event for decision in decisions for event in decision.events], self._clock.now()
        if not events:
            return decisions
        receipts = await accept(conn, events, estate=self._estate, now=now, received_by=f"import:{clm.name}")
        new = {r.event_id for r in receipts if r.status is ReceiptStatus.ACCEPTED}
        settled = [_settled(decision, new) for decision in decisions]
        counts = Counter(decision.became.value for decision in settled)
        words = f"{len(settled):,} contracts of releases, into {clm.name}"
        detail = {"file": visible(file)[:200], "source": clm.source, **counts}
        entry = audit.Entry("contracts.import", words, detail=detail, items=sorted(new))
        await conn.run_sync(lambda sync: audit.append(sync, actor, [entry], now=now))
        return settled

    def _note(self, decision: Decision, source: str, done: Imported) -> None:
        if decision.finding is not None:
            done.found(decision.finding)
            return
        done.note(decision.said.place, decision.became)
        contract = decision.contract(source)
        # What the engine will say of it before an ERP is read: nothing of one that has ended with nothing left to bill.
        stops = intend_of(contract, None, self._estate, {}, now=self._clock.now()).stops if contract else ()
        causes = [one.cause for one in stops]
        done.taken.append(Taken(decision.became, decision.said, tuple(dict.fromkeys(causes))))


def statements(read: Iterable[Read], rules: Rules, done: Imported) -> Iterator[Statement]:
    """In the file's order; what is a finding goes to `done`."""
    for one in read:
        for said in [one] if isinstance(one, Finding) else reading.read(one, rules):
            if isinstance(said, Finding):
                done.found(said)
            else:
                yield said


def _batches(told: Sequence[Statement]) -> Iterator[list[Statement]]:
    """All of a contract in one, so that what a batch decides is all that the next ones need not know."""
    batch: list[Statement] = []
    for _, of_contract in groupby(told, key=lambda one: one.external_id):
        batch += of_contract
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _on_record(conn: AsyncConnection, source: str, contracts: Sequence[str]) -> dict[str, list[Version]]:
    """Raises StoredEventUnreadable."""
    rows = await conn.execute(_ON_RECORD, {"source": source, "contracts": list(contracts), "note": NOTE})
    found: dict[str, list[Event]] = {}
    for row in rows:
        found.setdefault(row.external_id, []).append(stored(row))
    return {contract: versions(events) for contract, events in found.items()}


def _settled(decision: Decision, new: frozenset[str] | set[str]) -> Decision:
    """What intake made of it: an event that was on record after all, or that it did not understand, is nothing new."""
    if not decision.events or any(event.id in new for event in decision.events):
        return decision
    words = "its event is on record otherwise, or in quarantine; see `tieline quarantine list`"
    said = decision.said
    finding = Finding(Why.NOT_UNDERSTOOD, said.place, words, said.contract_id)
    return Decision(said, Became.FINDING, None, (), finding)
