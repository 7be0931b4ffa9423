"""Amendment sync lag: from the execution of an amendment to the read-back of everything that it changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from metrics import unsigned
from metrics.asking import By
from metrics.bill_runs import around
from metrics.calendars import GROUP_DAY_H
from metrics.cells import Need
from metrics.converted import money
from metrics.drilling import Known, Listing, drill
from metrics.durations import NONE, Durations
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Figures, Unit
from metrics.percentiles import DAY_S, HOUR_S, figures, in_unit, why_none
from metrics.proportion import wilson
from metrics.rates import Rates, rates_of
from metrics.reading import (
    WORKED_NOW,
    WORKED_NOW_S,
    Timed,
    durations,
    durations_of,
    group_of,
    keys_of,
    merged,
    seconds_since,
    timed_need,
    together,
)
from metrics.snapshot import wording
from metrics.source import Source, chosen
from metrics.unsigned import NOTHING
from metrics.walking import by_entity, by_week, counted, not_yet

_OPEN: Final = "f.outcome = 'open' AND NOT f.test AND f.executed_at <= :as_of"
_DONE: Final = "f.outcome = 'synced' AND NOT f.test"


_TIMES: Final = {
    "working": Timed("amendment", "amendment.lag_work", _DONE, "f.lag_work_s"),
    "calendar": Timed("amendment", "amendment.lag", _DONE, "f.lag_s"),
    "own": Timed("amendment", "amendment.own_work", _DONE, "f.own_work_s"),
    "billing": Timed("amendment", "amendment.billing_lag", f"{_DONE} AND f.billing_lag_s IS NOT NULL",
                     "f.billing_lag_s"),
}  # fmt: skip
_OPEN_S: Final = {
    "working": f"{WORKED_NOW_S} - f.executed_work_s", "calendar": seconds_since("f.executed_at"),
    "own": f"{WORKED_NOW_S} - f.received_work_s", "billing": seconds_since("f.effective_at"),
}  # fmt: skip
_HEADLINE: Final = replace(_TIMES["working"], still_open=_OPEN, open_s=_OPEN_S["working"], joined=WORKED_NOW)
_OPEN_TIMES: Final = ", ".join(
    f"array_agg(greatest({open_s}, 0)) FILTER (WHERE {open_s} IS NOT NULL)" for open_s in _OPEN_S.values()
)
_COUNTED: Final = tuple(
    f"amendment.{name}" for name in ("synced", "unsigned", "superseded", "early", "test", "in_time", "gap", "zero",
                                     "negative", "positive", "delta", "retroactive", "ordering")
)  # fmt: skip
# What depends on the moment, of the open ones. A bill run goes over an amendment that is in force and not in the ERP;
# of a legal entity without runs, the contract's own bill date stands for the next one.
_STILL: Final = f"""
    SELECT {{group}} AS grp,
           count(*) FILTER (WHERE {WORKED_NOW_S} - f.executed_work_s > f.day_s) AS late,
           max({seconds_since("f.executed_at")}) AS oldest_s,
           count(*) FILTER (WHERE greatest(f.executed_at, f.effective_at) < r.last_at) AS missed_run,
           count(*) FILTER (WHERE greatest(f.executed_at, f.effective_at)
               < coalesce(r.next_at, CAST(f.bill_on AS timestamp) AT TIME ZONE :zone)) AS next_run,
           count(*) FILTER (WHERE f.retroactive) AS retroactive,
           coalesce(sum({seconds_since("f.effective_at")}) FILTER (WHERE f.retroactive), 0) AS exposed_s,
           coalesce(sum({seconds_since("f.received_at")}) FILTER (WHERE f.waits), 0) AS waiting_s, {_OPEN_TIMES}
    FROM metrics.amendment_fact AS f {WORKED_NOW}
         LEFT JOIN jsonb_to_recordset(CAST(:runs AS jsonb)) AS r(entity text, last_at timestamptz, next_at timestamptz)
         ON r.entity = f.legal_entity
    WHERE {{valid}} AND {_OPEN} AND {chosen("f")} AND f.period >= :start AND f.period < :end GROUP BY {{keys}}
