"""Where the time goes between signature and activation, step by step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from metrics.asking import By
from metrics.cells import Need
from metrics.drilling import Known, Listing, drill
from metrics.durations import NONE, Durations
from metrics.kpi import Answer, Better, Column, Definition, Drill, Figure, Unit
from metrics.percentiles import DAY_S, HOUR_S, in_unit
from metrics.reading import (
    WORKED_NOW,
    WORKED_NOW_S,
    Timed,
    group_of,
    labelled,
    merged,
    seconds_since,
    timed_need,
    together,
)
from metrics.source import Source, chosen
from metrics.walking import by_entity, by_week, counted, not_yet

# By the name of what a step ends with (metrics/facts/contract.py).
STEPS: Final = {
    "captured": "Signature received",
    "validated": "Checks and exceptions",
    "project_created": "Project created",
    "billing_set_up": "Billing set up",
    "active": "Activated and read back",
}
_NAMES: Final = "ARRAY['" + "', '".join(STEPS) + "']"
_NEXT: Final = f"""({_NAMES})[1 + coalesce(array_position({_NAMES}, f.step), 0)]"""  # 'signed' is before the first
_AFTER: Final = dict(zip(STEPS, [*[*STEPS][1:], ""], strict=True))  # the same, of a row that was read
_OPEN: Final = "f.outcome = 'open' AND NOT f.test AND f.signed_at <= :as_of"
_OPEN_S: Final = f"greatest({seconds_since('f.step_at')}, 0)"
_OPEN_WORK_S: Final = f"greatest({WORKED_NOW_S} - f.step_work_s, 0)"
_WORKING: Final = Timed(
    "contract", "contract.step_work", "f.outcome IN ('open', 'provisioned') AND NOT f.test AND s.took IS NOT NULL",
    "s.took",
    ended_joined=f"CROSS JOIN LATERAL unnest(f.steps_work_s, {_NAMES}) AS s(took, name)", ended_label="s.name",
)  # fmt: skip
_STILL: Final = f"""
    SELECT {{group}} AS grp, f.step, CAST(sum({_OPEN_S}) AS bigint), array_agg({_OPEN_WORK_S})
    FROM metrics.contract_fact AS f {WORKED_NOW}
    WHERE {{valid}} AND {_OPEN} AND {chosen("f")} AND f.period >= :start AND f.period < :end GROUP BY 1, 2
