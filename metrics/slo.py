"""Service-level objectives: suggested ones, how much of each budget is left, and whether one is broken.

Evaluated each minute by a job and kept in telemetry.slo, from where pages, the API, /metrics and notifications take it.
Broken is: an alert of its burn rate fires (metrics/burn.py), its budget of 30 days is spent, something happened that
may never happen, or, where there are too few events for rates, a single contract is stuck. It stops being broken after
an hour in which none of that was so, so that one trouble is told once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import orjson
import sqlalchemy as sa

from metrics import burn, slo_events
from metrics.burn import PERIOD, Alarm, Counted, Events, Firing
from metrics.slo_events import Looked, Reader, Stuck, of_calls, of_counts
from sync_core.clock import Clock
from sync_core.estate.estate import Estate
from sync_core.reads.snapshot import snapshot

API_WITHIN_S: Final = 0.5  # both are bounds of their buckets, which a test holds to
ERP_WITHIN_S: Final = 2.5
RECOVERED_AFTER: Final = timedelta(hours=1)
NEVER_FOR: Final = timedelta(hours=6)  # so long something that may never happen keeps its objective broken


class State(StrEnum):
    MET = "met"
    UNKNOWN = "unknown"  # too few events to say
    TICKET = "ticket"
    PAGE = "page"
    EXHAUSTED = "exhausted"  # the budget of 30 days is spent
    STUCK = "stuck"  # single contracts, where rates say nothing
    VIOLATED = "violated"  # something happened that may never happen


SEVERITY: Final[Mapping[State, str]] = {
    State.PAGE: "high", State.STUCK: "high", State.VIOLATED: "high", State.TICKET: "medium", State.EXHAUSTED: "medium",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Objective:
    """One promise. `objective` is the share of events that are to be good, suggested or the estate's; 1: all."""

    name: str
    title: str
    objective: float
    events: str  # what is counted
    read: Reader
    least: int  # events in a window below which its rate says nothing
    looks_for_stuck: bool = False
    of_contracts: bool = False  # what it counts, it counts of the whole firm's contracts


