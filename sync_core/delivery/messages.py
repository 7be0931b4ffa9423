"""What Tieline tells others: one payload model per event type and version, and the registry of them.

The statements in announce_sql.py and scan.py make the payloads; tests hold those against these models. Money is
a text in major units with its currency. Texts come from CLMs, ERPs and people: whoever shows them must escape them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from sync_core.delivery.message_parts import Amount, ContractRef, Message, Model, OfContract
from sync_core.errors import Function
from sync_core.estate.delivery import PREFIX

PING = f"{PREFIX}test.ping.v1"


class ProjectActivated(OfContract):
    """The contract became billable, or became so again after a change: its ERP was read back and is equal to it."""

    amendment: Annotated[int | None, Field(description="The newest amendment in it")]


class ContractBlocked(OfContract):
    """The contract stopped and waits for a person."""

    causes: list[str]


class ContractUnblocked(OfContract):
    """Nothing stops the contract any more."""


class ContractEnded(OfContract):
    """The contract was cancelled, terminated or not renewed, and its ERP was read back."""


class ExceptionRef(Model):
    id: int
    cause: str
    error_class: str
    function: Annotated[Function, Field(description="The business function that has it")]
    severity: str
    state: Literal["open", "resolved", "decided"]
    message: str
    exposure: Amount
    exposure_reporting: Annotated[Amount | None, Field(description="null: no exchange rate")]
    bill_on: date | None
    opened_at: datetime
    due_at: datetime | None
    occurrences: int


class OfException(OfContract):
    exception: ExceptionRef


class ExceptionEvent(OfException):
    """An exception was opened, came back, was resolved as a run no longer found it, or was closed by decision."""

    by: Annotated[str, Field(description="Who did it; `tieline` is Tieline itself")]
    note: str


class ExceptionHandedOver(OfException):
    """An exception went to another business function."""

    by: str
    note: str
    from_function: str | None


class ExceptionOverdue(OfException):
    """The owner's time is up and the exception is still open."""


class QuarantinedEvent(Model):
    source: str
    id: str
    type: str


class EventQuarantined(Message):
    """An event of a CLM was not understood and is kept whole."""

    event: QuarantinedEvent
    contract_id: Annotated[str | None, Field(description="In the CLM, if it could be told")]
    signature: Annotated[bool, Field(description="It carries executed terms, so money waits for it")]
    reason: str


class LaneStopped(Message):
    """Nothing is sent to this ERP for now; its contracts wait and none becomes an exception for it."""

    lane: str
    reason: str
    needs_person: Annotated[bool, Field(description="Credentials, or an answer that lost a field")]
    waiting: Annotated[int, Field(description="Contracts in its queue at this moment")]


class LaneRestored(Message):
    """The ERP answers again and its contracts go on."""

    lane: str
    stopped_at: datetime | None


class FinancialFact(Message):
    """An invoice, payment or dispute as its ERP reports it; a changed status is a new event."""

    system: str
    ref: str
    invoice: str | None
    project_key: str
    amount: Amount
    status: str
    occurred_on: date
    contract: Annotated[ContractRef | None, Field(description="null: of no contract that Tieline knows")]


class ReplayRef(Model):
    id: int
    title: str
    items: int
    legal_entities: list[str]


class ReplayFinished(Message):
    """Every item of a replay has ended; `result` counts them by how."""

    replay: ReplayRef
    result: dict[str, int]


class ApprovalRequested(Message):
    """Somebody with the role approver has to decide."""

    of: Literal["provisioning", "replay"]
    why: str
    exception_id: int | None
    contract: ContractRef | None
    replay: ReplayRef | None


class ApprovalDecided(ApprovalRequested):
    """An approval was given or refused; `why` is the reason."""

    decision: Literal["approved", "refused"]
    by: str


