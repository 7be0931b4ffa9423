"""What the engine asks of an ERP and of a CLM. Connectors implement these; the engine knows nothing else of them.

Errors: a connector maps everything its vendor can answer to the Erp* errors of sync_core/errors.py, once.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

from sync_core.desired import ErpObject, Found, Kind, Project, Scalar
from sync_core.errors import ClmError
from sync_core.keys import BusinessKey, ErpRef, ExternalId
from sync_core.lanes.batches import Answer, BatchWindow, Group, Handed
from sync_core.writeback.billing import Billing


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One HTTP call as the journal and the latency KPIs want it."""

    system: str
    operation: str  # low cardinality: "project.create", never an id
    write: bool
    started_at: datetime
    duration_s: float
    outcome: str  # "ok" or the code of the error
    status: int | None = None


@dataclass(slots=True)
class CallContext:
    """On whose behalf a connector calls, and until when it may still send.

    `send_before` is a time.monotonic() value: lease end minus the call's time-out. The HTTP layer refuses to
    send later (LeaseLost) and appends every call made to `calls`.
    """

    correlation_id: str
    send_before: float
    traceparent: str | None = None
    calls: list[ApiCall] = field(default_factory=list)


class FinancialKind(StrEnum):
    INVOICE = "invoice"
    PAYMENT = "payment"
    DISPUTE = "dispute"
    REVENUE = "revenue"


_REPORTED = frozenset({FinancialKind.INVOICE, FinancialKind.PAYMENT, FinancialKind.DISPUTE})


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this ERP can do, so that the engine need not ask by name."""

    upsert: bool = False  # a create with a business key that exists answers with the existing object
    settle_s: float = 0.0  # longest time a request may still run after we lost sight of it
    kinds: frozenset[Kind] = frozenset(Kind)  # kinds it can hold
    foreign_currency: bool = True  # a project may be in another currency than its legal entity's ledger
    reports: frozenset[FinancialKind] = _REPORTED  # what financial_status tells of; without revenue, none is no zero
    batches: BatchWindow | None = None  # takes writes in batches at night; then it is a TakesBatches
    dated_rates: bool = False  # a category's price has a first day, and an hour the price of the day it was worked
    keeps: Callable[[ErpObject], ErpObject] | None = None  # what it would hold of an object, where that is less


@dataclass(frozen=True, slots=True)
class Scope:
    """What to look up before and after a contract is provisioned."""

    contract: BusinessKey
    legal_entity: str
    customer: BusinessKey
    tax_code: str | None
    payment_terms: str
    labour_categories: tuple[BusinessKey, ...] = ()
    revenue_categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class References:
    """Master data that a project needs and that Tieline does not own. None or False: the ERP does not have it."""

    legal_entity: ErpRef | None
    entity_currency: str | None
    tax_profile: bool  # the tax code is set up for this legal entity (True when none is asked for)
    customer_tax_profile: bool  # the customer, if it exists, carries what taxing it needs
    payment_terms: bool
    missing_revenue_categories: tuple[str, ...] = ()
    open_period: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """A fresh read: references, and ALL objects under the scope's keys, doubles included."""

    references: References
    found: tuple[Found, ...]
    handed: tuple[Handed, ...] = ()  # of an ERP with batches: what of these keys it has not answered yet
    answers: tuple[Answer, ...] = ()  # its last answer to each group of these keys


@dataclass(frozen=True, slots=True)
class FinancialFact:
    """One invoice, payment, dispute or posting of revenue of a project, as its ERP reports it, without tax."""

    kind: FinancialKind
    ref: ErpRef
    project: BusinessKey
    amount: Decimal
    currency: str
    occurred_on: date
    status: str
    invoice: ErpRef | None = None  # of a payment, dispute or posting; of a credit note, the one that it takes back
    line: BusinessKey | None = None  # of a posting: the contract line
    reverses: ErpRef | None = None  # of a posting: the one that it takes back; its amount is below zero


@dataclass(frozen=True, slots=True)
class FinancialPage:
    facts: tuple[FinancialFact, ...]
    cursor: str  # pass it to the next call
    more: bool


Refs = Mapping[tuple[Kind, BusinessKey], ErpRef]


