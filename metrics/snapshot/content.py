"""What a snapshot says, before it has the form of any file."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from metrics.kpi import Answer, Definition, Drill, Value
from metrics.weeks import week_name


class Span(StrEnum):
    """What a measure's value in the snapshot of a week is of, and what it is compared with."""

    WEEK = "week"  # the cases of the week; with those of the week before
    STATE = "state"  # how things stand as of the snapshot; with how they stood at the end of the week before
    QUARTER = "13 weeks"  # of a measure by month: the thirteen weeks that end with it; with the thirteen before


@dataclass(frozen=True, slots=True)
class Point:
    """One week of a trend, or one month of a measure by month."""

    week: date  # its Monday, or the first of the month
    value: Value
    n: int
    n_open: int


@dataclass(frozen=True, slots=True)
class KpiTaken:
    """One KPI."""

    definition: Definition
    span: Span
    answer: Answer
    previous: Answer | None  # None: nothing was measured then
    quarter: Answer  # of the thirteen weeks; of a state, the same as `answer`
    trend: tuple[Point, ...]  # oldest first; of a state, the weeks that were measured
    entities: Mapping[str, Answer]  # by legal entity
    drill: Drill | None

    def label(self, point: Point) -> str:
        """`2026-W47`, or `2026-11` of a measure by month."""
        return f"{point.week:%Y-%m}" if self.span is Span.QUARTER else week_name(point.week)


@dataclass(frozen=True, slots=True)
class Rate:
    """One unit of `currency` in the reporting currency, as known and valid then."""

    currency: str
    rate: Decimal
    valid_from: date


@dataclass(frozen=True, slots=True)
class Moved:
    """A fact of a contract that says something else of the week than when the snapshot was first made."""

    fact: str
    contract_id: int
    contract: str
    legal_entity: str
    key: str  # what of the contract, where it is not the contract itself
    known_from: datetime  # when the present version came to be known
    what: str  # the field that changed; "" where the fact is new or no longer true
    before: str
    after: str
    measures: tuple[str, ...]  # what of the week, or of the present stock, it moved


@dataclass(frozen=True, slots=True)
class Restated:
    """A KPI of the week whose value is another than when the snapshot was first made."""

    slug: str
    before: Value
    after: Value
    n_before: int
    n_after: int


@dataclass(frozen=True, slots=True)
class Restatement:
    """`since` None: this is the first snapshot of its week. `contracts` counts all, `moved` may be cut."""

    since: datetime | None
    kpis: tuple[Restated, ...] = ()
    moved: tuple[Moved, ...] = ()
    contracts: int = 0
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Content:
    """All of it. `as_of` is the moment of a refresh: what was known, and what ages are measured against."""

    group: str
    week: date
    zone: str
    as_of: datetime
    over: bool  # the week is over as of then
    reporting: str
    policy: str  # digest of the estate's rules
    kpis: tuple[KpiTaken, ...]
    rates: tuple[Rate, ...]
    restatement: Restatement
