"""What a CLM may tell us: one payload model per event type and version, and the registry of them.

The models decide what is understood; their JSON Schemas are generated, never written. Unknown extra fields
pass and are kept with the stored event; an unknown type, or a payload that does not fit, is quarantined whole.
Event names: com.tieline.contract.<what happened>.v<version of its payload>. Of one happening the core reads one
version; an event of another is brought to it at the door (`in_core_form`), and what was sent is kept beside it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from sync_core.contract import (
    Approval,
    ClauseStatus,
    Renewal,
    Terms,
)
from sync_core.errors import ErrorClass, TielineError
from sync_core.json_exact import dump
from sync_core.schemas.as_written import oddities
from sync_core.schemas.changes import AmendmentDay as AmendmentDay
from sync_core.schemas.changes import Changes as Changes
from sync_core.schemas.signed_v2 import SignedV2, upcast

PREFIX = "com.tieline.contract."
CORRECTED = f"{PREFIX}corrected.v1"
WORKFLOW = "com.tieline.workflow."  # what was decided in Tieline
DECIDED = f"{WORKFLOW}decided.v1"
OWN_ID = "tieline:"  # what the ids of events that Tieline's own commands store begin with


class SchemaUnknown(TielineError):
    """The event's type is not registered or its payload does not fit; it is quarantined with this reason."""

    code = "event.schema_unknown"
    error_class = ErrorClass.SCHEMA_UNKNOWN


class Payload(BaseModel):
    """What all contract events say: which contract, and which revision of it in its CLM."""

    model_config = ConfigDict(extra="allow", frozen=True)

    contract_id: Annotated[str, Field(min_length=1, max_length=120)]
    revision: Annotated[int, Field(ge=0, description="Rises with every change of the contract in its CLM")]


class Drafted(Payload):
    """A draft was made or changed; nothing is provisioned from it."""

    terms: Terms


class Approved(Payload):
    """The CLM's own approval of the contract moved."""

    approval: Approval


class ClausesReviewed(Payload):
    """Status of clauses that policy cares about, by clause name."""

    clauses: dict[str, ClauseStatus]


class Signed(Payload):
    """Fully executed: the whole terms, as of the last signature."""

    signed_at: AwareDatetime
    terms: Terms