class ErpConnector(Protocol):
    """One ERP. All methods are safe to repeat; every HTTP call goes through sync_core/connectors/http.py."""

    name: str

    @property
    def capabilities(self) -> Capabilities: ...

    async def observe(self, scope: Scope, ctx: CallContext) -> Observation: ...

    async def create(self, objects: Sequence[ErpObject], refs: Refs, ctx: CallContext) -> Mapping[BusinessKey, ErpRef]:
        """Create objects of ONE kind (of one project, for parts). A project is created not billable.

        `refs` has what they depend on: customer, labour categories, project.
        """
        ...

    async def update(self, wanted: ErpObject, ref: ErpRef, changed: Sequence[str], ctx: CallContext) -> None:
        """Write only the fields named in `changed`."""
        ...

    async def activate(self, project: Project, ref: ErpRef, ctx: CallContext) -> None:
        """Make the project billable: the last write of a provisioning."""
        ...

    async def close(self, kind: Kind, ref: ErpRef, ctx: CallContext) -> None:
        """Remove or close what was not billed: a double, a dropped milestone, an ended project with its parts."""
        ...

    async def financial_status(self, cursor: str | None, ctx: CallContext) -> FinancialPage: ...

    async def ping(self, ctx: CallContext) -> None:
        """The cheapest authenticated read: the breaker's probe."""
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class TakesBatches(Protocol):
    """An ERP connector with `capabilities.batches`: the engine hands whole plans over and looks in the morning."""

    name: str

    def written(self, group: Group) -> bytes:
        """The group as the ERP takes it. Call it after an `observe` of the contract; raises ErpRejected for what has no
        place in a record.
        """
        ...

    async def there(
        self, shared: Sequence[tuple[Kind, BusinessKey]], ctx: CallContext
    ) -> frozenset[tuple[Kind, BusinessKey]]:
        """Those of these shared objects that it holds, or that lie in its inbox: one look for all of them."""
        ...

    async def hand_over(self, groups: Sequence[bytes], ctx: CallContext) -> str:
        """One file of these groups, in order; its name there. Raises the Erp* errors, ErpRateLimited out of hours."""
        ...


@dataclass(frozen=True, slots=True)
class ProjectPage:
    projects: tuple[Found, ...]  # open ones, whoever made them, with the key that they bear now; without parts
    cursor: str  # pass it to the next call
    more: bool


@runtime_checkable
class ListsProjects(Protocol):
    """An ERP connector that can be asked for projects without a key of ours, and can have ours written on them."""

    name: str

    async def projects(self, cursor: str | None, ctx: CallContext) -> ProjectPage: ...

    async def project(self, ref: ErpRef, ctx: CallContext) -> Found | None:
        """One of them, without its parts; None: there is no open one of that id."""
        ...

    async def parts(self, project: Found, ctx: CallContext) -> Sequence[Found]:
        """Its contract lines, milestones and labour rates, with the keys that they bear now."""
        ...

    async def relabel(self, kind: Kind, ref: ErpRef, key: BusinessKey, ctx: CallContext) -> None:
        """From now on the ERP knows this object by our key. Safe to repeat."""
        ...


@runtime_checkable
class TellsVersion(Protocol):
    """An ERP connector whose ERP says which release it runs; one that cannot leaves the method out."""

    name: str

    async def version(self, ctx: CallContext) -> str | None:
        """As the vendor writes it. Raises the Erp* errors."""
        ...


@dataclass(frozen=True, slots=True)
class WriteBack:
    """What the CLM is told of a contract."""

    external_id: ExternalId
    status: str  # contract state as in core.contract
    project_ref: str | None
    erp: str
    provisioned_at: datetime | None
    note: str | None = None  # what its people should know, such as that an approval is needed; for a CLM with a place
    revision: int | None = None  # of the contract, that the ERP was last read back with
    billing: Billing | None = None  # None: nothing was invoiced or recognised yet
    values: Mapping[str, Scalar] = field(default_factory=dict)  # fields that ERP or master data own and say otherwise

    @property
    def said(self) -> dict[str, object]:
        """As plain JSON: what the contract's page shows as told."""
        billing = self.billing.stored if self.billing else None
        return {"status": self.status, "project_ref": self.project_ref, "erp": self.erp, "note": self.note,
                "revision": self.revision, "billing": billing, "values": dict(self.values)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PolledPage:
    """CloudEvents in structured form (JSON objects as bytes), oldest first."""

    events: tuple[bytes, ...]
    watermark: str
    more: bool


class ClmUnanswered(ClmError):
    """A write-back was sent and got no answer: the CLM may still be at it, so nothing newer is sent just yet."""

    code = "clm.unanswered"


class ClmConnector(Protocol):
    """One CLM. Raises ClmError for whatever goes wrong."""

    name: str
    source: str

    async def poll(self, watermark: str | None) -> PolledPage: ...

    async def write_back(self, items: Sequence[WriteBack]) -> None:
        """Replace what the CLM holds of these contracts. ClmUnanswered when nobody knows whether it was done."""
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class TellsClmVersion(Protocol):
    """A CLM connector whose CLM says which release it runs; one that cannot leaves the method out."""

    name: str

    async def version(self) -> str | None:
        """As the vendor writes it. Raises ClmError."""
        ...


class Gate(Protocol):
    """The lane limit of one ERP over all workers; every ERP call holds one slot."""

    def slot(self) -> AbstractAsyncContextManager[None]: ...
