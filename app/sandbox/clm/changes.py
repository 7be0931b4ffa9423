"""What can be done to a contract in the sandbox CLM, as values that a request or a generator makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue

from sync_core.events import PREFIX


class ChangeKind(StrEnum):
    """The middle part of the event types in sync_core/events.py."""

    DRAFTED = "drafted"
    APPROVED = "approved"
    CLAUSES = "clauses"
    SIGNED = "signed"
    AMENDED = "amended"
    CORRECTED = "corrected"
    RENEWED = "renewed"
    RENEWAL_INITIATED = "renewal_initiated"
    RENEWAL_DECLINED = "renewal_declined"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"


class Fault(StrEnum):
    """What a webhook delivery can suffer on its way; the feed always tells the truth."""

    DROP = "drop"
    DUPLICATE = "duplicate"
    DELAY = "delay"
    REORDER = "reorder"  # arrives behind the event that follows it


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one contract. `body` is the event's data without contract id and revision.

    `revision` None takes the next one; a number names a revision that was reserved and never published
    (an amendment whose paper is keyed in late). `version` is that of the event's payload.
    """

    contract_id: str
    kind: ChangeKind
    body: Mapping[str, JsonValue]
    revision: int | None = None
    version: int = 1

    @property
    def event_type(self) -> str:
        return f"{PREFIX}{self.kind}.v{self.version}"


@dataclass(frozen=True, slots=True)
class Repeat:
    """Publish the contract's latest event once more, unchanged."""

    contract_id: str


@dataclass(frozen=True, slots=True)
class DeliveryFault:
    """Let the delivery of the contract's next event suffer this."""

    contract_id: str
    fault: Fault
