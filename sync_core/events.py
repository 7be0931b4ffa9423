"""What a CLM may tell us: one payload model per event type and version, and the registry of them.

The models decide what is understood; their JSON Schemas are generated, never written. Unknown extra fields
pass and are kept with the stored event; an unknown type, or a payload that does not fit, is quarantined whole.
Event names: com.tieline.contract.<what happened>.v<version of its payload>.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from sync_core.contract import (
    Approval,
    BillingTerms,
    ClauseStatus,
    ContractLine,
    LabourRate,
    Milestone,
    Party,
    Renewal,
    TaxAttributes,
    Terms,
)
from sync_core.errors import ErrorClass, TielineError

PREFIX = "com.tieline.contract."
CORRECTED = f"{PREFIX}corrected.v1"
WORKFLOW = "com.tieline.workflow."  # what was decided in Tieline
DECIDED = f"{WORKFLOW}decided.v1"


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


def _absent() -> Any:
    """Stands where nothing was sent; readers ask `model_fields_set` first."""
    return None


class Changes(BaseModel):
    """New absolute values (never deltas) of what changed; what is absent stays. Parts are replaced by key."""

    model_config = ConfigDict(extra="allow", frozen=True)

    # Absent is not null: only an end date and a purchase order can be taken away.
    title: str = Field(default_factory=_absent)
    customer: Party = Field(default_factory=_absent)
    legal_entity: str = Field(default_factory=_absent)
    service_line: str = Field(default_factory=_absent)
    geography: str = Field(default_factory=_absent)
    value: Decimal = Field(default_factory=_absent)
    starts_on: date = Field(default_factory=_absent)
    ends_on: date | None = None
    billing: BillingTerms = Field(default_factory=_absent)
    po_number: str | None = None
    tax: TaxAttributes = Field(default_factory=_absent)
    lines: tuple[ContractLine, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    rates: tuple[LabourRate, ...] = ()
    remove_lines: tuple[str, ...] = ()
    remove_milestones: tuple[str, ...] = ()
    remove_rates: tuple[str, ...] = ()


class AmendmentHeader(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    number: Annotated[int, Field(ge=1)]
    executed_at: AwareDatetime
    effective_on: date | None = None
    summary: str = ""


class Amended(Payload):
    """A numbered amendment, executed."""

    amendment: AmendmentHeader
    changes: Changes


class Corrected(Payload):
    """Repairs what an earlier revision said; later revisions still stand above it."""

    overrides: Annotated[int, Field(ge=0, description="The revision that this corrects")]
    changes: Changes


class Renewed(Payload):
    renewal: Renewal
    ends_on: date | None = None


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
    payload: type[Payload]
    signature: bool  # carries executed terms: an unreadable one is counted as an open case

    def schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of the payload (the CloudEvent's `data`)."""
        schema = self.payload.model_json_schema()
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:{self.name}",
            **schema,
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
        ("cancelled.v1", Ended, False),
        ("terminated.v1", Ended, False),
    ]
    return {PREFIX + name: EventType(PREFIX + name, payload, signature) for name, payload, signature in known}


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
    try:
        return known.payload.model_validate_json(data)
    except ValidationError as wrong:
        raise SchemaUnknown(f"{event_type}: {_first_problems(wrong)}") from wrong


_AMOUNT: Final = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,2})?")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def admit(event_type: str, data: bytes | str) -> Payload:
    """As `understand`, of an event that comes in: everything must be written as its schema says.

    The models alone read more: `true` and "1_0" as numbers, a count of seconds as a date. SQL would read those
    otherwise than Python. What an earlier release stored is still understood.
    """
    payload = understand(event_type, data)
    odd = next(_odd(payload, from_json(data), ""), None)
    if odd is not None:
        raise SchemaUnknown(f"{event_type}: {odd}")
    return payload


def _odd(understood: object, given: object, path: str) -> Iterator[str]:
    """What was understood although it is not written as the schema says; by field."""
    if isinstance(given, Mapping):
        for name, value in given.items():
            inner = understood.get(name) if isinstance(understood, Mapping) else getattr(understood, str(name), None)
            yield from _odd(inner, value, f"{path}.{name}" if path else str(name))
    elif isinstance(given, list) and isinstance(understood, tuple):
        for index, (inner, value) in enumerate(zip(understood, given, strict=True)):
            yield from _odd(inner, value, f"{path}.{index}")
    elif (wanted := _wanted(understood, given)) is not None:
        yield f"{path}: it must be {wanted}"


def _wanted(understood: object, given: object) -> str | None:
    match understood:
        case bool():
            return None if isinstance(given, bool) else "true or false"
        case int():
            return None if type(given) is int else "a whole number, written as a JSON number"
        case Decimal():
            plain = (isinstance(given, str) and _AMOUNT.fullmatch(given)) or type(given) in (int, float)
            return None if plain else "a plain decimal number"
        case date():
            return None if isinstance(given, str) and _DAY.match(given) else "an ISO 8601 date or time, as text"
    return None


def _first_problems(wrong: ValidationError, most: int = 5) -> str:
    listed = [f"{'.'.join(str(step) for step in e['loc']) or 'data'}: {e['msg']}" for e in wrong.errors()[:most]]
    more = wrong.error_count() - len(listed)
    return "; ".join(listed) + (f"; and {more} more" if more > 0 else "")
