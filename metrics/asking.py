"""What is asked of a measure: which weeks, as of when, of which part of the firm."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from sync_core.errors import TielineError


class InvalidAsk(TielineError):
    """The question cannot be answered as it is; the message says what to ask instead."""

    code = "measure.invalid_ask"


class By(StrEnum):
    """What an answer can be split by. Not every measure knows every one."""

    WEEK = "week"
    LEGAL_ENTITY = "legal_entity"
    SERVICE_LINE = "service_line"
    GEOGRAPHY = "geography"
    BILLING = "billing"
    LABEL = "label"  # the measure's own: a currency, a function, a cause


@dataclass(frozen=True, slots=True)
class Window:
    """[start, end): whole ISO weeks, Mondays in the group's zone."""

    start: date
    end: date

    def __post_init__(self) -> None:
        for name, day in (("from", self.start), ("to", self.end)):
            if day.weekday():
                monday = day - timedelta(days=day.weekday())
                raise InvalidAsk(f"{name}: {day} is no Monday; windows are whole ISO weeks, for instance {monday}")
        if self.end <= self.start:
            raise InvalidAsk(f"to: {self.end} is not after from {self.start}; `to` is the Monday after the last week")

    @classmethod
    def weeks(cls, last: datetime, zone: str, count: int) -> "Window":
        """The week of `last` in `zone` and the `count` - 1 before it."""
        day = last.astimezone(ZoneInfo(zone)).date()
        end = day - timedelta(days=day.weekday()) + timedelta(days=7)
        return cls(end - timedelta(days=7 * count), end)

    def before(self) -> "Window":
        """The period of the same length that ends where this one starts."""
        return Window(self.start - (self.end - self.start), self.start)

    @property
    def mondays(self) -> list[date]:
        return [self.start + timedelta(days=7 * n) for n in range((self.end - self.start).days // 7)]


Chosen = frozenset[str] | None  # None: all


def _both(one: Chosen, other: frozenset[str]) -> frozenset[str]:
    return other if one is None else one & other


@dataclass(frozen=True, slots=True)
class Filters:
    """The closed set that every measure of contracts can be narrowed by."""

    legal_entity: Chosen = None
    service_line: Chosen = None
    geography: Chosen = None
    billing: Chosen = None


EVERYTHING: Final = Filters()


@dataclass(frozen=True, slots=True)
class Ask:
    """`as_of` None is the newest that is known. Ages are measured against `as_of`, never against the clock."""

    window: Window
    as_of: datetime | None = None
    filters: Filters = field(default=EVERYTHING)
    reach: Chosen = None  # the viewer's legal entities; the filters are within them

    def narrowed(self, entities: frozenset[str] | None) -> "Ask":
        """Within a viewer's legal entities."""
        if entities is None:
            return self
        return replace(
            self,
            filters=replace(self.filters, legal_entity=_both(self.filters.legal_entity, entities)),
            reach=_both(self.reach, entities),
        )

    @property
    def level(self) -> int:
        """Of the cells that can answer it, see metrics.cell: those with no more dimensions than it chooses by."""
        if any(c is not None for c in (self.filters.service_line, self.filters.geography, self.filters.billing)):
            return 1
        return 2 if self.filters.legal_entity is None else 0

    @property
    def values(self) -> Mapping[str, object]:
        """What DIMENSIONS_CHOSEN binds."""
        return {name: None if chosen is None else sorted(chosen) for name, chosen in self._chosen().items()}

    def _chosen(self) -> Mapping[str, Chosen]:
        f = self.filters
        return {
            "legal_entity": f.legal_entity, "service_line": f.service_line, "geography": f.geography,
            "billing": f.billing,
        }  # fmt: skip
