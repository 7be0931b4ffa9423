"""Contract-to-project cycle time: from the last signature to the first read-back of everything the ERP must hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from metrics.asking import By
from metrics.drilling import Listing, drill
from metrics.durations import NONE, Durations, Percentile
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Unit
from metrics.reading import WORKED_NOW, WORKED_NOW_S, Timed, durations, group_of
from metrics.source import Source, chosen
from sync_core.survival import SAMPLE_FLOOR

_HOUR, _DAY = 3600, 86_400
_BY_DAYS: Final = (1, 2, 5, 10)
_OPEN: Final = "f.outcome = 'open' AND NOT f.test AND f.signed_at <= :as_of"
_ENDED: Final = "f.outcome = 'provisioned' AND NOT f.test"
_CALENDAR: Final = Timed(
    "contract", "contract.cycle", _ENDED, "f.cycle_s", _OPEN,
    "CAST(extract(epoch FROM :as_of - f.signed_at) AS bigint)",
)  # fmt: skip
_WORKING: Final = Timed(
    "contract", "contract.cycle_work", _ENDED, "f.cycle_work_s", _OPEN, f"{WORKED_NOW_S} - f.signed_work_s", WORKED_NOW
)
_CANCELLED: Final = "contract.cancelled_cycle"
_COUNTED: Final = ("contract.before_signature", "contract.test", "contract.amended", "contract.unstable", _CANCELLED)
# A signature that nobody could read yet is an open case since its receipt; of which entity, nobody knows either.
_QUARANTINED: Final = f"""
    SELECT {{group}} AS grp, array_agg(CAST(extract(epoch FROM :as_of - f.recorded_at) AS bigint)),
           array_agg(greatest(metrics.worked(f.legal_entity, :as_of) - metrics.worked(f.legal_entity, f.recorded_at),
                              0))
    FROM (
        SELECT q.recorded_at, coalesce(c.legal_entity, '') AS legal_entity,
               coalesce(c.service_line, '') AS service_line,
               coalesce(c.geography, '') AS geography, coalesce(c.billing, '') AS billing,
               CAST(date_trunc('week', q.recorded_at, :zone) AT TIME ZONE :zone AS date) AS period
        FROM core.quarantine AS q LEFT JOIN core.contract AS c USING (source, external_id)
        WHERE q.signature AND q.recorded_at <= :as_of AND coalesce(q.released_at, 'infinity') > :as_of
          AND coalesce(q.dismissed_at, 'infinity') > :as_of AND c.signed_at IS NULL
    ) AS f WHERE {chosen("f")} AND f.period >= :start AND f.period < :end GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Inputs:
    calendar: Durations = NONE
    working: Durations = NONE
    cancelled: Durations = NONE
    quarantined: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Inputs") -> "Inputs":
        names = self.counts.keys() | other.counts.keys()
        return Inputs(
            self.calendar + other.calendar,
            self.working + other.working,
            self.cancelled + other.cancelled,
            self.quarantined + other.quarantined,
            {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names},
        )


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
        drill="contract",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        if source.as_of is None:
            return {}
        calendar, working = durations(source, _CALENDAR, by), durations(source, _WORKING, by)
        unread = {str(row[0]): (row[1], row[2]) for row in source.run(_QUARANTINED.format(group=group_of(by)))}
        counted: dict[str, dict[str, int]] = {}
        cancelled: dict[str, list[tuple[int, int]]] = {}
        for cell in source.cells(_COUNTED, by):
            if cell.measure == _CANCELLED:
                cancelled.setdefault(cell.group, []).append((cell.bucket, cell.n))
            else:
                counted.setdefault(cell.group, {})[cell.measure.partition(".")[2]] = cell.n
        groups = calendar.keys() | working.keys() | unread.keys() | counted.keys() | cancelled.keys()
        return {
            group: Inputs(
                calendar.get(group, NONE) + Durations.of((), unread.get(group, ((), ()))[0]),
                working.get(group, NONE) + Durations.of((), unread.get(group, ((), ()))[1]),
                Durations.from_buckets(cancelled.get(group, ())),
                len(unread.get(group, ((), ()))[0]),
                counted.get(group, {}),
            )
            for group in groups
        }

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        working, calendar = inputs.working, inputs.calendar
        p50, p90 = working.percentile(0.5), working.percentile(0.9)
        return Answer(
            value=_in(p50.value, _HOUR),
            n=working.n,
            n_open=working.n_open,
            excluded={
                "cancelled before it was active": inputs.cancelled.n_ended,
                "active before the signature": inputs.counts.get("before_signature", 0),
                "test contract": inputs.counts.get("test", 0),
            },
            figures=(
                *_percentile("p50", "Median", p50, _HOUR, Unit.WORKING_HOURS),
                *_percentile("p90", "90th percentile", p90, _HOUR, Unit.WORKING_HOURS),
                *_percentile("p50_calendar", "Median, calendar", calendar.percentile(0.5), _DAY, Unit.DAYS),
                *_percentile("p90_calendar", "90th percentile, calendar", calendar.percentile(0.9), _DAY, Unit.DAYS),
                Figure("naive_p50", "Median of finished ones alone", _in(working.naive(0.5).value, _HOUR),
                       Unit.WORKING_HOURS, "too good: what is slow is still open and not in it"),
                *(Figure(f"by_day_{days}", f"Provisioned within {days} d",
                         calendar.provisioned_by(inputs.cancelled, days * _DAY), Unit.SHARE,
                         "Aalen-Johansen: cancellation is another end") for days in _BY_DAYS),
                Figure("provisioned", "Provisioned", working.n_ended, Unit.COUNT),
                Figure("quarantined", "Signatures in quarantine", inputs.quarantined, Unit.COUNT, "counted as open"),
                Figure("amended", "Amended before they were active", inputs.counts.get("amended", 0), Unit.COUNT),
                Figure("unstable", "Stopped again within 7 d", inputs.counts.get("unstable", 0), Unit.COUNT),
            ),
            error=_in(p50.error, _HOUR),
            why_none="" if p50.value is not None else why_none(working, p50, _HOUR, "working hours"),
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        return drill(source, _LISTING, after=after, limit=limit)


_LISTING: Final = Listing(
    rows=f"""
        SELECT f.contract_id, c.external_id AS contract, c.title, f.legal_entity, f.signed_at, f.active_at, f.outcome,
               CAST(coalesce(f.cycle_work_s, greatest({WORKED_NOW_S} - f.signed_work_s, 0)) AS numeric) / 3600
                   AS working_hours
        FROM metrics.contract_fact AS f {WORKED_NOW} JOIN core.contract AS c ON c.contract_id = f.contract_id
        WHERE {{valid}} AND f.outcome IN ('open', 'provisioned') AND NOT f.test AND f.signed_at <= :as_of
          AND {chosen("f")} AND f.period >= :start AND f.period < :end
    """,
    columns=(
        Column("contract", "Contract"), Column("title", "Title"), Column("legal_entity", "Legal entity"),
        Column("signed_at", "Signed"), Column("active_at", "Active"), Column("outcome", "Outcome"),
        Column("working_hours", "Working time", Unit.WORKING_HOURS),
    ),
    order="working_hours",
    key="contract_id",
    adds=None,
)  # fmt: skip


def why_none(found: Durations, percentile: Percentile, unit_s: int, unit: str) -> str:
    if found.n < SAMPLE_FLOOR:
        return f"n = {found.n}: below {SAMPLE_FLOOR} cases a percentile says nothing"
    return f"not reached: at least {(percentile.at_least or 0) / unit_s:.1f} {unit}"


def _percentile(key: str, label: str, found: Percentile, unit_s: int, unit: Unit) -> tuple[Figure, ...]:
    return (
        Figure(key, label, _in(found.value, unit_s), unit),
        Figure(f"{key}_low", f"{label}, 95 % lower limit", _in(found.low, unit_s), unit),
        Figure(f"{key}_high", f"{label}, 95 % upper limit", _in(found.high, unit_s), unit),
    )


def _in(seconds: float | None, unit_s: int) -> float | None:
    return None if seconds is None else seconds / unit_s


KPI = CycleTime()
