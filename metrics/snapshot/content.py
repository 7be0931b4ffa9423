"""What a snapshot says, before it has the form of any file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from metrics.kpi import Answer, Definition, Drill, Span, Value
from metrics.snapshot.wording import FOUR_WEEKS, aged
from metrics.weeks import week_name


@dataclass(frozen=True, slots=True)
class Point:
    """One week of a trend, or one month of a measure by month."""

    week: date  # its Monday, or the first of the month
    value: Value
    n: int  # of the week itself, also where the value is of four
    n_open: int
    at: datetime | None = None  # of a state: the moment that it is of


@dataclass(frozen=True, slots=True)
class KpiTaken:
    """One KPI."""

    definition: Definition
    answer: Answer  # of the week itself; of a measure of 13 weeks, of those
    previous: Answer | None  # what `headline` is compared with; None: nothing was measured then
    quarter: Answer  # of the thirteen weeks; of a state, the same as `answer`
    trend: tuple[Point, ...]  # oldest first; of a state, the weeks that were measured; empty where there is none
    entities: Mapping[str, Answer]  # by legal entity, of what the headline is of
    drill: Drill | None  # the rows that the headline is of
    at: datetime | None = None  # of a state: the moment that it is of; None: it was not measured by then
    pooled: Answer | None = None  # of the four weeks up to this one, where the week alone has too few cases
    pooled_trend: bool = False  # each point of the trend is of the four weeks up to its own
    data_as_of: datetime | None = None  # of a state: everything that was committed before is in it

    @property
    def span(self) -> Span:
        return self.definition.span

    @property
    def headline(self) -> Answer:
        """What is told first."""
        return self.pooled or self.answer

    @property
    def of(self) -> str:
        """What the headline is of: `week`, `4 weeks`, `state`, `13 weeks`."""
        return FOUR_WEEKS if self.pooled else self.span.value

    @property
    def facts_at(self) -> datetime | None:
        """Of a state whose facts are older than its moment by more than pages let pass: what they are as of."""
        return aged(self.data_as_of, self.at)

    def label(self, point: Point) -> str:
        """`2026-W47`, or `2026-11` of a measure by month."""
        return f"{point.week:%Y-%m}" if self.span is Span.QUARTER else week_name(point.week)


@dataclass(frozen=True, slots=True)
class Rate:
    """One unit of `currency` in the reporting currency, and what was converted at it."""

    currency: str
    rate: Decimal
    valid_from: date
    used_for: tuple[str, ...]  # numbers that are told: `flows, as of the snapshot`; () where a trend alone has it
    trend: str  # the earlier ends of weeks in the trend of states; "" where it is of none

    @property
    def uses(self) -> tuple[str, ...]:
        return (*self.used_for, self.trend) if self.trend else self.used_for


@dataclass(frozen=True, slots=True)
class Moved:
    """A fact of a contract that says something else of the week than when it was first reported."""

    fact: str
    contract_id: int
    contract: str
    legal_entity: str
    key: str  # what of the contract, where it is not the contract itself
    known_from: datetime  # when the present version came to be known
    what: str  # the field that changed; "" where the fact is new or no longer true
    before: str
    after: str
    measures: tuple[str, ...]  # what of the week it moved
    anew: bool = False  # nothing came to be known of it: a release measured it anew


@dataclass(frozen=True, slots=True)
class Stated:
    """A baseline, an assumption or an exchange rate that says something else than it did at the first report."""

    kind: str  # baseline, assumption, exchange rate
    name: str  # of a rate, its currency
    before: Decimal | None  # None: there was none
    after: Decimal
    by: str  # who stated it
    known_from: datetime
    reason: str  # of a rate, the day from which it is valid


@dataclass(frozen=True, slots=True)
class Restated:
    """A KPI of the week that reads otherwise, as of the moment of the first report, with what has come to be known."""

    slug: str
    before: Value
    after: Value
    n_before: int
    n_after: int
    by_contracts: bool = True  # what came to be known of contracts changed it
    by_stated: bool = False  # baselines, assumptions or rates did
    by_release: bool = False  # all was measured anew since, by another release or in another zone or currency
    of_before: str = ""  # what the headline was of: `week`, `4 weeks`, `13 weeks`
    of: str = ""  # and is of


@dataclass(frozen=True, slots=True)
class Anew:
    """All facts were made anew since the first report. `contracts` of which nothing came to be known read otherwise."""

    at: datetime
    why: str  # release; settings, the group's zone or reporting currency
    release: str  # that did it; "" where nobody noted it
    contracts: int = 0
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Restatement:
    """`since` None: this is the first snapshot of its week since that ended. `contracts` counts those of `moved` of
    which something came to be known late.
    """

    since: datetime | None
    kpis: tuple[Restated, ...] = ()
    moved: tuple[Moved, ...] = ()
    stated: tuple[Stated, ...] = ()
    contracts: int = 0
    complete: bool = True
    anew: Anew | None = None  # None: nothing was measured anew
    redefined: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # version of the definition then and now


@dataclass(frozen=True, slots=True)
class Content:
    """All of it. `as_of` is the moment of a refresh: what was known, and what ages are measured against."""

    group: str
    week: date
    zone: str
    as_of: datetime
    data_as_of: datetime  # everything that was committed before is in it
    over: bool  # the week is over as of then
    reporting: str
    policy: str  # digest of the estate's rules
    kpis: tuple[KpiTaken, ...]
    rates: tuple[Rate, ...]
    restatement: Restatement