"""
_SUMS: Final = ("late", "missed_run", "next_run", "open_retroactive")


@dataclass(frozen=True, slots=True)
class Inputs:
    times: Mapping[str, Durations] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, int] = field(default_factory=dict)  # exposed, ordering
    deltas: Mapping[str, Decimal] = field(default_factory=dict)  # by currency
    oldest_s: int = 0

    def __add__(self, other: "Inputs") -> "Inputs":
        return Inputs(
            merged(self.times, other.times),
            merged(self.counts, other.counts),
            merged(self.seconds, other.seconds),
            merged(self.deltas, other.deltas),
            max(self.oldest_s, other.oldest_s),
        )

    def time(self, name: str) -> Durations:
        return self.times.get(name, NONE)

    def of(self, name: str) -> int:
        return self.counts.get(name, 0)


class AmendmentLag:
    definition = Definition(
        slug="amendment-lag",
        title="Amendment sync lag",
        unit=Unit.WORKING_HOURS,
        better=Better.LOWER,
        version=3,
        says="Nine of ten amendments were in the ERP within this working time of their execution.",
        formula="Kaplan-Meier 90th percentile of (read-back of all that it changes - execution) in the legal entity's "
        "working hours; open amendments count for as long as they have been open.",
        splits=(By.WEEK, By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING),
        target=GROUP_DAY_H,
        target_says="suggested: nine of ten within one working day",
        drill="amendment",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def needs(self, by: By | None) -> Sequence[Need]:
        return (timed_need(_TIMES.values(), by), Need(_COUNTED, by))

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        return {} if source.as_of is None else together((*_read(source, by), *_still(source, by, source.as_of)))

    def headline_needs(self) -> Sequence[Need]:
        return (timed_need((_HEADLINE,), None),)

    def headline_inputs(self, source: Source) -> Inputs:
        read = durations(source, _HEADLINE, None).get("", NONE)
        unread = unsigned.amendments(source, None).get("", NOTHING)
        return Inputs({"working": read + Durations.of((), unread.open_work_s)})

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        working = inputs.time("working")
        p90, rates = working.percentile(0.9), rates_of(source)
        return Answer(
            value=in_unit(p90.value, HOUR_S),
            n=working.n,
            n_open=working.n_open,
            excluded={
                "superseded before it was in the ERP": inputs.of("superseded"),
                "of a contract that is not signed": inputs.of("unsigned"),
                "in the ERP before its execution": inputs.of("early"),
                "of a test contract": inputs.of("test"),
            },
            figures=Figures(lambda: _figures(inputs, rates)),
            error=in_unit(p90.error, HOUR_S),
            why_none=why_none(working, p90, HOUR_S, "working hours"),
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        waiting = unsigned.amendment_rows(source, _WAITING)
        if not source.latest:
            return drill(source, _LISTING, after=after, limit=limit, waiting=waiting)
        rows = counted(source, ("amendment.synced",), "amendment.open", not_yet=_NOT_YET)
        return drill(source, _LISTING, after=after, limit=limit, known=Known(rows.n, None), walks=_WALKS,
                     bound={"open_in": rows.open_in}, waiting=waiting)  # fmt: skip


def _read(source: Source, by: By | None) -> Iterator[tuple[str, Inputs]]:
    for name, groups in durations_of(source, _TIMES, by).items():
        for group, found in groups.items():
            yield group, Inputs({name: found})
    for cell in source.cells(_COUNTED, by):
        yield cell.group, _cell(cell.measure.partition(".")[2], cell.label, cell.n, cell.amount)
    for group, unread in unsigned.amendments(source, by).items():
        open_for, worked = Durations.of((), unread.open_s), Durations.of((), unread.open_work_s)
        times = {"working": worked, "own": worked, "calendar": open_for}
        counts = {"quarantined": open_for.n, "late": unread.over_a_day}
        yield group, Inputs(times, counts, oldest_s=max(unread.open_s))


def _still(source: Source, by: By | None, as_of: datetime) -> Iterator[tuple[str, Inputs]]:
    sql = _STILL.format(group=group_of(by), keys=keys_of(by), valid=source.valid())
    for row in source.run(sql, runs=around(source.estate, as_of)):
        late, oldest, missed, coming, retroactive, exposed, waiting = (int(value) for value in row[1:8])
        times = {name: Durations.of((), sorted(ages)) for name, ages in zip(_OPEN_S, row[8:], strict=True) if ages}
        counts = dict(zip(_SUMS, (late, missed, coming, retroactive), strict=True))
        yield str(row.grp), Inputs(times, counts, {"exposed": exposed, "ordering": waiting}, oldest_s=oldest)


def _cell(what: str, label: str, n: int, amount: Decimal) -> Inputs:
    if what == "delta":
        return Inputs(deltas={label: amount})
    seconds = {"retroactive": "exposed", "ordering": "ordering"}.get(what)
    return Inputs(counts={what: n}, seconds={seconds: int(amount)} if seconds else {})


def _figures(inputs: Inputs, rates: Rates) -> Iterator[Figure]:
    n_open = inputs.time("working").n_open
    yield from _percentiles(inputs)
    yield Figure("synced", "In the ERP", inputs.of("synced"), Unit.COUNT)
    yield Figure("open", "Open", n_open, Unit.COUNT)
    yield Figure("oldest_open", "Oldest open one", inputs.oldest_s / DAY_S if n_open else None, Unit.DAYS)
    yield Figure("quarantined", "Amendments in quarantine", inputs.of("quarantined"), Unit.COUNT, "counted as open")
    yield from _in_time(inputs)
    yield from _at_bill_runs(inputs)
    yield from _kinds(inputs, rates)


def _percentiles(inputs: Inputs) -> Iterator[Figure]:
    for name, key, words, unit_s, unit in (
        ("working", "", "", HOUR_S, Unit.WORKING_HOURS),
        ("calendar", "_calendar", ", calendar", DAY_S, Unit.DAYS),
        ("own", "_own", " since its receipt", HOUR_S, Unit.WORKING_HOURS),
        ("billing", "_billing", " after its effective day", DAY_S, Unit.DAYS),
    ):
        for p, label in ((0.5, "Median"), (0.9, "90th percentile")):
            found = inputs.time(name).percentile(p)
            yield from figures(f"p{round(100 * p)}{key}", f"{label}{words}", found, unit_s, unit)
    naive = in_unit(inputs.time("working").naive(0.9).value, HOUR_S)
    yield Figure("naive_p90", "90th percentile of finished ones alone", naive, Unit.WORKING_HOURS,
                 "too good: what is slow is still open and not in it")  # fmt: skip


def _in_time(inputs: Inputs) -> Iterator[Figure]:
    """Within a working day; an open one that is over it has missed it, another one may still make it."""
    kept, decided = inputs.of("in_time"), inputs.of("synced") + inputs.of("late")
    low, high = wilson(kept, decided) or (None, None)
    share = kept / decided if decided else None
    yield Figure("in_time", "Within one working day", share, Unit.SHARE, "of those that are done or over it")
    yield Figure("in_time_low", "Within one working day, 95 % lower limit", low, Unit.SHARE, "Wilson")
    yield Figure("in_time_high", "Within one working day, 95 % upper limit", high, Unit.SHARE, "Wilson")
    yield Figure("late", "Open for more than a working day", inputs.of("late"), Unit.COUNT)


def _at_bill_runs(inputs: Inputs) -> Iterator[Figure]:
    yield Figure("next_run", "Open, and in force at the next bill run", inputs.of("next_run"), Unit.COUNT)
    yield Figure("missed_run", "Open, and missed by the last bill run", inputs.of("missed_run"), Unit.COUNT)


def _kinds(inputs: Inputs, rates: Rates) -> Iterator[Figure]:
    retroactive = inputs.of("retroactive") + inputs.of("open_retroactive")
    exposed, ordering = inputs.seconds.get("exposed", 0), inputs.seconds.get("ordering", 0)
    yield Figure("retroactive", "Retroactive", retroactive, Unit.COUNT)
    yield Figure("exposure_days", "Billed on old terms, all of these", exposed / DAY_S, Unit.DAYS,
                 "from the effective day to the read-back, or until now")  # fmt: skip
    yield Figure("ordering_days", "Waited for an earlier amendment", ordering / DAY_S, Unit.DAYS, "all together")
    yield Figure("gap", "Wait for an amendment that is missing", inputs.of("gap"), Unit.COUNT)
    for kind, words in (("positive", "Raised the value"), ("zero", "Left the value"), ("negative", "Cut the value")):
        yield Figure(kind, words, inputs.of(kind), Unit.COUNT)
    total = rates.total(inputs.deltas)
    listed = ", ".join(wording.money(amount, code) for code, amount in sorted(inputs.deltas.items()))
    missing = ", ".join(sorted(total.unconverted))
    note = f"{listed}; without a rate, so not in it: {missing}" if missing else listed
    yield money("delta", "Value changed", total, note)


# Numbers may begin at 1 again in the next agreement of a contract, of which the indexes know nothing.
_INDEXED: Final = "(f.contract_id * 100000 + f.number)"
_PLACE: Final = f"({_INDEXED} * 1000 + f.agreement)"
_TIE: Final = f"{_INDEXED} DESC, {_PLACE}"
# A day of the legal entity; the fact has the moment at which it begins there.
_EFFECTIVE_ON: Final = """(SELECT CAST(f.effective_at AT TIME ZONE k.zone AS date) FROM metrics.calendar AS k
                WHERE k.calendar IN (f.legal_entity, '') ORDER BY k.calendar DESC LIMIT 1)"""
_LISTING: Final = Listing(
    rows=f"""
        SELECT {_PLACE} AS place, f.contract_id, c.external_id AS contract, c.title, f.number,
               f.legal_entity, f.executed_at, {_EFFECTIVE_ON} AS effective_on, f.done_at, f.outcome, f.delta,
               f.currency,
               CAST(coalesce(f.lag_work_s, greatest({WORKED_NOW_S} - f.executed_work_s, 0)) AS numeric) / 3600
                   AS working_hours
        FROM metrics.amendment_fact AS f {WORKED_NOW} LEFT JOIN core.contract AS c ON c.contract_id = f.contract_id
        WHERE {{valid}} AND f.outcome IN ('open', 'synced') AND NOT f.test AND f.executed_at <= :as_of
          AND {chosen("f")} AND f.period >= :start AND f.period < :end
    """,
    columns=(
        Column("contract", "Contract"), Column("title", "Title"), Column("number", "Amendment", Unit.COUNT),
        Column("legal_entity", "Legal entity"), Column("executed_at", "Executed"), Column("effective_on", "Effective"),
        Column("done_at", "In the ERP"), Column("outcome", "Outcome"),
        Column("delta", "Value changed", currency="currency"),
        Column("currency", "Currency"), Column("working_hours", "Working time", Unit.WORKING_HOURS),
    ),
    order="working_hours",
    key="place",
    adds=None,
)  # fmt: skip

# Of one in quarantine nobody knows its number or its execution: its clock runs from the receipt.
_WAITING: Final = """CAST(f.open_work_s AS numeric) / 3600 AS place, CAST(f.open_work_s AS numeric) / 3600
    AS working_hours, 'in quarantine' AS outcome"""
_NOT_ENDED: Final = "f.outcome = 'open' AND NOT f.test"
_WALKS: Final = (
    by_week("amendment", _DONE, "f.lag_work_s", _PLACE, _TIE),
    by_entity("amendment", _NOT_ENDED, "f.executed_at", "(-f.executed_work_s)", _PLACE, _TIE),
)  # fmt: skip
_NOT_YET: Final = not_yet("amendment", _NOT_ENDED, "f.executed_at")

KPI = AmendmentLag()
