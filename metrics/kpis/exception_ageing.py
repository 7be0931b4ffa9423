"""How old the open exceptions are: in working days for those who work on them, in calendar days for finance.

The buckets begin at the same moments as those of the list of exceptions (sync_core/reads/ages.py).
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import orjson

from metrics.asking import By
from metrics.cells import Need
from metrics.converted import money, without_rate
from metrics.drilling import Known, Listing, drill
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Span, Unit
from metrics.rates import Rates, rated, rates_of, worth
from metrics.reading import WORKED_NOW, WORKED_NOW_S, group_of, merged
from metrics.source import Source, chosen
from metrics.unread import CAUSE, DAY_S, still_unread, still_unread_rows
from metrics.walking import ONE, Walk
from sync_core.reads.ages import CALENDAR_BUCKETS, CALENDAR_DAYS, WORKING_BUCKETS, cuts_of

_DAY: Final = 86_400
_WORKING_KEYS: Final = ("0_1", "1_3", "3_7", "7_14", "14_30", "30_up")
_CALENDAR_KEYS: Final = ("0_30", "31_60", "61_90", "91_up")
_CUTS: Final = "SELECT * FROM jsonb_to_recordset(CAST(:cuts AS jsonb)) AS r(entity text, cuts timestamptz[])"
_OPEN: Final = f"""
    SELECT {{group}} AS grp,
           cardinality(c.cuts) - width_bucket(f.opened_at - interval '1 microsecond', c.cuts) AS working,
           width_bucket(date_part('epoch', :as_of - f.opened_at) / {_DAY}, CAST(:days AS float8[])) AS calendar,
           f.currency, f.test, count(*) AS cases, sum(f.exposure) AS exposure, sum({worth("f.exposure")}) AS worth,
           min(f.opened_at) AS oldest
    FROM metrics.case_fact AS f LEFT JOIN ({_CUTS}) AS known ON known.entity = f.legal_entity
         {rated()}
         JOIN ({_CUTS}) AS other ON other.entity = ''
         CROSS JOIN LATERAL (SELECT coalesce(known.cuts, other.cuts) AS cuts) AS c  -- ascending
    WHERE {{valid}} AND f.outcome = 'open' AND {chosen("f")} GROUP BY 1, 2, 3, 4, 5
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Open exceptions of one age."""

    cases: int = 0
    money: Mapping[str, Decimal] = field(default_factory=dict)  # by currency
    worth: Mapping[str, Decimal] = field(default_factory=dict)  # the same converted, one by one; of what has a rate
    oldest: datetime | None = None

    def __add__(self, other: "Bucket") -> "Bucket":
        known = [one for one in (self.oldest, other.oldest) if one is not None]
        return Bucket(
            self.cases + other.cases,
            merged(self.money, other.money),
            merged(self.worth, other.worth),
            min(known, default=None),
        )


_Place = tuple[str, int]  # "working" or "calendar", and the bucket


@dataclass(frozen=True, slots=True)
class Inputs:
    buckets: Mapping[_Place, Bucket] = field(default_factory=dict)
    quarantined: int = 0
    test: int = 0
    rates: Rates | None = None

    def __add__(self, other: "Inputs") -> "Inputs":
        places = self.buckets.keys() | other.buckets.keys()
        return Inputs(
            {place: self.bucket(place) + other.bucket(place) for place in places},
            self.quarantined + other.quarantined,
            self.test + other.test,
            self.rates or other.rates,
        )

    def bucket(self, place: _Place) -> Bucket:
        return self.buckets.get(place, Bucket())

    def view(self, name: str) -> list[Bucket]:
        names = WORKING_BUCKETS if name == "working" else CALENDAR_BUCKETS
        return [self.bucket((name, index)) for index in range(len(names))]


@dataclass(slots=True)
class _Adding:
    """Inputs of one group while they are read."""

    buckets: dict[_Place, Bucket] = field(default_factory=dict)
    quarantined: int = 0
    test: int = 0

    def add(self, working: int, calendar: int, more: Bucket) -> None:
        for place in (("working", working), ("calendar", calendar)):
            self.buckets[place] = self.buckets[place] + more if place in self.buckets else more


class ExceptionAgeing:
    definition = Definition(
        slug="exception-ageing",
        title="Open exceptions by age",
        unit=Unit.COUNT,
        better=Better.LOWER,
        version=2,
        says="So many exceptions are open; each bucket has how many, their money and the oldest.",
        formula="open exceptions by the working days of their legal entity's calendar since they opened first, and by "
        "calendar days; a signature that nobody could read is one from its receipt. Both add up to all.",
        splits=(By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING, By.LABEL),
        span=Span.STATE,
        drill="open exception",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def needs(self, by: By | None) -> Sequence[Need]:
        return ()

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        if source.as_of is None:
            return {}
        rates, cuts = rates_of(source), cuts_of(source.estate, source.as_of).by_entity
        listed = [{"entity": entity, "cuts": sorted(moments)} for entity, moments in cuts.items()]
        sql = _OPEN.format(group=group_of(by, label="f.function"), valid=source.valid())
        parts: dict[str, _Adding] = {}
        for row in source.run(sql, cuts=orjson.dumps(listed).decode(), days=list(CALENDAR_DAYS)):
            part = parts.setdefault(row.grp, _Adding())
            if row.test:
                part.test += row.cases
                continue
            money = {row.currency: row.exposure} if row.exposure else {}
            worth_of = {row.currency: row.worth} if row.exposure and row.worth is not None else {}
            part.add(row.working, row.calendar, Bucket(row.cases, money, worth_of, row.oldest))
        for unread in still_unread(source, by):
            part = parts.setdefault(unread.group, _Adding())
            since, moments = unread.recorded_at, cuts.get(unread.legal_entity, cuts[""])
            working = sum(since <= cut for cut in moments)
            calendar = bisect_right(CALENDAR_DAYS, (source.as_of - since).total_seconds() / _DAY)
            part.add(working, calendar, Bucket(1, oldest=since))
            part.quarantined += 1
        return {
            group: Inputs(part.buckets, part.quarantined, part.test, rates) for group, part in parts.items()
        }  # fmt: skip

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        total = sum(inputs.view("working"), Bucket())
        rates = inputs.rates or Rates(source.estate.group.reporting_currency)
        held = rates.summed(total.money, total.worth)
        return Answer(
            value=total.cases or None,
            n=total.cases,
            n_open=total.cases,
            excluded={"of a test contract": inputs.test},
            figures=(
                money("exposure", "Their money", held),
                *without_rate("unconverted", "Money", held),
                Figure("oldest", "Oldest", _age(total.oldest, source), Unit.DAYS, _since(total.oldest)),
                *_figures("working", _WORKING_KEYS, WORKING_BUCKETS, inputs, rates, source),
                *_figures("calendar", _CALENDAR_KEYS, CALENDAR_BUCKETS, inputs, rates, source),
                Figure("quarantined", "Signatures that nobody could read", inputs.quarantined, Unit.COUNT,
                       "in the counts; their money is not known"),
            ),
            why_none="" if total.cases else "no exception is open",
            rate_dates=held.rate_dates,
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        waiting = still_unread_rows(source, _WAITING)
        if not source.latest:
            return drill(source, _LISTING, after=after, limit=limit, waiting=waiting)
        n = sum(cell.n for cell in source.cells(("case.open",), start=date.min, end=date.max))
        return drill(source, _LISTING, after=after, limit=limit, known=Known(n, None), walks=(_WALK,), waiting=waiting)


def _figures(
    view: str, keys: tuple[str, ...], names: tuple[str, ...], inputs: Inputs, rates: Rates, source: Source
) -> Iterator[Figure]:
    """`<view>_<bucket>` is how many, with `_money` and `_oldest` beside it."""
    for key, name, bucket in zip(keys, names, inputs.view(view), strict=True):
        held = rates.summed(bucket.money, bucket.worth)
        without = ", ".join(f"{amount} {currency}" for currency, amount in sorted(held.unconverted.items()))
        yield Figure(f"{view}_{key}", name, bucket.cases, Unit.COUNT)
        yield money(f"{view}_{key}_money", f"{name}, money", held, f"without a rate: {without}" if without else "")
        yield Figure(f"{view}_{key}_oldest", f"{name}, oldest", _age(bucket.oldest, source), Unit.DAYS,
                     _since(bucket.oldest))  # fmt: skip


def _age(since: datetime | None, source: Source) -> float | None:
    if since is None or source.as_of is None:
        return None
    return (source.as_of - since).total_seconds() / _DAY


def _since(since: datetime | None) -> str:
    return "" if since is None else f"since {since:%Y-%m-%d %H:%M} UTC"


_DAYS: Final = f"CAST(extract(epoch FROM :as_of - f.opened_at) AS numeric) / {_DAY}"
_LISTING: Final = Listing(
    rows=f"""
        SELECT f.case_id, f.contract_id, c.external_id AS contract, c.title, f.legal_entity, f.function, f.cause,
               f.severity, f.opened_at,
               CAST(greatest({WORKED_NOW_S} - f.opened_work_s, 0) AS numeric) / day.day_s AS working_days,
               {_DAYS} AS days,
               f.exposure, f.currency, {worth("f.exposure")} AS exposure_reporting
        FROM metrics.case_fact AS f {WORKED_NOW} LEFT JOIN core.contract AS c ON c.contract_id = f.contract_id
             {rated()}
             CROSS JOIN LATERAL (SELECT {DAY_S} AS day_s) AS day
        WHERE {{valid}} AND f.outcome = 'open' AND NOT f.test AND {chosen("f")}
    """,
    columns=(
        Column("contract", "Contract"), Column("title", "Title"), Column("legal_entity", "Legal entity"),
        Column("function", "Function"), Column("cause", "Cause"), Column("severity", "Severity"),
        Column("opened_at", "Opened"), Column("working_days", "Age", Unit.WORKING_DAYS),
        Column("days", "Age, calendar", Unit.DAYS), Column("exposure", "Money", currency="currency"),
        Column("currency", "Currency"),
        Column("exposure_reporting", "Money, converted", Unit.MONEY),
    ),
    order="days",
    key="case_id",
    adds=None,
)  # fmt: skip

_WAITED: Final = f"CAST(f.lasted_s AS numeric) / {_DAY}"
_WAITING: Final = f"""
    f.function, {CAUSE} AS cause, f.recorded_at AS opened_at,
    CAST(f.lasted_work_s AS numeric) / f.day_s AS working_days, {_WAITED} AS days, {_WAITED} AS place"""
_WALK: Final = Walk(
    "case", "f.outcome = 'open' AND NOT f.test", ONE, "true", "f.opened_at", _DAYS,
    "f.opened_at > :as_of - make_interval(secs => CAST(CAST(:order_after AS numeric) AS float8) * 86400 + 0.001)"
    f" AND ({_DAYS}, f.case_id) < (CAST(:order_after AS numeric), :key_after)", "f.case_id",
)  # fmt: skip

KPI = ExceptionAgeing()
