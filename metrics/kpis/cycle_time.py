"""Contract-to-project cycle time: from the last signature to the first read-back of everything the ERP must hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from metrics import unsigned
from metrics.asking import By
from metrics.calendars import GROUP_DAY_H
from metrics.cells import Need
from metrics.drilling import Known, Listing, drill
from metrics.durations import NONE, Durations
from metrics.facts.contract import PROMISED_DAYS
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Figures, Further, Unit
from metrics.percentiles import DAY_S, HOUR_S, figures, in_unit, why_none
from metrics.reading import (
    WORKED_NOW,
    WORKED_NOW_S,
    Timed,
    durations,
    durations_of,
    merged,
    seconds_since,
    timed_need,
    together,
)
from metrics.source import Source, chosen
from metrics.unsigned import NOTHING
from metrics.walking import by_entity, by_week, counted, not_yet

_BY_DAYS: Final = (1, 2, 5, 10)
_OPEN: Final = "f.outcome = 'open' AND NOT f.test AND f.signed_at <= :as_of"
_ENDED: Final = "f.outcome = 'provisioned' AND NOT f.test"
_OPEN_WORK_S: Final = f"{WORKED_NOW_S} - f.signed_work_s"
_CALENDAR: Final = Timed(
    "contract", "contract.cycle", _ENDED, "f.cycle_s", _OPEN,
    seconds_since("f.signed_at"),
)  # fmt: skip
_WORKING: Final = Timed("contract", "contract.cycle_work", _ENDED, "f.cycle_work_s", _OPEN, _OPEN_WORK_S, WORKED_NOW)
# What was never active is not stable either: those that are open are added to what stopped again and is not back.
_STABLE: Final = Timed(
    "contract", "contract.stable_work", f"{_ENDED} AND f.stable_work_s IS NOT NULL", "f.stable_work_s",
    "f.reopened AND f.stable_at IS NULL AND f.outcome <> 'open' AND NOT f.test AND f.signed_at <= :as_of",
    _OPEN_WORK_S, WORKED_NOW,
)  # fmt: skip
_CANCELLED: Final = Timed("contract", "contract.cancelled_cycle", "f.outcome = 'cancelled' AND NOT f.test", "f.cycle_s")
_TIMES: Final = {"working": _WORKING, "calendar": _CALENDAR, "stable": _STABLE, "cancelled": _CANCELLED}
_COUNTED: Final = tuple(
    f"contract.{what}" for what in ("before_signature", "test", "amended", "reopened", "not_stable", "late")
)


@dataclass(frozen=True, slots=True)
class Inputs:
    times: Mapping[str, Durations] = field(default_factory=dict)  # by the names of _TIMES
    counts: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Inputs") -> "Inputs":
        return Inputs(
            merged(self.times, other.times),
            merged(self.counts, other.counts),
        )

    def time(self, name: str) -> Durations:
        return self.times.get(name, NONE)


class CycleTime:
    definition = Definition(
        slug="cycle-time",
        title="Contract-to-project cycle time",
        unit=Unit.WORKING_HOURS,
        better=Better.LOWER,
        version=1,
        says="Half of the signed contracts could be billed within this working time of their last signature.",
        formula="Kaplan-Meier median of (first read-back of all ERP objects - last signature) in the legal entity's "
        "working hours; open contracts count for as long as they have been open.",
        splits=(By.WEEK, By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING),
        target=4.0,
        target_says="suggested: half within 4 working hours, nine of ten within 2 working days",
        further=(Further("p90", PROMISED_DAYS * GROUP_DAY_H),),
        drill="contract",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def needs(self, by: By | None) -> Sequence[Need]:
        return (timed_need(_TIMES.values(), by), Need(_COUNTED, by))

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        return {} if source.as_of is None else together(_read(source, by))

    def headline_needs(self) -> Sequence[Need]:
        return (timed_need((_WORKING,), None),)

    def headline_inputs(self, source: Source) -> Inputs:
        read, unread = (
            durations(source, _WORKING, None).get("", NONE),
            unsigned.contracts(source, None).get("", NOTHING),
        )
        return Inputs({"working": read + Durations.of((), unread.open_work_s)})

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        working, counts, cancelled = inputs.time("working"), inputs.counts, inputs.time("cancelled")
        p50 = working.percentile(0.5)
        return Answer(
            value=in_unit(p50.value, HOUR_S),
            n=working.n,
            n_open=working.n_open,
            excluded={
                "cancelled before it was active": cancelled.n_ended,
                "active before the signature": counts.get("before_signature", 0),
                "test contract": counts.get("test", 0),
            },
            figures=Figures(lambda: _figures(inputs)),
            error=in_unit(p50.error, HOUR_S),
            why_none=why_none(working, p50, HOUR_S, "working hours"),
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        waiting = unsigned.contract_rows(source, _WAITING)
        if not source.latest:
            return drill(source, _LISTING, after=after, limit=limit, waiting=waiting)
        rows = counted(source, ("contract.provisioned",), "contract.open", not_yet=_NOT_YET)
        return drill(source, _LISTING, after=after, limit=limit, known=Known(rows.n, None), walks=_WALKS,
                     bound={"open_in": rows.open_in}, waiting=waiting)  # fmt: skip


def _read(source: Source, by: By | None) -> Iterator[tuple[str, Inputs]]:
    for name, groups in durations_of(source, _TIMES, by).items():
        for group, found in groups.items():
            yield group, Inputs({name: found})
            if name == "working":
                yield group, Inputs({"stable": found.without_ended()})
    for cell in source.cells(_COUNTED, by):
        yield cell.group, Inputs(counts={cell.measure.partition(".")[2]: cell.n})
    for group, unread in unsigned.contracts(source, by).items():
        open_for, worked = Durations.of((), unread.open_s), Durations.of((), unread.open_work_s)
        times = {"calendar": open_for, "working": worked, "stable": worked}
        yield group, Inputs(times, {"quarantined": open_for.n})


def _figures(inputs: Inputs) -> Iterator[Figure]:
    working, counts, cancelled = inputs.time("working"), inputs.counts, inputs.time("cancelled")
    yield from _percentiles(inputs)
    for days in _BY_DAYS:
        by_then = inputs.time("calendar").ended_by(cancelled, days * DAY_S)
        yield Figure(f"by_day_{days}", f"Provisioned within {days} d", by_then, Unit.SHARE,
                     "Aalen-Johansen: cancellation is another end")  # fmt: skip
    yield Figure("provisioned", "Provisioned", working.n_ended, Unit.COUNT)
    for key, label, note in (
        ("late", f"Of these, after more than {PROMISED_DAYS} working days", "of the legal entity's calendar"),
        ("quarantined", "Signatures in quarantine", "counted as open"),
        ("amended", "Amended before they were active", "their clock keeps the signature"),
        ("reopened", "Stopped again within 7 d", "their clock ends at the first activation"),
        ("not_stable", "Of these, not active again", ""),
    ):
        yield Figure(key, label, counts.get(key, 0), Unit.COUNT, note)


def _percentiles(inputs: Inputs) -> tuple[Figure, ...]:
    working, calendar = inputs.time("working"), inputs.time("calendar")
    naive = "too good: what is slow is still open and not in it"
    return (
        *figures("p50", "Median", working.percentile(0.5), HOUR_S, Unit.WORKING_HOURS),
        *figures("p90", "90th percentile", working.percentile(0.9), HOUR_S, Unit.WORKING_HOURS),
        *figures("p50_calendar", "Median, calendar", calendar.percentile(0.5), DAY_S, Unit.DAYS),
        *figures("p90_calendar", "90th percentile, calendar", calendar.percentile(0.9), DAY_S, Unit.DAYS),
        *figures("stable_p50", "Median to stable activation", inputs.time("stable").percentile(0.5), HOUR_S,
                 Unit.WORKING_HOURS),
        *(Figure(f"naive_p{round(100 * p)}", f"{words} of finished ones alone", in_unit(working.naive(p).value, HOUR_S),
                 Unit.WORKING_HOURS, naive) for p, words in ((0.5, "Median"), (0.9, "90th percentile"))),
    )  # fmt: skip


_LISTING: Final = Listing(
    rows=f"""
        SELECT f.contract_id, c.external_id AS contract, c.title, f.legal_entity, f.signed_at, f.active_at, f.outcome,
               CASE WHEN f.reopened THEN 'reopened' WHEN f.amended THEN 'amended in flight' ELSE '' END AS tag,
               CAST(coalesce(f.cycle_work_s, greatest({WORKED_NOW_S} - f.signed_work_s, 0)) AS numeric) / 3600
                   AS working_hours
        FROM metrics.contract_fact AS f {WORKED_NOW} LEFT JOIN core.contract AS c ON c.contract_id = f.contract_id
        WHERE {{valid}} AND f.outcome IN ('open', 'provisioned') AND NOT f.test AND f.signed_at <= :as_of
          AND {chosen("f")} AND f.period >= :start AND f.period < :end
    """,
    columns=(
        Column("contract", "Contract"), Column("title", "Title"), Column("legal_entity", "Legal entity"),
        Column("signed_at", "Signed"), Column("active_at", "Active"), Column("outcome", "Outcome"),
        Column("tag", "Tag"), Column("working_hours", "Working time", Unit.WORKING_HOURS),
    ),
    order="working_hours",
    key="contract_id",
    adds=None,
)  # fmt: skip

# Of one in quarantine nobody knows when it was signed: its clock runs from the receipt.
_WAITING: Final = """CAST(f.open_work_s AS numeric) / 3600 AS place, CAST(f.open_work_s AS numeric) / 3600
    AS working_hours, 'in quarantine' AS outcome, '' AS tag"""
_NOT_ENDED: Final = "f.outcome = 'open' AND NOT f.test"
_WALKS: Final = (
    by_week("contract", _ENDED, "f.cycle_work_s"),
    by_entity("contract", _NOT_ENDED, "f.signed_at", "(-f.signed_work_s)"),
)
_NOT_YET: Final = not_yet("contract", _NOT_ENDED, "f.signed_at")

KPI = CycleTime()
