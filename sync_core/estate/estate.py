"""The estate: which CLMs, ERPs, legal entities, calendars, rules and owners this firm has.

Read from one TOML file; no entity, country or service line is named in code. Keys that hold secrets hold the
NAME of an environment variable, never the secret. `load` refuses a file that contradicts itself.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import ClassVar
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sync_core.contract import BillingKind, Terms
from sync_core.desired import Recognition
from sync_core.errors import Function, InvalidEstate
from sync_core.estate.approval_rules import ApprovalRule
from sync_core.estate.checks import check
from sync_core.estate.delivery import Delivery, Notify, Subscriber
from sync_core.estate.identity import Identity
from sync_core.estate.master import Mdm
from sync_core.estate.misread import misread
from sync_core.estate.objectives import ObjectiveTarget
from sync_core.estate.ownership import OwnerRule
from sync_core.estate.renewal import RenewalPolicy
from sync_core.estate.replay import ReplayPolicy as ReplayPolicy
from sync_core.estate.schemas import PlannedRelease, SchemaPlan
from sync_core.estate.snapshot import SnapshotPolicy
from sync_core.estate.watch import WatchPolicy
from sync_core.policy.activation import Activation
from sync_core.policy.check import APPROVALS
from sync_core.policy.check import check as check_policy
from sync_core.policy.decide import decide
from sync_core.policy.rule import Clauses, Mandatory, Ownership, Subject, subject_of
from sync_core.policy.table import Policy, Tables, read, tables
from sync_core.schemas.versions import Version, versions


@dataclass(frozen=True)
class Group:
    name: str
    reporting_currency: str
    timezone: str = "UTC"
    high_exposure: Decimal = Decimal(500_000)  # in the reporting currency: from here on an exception is severe
    medium_exposure: Decimal = Decimal(50_000)


@dataclass(frozen=True)
class Clm:
    name: str  # short; becomes part of every business key, so it never changes
    source: str  # the CloudEvents `source` it sends
    kind: str  # module in sync_core/connectors/clm
    url: str | None = None
    poll_every_s: int = 60
    secret_env: tuple[str, ...] = ()  # webhook secrets, newest first (rotation)
    options: Mapping[str, str] = field(default_factory=dict)


class ErpMode(StrEnum):
    WRITE = "write"
    OBSERVE = "observe"  # say what would be done, and do nothing


@dataclass(frozen=True)
class Erp:
    name: str  # also the lane
    kind: str  # module in sync_core/connectors/erp
    url: str | None = None
    max_in_flight: int = 8
    requests_per_s: int | None = None
    timeout_s: float = 30
    user: str | None = None
    mode: ErpMode = ErpMode.WRITE
    cut_over: date | None = None  # contracts signed before this day are observed and adopted here, never created
    secret_env: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkingTime:
    """Local working hours; holidays are those of `country`: ISO 3166 (`JP`), or of a part of it (`GB-ENG`, `DE-BY`)."""

    opens: time = time(9)
    closes: time = time(17, 30)
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4)  # Monday is 0
    country: str | None = None


@dataclass(frozen=True)
class Entity:
    """A legal entity: which ERP it bills from, in which currency, on which calendar."""

    code: str
    name: str
    country: str
    currency: str
    timezone: str
    erp: str
    working_time: WorkingTime = WorkingTime()
    bill_runs: tuple[int, ...] = (15, -1)  # days of the month; -1 is the last
    period_close: int = 5  # working day of the following month
    create_customers: bool = False
    create_labour_categories: bool = True
    po_required: bool = False


@dataclass(frozen=True)
class RevenueRule:
    """Revenue treatment of a contract line; the most specific rule wins ("*" matches all)."""

    recognition: Recognition
    account: str
    category: str
    billing: BillingKind | None = None
    service_line: str = "*"
    entity: str = "*"

    def fits(self, billing: BillingKind, service_line: str, entity: str) -> bool:
        named = self.service_line in ("*", service_line) and self.entity in ("*", entity)
        return named and self.billing in (None, billing)

    @property
    def specificity(self) -> int:
        return (self.entity != "*") * 4 + (self.service_line != "*") * 2 + (self.billing is not None)


@dataclass(frozen=True)
class Owner:
    """Who in a business function looks after exceptions, and how long they may take."""

    function: Function
    name: str
    email: str
    sla_working_hours: int = 16


@dataclass(frozen=True)
class ExchangeRate:
    """One unit of `currency` in the group's reporting currency, from a date on."""

    currency: str
    rate: Decimal
    valid_from: date