class AmendmentHeader(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    number: Annotated[int, Field(ge=1)]
    executed_at: AwareDatetime
    effective_on: date | None = None
    summary: str = ""
    signed_by: str = ""


class Amended(Payload):
    """A numbered amendment, executed."""

    amendment: AmendmentHeader
    changes: Changes


class Corrected(Payload):
    """Repairs what an earlier revision said; later revisions still stand above it."""

    overrides: Annotated[int, Field(ge=0, description="The revision that this corrects")]
    changes: Changes
    amendment_days: Annotated[
        tuple[AmendmentDay, ...], Field(description="From which day amendments hold, where they said it wrongly")
    ] = ()


class Renewed(Payload):
    """The next renewal is agreed, and with it the last day."""

    renewal: Renewal
    ends_on: date | None = None


class RenewalInitiated(Payload):
    """The parties talk about the next renewal."""

    initiated_on: date
    renews_on: Annotated[date | None, Field(description="The renewal that is meant; the next one if left out")] = None


class RenewalDeclined(Payload):
    """The next renewal will not come: the contract ends with its last day."""

    declined_on: date
    renews_on: Annotated[date | None, Field(description="The renewal that is meant; the next one if left out")] = None
    reason: str = ""


class Suspended(Payload):
    """Nothing is billed from a day on, until it is resumed."""

    suspended_on: date
    resumes_on: Annotated[date | None, Field(description="From which day on it goes on, if that is agreed")] = None
    reason: str = ""


class Resumed(Payload):
    """A suspended contract goes on."""

    resumed_on: date


class Ended(Payload):
    """Cancelled (before work) or terminated (after)."""

    ended_on: date
    reason: str = ""


class Decided(Payload):
    """Somebody approved or refused in Tieline what a rule of the estate asks an approval for."""

    subject: Literal["provisioning"]
    rule: Annotated[str, Field(min_length=1, max_length=200)]
    decision: Literal["approved", "refused"]
    amount: Decimal
    currency: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class EventType:
    name: str
    payload: type[Payload]  # what the core reads of it
    signature: bool  # carries executed terms: an unreadable one is counted as an open case
    sent: type[BaseModel] | None = None  # what its senders write, where that is not what the core reads
    reads_as: str = ""  # the type that the core reads in its place, if not itself
    upcast: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None  # to that; raises ValueError
    words: str = ""  # what it says, where its model serves several types

    @property
    def model(self) -> type[BaseModel]:
        """What its senders write."""
        return self.sent or self.payload

    @property
    def summary(self) -> str:
        """What it says, in a line."""
        return self.words or (self.model.__doc__ or "").strip().partition("\n")[0]

    def schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of the payload (the CloudEvent's `data`)."""
        schema = self.model.model_json_schema()
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:{self.name}",
            **schema,
            **({"description": self.words} if self.words else {}),
        }


def _registry() -> dict[str, EventType]:
    known: list[tuple[str, type[Payload], bool]] = [
        ("drafted.v1", Drafted, False),
        ("approved.v1", Approved, False),
        ("clauses.v1", ClausesReviewed, False),
        ("signed.v1", Signed, True),
        ("amended.v1", Amended, True),
        ("corrected.v1", Corrected, False),
        ("renewed.v1", Renewed, False),
        ("renewal_initiated.v1", RenewalInitiated, False),
        ("renewal_declined.v1", RenewalDeclined, False),
        ("suspended.v1", Suspended, False),
        ("resumed.v1", Resumed, False),
        ("cancelled.v1", Ended, False),
        ("terminated.v1", Ended, False),
    ]
    words = {
        "cancelled.v1": "Called off before work began: nothing is earned.",
        "terminated.v1": "Ended after work began: what was earned by the last day is still billed.",
    }
    types = [EventType(PREFIX + name, payload, signed, words=words.get(name, "")) for name, payload, signed in known]
    types.append(EventType(f"{PREFIX}signed.v2", Signed, True, SignedV2, f"{PREFIX}signed.v1", upcast))
    return {one.name: one for one in types}


REGISTRY: Mapping[str, EventType] = _registry()
# Only Tieline's own commands store these: whoever could send one could approve a contract.
OWN: Mapping[str, EventType] = {DECIDED: EventType(DECIDED, Decided, signature=False)}


@dataclass(frozen=True, slots=True)
class Event:
    """One understood event of one contract, ready to fold."""

    source: str
    id: str
    type: str
    occurred_at: datetime
    payload: Payload


def understand(event_type: str, data: bytes | str) -> Payload:
    """The payload of `data` (JSON). Raises SchemaUnknown that names each field and what is wrong with it."""
    known = REGISTRY.get(event_type) or OWN.get(event_type)
    if known is None:
        raise SchemaUnknown(f"event type {event_type!r} is not registered; register its schema, then release it")
    if known.upcast is not None:
        return understand(*in_core_form(event_type, data if isinstance(data, bytes) else data.encode()))
    try:
        return known.payload.model_validate_json(data)
    except ValidationError as wrong:
        raise SchemaUnknown(f"{event_type}: {_first_problems(wrong)}") from wrong


def in_core_form(event_type: str, data: bytes) -> tuple[str, bytes]:
    """The type and data by which the core knows it: its own, but for another version. Raises SchemaUnknown. Pure."""
    known = REGISTRY.get(event_type)
    if known is None or known.upcast is None:
        return event_type, data
    try:
        known.model.model_validate_json(data)
        return known.reads_as, dump(known.upcast(from_json(data)))
    except ValidationError as wrong:
        raise SchemaUnknown(f"{event_type}: {_first_problems(wrong)}") from wrong
    except ValueError as wrong:
        raise SchemaUnknown(f"{event_type}: {wrong}") from wrong


def admit(event_type: str, data: bytes | str) -> Payload:
    """As `understand`, of an event that comes in: everything must be written as its schema says.

    The models alone read more: `true` and "1_0" as numbers, a count of seconds as a date. SQL would read those
    otherwise than Python. What an earlier release stored is still understood.
    """
    payload = understand(event_type, data)
    odd = next(oddities(payload, from_json(data)), None)
    if odd is not None:
        raise SchemaUnknown(f"{event_type}: {odd}")
    return payload


def _first_problems(wrong: ValidationError, most: int = 5) -> str:
    listed = [f"{'.'.join(str(step) for step in e['loc']) or 'data'}: {e['msg']}" for e in wrong.errors()[:most]]
    more = wrong.error_count() - len(listed)
    return "; ".join(listed) + (f"; and {more} more" if more > 0 else "")