@dataclass(frozen=True, slots=True)
class Case:
    """A stuck contract: named to those alone who may see it, so in no sentence."""

    contract: str
    legal_entity: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How an objective stands."""

    name: str
    title: str
    objective: float
    events: str
    state: State
    says: str  # one sentence for people
    good_share: float | None  # over 30 days; None without events
    budget_left: float | None  # 1 untouched, below 0 overspent
    total: int  # events of 30 days
    bad: int
    burn_rates: Mapping[str, float]  # by window in seconds, where there are events
    cases: Sequence[Case] = ()  # that are stuck, the largest first
    evaluated_at: datetime | None = None
    broken_at: datetime | None = None  # None: it is not broken, or not any more
    days: Mapping[int, Events] = field(default_factory=dict)  # by how many whole days ago, where there is a budget

    @property
    def stuck(self) -> list[str]:
        return [case.contract for case in self.cases]

    @property
    def severity(self) -> str | None:
        """Of what is wrong now. Where none may be bad, a bad one is told when it happens, not for 30 days."""
        return None if self.objective >= 1 and self.state is State.EXHAUSTED else SEVERITY.get(self.state)

    @property
    def broken(self) -> bool:
        return self.broken_at is not None

    @property
    def suggested(self) -> float:
        """The target that Tieline suggests; `objective` is the one that holds."""
        return next((one.objective for one in OBJECTIVES if one.name == self.name), self.objective)


_API: Final = "t.kind = 'web' AND t.operation LIKE '% /v1/%'"
OBJECTIVES: Final[Sequence[Objective]] = (
    Objective("provisioned-in-time", "Contracts billable within two working days of their signature", 0.95,
              "contracts", slo_events.provisioned, 20, looks_for_stuck=True, of_contracts=True),
    Objective("amendments-in-time", "Amendments in the ERP before their bill date", 0.99,
              "amendments", slo_events.amended, 20, of_contracts=True),
    Objective("events-stored", "Deliveries of a CLM that were stored", 0.999, "deliveries",
              of_calls("t.kind = 'web' AND t.operation = 'POST /v1/events' AND t.outcome <> 'refused'",
                       "t.outcome = 'failed'"), 10),
    Objective("read-back", "Projects that the ERP holds as they were written", 1.0, "read-backs",
              of_counts("t.name = 'read_backs'", "t.label = 'mismatch'"), 1),
    Objective("api-latency", f"API requests answered within {API_WITHIN_S:g} s", 0.99, "requests",
              of_calls(f"{_API} AND t.outcome <> 'refused'", f"t.outcome = 'failed' OR t.le > {API_WITHIN_S}"), 10),
    Objective("erp-latency", f"ERP calls answered within {ERP_WITHIN_S:g} s", 0.95, "calls",
              of_calls("t.kind = 'erp'", f"t.le > {ERP_WITHIN_S}"), 10),
)  # fmt: skip

# What was broken stays so until it was kept for RECOVERED_AFTER; a new trouble after that has a new broken_at.
_KEEP = sa.text("""
    INSERT INTO telemetry.slo AS s (name, title, target, evaluated_at, state, says, severity, figures, broken_at,
                                    recovering_at)
    VALUES (:name, :title, :target, :now, :state, :says, :severity, CAST(:figures AS jsonb),
            CASE WHEN CAST(:severity AS text) IS NOT NULL THEN CAST(:now AS timestamptz) END, NULL)
    ON CONFLICT (name) DO UPDATE SET
        title = :title, target = :target, evaluated_at = :now, state = :state, says = :says, figures = excluded.figures,
        severity = CASE WHEN excluded.severity IS NOT NULL AND s.broken_at IS NOT NULL AND s.severity = 'high'
                             THEN s.severity
                        WHEN excluded.severity IS NOT NULL THEN excluded.severity
                        WHEN s.recovering_at <= :recovered THEN NULL ELSE s.severity END,
        broken_at = CASE WHEN excluded.severity IS NOT NULL THEN coalesce(s.broken_at, excluded.broken_at)
                         WHEN s.recovering_at <= :recovered THEN NULL ELSE s.broken_at END,
        recovering_at = CASE WHEN excluded.severity IS NOT NULL OR s.broken_at IS NULL
                                  OR s.recovering_at <= :recovered THEN NULL
                             ELSE coalesce(s.recovering_at, CAST(:now AS timestamptz)) END
    WHERE s.evaluated_at <= :now
