"""The estate: which CLMs, ERPs, legal entities, calendars, rules and owners this firm has.

Read from one TOML file; no entity, country or service line is named in code. Keys that hold secrets hold the
NAME of an environment variable, never the secret. `load` refuses a file that contradicts itself.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from functools import cached_property

from pydantic import TypeAdapter, ValidationError

from sync_core.approval_rules import ApprovalRule
from sync_core.contract import BillingKind
from sync_core.desired import Recognition
from sync_core.errors import Function, InvalidEstate
from sync_core.estate_checks import check
from sync_core.estate_delivery import Delivery, Notify, Subscriber
from sync_core.estate_snapshot import SnapshotPolicy
from sync_core.identity import Identity


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


@dataclass(frozen=True)
class Erp:
    name: str  # also the lane
    kind: str  # module in sync_core/connectors/erp
    url: str | None = None
    max_in_flight: int = 8
    requests_per_s: int | None = None
    timeout_s: float = 30
    user: str | None = None
    secret_env: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkingTime:
    """Local working hours; holidays are those of `country` (ISO 3166)."""

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
class ReplayPolicy:
    """How a replay may be carried out, and from where a second person must approve it."""

    second_person_from_money: Decimal = Decimal(1_000_000)  # reporting currency, over all items that write
    second_person_from_count: int = 500  # items
    per_minute: int = 120  # items dispatched, over all workers, unless the one who confirms says otherwise
    ticket_required: bool = True  # whoever confirms names the change's number elsewhere


@dataclass(frozen=True)
class Estate:
    group: Group
    clm: tuple[Clm, ...]
    erp: tuple[Erp, ...]
    entity: tuple[Entity, ...]
    revenue: tuple[RevenueRule, ...]
    owner: tuple[Owner, ...] = ()
    exchange_rate: tuple[ExchangeRate, ...] = ()
    replay: ReplayPolicy = ReplayPolicy()
    approval: tuple[ApprovalRule, ...] = ()
    identity: Identity = field(default_factory=Identity)
    subscriber: tuple[Subscriber, ...] = ()
    notify: tuple[Notify, ...] = ()
    delivery: Delivery = field(default_factory=Delivery)
    snapshot: SnapshotPolicy = field(default_factory=SnapshotPolicy)

    @cached_property
    def rules_version(self) -> str:
        """Changes with everything that decides how a contract is checked and mapped."""
        rules = (self.group, self.clm, self.erp, self.entity, self.revenue, self.approval)
        return hashlib.sha256(repr(rules).encode()).hexdigest()[:12]

    @cached_property
    def entities(self) -> Mapping[str, Entity]:
        return {entity.code: entity for entity in self.entity}

    @cached_property
    def clms(self) -> Mapping[str, Clm]:
        """By CloudEvents source."""
        return {clm.source: clm for clm in self.clm}

    @cached_property
    def erps(self) -> Mapping[str, Erp]:
        return {erp.name: erp for erp in self.erp}

    @cached_property
    def subscribers(self) -> Mapping[str, Subscriber]:
        return {one.name: one for one in self.subscriber}

    @cached_property
    def owners(self) -> Mapping[Function, Owner]:
        return {owner.function: owner for owner in self.owner}

    def lane_of(self, legal_entity: str | None) -> str | None:
        """The ERP that a legal entity bills from; None for an entity the estate does not know."""
        entity = self.entities.get(legal_entity or "")
        return entity.erp if entity else None

    def revenue_for(self, billing: BillingKind, service_line: str, entity: str) -> RevenueRule | None:
        fitting = [
            rule
            for rule in self.revenue
            if rule.billing in (None, billing)
            and rule.service_line in ("*", service_line)
            and rule.entity in ("*", entity)
        ]
        return max(fitting, key=lambda rule: rule.specificity, default=None)

    def to_reporting(self, amount: Decimal, currency: str, on: date) -> Decimal | None:
        """In the reporting currency at the latest rate not after `on`; None when there is no such rate."""
        if currency == self.group.reporting_currency:
            return amount
        rates = [r for r in self.exchange_rate if r.currency == currency and r.valid_from <= on]
        return amount * max(rates, key=lambda r: r.valid_from).rate if rates else None


_ESTATE = TypeAdapter(Estate)


def load(text: str) -> Estate:
    """Raises InvalidEstate that names the key and what to put there."""
    try:
        estate = _ESTATE.validate_python(tomllib.loads(text))
    except tomllib.TOMLDecodeError as wrong:
        raise InvalidEstate(f"the estate file is no valid TOML: {wrong}") from wrong
    except ValidationError as wrong:
        first = wrong.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise InvalidEstate(f"estate file, {where}: {first['msg']}") from wrong
    check(estate)
    return estate
