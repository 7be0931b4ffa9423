"""From a REST request of the sandbox CLM to a `Change`: what each route expects, and what it fills in."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, TypeAlias

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter
from starlette.requests import Request

from app.sandbox.clm.changes import Change, ChangeKind, Fault
from app.sandbox.clm.store import Store
from app.sandbox.clm.wire import moment

Body: TypeAlias = dict[str, JsonValue]
Fill: TypeAlias = Callable[[Store, str, Body, datetime], Body]


class BadRequest(ValueError):
    """The request cannot be understood; the message says what to send instead."""


class PlayedChange(BaseModel):
    """A change exactly as given, reserved revisions and unknown payload versions included."""

    model_config = ConfigDict(extra="forbid")

    contract_id: Annotated[str, Field(min_length=1, max_length=120)]
    kind: ChangeKind
    body: Body
    revision: Annotated[int, Field(ge=0)] | None = None
    version: Annotated[int, Field(ge=1)] = 1

    def change(self) -> Change:
        return Change(self.contract_id, self.kind, self.body, self.revision, self.version)


class IntegrationBilling(BaseModel):
    """What was billed and recognised of a contract, in its currency and without tax."""

    currency: str
    billed: str
    paid: str
    disputed: str
    next_bill_on: str | None = None
    recognised: str | None = None
    revenue: str | None = None


class IntegrationStatus(BaseModel):
    """What an ERP says of a contract: the write-back."""

    status: Annotated[str, Field(min_length=1)]
    project_ref: str | None = None
    erp: str
    provisioned_at: str | None = None
    note: str | None = None
    revision: int | None = None
    billing: IntegrationBilling | None = None
    values: dict[str, str | bool | None] | None = None  # what the owners of these fields hold

    def kept(self) -> Body:
        """As the contract's record shows it: without what there is not."""
        absent = {name for name in ("note", "revision", "billing", "values") if getattr(self, name) is None}
        return self.model_dump(exclude={"contract_id", *absent})


class IntegrationItem(IntegrationStatus):
    contract_id: str


class IntegrationBulk(BaseModel):
    items: Annotated[list[IntegrationItem], Field(max_length=1000)]


class Adopts(BaseModel):
    """Fields that this CLM takes over when it is told that their owner holds something else."""

    fields: list[str]


class WebhookSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str
    secret: str
    batched: bool = False
    most: Annotated[int, Field(ge=1, le=1000)] = 100


Share = Annotated[float, Field(ge=0, le=1)]


class FaultSettings(BaseModel):
    """Rates for all deliveries, or one fault for the next event of one contract."""

    model_config = ConfigDict(extra="forbid")

    drop: Share = 0.0
    duplicate: Share = 0.0
    delay: Share = 0.0
    reorder: Share = 0.0
    longest_delay_s: Annotated[float, Field(ge=0)] = 1200
    next_of: dict[str, Fault] = {}


_OBJECT: TypeAdapter[Body] = TypeAdapter(Body)


async def json_object(request: Request) -> Body:
    raw = await request.body()
    try:
        return _OBJECT.validate_python(orjson.loads(raw or b"{}"))
    except ValueError as wrong:
        raise BadRequest("the body must be a JSON object; send Content-Type application/json") from wrong


def _as_sent(_store: Store, _contract_id: str, body: Body, _now: datetime) -> Body:
    return body


def _signature(store: Store, contract_id: str, body: Body, now: datetime) -> Body:
    return {"signed_at": moment(now), "terms": store.draft_of(contract_id), **body}


def _amendment(store: Store, contract_id: str, body: Body, now: datetime) -> Body:
    given = body.get("amendment")
    header: Mapping[str, JsonValue] = given if isinstance(given, dict) else {}
    number: JsonValue = store.next_amendment(contract_id)
    return {"changes": {}, **body, "amendment": {"number": number, "executed_at": moment(now), **header}}


CHANGES: Mapping[str, tuple[ChangeKind, Fill]] = {
    "draft": (ChangeKind.DRAFTED, _as_sent),
    "approval": (ChangeKind.APPROVED, _as_sent),
    "clauses": (ChangeKind.CLAUSES, _as_sent),
    "signature": (ChangeKind.SIGNED, _signature),
    "amendments": (ChangeKind.AMENDED, _amendment),
    "corrections": (ChangeKind.CORRECTED, _as_sent),
    "renewals": (ChangeKind.RENEWED, _as_sent),
    "renewal-talks": (ChangeKind.RENEWAL_INITIATED, _as_sent),
    "renewal-refusals": (ChangeKind.RENEWAL_DECLINED, _as_sent),
    "suspension": (ChangeKind.SUSPENDED, _as_sent),
    "resumption": (ChangeKind.RESUMED, _as_sent),
    "cancellation": (ChangeKind.CANCELLED, _as_sent),
    "termination": (ChangeKind.TERMINATED, _as_sent),
}
"""By the last part of the path: the data of the event, where what is missing is filled in as a CLM would."""