""")
_STANDINGS = sa.text("SELECT name, target, evaluated_at, state, says, figures, broken_at FROM telemetry.slo")


def promised(estate: Estate, objectives: Sequence[Objective] = OBJECTIVES) -> list[Objective]:
    """With the targets that the estate sets instead of the suggested ones."""
    return [replace(one, objective=estate.objectives.get(one.name, one.objective)) for one in objectives]


def evaluate(engine: sa.Engine, *, clock: Clock, estate: Estate) -> list[Standing]:
    """Look at all objectives now and keep how they stand. Commits."""
    now = clock.now()
    with snapshot(engine) as conn:
        looked = Looked(conn, now, estate)
        found = [_standing(one, looked) for one in promised(estate)]
    with engine.begin() as conn:
        conn.execute(_KEEP, [_row(one, now) for one in sorted(found, key=lambda one: one.name)])
    return found


def standings(conn: sa.Connection) -> list[Standing]:
    """As they were evaluated last, by the targets of then, in the order of OBJECTIVES; those never were are absent."""
    rows = {row.name: row for row in conn.execute(_STANDINGS)}
    return [_read(one, rows[one.name]) for one in OBJECTIVES if one.name in rows]


def known_within(entities: frozenset[str] | None) -> Sequence[Objective]:
    """Whose counts may be seen by those who reach these legal entities (None: all); others are of all contracts."""
    return [one for one in OBJECTIVES if entities is None or not one.of_contracts]


def within(
    found: Sequence[Standing], entities: frozenset[str] | None, contracts: frozenset[str] | None
) -> list[Standing]:
    """What somebody sees who reaches these legal entities, and contracts of those; None: all."""
    known = {one.name for one in known_within(entities)}
    return [
        one if contracts is None
        else replace(one, cases=[case for case in one.cases if case.legal_entity in contracts])
        for one in found if one.name in known
    ]  # fmt: skip


def judge(one: Objective, counted: Counted, stuck: Sequence[Stuck]) -> Standing:
    """Pure."""
    events, left = counted[PERIOD], burn.budget_left(counted, one.objective)
    found = burn.firing(counted, one.objective, least=one.least)
    told = stuck if burn.is_thin(counted, one.objective, least=one.least) else ()
    state = _state(one, counted, found, left, told)
    share = events.bad_share
    return Standing(
        one.name, one.title, one.objective, one.events, state, _says(one, state, counted, left, found, told),
        None if share is None else 1 - share, left, events.total, events.bad,
        {
            str(int(window.total_seconds())): rate
            for window, those in counted.items()
            if one.objective < 1 and (rate := burn.burn(those, one.objective)) is not None
        },
        [Case(case.contract, case.legal_entity) for case in told],
    )  # fmt: skip


def _standing(one: Objective, looked: Looked) -> Standing:
    judged = judge(one, one.read(looked), slo_events.stuck(looked) if one.looks_for_stuck else ())
    return judged if one.objective >= 1 else replace(judged, days=one.read.by_day(looked))


def _state(
    one: Objective, counted: Counted, found: Sequence[Firing], left: float | None, told: Sequence[Stuck]
) -> State:
    if one.objective >= 1:
        if counted[NEVER_FOR].bad:
            return State.VIOLATED
        if left is None:
            return State.UNKNOWN
        return State.MET if left > 0 else State.EXHAUSTED
    alarm = burn.worst(found)
    if alarm is not None:
        return State.PAGE if alarm is Alarm.PAGE else State.TICKET
    if told:
        return State.STUCK
    if left is None or counted[PERIOD].total < one.least:
        return State.UNKNOWN
    return State.EXHAUSTED if left <= 0 else State.MET


def _says(
    one: Objective, state: State, counted: Counted, left: float | None, found: Sequence[Firing], told: Sequence[Stuck]
) -> str:
    events = counted[PERIOD]
    counts = f"{events.bad:,} of {events.total:,} {one.events} in 30 days"
    match state:
        case State.PAGE | State.TICKET:
            first = found[0]
            hours = first.policy.long / timedelta(hours=1)
            return (
                f"the budget burns {first.long:.1f} times as fast as it may over {hours:g} h and {first.short:.1f} "
                f"times over a twelfth of that (alert at {first.threshold:.1f}); {counts} were not in time or failed"
            )
        case State.STUCK:
            return f"too few {one.events} for a rate, but {len(told)} {'is' if len(told) == 1 else 'are'} stuck"
        case State.VIOLATED:
            return f"{counted[NEVER_FOR].bad:,} in the last 6 h were not as written; there may be none"
        case State.EXHAUSTED if one.objective >= 1:
            return f"as written for 6 h, but {counts} were not; there may be none"
        case State.EXHAUSTED:
            return f"the budget of 30 days is spent: {counts} were bad, {1 - one.objective:.2%} may be"
        case State.UNKNOWN:
            return f"{events.total:,} {one.events} in 30 days are too few to say"
    return f"{counts} were bad; {left or 0:.0%} of the budget is left"


def _row(one: Standing, now: datetime) -> dict[str, object]:
    figures = {
        "good_share": one.good_share, "budget_left": one.budget_left, "total": one.total, "bad": one.bad,
        "burn_rates": dict(one.burn_rates), "stuck": [[case.contract, case.legal_entity] for case in one.cases],
        "days": [[ago, day.total, day.bad] for ago, day in sorted(one.days.items())],
    }  # fmt: skip
    return {
        "name": one.name, "title": one.title, "target": one.objective, "now": now,
        "state": one.state.value, "says": one.says, "severity": one.severity,
        "figures": orjson.dumps(figures).decode(),
        "recovered": now - RECOVERED_AFTER,
    }  # fmt: skip


def _read(one: Objective, row: sa.Row[Any]) -> Standing:
    figures = row.figures
    return Standing(
        one.name, one.title, row.target, one.events, State(row.state), row.says, figures["good_share"],
        figures["budget_left"], figures["total"], figures["bad"], figures["burn_rates"],
        [Case(*case) for case in figures["stuck"]], row.evaluated_at, row.broken_at,
        {ago: Events(total, bad) for ago, total, bad in figures.get("days", ())},
    )  # fmt: skip
