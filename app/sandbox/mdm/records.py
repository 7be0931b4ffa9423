"""Customers and legal entities of the sandbox master-data system, and the feed of their changes.

Each change appends the whole record to the feed; a watermark is a place in it. With a journal it outlives the process.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.sandbox.clm.journal import Journal
from sync_core.clock import Clock

Text = Annotated[str, Field(min_length=1, max_length=400)]
Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]
Record = dict[str, JsonValue]


class UnknownRecord(LookupError):
    """No such record."""


class Refused(ValueError):
    """It cannot be done; the message says why."""


class Address(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Text = "billing"
    lines: list[Text]
    country: Country | None = None


class Customer(BaseModel):
    """As it is put; status and merges are changed by requests of their own."""

    model_config = ConfigDict(extra="forbid")

    code: Text
    name: Text
    tax_id: Text | None = None
    country: Country | None = None
    status: Literal["active", "blocked", "closed"] = "active"
    addresses: list[Address] = []


class LegalEntity(BaseModel):
    model_config = ConfigDict(extra="forbid")

    code: Text
    name: Text
    country: Country | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None
    status: Literal["active", "closed"] = "active"


class Store:
    """State in memory; one event loop owns it."""

    def __init__(self, clock: Clock, journal: Journal | None = None) -> None:
        self._clock, self._journal = clock, journal
        self.feed: list[Record] = []
        self._held: dict[tuple[str, str], Record] = {}
        for entry in journal.entries() if journal else ():
            self._take(dict(entry))

    def put(self, mdm_id: str, given: Customer | LegalEntity) -> Record:
        """Create or replace. A customer keeps the record that it was merged into."""
        kind = "customer" if isinstance(given, Customer) else "legal_entity"
        record: Record = {"kind": kind, "mdm_id": mdm_id, **given.model_dump(mode="json")}
        if kind == "customer":
            record["merged_into"] = self._held.get((kind, mdm_id), {}).get("merged_into")
        return self._changed(record)

    def merge(self, mdm_id: str, into: str) -> Record:
        """Raises UnknownRecord, and Refused for a merge that would end at itself."""
        record, survivor = self.get("customer", mdm_id), self.get("customer", into)
        if mdm_id == into or survivor["merged_into"] is not None:
            raise Refused(f"{into} is {mdm_id} itself or was merged; name a record that stands for itself")
        return self._changed({**record, "merged_into": into, "status": "closed"})

    def get(self, kind: str, mdm_id: str) -> Record:
        try:
            return self._held[kind, mdm_id]
        except KeyError:
            raise UnknownRecord(f"there is no {kind} {mdm_id}") from None

    def known(self, kind: str, mdm_id: str) -> bool:
        return (kind, mdm_id) in self._held

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def _changed(self, record: Record) -> Record:
        now: datetime = self._clock.now()
        stamped: Mapping[str, JsonValue] = {**record, "changed_at": now.isoformat()}
        if self._journal is not None:
            self._journal.append(stamped)
        return self._take(dict(stamped))

    def _take(self, record: Record) -> Record:
        self._held[str(record["kind"]), str(record["mdm_id"])] = record
        self.feed.append(record)
        return record
