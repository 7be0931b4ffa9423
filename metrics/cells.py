"""What measures ask of the rollups, and what the questions of one snapshot were told already."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from metrics.asking import Ask, By, Filters

Row = sa.Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Cell:
    """What one group of facts adds up to."""

    group: str  # as the `by` that was asked for
    measure: str
    label: str
    bucket: int  # -1 without
    n: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Counts:
    """What one group of durations adds up to: how many in each bucket, which may come more than once; their seconds."""

    group: str
    measure: str
    label: str
    buckets: Sequence[int]
    n: Sequence[int]
    amount: float


@dataclass(frozen=True, slots=True)
class Need:
    """Cells that an answer will ask for: by `Source.cells`, or where they are `counted`, by `Source.counts`.

    With `ripe_days` of weeks alone that had ended so many days before the moment that was asked for; with `young_days`
    of the others.
    """

    measures: tuple[str, ...]
    by: By | None = None
    counted: bool = False
    start: date | None = None  # None: of the ask's window
    end: date | None = None
    ripe_days: int | None = None
    young_days: int | None = None


Of = tuple[By | None, bool, date, date]  # split, counted, start, end


@dataclass(slots=True)
class Told:
    """What the sources of one snapshot were told already, and what else is going to be asked of it."""

    rows: dict[str, Sequence[Row]] = field(default_factory=dict)  # by statement and values
    cells: dict[tuple[Filters, Of], dict[str, list[Row]]] = field(default_factory=dict)  # then by measure
    expected: list[tuple[Ask, Sequence[Need]]] = field(default_factory=list)
