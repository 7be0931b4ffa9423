"""Contracts of the sandbox CLM and its event feed: each change raises the contract's revision and appends one event.

The store checks what a CLM would check (the payload's shape, an unused revision) and nothing more: contracts
with wrong contents are what the bridge must cope with. A payload version that nobody knows passes unread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson
from pydantic import JsonValue

from app.sandbox.clm.changes import Change, ChangeKind, Repeat
from app.sandbox.clm.journal import Journal
from app.sandbox.clm.wire import envelope, jsonable
from sync_core.contract import Contract
from sync_core.events import REGISTRY, Event, understand
from sync_core.fold import fold
from sync_core.life.agreements import day_in_utc

_OPENING = (ChangeKind.DRAFTED, ChangeKind.SIGNED)


class UnknownContract(LookupError):
    """No such contract; draft it first."""


class RevisionTaken(ValueError):
    """The revision was published before; leave it out to take the next one."""


@dataclass(frozen=True, slots=True)
class Recorded:
    contract_id: str
    event_id: str
    revision: int
    position: int  # in the feed


@dataclass(slots=True)
class _Record:
    revisions: set[int] = field(default_factory=set)
    positions: list[int] = field(default_factory=list)
    draft: JsonValue = None
    amendments: int = 0  # highest number
    integration: Mapping[str, JsonValue] | None = None

    @property
    def revision(self) -> int:
        return max(self.revisions, default=0)


class Store:
    """State in memory; with a journal it outlives the process. Not thread-safe: one event loop owns it."""

    def __init__(self, *, source: str, seed: int, journal: Journal | None = None) -> None:
        self.source, self._seed, self._journal = source, seed, journal
        self.feed: list[bytes] = []
        self.delivered: set[int] = set()  # positions whose webhook delivery came to its end
        self.subscribed_from: int | None = None
        self._contracts: dict[str, _Record] = {}
        for entry in journal.entries() if journal else ():
            self._remember(entry)

    def record(self, change: Change, at: datetime) -> Recorded:
        """Raises UnknownContract, RevisionTaken, or SchemaUnknown for a payload that its type does not allow."""
        record = self._contracts.get(change.contract_id)
        if record is None:
            if change.kind not in _OPENING:
                raise UnknownContract(f"contract {change.contract_id!r} is not here; draft it first")
            record = _Record()
        revision = record.revision + 1 if change.revision is None else change.revision
        if revision in record.revisions:
            raise RevisionTaken(f"{change.contract_id} already has revision {revision}; leave it out to take the next")
        whole = {"contract_id": change.contract_id, "revision": revision, **change.body}
        if change.event_type in REGISTRY:
            understand(change.event_type, orjson.dumps(whole))
        event = envelope(change, revision, source=self.source, at=at, seed=self._seed)
        entry = {"kind": "event", "contract": change.contract_id, "revision": revision, "event": orjson.Fragment(event)}
        self._keep(entry)
        self._publish(change.contract_id, revision, event)
        return Recorded(change.contract_id, f"{change.contract_id}.r{revision}", revision, len(self.feed) - 1)

    def repeat(self, asked: Repeat) -> Recorded:
        """The latest event again, byte for byte."""
        record = self._known(asked.contract_id)
        self._keep({"kind": "repeat", "contract": asked.contract_id})
        event = self._again(record)
        return Recorded(asked.contract_id, orjson.loads(event)["id"], record.revision, len(self.feed) - 1)

    def integrate(self, contract_id: str, status: Mapping[str, JsonValue]) -> None:
        """Keep what the ERP says of a contract. It is no change of the contract: no revision, no event."""
        record = self._known(contract_id)
        self._keep({"kind": "integration", "contract": contract_id, "status": status})
        record.integration = status

    def settle(self, positions: Sequence[int], outcome: str) -> None:
        """Webhook delivery of these is over: delivered, dropped or given up."""
        self._keep({"kind": "settled", "positions": list(positions), "outcome": outcome})
        self.delivered.update(positions)

    def subscribe(self) -> None:
        """From now on events are pushed; what was published before is for those who poll."""
        if self.subscribed_from is None:
            self.subscribed_from = len(self.feed)
            self._keep({"kind": "subscribed", "from": self.subscribed_from})

    def draft_of(self, contract_id: str) -> JsonValue:
        return self._known(contract_id).draft

    def next_amendment(self, contract_id: str) -> int:
        return self._known(contract_id).amendments + 1

    def contract_ids(self) -> list[str]:
        return list(self._contracts)

    def revision_of(self, contract_id: str) -> int:
        return self._known(contract_id).revision

    def integration_of(self, contract_id: str) -> Mapping[str, JsonValue] | None:
        return self._known(contract_id).integration

    def view(self, contract_id: str) -> dict[str, JsonValue]:
        """The contract as it stands, for a reader of the REST API."""
        record = self._known(contract_id)
        parsed = [orjson.loads(self.feed[position]) for position in record.positions]
        events = [
            Event(e["source"], e["id"], e["type"], datetime.fromisoformat(e["time"]), payload)
            for e in parsed
            if e["type"] in REGISTRY
            for payload in (understand(e["type"], orjson.dumps(e["data"])),)
        ]
        contract: Contract | None = (
            replace(fold(events, day_at=day_in_utc), revision=record.revision) if events else None
        )
        shown = jsonable(contract) if contract else None
        return {"contract_id": contract_id, "contract": shown, "integration": jsonable(record.integration)}

    def _known(self, contract_id: str) -> _Record:
        record = self._contracts.get(contract_id)
        if record is None:
            raise UnknownContract(f"contract {contract_id!r} is not here; draft it first")
        return record

    def _publish(self, contract_id: str, revision: int, event: bytes) -> None:
        record = self._contracts.setdefault(contract_id, _Record())
        record.revisions.add(revision)
        record.positions.append(len(self.feed))
        self.feed.append(event)
        match orjson.loads(event)["data"]:
            case {"terms": terms}:
                record.draft = terms
            case {"amendment": {"number": int(number)}}:
                record.amendments = max(record.amendments, number)

    def _again(self, record: _Record) -> bytes:
        event = self.feed[record.positions[-1]]
        record.positions.append(len(self.feed))
        self.feed.append(event)
        return event

    def _keep(self, entry: Mapping[str, object]) -> None:
        if self._journal is not None:
            self._journal.append(entry)

    def _remember(self, entry: Mapping[str, JsonValue]) -> None:
        match entry:
            case {"kind": "event", "contract": str(contract), "revision": int(revision), "event": dict(event)}:
                self._publish(contract, revision, orjson.dumps(event))
            case {"kind": "repeat", "contract": str(contract)}:
                self._again(self._known(contract))
            case {"kind": "integration", "contract": str(contract), "status": dict(status)}:
                self._known(contract).integration = status
            case {"kind": "settled", "positions": list(positions)}:
                self.delivered.update(p for p in positions if isinstance(p, int))
            case {"kind": "subscribed", "from": int(position)}:
                self.subscribed_from = position
            case _:
                raise ValueError(
                    f"the sandbox CLM's journal has a line it cannot read: {str(entry)[:120]}; use a new file"
                )