@dataclass(frozen=True)
class Estate:
    # Of each table in it too: a misspelt key would quietly leave what it was to change as it is.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    group: Group
    clm: tuple[Clm, ...]
    erp: tuple[Erp, ...]
    entity: tuple[Entity, ...]
    revenue: tuple[RevenueRule, ...]
    owner: tuple[Owner, ...] = ()
    exchange_rate: tuple[ExchangeRate, ...] = ()
    replay: ReplayPolicy = field(default_factory=ReplayPolicy)
    approval: tuple[ApprovalRule, ...] = ()
    identity: Identity = field(default_factory=Identity)
    subscriber: tuple[Subscriber, ...] = ()
    notify: tuple[Notify, ...] = ()
    delivery: Delivery = field(default_factory=Delivery)
    renewal: RenewalPolicy = field(default_factory=RenewalPolicy)
    snapshot: SnapshotPolicy = field(default_factory=SnapshotPolicy)
    watch: WatchPolicy = field(default_factory=WatchPolicy)
    objective: tuple[ObjectiveTarget, ...] = ()
    schema: tuple[SchemaPlan, ...] = ()
    release: tuple[PlannedRelease, ...] = ()
    mdm: tuple[Mdm, ...] = ()
    ownership: Mapping[str, OwnerRule] = field(default_factory=dict)  # by domain or field
    policy_activation: Activation = field(default_factory=Activation)
    policy: Policy = field(default_factory=Policy)  # of its own file, see sync_core/policy

    @cached_property
    def rules_version(self) -> str:
        """Changes with everything that decides how a contract is checked and mapped."""
        rules: tuple[object, ...] = (self.group, self.clm, self.erp, self.entity, self.revenue, self.approval)
        rules += (self.policy,) if self.policy != Policy() else ()
        rules += (sorted(self.ownership.items()),) if self.ownership else ()
        rules += (self.mdm,) if self.mdm else ()
        return hashlib.sha256(repr(rules).encode()).hexdigest()[:12]

    @cached_property
    def entities(self) -> Mapping[str, Entity]:
        return {entity.code: entity for entity in self.entity}

    def day_at(self, entity: str, at: datetime) -> date:
        """The day that it is there at that moment; of an entity that is not in the estate, in UTC."""
        known = self.entities.get(entity)
        return at.astimezone(ZoneInfo(known.timezone if known else "UTC")).date()

    @cached_property
    def clms(self) -> Mapping[str, Clm]:
        """By CloudEvents source."""
        return {clm.source: clm for clm in self.clm}

    @cached_property
    def erps(self) -> Mapping[str, Erp]:
        return {erp.name: erp for erp in self.erp}

    @cached_property
    def mdms(self) -> Mapping[str, Mdm]:
        return {one.name: one for one in self.mdm}

    @cached_property
    def subscribers(self) -> Mapping[str, Subscriber]:
        return {one.name: one for one in self.subscriber}

    @cached_property
    def objectives(self) -> Mapping[str, float]:
        """Targets that are not the suggested ones, by the objective's name."""
        return {one.name: one.target for one in self.objective}

    @cached_property
    def versions(self) -> Mapping[str, Version]:
        """Where each version of an event stands here, by its name."""
        return versions(self.schema)

    @cached_property
    def owners(self) -> Mapping[Function, Owner]:
        return {owner.function: owner for owner in self.owner}

    @cached_property
    def tables(self) -> Tables:
        """The policy's decision tables, with what this file says beneath them."""
        return tables(self)

    def lane_of(self, terms: Terms | None) -> str | None:
        """The ERP that a contract is billed from; None for a legal entity that the estate does not know."""
        if terms is None or terms.legal_entity not in self.entities:
            return None
        route = decide(self.tables.route, subject_of(terms))
        return route.erp if route else None

    def tax_code_of(self, terms: Terms) -> str | None:
        """The contract's own, else that of its tax regime; None: it is exempt, or nobody has determined it."""
        if terms.tax.exempt or terms.tax.tax_code:
            return None if terms.tax.exempt else terms.tax.tax_code
        regime = decide(self.tables.tax, subject_of(terms))
        return regime.tax_code if regime else None

    def mandatory_for(self, terms: Terms) -> Mandatory | None:
        return decide(self.tables.mandatory, subject_of(terms))

    def clauses_for(self, terms: Terms) -> Clauses | None:
        return decide(self.tables.clause, subject_of(terms))

    def owner_of(self, terms: Terms, cause: str) -> Ownership | None:
        """The policy's rule for an exception; None: it is the function's that the check names."""
        return None if cause in APPROVALS else decide(self.tables.owner, subject_of(terms, cause=cause))

    def revenue_for(self, billing: BillingKind, service_line: str, entity: str) -> RevenueRule | None:
        fits = (r for r in self.revenue if r.fits(billing, service_line, entity))
        return max(fits, key=lambda rule: rule.specificity, default=None)

    def to_reporting(self, amount: Decimal, currency: str, on: date) -> Decimal | None:
        """In the reporting currency at the latest rate not after `on`; None when there is no such rate."""
        if currency == self.group.reporting_currency:
            return amount
        rates = [r for r in self.exchange_rate if r.currency == currency and r.valid_from <= on]
        return amount * max(rates, key=lambda r: r.valid_from).rate if rates else None


_ESTATE = TypeAdapter(Estate)


def load(text: str, policy: str | None = None) -> Estate:
    """`policy`: the text of the policy file. Raises InvalidEstate that names the key and what to put there."""
    try:
        given = tomllib.loads(text)
        if "policy" in given:
            raise InvalidEstate("estate file, policy: it is a file of its own; name that one in TIELINE_POLICY")
        estate = _ESTATE.validate_python(given)
    except tomllib.TOMLDecodeError as wrong:
        raise InvalidEstate(f"the estate file is no valid TOML: {wrong}") from wrong
    except ValidationError as wrong:
        raise InvalidEstate(misread("estate file", wrong, given, Estate)) from wrong
    check(estate)
    return estate if policy is None else governed(estate, read(policy))


def governed(estate: Estate, policy: Policy) -> Estate:
    """The same estate under a policy, whose bill runs take the place of the entities' own. Raises InvalidEstate."""
    ruled = replace(estate, policy=policy)
    check_policy(ruled)
    calendars = {entity.code: decide(ruled.tables.bill_calendar, _books(entity)) for entity in estate.entity}
    runs = {code: rule.bill_runs for code, rule in calendars.items() if rule}
    return replace(ruled, entity=tuple(replace(e, bill_runs=runs.get(e.code, e.bill_runs)) for e in estate.entity))


def _books(entity: Entity) -> Subject:
    """A bill run is one of a legal entity, whatever the contract."""
    return Subject(entity.code, "", "", entity.currency, "", Decimal(0))
