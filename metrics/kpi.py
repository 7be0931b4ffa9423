"""What a KPI is: one definition, from which page, API, snapshot, /metrics and glossary all take their numbers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Protocol, Self, TypeVar, overload

from metrics.asking import By
from metrics.cells import Need
from metrics.source import Source


class Unit(StrEnum):
    HOURS = "hours"  # calendar time
    WORKING_HOURS = "working_hours"  # of the legal entity's calendar
    DAYS = "days"
    WORKING_DAYS = "working_days"
    SECONDS = "seconds"
    SHARE = "share"  # 0 to 1
    MONEY = "money"  # of the group's reporting currency
    MONEY_DAYS = "money_days"
    COUNT = "count"
    RATIO = "ratio"


class Better(StrEnum):
    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class Span(StrEnum):
    """What a measure's value in the snapshot of a week is of, and what it is compared with."""

    WEEK = "week"  # the cases of the week; with those of the week before
    STATE = "state"  # how things stood at the end of the week; with how they stood at the end of the one before
    QUARTER = "13 weeks"  # of what a week has too few of: the thirteen weeks that end with it; with the thirteen before


Value = Decimal | float | int | None  # money is Decimal; None: not enough is known to say


@dataclass(frozen=True, slots=True)
class Further:
    """The other half of a target: what a figure beside the headline is to come to, in its unit."""

    figure: str
    target: float


@dataclass(frozen=True, slots=True)
class Definition:
    """Shown at the number. `version` rises when the same facts would give another value."""

    slug: str
    title: str
    unit: Unit
    better: Better
    version: int
    says: str  # one sentence: what the value means
    formula: str  # how it is worked out
    splits: tuple[By, ...]  # what `by` it knows, WEEK first where it is a trend
    target: float | None = None  # a suggested default in the unit of the value; None: none is suggested
    target_says: str = ""
    strict: bool = False  # the target itself is not met: "below 2%"
    further: tuple[Further, ...] = ()  # the target is met when these are, too (metrics/targets.py)
    span: Span = Span.WEEK  # STATE: the window does not matter to it
    drill: str = ""  # what a row of the drill-down is; "" where there are no rows


@dataclass(frozen=True, slots=True)
class Figure:
    """A number beside the headline: a bound, a percentile, the naive value."""

    key: str
    label: str
    value: Value
    unit: Unit
    note: str = ""
    currency: str = ""  # of money that is in another than the reporting currency
    at_least: float | None = None  # of a percentile that is not reached: it is no less


class Figures(Sequence[Figure]):
    """Worked out when they are looked at, which those of a trend's points hardly ever are. `work_out` reads nothing
    from the database: its snapshot may have ended.
    """

    def __init__(self, work_out: Callable[[], Iterable[Figure]]) -> None:
        self._work_out = work_out

    @cached_property
    def worked_out(self) -> tuple[Figure, ...]:
        return tuple(self._work_out())

    @overload
    def __getitem__(self, place: int) -> Figure: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Figure, ...]: ...
    def __getitem__(self, place: int | slice) -> Figure | tuple[Figure, ...]:
        return self.worked_out[place]

    def __len__(self) -> int:
        return len(self.worked_out)

    def __eq__(self, other: object) -> bool:
        return self.worked_out == tuple(other) if isinstance(other, Figures | tuple) else NotImplemented

    def __repr__(self) -> str:
        return repr(self.worked_out)


@dataclass(frozen=True, slots=True)
class Answer:
    """The headline and all that is needed to trust it. `value` is None where n is 0 or too small (`why_none`)."""

    value: Value
    n: int
    n_open: int = 0
    excluded: Mapping[str, int] = field(default_factory=dict)  # by reason
    figures: Sequence[Figure] = ()
    error: float | None = None  # in the value's unit: it was read from buckets this wide; None: exact
    why_none: str = ""
    rate_dates: Mapping[str, date] = field(default_factory=dict)  # by currency: of the rate its money was converted at

    def figure(self, key: str) -> Figure:
        """Raises KeyError for one that this KPI does not have."""
        found = next((one for one in self.figures if one.key == key), None)
        if found is None:
            raise KeyError(key)
        return found


@dataclass(frozen=True, slots=True)
class Result:
    """The answer of one ask; `parts` are the same measure of each group of `by`."""

    definition: Definition
    answer: Answer
    as_of: datetime | None  # what ages were measured against; None: nothing was measured yet
    data_as_of: datetime | None  # what was known: the end of a refresh
    by: By | None = None
    parts: Mapping[str, Answer] = field(default_factory=dict)
    pooled: Mapping[str, Answer] = field(default_factory=dict)  # see metrics/pooling.py; empty: `parts` is the trend
    running: date | None = None  # the Monday of the week that was not over as of then, in the group's zone


@dataclass(frozen=True, slots=True)
class Column:
    key: str
    label: str
    unit: Unit | None = None  # None: text, a date or a moment, or as `currency` says
    currency: str = ""  # money, and in the currency that this other column names: each row has its own


@dataclass(frozen=True, slots=True)
class Drill:
    """Rows behind a number. `total` is what the column `adds` sums to over ALL rows: the number, or what it is a share
    of.
    """

    columns: tuple[Column, ...]
    rows: Sequence[Mapping[str, object]]
    adds: str | None
    total: Value
    count: int  # of all rows
    after: str | None = None  # pass it to get the next ones


class Inputs(Protocol):
    """What a KPI's answer is made from. Inputs of two groups add up to those of both."""

    def __add__(self, other: Self) -> Self: ...


I = TypeVar("I", bound=Inputs)  # noqa: E741


class Kpi(Protocol[I]):
    """One KPI; its module in metrics/kpis has the instance as KPI."""

    definition: Definition

    def needs(self, by: By | None) -> Sequence[Need]:
        """The cells that `read` asks for: those of all KPIs of a page are brought together."""
        ...

    def read(self, source: Source, by: By | None) -> Mapping[str, I]:
        """Inputs by group ("" without `by`), one statement or few, none in a loop. Empty where nothing is known."""
        ...

    def nothing(self) -> I:
        """Inputs of no case."""
        ...

    def answer(self, inputs: I, source: Source) -> Answer:
        """Pure but for `source`'s moment and estate."""
        ...

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        """The contracts (or invoices, exceptions) that the value is made of, largest first."""
        ...
