"""How long exceptions stay open, how long each function has them, and how they travel between functions."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from metrics.asking import By
from metrics.case_times import HEADLINE_MEASURES, TIME_MEASURES, case_times
from metrics.cells import Need
from metrics.drilling import Known, Listing, drill
from metrics.durations import NONE, Durations, Percentile
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Unit
from metrics.percentiles import DAY_S, HOUR_S, figures, in_unit
from metrics.reading import WORKED_NOW, WORKED_NOW_S
from metrics.source import Source, chosen
from metrics.unread import CAUSE, Unread, received, received_rows
from metrics.walking import by_entity, by_week, counted, not_yet
from sync_core.survival import SAMPLE_FLOOR

_FLOW: Final = "case.flow"
_COUNTED: Final = tuple(
    f"case.{name}" for name in ("decided", "test", "checked", "unanswered", "reopened", "hand_off", "ping_pong")
)


@dataclass(frozen=True, slots=True)
class Inputs:
    times: Mapping[str, Durations] = field(default_factory=dict)  # by the names of metrics/case_times.py
    counts: Mapping[str, int] = field(default_factory=dict)
    flows: Mapping[str, int] = field(default_factory=dict)  # by "from>to"

    def __add__(self, other: "Inputs") -> "Inputs":
        return Inputs(
            {name: self.time(name) + other.time(name) for name in self.times.keys() | other.times.keys()},
            dict(Counter(self.counts) + Counter(other.counts)),
            dict(Counter(self.flows) + Counter(other.flows)),
        )

    def time(self, name: str) -> Durations:
        return self.times.get(name, NONE)


class ExceptionResolution:
    definition = Definition(
        slug="exception-resolution",
        title="Exception resolution time",
        unit=Unit.WORKING_HOURS,
        better=Better.LOWER,
        version=1,
        says="Half of the exceptions were open no longer than this working time in all.",
        formula="Kaplan-Meier median of the sum of an exception's open intervals in its legal entity's working hours; "
        "one that reopens goes on, open ones count for as long as they have been open, and what was closed by decision "
        "is apart. By function: of the exceptions that it has, or had when they closed.",
        splits=(By.WEEK, By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING, By.LABEL),
        drill="exception",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def needs(self, by: By | None) -> Sequence[Need]:
        return (Need(TIME_MEASURES, by, counted=True), Need((*_COUNTED, _FLOW), by))

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        if source.as_of is None:
            return {}
        parts = {group: Inputs(times) for group, times in case_times(source, by).items()}
        for cell in source.cells((*_COUNTED, _FLOW), by):
            if cell.measure == _FLOW:
                # Split by function, a hand-off belongs to the one that handed over.
                group = cell.label.partition(">")[0] if by is By.LABEL else cell.group
                more = Inputs(flows={cell.label: cell.n})
            else:
                group, more = cell.group, Inputs(counts={cell.measure.partition(".")[2]: cell.n})
            parts[group] = parts.get(group, Inputs()) + more
        for group, alike in _by_group(received(source, by)).items():
            parts[group] = parts.get(group, Inputs()) + _unread(alike)
        return parts

    def headline_needs(self) -> Sequence[Need]:
        return (Need(HEADLINE_MEASURES, counted=True),)

    def headline_inputs(self, source: Source) -> Inputs:
        found = Inputs(case_times(source, None, only=frozenset({"working"})).get("", {}))
        return found + _unread(received(source, None))

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        working, calendar = inputs.time("working"), inputs.time("calendar")
        p50 = working.percentile(0.5)
        counts = inputs.counts
        return Answer(
            value=in_unit(p50.value, HOUR_S),
            n=working.n,
            n_open=working.n_open,
            excluded={"closed by decision": counts.get("decided", 0), "of a test contract": counts.get("test", 0)},
            figures=(
                *figures("p50", "Median", p50, HOUR_S, Unit.WORKING_HOURS),
                *figures("p90", "90th percentile", working.percentile(0.9), HOUR_S, Unit.WORKING_HOURS),
                *figures("p50_calendar", "Median, calendar", calendar.percentile(0.5), DAY_S, Unit.DAYS),
                *figures("p90_calendar", "90th percentile, calendar", calendar.percentile(0.9), DAY_S, Unit.DAYS),
                Figure("naive_p50", "Median of closed ones alone", in_unit(working.naive(0.5).value, HOUR_S),
                       Unit.WORKING_HOURS, "too good: what is slow is still open and not in it"),
                *_medians(inputs),
                Figure("resolved", "Resolved", working.n_ended, Unit.COUNT, "closed by read-back or by their check"),
                Figure("checked", "Of these, by their check alone", counts.get("checked", 0), Unit.COUNT),
                Figure("decided", "Closed by decision", counts.get("decided", 0), Unit.COUNT, "not in the time"),
                Figure("unanswered", "Closed before anybody acted", counts.get("unanswered", 0), Unit.COUNT),
                Figure("reopened", "Reopened", counts.get("reopened", 0), Unit.COUNT),
                Figure("hand_offs", "Handed over", counts.get("hand_off", 0), Unit.COUNT),
                Figure("ping_pongs", "Handed back", counts.get("ping_pong", 0), Unit.COUNT,
                       "to the function it had come from"),
                Figure("quarantined", "Signatures that nobody could read", counts.get("quarantined", 0), Unit.COUNT,
                       "each counts as open from its receipt until it is released"),
                *_flows(inputs),
            ),
            error=in_unit(p50.error, HOUR_S),
            why_none="" if p50.value is not None else _why_none(working, p50),
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        waiting = received_rows(source, _WAITING)
        if not source.latest:
            return drill(source, _LISTING, after=after, limit=limit, waiting=waiting)
        rows = counted(source, ("case.resolved",), "case.open", not_yet=_NOT_YET)
        return drill(source, _LISTING, after=after, limit=limit, known=Known(rows.n, None), walks=_WALKS,
                     bound={"open_in": rows.open_in}, waiting=waiting)  # fmt: skip


def _by_group(rows: Iterable[Unread]) -> dict[str, list[Unread]]:
    found: dict[str, list[Unread]] = {}
    for row in rows:
        found.setdefault(row.group, []).append(row)
    return found


def _unread(rows: list[Unread]) -> Inputs:
    ended = [row for row in rows if not row.open and not row.dismissed]
    still = [row for row in rows if row.open]
    return Inputs(
        {
            "working": Durations.of([r.lasted_work_s for r in ended], [r.lasted_work_s for r in still]),
            "calendar": Durations.of([r.lasted_s for r in ended], [r.lasted_s for r in still]),
        },
        {"quarantined": len(rows), "decided": sum(row.dismissed for row in rows)},
    )


def _medians(inputs: Inputs) -> Iterator[Figure]:
    for name, key, label in (
        ("answer", "response", "First response"), ("held", "in_function", "Time in a function, one exception"),
    ):  # fmt: skip
        working, calendar = inputs.time(name), inputs.time(f"{name}_calendar")
        for p, words in ((0.5, "median"), (0.9, "90th percentile")):
            found = working.percentile(p)
            yield Figure(
                f"{key}_p{round(100 * p)}", f"{label}, {words}", in_unit(found.value, HOUR_S), Unit.WORKING_HOURS
            )
        median = in_unit(calendar.percentile(0.5).value, DAY_S)
        yield Figure(f"{key}_p50_calendar", f"{label}, median, calendar", median, Unit.DAYS)
    waiting = inputs.time("answer").n_open
    yield Figure("awaiting_response", "Open, and nobody has acted yet", waiting, Unit.COUNT)


def _flows(inputs: Inputs) -> Iterator[Figure]:
    """`flow:<from>><to>`: how many hand-overs; functions as they are called in core.case."""
    for name, n in sorted(inputs.flows.items()):
        giver, _, taker = name.partition(">")
        words = f"{giver.replace('_', ' ')} → {taker.replace('_', ' ')}"
        yield Figure(f"flow:{name}", words, n, Unit.COUNT, "hand-overs")


def _why_none(found: Durations, percentile: Percentile) -> str:
    if found.n == 0:
        return "no exception was opened in the window"
    if found.n < SAMPLE_FLOOR:
        return f"n = {found.n}: below {SAMPLE_FLOOR} exceptions a percentile says nothing"
    return f"not reached: at least {(percentile.at_least or 0) / HOUR_S:.1f} working hours"


_LISTING: Final = Listing(
    rows=f"""
        SELECT f.case_id, f.contract_id, c.external_id AS contract, c.title, f.legal_entity, f.function, f.cause,
               f.severity, f.opened_at, f.closed_at, f.outcome, f.hand_offs,
               CAST(f.spent_work_s + coalesce(greatest({WORKED_NOW_S} - f.open_since_work_s, 0), 0) AS numeric) / 3600
                   AS working_hours
        FROM metrics.case_fact AS f {WORKED_NOW} LEFT JOIN core.contract AS c ON c.contract_id = f.contract_id
        WHERE {{valid}} AND f.outcome IN ('open', 'resolved') AND NOT f.test AND f.opened_at <= :as_of
          AND {chosen("f")} AND f.period >= :start AND f.period < :end
    """,
    columns=(
        Column("contract", "Contract"), Column("title", "Title"), Column("legal_entity", "Legal entity"),
        Column("function", "Function"), Column("cause", "Cause"), Column("severity", "Severity"),
        Column("opened_at", "Opened"), Column("closed_at", "Closed"), Column("outcome", "Outcome"),
        Column("hand_offs", "Handed over", Unit.COUNT), Column("working_hours", "Working time", Unit.WORKING_HOURS),
    ),
    order="working_hours",
    key="case_id",
    adds=None,
)  # fmt: skip

_WAITING: Final = f"""
    f.function, {CAUSE} AS cause, f.recorded_at AS opened_at, f.ended_at AS closed_at, 0 AS hand_offs,
    CASE WHEN f.ended_at IS NULL THEN 'in quarantine' ELSE 'released' END AS outcome,
    CAST(f.lasted_work_s AS numeric) / 3600 AS place, CAST(f.lasted_work_s AS numeric) / 3600 AS working_hours"""
_NOT_ENDED: Final = "f.outcome = 'open' AND NOT f.test"
_WALKS: Final = (
    by_week("case", "f.outcome = 'resolved' AND NOT f.test", "f.spent_work_s", "f.case_id"),
    by_entity("case", _NOT_ENDED, "f.opened_at", "(f.spent_work_s - f.open_since_work_s)", "f.case_id"),
)  # fmt: skip
_NOT_YET: Final = not_yet("case", _NOT_ENDED, "f.opened_at")

KPI = ExceptionResolution()
