"""The canonical contract: what was signed, whichever CLM it came from.

Identified by (CLM source, contract id). Amounts are major units of `currency`; dates are the contract's own
calendar dates; moments are UTC. The fold (sync_core/fold.py) is the only maker of a `Contract`.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from sync_core.keys import ExternalId


class BillingKind(StrEnum):
    MILESTONES = "milestones"
    TIME_AND_MATERIALS = "time_and_materials"


class Stage(StrEnum):
    """Where the contract itself stands, as its CLM says."""

    DRAFT = "draft"
    SIGNED = "signed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    EXPIRED = "expired"  # its renewal was declined and its last day is over (sync_core/life/lifecycle.py)


class Approval(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class ClauseStatus(StrEnum):
    STANDARD = "standard"
    NEGOTIATED = "negotiated"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Party:
    code: str  # the customer's key in master data
    name: str
    tax_id: str | None = None
    country: str | None = None  # ISO 3166 alpha-2
    mdm_id: str | None = None  # the customer's id in the master-data system, where the CLM knows it


@dataclass(frozen=True, slots=True)
class ContractLine:
    key: str
    description: str
    amount: Decimal
    service_line: str | None = None  # None: the contract's


@dataclass(frozen=True, slots=True)
class Milestone:
    key: str
    name: str
    amount: Decimal
    due_on: date
    line: str | None = None  # key of the contract line it bills


@dataclass(frozen=True, slots=True)
class LabourRate:
    """One row of the rate card: price of an hour of one labour category, from a date on."""

    category: str
    name: str
    rate: Decimal  # per hour
    planned_hours: Decimal = Decimal(0)
    valid_from: date | None = None  # None: from the start of the contract
    line: str | None = None


@dataclass(frozen=True, slots=True)
class BillingTerms:
    kind: BillingKind
    payment_terms: str  # the ERP's code, for instance NET30
    invoice_frequency: str = "monthly"
    not_to_exceed: Decimal | None = None  # T&M cap


@dataclass(frozen=True, slots=True)
class TaxAttributes:
    tax_code: str | None = None
    exempt: bool = False


@dataclass(frozen=True, slots=True)
class Renewal:
    renews_on: date | None = None
    notice_by: date | None = None
    automatic: bool = False
    term_months: int | None = None  # of each automatic renewal; None: it has no end


@dataclass(frozen=True, slots=True)
class RenewalNotice:
    """What the parties said of a coming renewal: they talk about it, or it will not come."""

    declined: bool
    said_on: date
    renews_on: date | None = None  # the renewal that is meant; None: the next one after that day
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Suspension:
    """Nothing is billed from `begins_on` until the day before `ends_on`; None: until it is resumed."""

    begins_on: date
    ends_on: date | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Amendment:
    number: int  # from 1, without gaps
    executed_at: datetime
    effective_on: date | None
    summary: str


@dataclass(frozen=True, slots=True)
class Decision:
    """An approval given or refused in Tieline, under a rule of the estate."""

    rule: str
    approved: bool
    amount: Decimal  # the contract's value that was decided on
    currency: str
    by: str
    reason: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """What the parties agreed; an amendment replaces parts of it."""

    title: str
    customer: Party
    legal_entity: str
    service_line: str
    geography: str
    currency: str
    value: Decimal
    starts_on: date
    ends_on: date | None
    billing: BillingTerms
    lines: tuple[ContractLine, ...] = ()
    milestones: tuple[Milestone, ...] = ()
    rates: tuple[LabourRate, ...] = ()
    po_number: str | None = None
    tax: TaxAttributes = TaxAttributes()
    renewal: Renewal = Renewal()
    test: bool = False  # a trial contract: provisioned, never counted


Part: TypeAlias = ContractLine | Milestone | LabourRate
Path: TypeAlias = tuple[str, str]  # a field of the terms, and of a part also its key: ("milestones", "design")
Repaired: TypeAlias = tuple[Path, object]  # a term that Tieline corrected, with what the CLM had published


@dataclass(frozen=True, slots=True)
class Silent:
    """A term that the CLM published otherwise although nothing numbered says so. None: it is not there."""

    path: Path
    agreed: object
    stated: object


@dataclass(frozen=True, slots=True)
class SilentDay:
    """The effective day of an amendment that the CLM published otherwise: by its number again, or by a correction that
    moves nothing. None: at once.
    """

    number: int
    agreed: date | None
    stated: date | None


@dataclass(frozen=True, slots=True)
class Dated:
    """A term that an amendment changes from a day on: what holds before that day."""

    path: Path
    until: date
    value: object
    priced: bool = False  # of a rate that was amended without a day: it holds at once, and hours of before as agreed


@dataclass(frozen=True, slots=True)
class Contract:
    source: str  # CLM source, the CloudEvents `source`
    external_id: ExternalId
    stage: Stage
    terms: Terms | None  # None: nothing but status events so far
    revision: int = 0
    signed_at: datetime | None = None  # last signature
    ended_on: date | None = None  # cancelled or terminated on
    approval: Approval = Approval.PENDING
    clauses: tuple[tuple[str, ClauseStatus], ...] = ()
    amendments: tuple[Amendment, ...] = ()
    missing_amendment: int | None = None  # the first number that later amendments wait for
    decisions: tuple[Decision, ...] = ()  # oldest first
    problems: tuple[str, ...] = field(default=())  # events that contradict each other, in words
    silent: tuple[Silent, ...] = ()  # what was published otherwise and is not applied, by path
    silent_days: tuple[SilentDay, ...] = ()  # likewise of days from which amendments hold, by number
    silent_since: str | None = None  # id of the event that said so first
    repaired: tuple[Repaired, ...] = ()  # by path
    renewal_notice: RenewalNotice | None = None  # since the renewal dates were last agreed
    suspensions: tuple[Suspension, ...] = ()  # as they were said, since it was signed
    dated: tuple[Dated, ...] = ()  # by path and day
    earlier: tuple[str, ...] = ()  # keys of milestones of agreements that ended before this one was signed

    @property
    def differs_silently(self) -> bool:
        return bool(self.silent or self.silent_days)


# A part of the terms has no place for a field that nobody knows yet: it is passed over, and stays in the stored event.
for _part in (Party, ContractLine, Milestone, LabourRate, BillingTerms, TaxAttributes, Renewal, Terms):
    setattr(_part, "__pydantic_config__", {"extra": "ignore"})  # noqa: B010 - for the models of sync_core/events.py