class RenewalDue(OfContract):
    """The day by which notice must be given is near; once for each number of days ahead that the estate names."""

    notice_by: date
    renews_on: date | None
    automatic: Annotated[bool, Field(description="It comes by itself unless it is declined")]
    initiated: Annotated[bool, Field(description="The parties talk about it already")] = False
    days_ahead: Annotated[int | None, Field(description="Which of the estate's numbers of days was reached")] = None


class AmendmentLate(OfContract):
    """An amendment is executed but not in the ERP, and the next bill run would miss it."""

    bill_run: datetime
    state: str


class SnapshotFile(Model):
    name: str
    bytes: int
    sha256: str


class SnapshotMade(Message):
    """A weekly snapshot was made. Told to subscribers without a limit of legal entities: it is of the whole group."""

    snapshot_id: int
    week: Annotated[str, Field(description="ISO week", examples=["2026-W47"])]
    as_of: datetime
    restated_since: Annotated[datetime | None, Field(description="As of when the week was first reported; null: now")]
    release: str
    policy_version: str
    content_id: Annotated[str, Field(description="SHA-256 of manifest.json")]
    files: Annotated[list[SnapshotFile], Field(description="Read them at /v1/snapshots/{snapshot_id}/files/{name}")]


class ObjectiveRef(Model):
    name: str
    title: str
    target: Annotated[float, Field(description="The share of events that are to be good")]


class ObjectiveBroken(Message):
    """A service-level objective is broken; the same trouble is told once, and again when it grows worse."""

    objective: ObjectiveRef
    state: Annotated[str, Field(description="page, ticket, exhausted, stuck or violated")]
    says: Annotated[str, Field(description="One sentence: by what it is broken")]
    since: datetime


class SchemaRef(Model):
    type: str
    source: Annotated[str, Field(description="Who sent it")]


class SchemaDrifted(Message):
    """A field came in that no schema here knows; it is kept with its events, and told once."""

    schema_: Annotated[SchemaRef, Field(alias="schema")]
    path: str
    shape: Annotated[str, Field(description="JSON type of its first value")]
    first_seen_at: datetime


class Ping(Message):
    """A test that somebody asked for."""

    subscriber: str
    by: str


@dataclass(frozen=True, slots=True)
class OutgoingType:
    name: str
    payload: type[Message]

    @property
    def summary(self) -> str:
        return (self.payload.__doc__ or "").strip().partition("\n")[0]

    def schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of the payload (the CloudEvent's `data`)."""
        schema = self.payload.model_json_schema()
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:{self.name}", **schema}


_KNOWN: dict[str, type[Message]] = {
    "project.activated.v1": ProjectActivated,
    "contract.blocked.v1": ContractBlocked,
    "contract.unblocked.v1": ContractUnblocked,
    "contract.ended.v1": ContractEnded,
    "exception.opened.v1": ExceptionEvent,
    "exception.reopened.v1": ExceptionEvent,
    "exception.resolved.v1": ExceptionEvent,
    "exception.decided.v1": ExceptionEvent,
    "exception.handed_over.v1": ExceptionHandedOver,
    "exception.overdue.v1": ExceptionOverdue,
    "event.quarantined.v1": EventQuarantined,
    "lane.stopped.v1": LaneStopped,
    "lane.restored.v1": LaneRestored,
    "invoice.reported.v1": FinancialFact,
    "payment.reported.v1": FinancialFact,
    "dispute.reported.v1": FinancialFact,
    "replay.finished.v1": ReplayFinished,
    "approval.requested.v1": ApprovalRequested,
    "approval.decided.v1": ApprovalDecided,
    "renewal.due.v1": RenewalDue,
    "amendment.late.v1": AmendmentLate,
    "snapshot.made.v1": SnapshotMade,
    "objective.broken.v1": ObjectiveBroken,
    "schema.drifted.v1": SchemaDrifted,
    "test.ping.v1": Ping,
}
OUTGOING: Mapping[str, OutgoingType] = {
    PREFIX + name: OutgoingType(PREFIX + name, payload) for name, payload in _KNOWN.items()
}