"""
_COUNTED: Final = ("contract.cancelled", "contract.before_signature", "contract.test", "contract.step")


@dataclass(frozen=True, slots=True)
class Inputs:
    times: Mapping[str, Durations] = field(default_factory=dict)  # working time, by step
    spent_s: Mapping[str, float] = field(default_factory=dict)  # calendar time, of ended and open steps
    open_work_s: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Inputs") -> "Inputs":
        return Inputs(
            merged(self.times, other.times),
            merged(self.spent_s, other.spent_s),
            merged(self.open_work_s, other.open_work_s),
            merged(self.counts, other.counts),
        )

    def time(self, step: str) -> Durations:
        return self.times.get(step, NONE)

    def work_s(self, step: str) -> float:
        return self.time(step).total_s + self.open_work_s.get(step, 0.0)


class StepTime:
    definition = Definition(
        slug="step-time",
        title="Where the time goes",
        unit=Unit.SHARE,
        better=Better.NEITHER,
        version=1,
        says="The slowest step takes this share of all the working time between signature and activation.",
        formula="Working time of each step, ended and still running ones together, divided by that of all steps; the "
        "median of each step is Kaplan-Meier's.",
        splits=(By.WEEK, By.LEGAL_ENTITY, By.SERVICE_LINE, By.GEOGRAPHY, By.BILLING),
        drill="contract",
    )

    def nothing(self) -> Inputs:
        return Inputs()

    def needs(self, by: By | None) -> Sequence[Need]:
        return (timed_need([_WORKING], by), Need(_COUNTED, by))

    def read(self, source: Source, by: By | None) -> Mapping[str, Inputs]:
        return {} if source.as_of is None else together(_read(source, by))

    def answer(self, inputs: Inputs, source: Source) -> Answer:
        first = inputs.time("captured")  # every contract passes it
        slowest = max(STEPS, key=inputs.work_s)
        share = _share(inputs.work_s(slowest), sum(map(inputs.work_s, STEPS)))
        running = sum(inputs.time(step).n_open for step in STEPS)
        return Answer(
            value=share,
            n=first.n,
            n_open=running,
            excluded={
                "cancelled before it was active": inputs.counts.get("cancelled", 0),
                "active before the signature": inputs.counts.get("before_signature", 0),
                "test contract": inputs.counts.get("test", 0),
            },
            figures=(
                Figure("slowest", STEPS[slowest] if share is not None else "None", share, Unit.SHARE,
                       "the step that most time goes into"),
                *(figure for step in STEPS for figure in _of_step(inputs, step)),
            ),
            why_none="" if share is not None else "no time was spent by any contract signed in the window",
        )  # fmt: skip

    def drill(self, source: Source, *, after: str | None, limit: int) -> Drill:
        """All contracts with the time of each step, the running one so far: their sums are the shares."""
        if not source.latest:
            return drill(source, _LISTING, after=after, limit=limit)
        rows = counted(source, ("contract.provisioned",), "contract.open", not_yet=_NOT_YET)
        return drill(source, _LISTING, after=after, limit=limit, known=Known(rows.n, None), walks=_WALKS,
                     bound={"open_in": rows.open_in})  # fmt: skip


def _read(source: Source, by: By | None) -> Iterator[tuple[str, Inputs]]:
    for group, times in labelled(source, _WORKING, by).items():
        yield group, Inputs(times)
    for cell in source.cells(_COUNTED, by):
        if cell.measure == "contract.step":
            yield cell.group, Inputs(spent_s={cell.label: float(cell.amount)})
        else:
            yield cell.group, Inputs(counts={cell.measure.partition(".")[2]: cell.n})
    for group, passed, spent, worked in source.run(_STILL.format(group=group_of(by), valid=source.valid())):
        step = _AFTER.get(passed, next(iter(STEPS)))
        times = {step: Durations.of((), sorted(worked))}
        yield str(group), Inputs(times, {step: float(spent)}, {step: float(sum(worked))})


def _of_step(inputs: Inputs, step: str) -> Iterator[Figure]:
    time, words = inputs.time(step), STEPS[step]
    for p, name in ((0.5, "median"), (0.9, "90th percentile")):
        found = time.percentile(p)
        note = f"not reached: at least {found.at_least / HOUR_S:.1f}" if found.at_least is not None else ""
        yield Figure(f"{step}_p{round(100 * p)}", f"{words}, {name}", in_unit(found.value, HOUR_S), Unit.WORKING_HOURS,
                     note)  # fmt: skip
    total, spent = sum(map(inputs.work_s, STEPS)), sum(inputs.spent_s.values())
    yield Figure(f"{step}_share", f"{words}, share of the working time", _share(inputs.work_s(step), total), Unit.SHARE)
    calendar = inputs.spent_s.get(step, 0.0)
    yield Figure(f"{step}_share_calendar", f"{words}, share of the calendar time", _share(calendar, spent), Unit.SHARE)
    yield Figure(f"{step}_hours", f"{words}, all contracts", inputs.work_s(step) / HOUR_S, Unit.WORKING_HOURS)
    yield Figure(f"{step}_days", f"{words}, all contracts, calendar", calendar / DAY_S, Unit.DAYS)
    yield Figure(f"{step}_open", f"{words}, still in it", time.n_open, Unit.COUNT)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


_RUNNING: Final = "f.outcome = 'open'"
_HOURS: Final = ", ".join(
    f"CAST(coalesce(f.steps_work_s[{place}], CASE WHEN {_RUNNING} AND {_NEXT} = '{step}' THEN {_OPEN_WORK_S} END)"
    f" AS numeric) / 3600 AS {step}_hours"
    for place, step in enumerate(STEPS, 1)
)
_LISTING: Final = Listing(
    rows=f"""
        SELECT f.contract_id, c.external_id AS contract, c.title, f.legal_entity, f.signed_at, f.active_at, f.outcome,
               CASE WHEN {_RUNNING} THEN {_NEXT} END AS waiting_for, CASE WHEN {_RUNNING} THEN f.step_at END AS since,
               {_HOURS}, CAST(coalesce(f.cycle_work_s, greatest({WORKED_NOW_S} - f.signed_work_s, 0)) AS numeric) / 3600
                   AS working_hours
        FROM metrics.contract_fact AS f {WORKED_NOW} LEFT JOIN core.contract AS c ON c.contract_id = f.contract_id
        WHERE {{valid}} AND f.outcome IN ('open', 'provisioned') AND NOT f.test AND f.signed_at <= :as_of
          AND {chosen("f")} AND f.period >= :start AND f.period < :end
    """,
    columns=(
        Column("contract", "Contract"), Column("title", "Title"), Column("legal_entity", "Legal entity"),
        Column("signed_at", "Signed"), Column("active_at", "Active"), Column("waiting_for", "Waits for"),
        Column("since", "Since"),
        *(Column(f"{step}_hours", words, Unit.WORKING_HOURS) for step, words in STEPS.items()),
        Column("working_hours", "Working time in all", Unit.WORKING_HOURS),
    ),
    order="working_hours",
    key="contract_id",
    adds=None,
)  # fmt: skip

_NOT_ENDED: Final = "f.outcome = 'open' AND NOT f.test"
_WALKS: Final = (
    by_week("contract", "f.outcome = 'provisioned' AND NOT f.test", "f.cycle_work_s"),
    by_entity("contract", _NOT_ENDED, "f.signed_at", "(-f.signed_work_s)"),
)
_NOT_YET: Final = not_yet("contract", _NOT_ENDED, "f.signed_at")

KPI = StepTime()
