"""The working time of exceptions, headline and percentiles, against a walk through the raw histories: any lives."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, Filters
from metrics.kpi import Result
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.by_hand import percentile, worked_s
from tests.metrics.case_rows import TIELINE, Step, with_history
from tests.metrics.support import caught_up
from tests.metrics.test_exception_resolution import PAT, START, WINDOW, histories
from tests.reads.handmade import add_contract

ENTITIES = ("US01", "GB01", "DE01", "??")
_lines = count(1)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


def _asked(engine: sa.Engine, clock: VirtualClock, line: str) -> Result:
    caught_up(engine, clock, rows.estate())
    chosen = Filters(service_line=frozenset({line}))
    return Measures(engine, clock=clock, estate=rows.estate()).kpi("exception-resolution", Ask(WINDOW, filters=chosen))


@st.composite
def mostly_resolved(draw: st.DrawFn) -> list[Step]:
    """So that percentiles are reached: of ten lives that did not end resolved, eight go on until they do."""
    steps = draw(histories())
    hours, what, function, _ = steps[-1]
    if what != "resolved" and draw(st.integers(0, 9)) < 8:
        if what == "decided":
            hours += draw(st.integers(1, 40))
            steps.append((hours, "reopened", function, TIELINE))
        steps.append((hours + draw(st.integers(1, 40)), "resolved", function, TIELINE))
    return steps


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    lives=st.lists(
        st.tuples(mostly_resolved(), st.sampled_from(ENTITIES), st.integers(0, 80)), min_size=24, max_size=32
    )
)
def test_any_lives_give_the_times_of_a_walk_through_their_histories(
    database: sa.Engine, clock: VirtualClock, lives: list[tuple[list[Step], str, int]]
) -> None:
    """Examples stay in the database: each has a service line of its own."""
    line = f"line {next(_lines)}"
    contracts = {entity: add_contract(database, legal_entity=entity, service_line=line) for entity in ENTITIES}
    for number, (steps, entity, later) in enumerate(lives):
        with_history(database, contracts[entity], START + timedelta(hours=later), steps, cause=f"cause_{number}")
    asked = _asked(database, clock, line)
    assert asked.as_of is not None
    walked = [_walked(steps, entity, asked.as_of) for steps, entity in _raw(database, line)]
    _times_agree(asked, walked)
    _counts_agree(asked, walked)


@dataclass
class Walked:
    """Of one exception; seconds, working and calendar."""

    worked: int = 0
    calendar: int = 0
    outcome: str = "open"
    response: tuple[int, int] | None = None  # None: nobody has acted
    waited: tuple[int, int] = (0, 0)  # since it was opened
    held: dict[str, tuple[int, int]] = field(default_factory=dict)  # by function, all of its intervals
    has: str | None = None  # the function that has it now
    path: list[str] = field(default_factory=list)
    reopened: int = 0


def _raw(engine: sa.Engine, line: str) -> list[tuple[list[dict[str, Any]], str]]:
    with engine.connect() as conn:
        found = conn.execute(
            sa.text("""
            SELECT c.legal_entity, h.* FROM core.case_history AS h JOIN core.case AS k USING (case_id)
                   JOIN core.contract AS c USING (contract_id)
            WHERE c.service_line = :line ORDER BY h.case_id, h.occurred_at, h.recorded_xid"""),
            {"line": line},
        )
        by_case: dict[int, list[dict[str, Any]]] = {}
        for row in found:
            by_case.setdefault(row.case_id, []).append(dict(row._mapping))
    return [(steps, steps[0]["legal_entity"]) for steps in by_case.values()]


def _walked(steps: list[dict[str, Any]], entity: str, now: datetime) -> Walked:
    found, since, opened = Walked(), None, steps[0]["occurred_at"]

    def apart(start: datetime, end: datetime) -> tuple[int, int]:
        return worked_s(start, end, entity), round((end - start).total_seconds())

    def passed(until: datetime) -> None:
        assert since is not None
        work, calendar = apart(since, until)
        found.worked, found.calendar = found.worked + work, found.calendar + calendar
        before = found.held.get(found.path[-1], (0, 0))
        found.held[found.path[-1]] = before[0] + work, before[1] + calendar

    for step in steps:
        at, what = step["occurred_at"], step["what"]
        if since is not None and what in ("handed_over", "resolved", "decided"):
            passed(at)
            since = None
        if what in ("opened", "reopened", "handed_over"):
            since = at
            found.path += [step["function"]] if found.path[-1:] != [step["function"]] else []
        found.reopened += what == "reopened"
        found.outcome = {"resolved": "resolved", "decided": "decided", "reopened": "open"}.get(what, found.outcome)
        if found.response is None and step["actor"] != TIELINE:
            found.response = apart(opened, at)
    if since is not None:
        passed(now)
        found.has = found.path[-1]
    found.waited = apart(opened, now)
    return found


def _times_agree(asked: Result, walked: list[Walked]) -> None:
    answer = asked.answer
    ended = [one for one in walked if one.outcome == "resolved"]
    still = [one for one in walked if one.outcome == "open"]
    assert (answer.n, answer.n_open) == (len(ended) + len(still), len(still))
    answered = [one.response for one in walked if one.response is not None]
    unanswered = [one.waited for one in still if one.response is None]
    given_up = [took for one in walked for function, took in one.held.items() if function != one.has]
    held = [one.held[one.has] for one in walked if one.has is not None]
    spent, so_far = ([(one.worked, one.calendar) for one in some] for some in (ended, still))
    figures = {
        "p50": (spent, so_far, 0.5, 0), "p90": (spent, so_far, 0.9, 0),
        "p50_calendar": (spent, so_far, 0.5, 1), "p90_calendar": (spent, so_far, 0.9, 1),
        "naive_p50": (spent, [], 0.5, 0),
        "response_p50": (answered, unanswered, 0.5, 0), "response_p90": (answered, unanswered, 0.9, 0),
        "response_p50_calendar": (answered, unanswered, 0.5, 1),
        "in_function_p50": (given_up, held, 0.5, 0), "in_function_p90": (given_up, held, 0.9, 0),
        "in_function_p50_calendar": (given_up, held, 0.5, 1),
    }  # fmt: skip
    for key, (ends, opens, share, which) in figures.items():
        slow = percentile([one[which] for one in ends], [one[which] for one in opens], share)
        unit = 86_400 if key.endswith("calendar") else 3600
        expected = None if slow is None else pytest.approx(slow / unit, abs=2 / unit)
        assert answer.figure(key).value == expected, key
    assert answer.value == answer.figure("p50").value
    assert answer.figure("awaiting_response").value == len(unanswered)


def _counts_agree(asked: Result, walked: list[Walked]) -> None:
    answer = asked.answer
    decided = sum(one.outcome == "decided" for one in walked)
    assert answer.excluded == {"closed by decision": decided, "of a test contract": 0}
    flows = Counter(f"{a}>{b}" for one in walked for a, b in zip(one.path, one.path[1:], strict=False))
    assert {f.key.removeprefix("flow:"): f.value for f in answer.figures if f.key.startswith("flow:")} == flows
    expected = {
        "resolved": sum(one.outcome == "resolved" for one in walked),
        "decided": decided,
        "unanswered": sum(one.response is None and one.outcome != "open" for one in walked),
        "reopened": sum(one.reopened for one in walked),
        "hand_offs": sum(flows.values()),
        "ping_pongs": sum(a == b for one in walked for a, b in zip(one.path, one.path[2:], strict=False)),
    }
    assert {key: answer.figure(key).value for key in expected} == expected


def test_headline_percentiles_and_first_response_of_twenty_by_hand(database: sa.Engine, clock: VirtualClock) -> None:
    """Opened on Monday at 9:00 in New York; the nth is answered after n x 6 minutes, resolved after n x 3 hours."""
    contract = add_contract(database, service_line="twenty")
    for n in range(1, 20):
        steps: list[Step] = [(0, "opened", "tax", TIELINE), (n / 10, "acknowledged", "tax", PAT),
                             (3 * n, "resolved", "tax", TIELINE)]  # fmt: skip
        with_history(database, contract, START, steps, cause=f"cause_{n}")
    with_history(database, contract, START, [(0, "opened", "tax", TIELINE)], cause="open")
    answer = _asked(database, clock, "twenty").answer
    # S falls by 1/20 at each end: half have ended at the tenth, on Tuesday at 15:00, nine of ten at the eighteenth, on
    # Wednesday at 15:00: 8.5 + 6 and 8.5 + 8.5 + 6 working hours. Answered were they after 1 h and after 1.8 h.
    assert (answer.value, answer.n, answer.n_open) == (14.5, 20, 1)
    assert answer.figure("p90").value == 23.0
    assert answer.figure("p50_calendar").value == pytest.approx(30 / 24)
    assert answer.figure("p90_calendar").value == pytest.approx(54 / 24)
    assert answer.figure("response_p50").value == 1.0
    assert answer.figure("response_p90").value == pytest.approx(1.8)
    assert answer.figure("awaiting_response").value == 1
