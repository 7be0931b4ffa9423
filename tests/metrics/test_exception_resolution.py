"""How long exceptions are open, by hand and against a slow recomputation from the raw rows."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, By, Window
from metrics.calendars import GROUP_DAY_H
from metrics.kpi import Result
from metrics.measures import Measures
from metrics.source import Source
from metrics.unread import received
from sync_core.clock import VirtualClock
from sync_core.estate.calendar import working_time
from tests import rows
from tests.metrics.case_rows import TIELINE, Step, with_history
from tests.metrics.support import caught_up
from tests.reads.handmade import add_contract, add_quarantined, end_quarantined

WINDOW = Window.weeks(rows.NOW, "Europe/London", 60)
START = datetime(2026, 11, 9, 14, tzinfo=UTC)  # a Monday, 9:00 in New York
PAT = "pat@example.com"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


def _asked(engine: sa.Engine, clock: VirtualClock, by: By | None = None) -> Result:
    caught_up(engine, clock, rows.estate())
    return Measures(engine, clock=clock, estate=rows.estate()).kpi("exception-resolution", Ask(WINDOW), by)


def _facts(engine: sa.Engine, name: str) -> list[dict[str, Any]]:
    with engine.connect() as conn:
        found = conn.execute(sa.text(f"SELECT * FROM metrics.{name}_fact WHERE known_to IS NULL"))
        return [dict(row._mapping) for row in found]


def test_a_reopened_exception_goes_on_and_each_function_has_its_own_time(
    database: sa.Engine, clock: VirtualClock
) -> None:
    steps: list[Step] = [
        (0, "opened", "tax", TIELINE),
        (0.5, "commented", "tax", TIELINE),  # the engine's own rows are no response
        (1, "handed_over", "legal", PAT),
        (3, "resolved", "legal", TIELINE),
        (24, "reopened", "legal", TIELINE),
        (25, "handed_over", "tax", PAT),
        (26, "resolved", "tax", TIELINE),
    ]
    with_history(database, add_contract(database), START, steps)
    asked = _asked(database, clock)
    [fact] = _facts(database, "case")
    assert (fact["spent_s"], fact["spent_work_s"]) == (5 * 3600, 5 * 3600)
    assert (fact["hand_offs"], fact["ping_pongs"], fact["reopened"]) == (2, 1, 1)
    assert fact["functions"] == ["tax", "legal", "tax"]
    assert fact["response_s"] == 3600
    assert fact["outcome"] == "resolved"
    held = {row["function"]: row["spent_s"] for row in _facts(database, "case_time")}
    assert held == {"tax": 2 * 3600, "legal": 3 * 3600}
    answer = asked.answer
    assert answer.value is None
    assert answer.why_none == "n = 1: below 20 exceptions a percentile says nothing"
    assert answer.figure("flow:tax>legal").value == 1
    assert answer.figure("flow:legal>tax").value == 1
    assert (answer.figure("hand_offs").value, answer.figure("ping_pongs").value) == (2, 1)


def test_the_night_and_the_end_of_summer_time_are_no_working_time(database: sa.Engine, clock: VirtualClock) -> None:
    # Friday 16:30 in London, an hour before the end of the day; Monday 10:00, an hour after its beginning.
    friday = datetime(2026, 10, 23, 15, 30, tzinfo=UTC)
    contract = add_contract(database, legal_entity="GB01")
    with_history(database, contract, friday, [(0, "opened", "tax", TIELINE), (66.5, "resolved", "tax", TIELINE)])
    caught_up(database, clock, rows.estate())
    [fact] = _facts(database, "case")
    assert (fact["spent_s"], fact["spent_work_s"]) == (int(66.5 * 3600), 2 * 3600)


def test_without_any_exception_there_is_no_value(database: sa.Engine, clock: VirtualClock) -> None:
    asked = _asked(database, clock)
    assert (asked.answer.value, asked.answer.n) == (None, 0)
    assert asked.answer.why_none == "no exception was opened in the window"


def test_open_ones_count_decided_ones_and_test_contracts_do_not(database: sa.Engine, clock: VirtualClock) -> None:
    contract, trial = add_contract(database), add_contract(database, test=True)
    for number in range(19):
        steps: list[Step] = [(0, "opened", "tax", TIELINE), (number + 1, "resolved", "tax", TIELINE)]
        with_history(database, contract, START, steps, cause=f"cause_{number}")
    with_history(database, contract, START, [(0, "opened", "legal", TIELINE)], cause="open")
    with_history(database, contract, START, [(0, "opened", "legal", TIELINE), (9, "decided", "legal", PAT)], cause="no")
    with_history(database, trial, START, [(0, "opened", "legal", TIELINE)])
    asked = _asked(database, clock, By.LABEL)
    answer = asked.answer
    assert (answer.n, answer.n_open) == (20, 1)
    assert answer.excluded == {"closed by decision": 1, "of a test contract": 1}
    # S falls by 1/20 at each of 19 ends: half of 20 have ended at the tenth, which is 10 h: the next day, 8.5 + 0.
    assert answer.value == pytest.approx(8.5)
    assert answer.figure("p50_calendar").value == pytest.approx(10 / 24)
    assert answer.figure("awaiting_response").value == 1
    assert answer.figure("unanswered").value == 19
    assert (asked.parts["tax"].n, asked.parts["legal"].n) == (19, 1)
    assert asked.parts["legal"].n_open == 1


def test_a_signature_in_quarantine_is_an_open_exception_of_integration(
    database: sa.Engine, clock: VirtualClock
) -> None:
    for name in ("Q-1", "Q-2", "Q-3"):
        add_quarantined(database, name, hours=48)
    add_quarantined(database, "Q-4", hours=48, signature=False)
    at = rows.NOW - timedelta(hours=47)
    end_quarantined(database, at=at, external_id="Q-1")
    end_quarantined(database, at=at, external_id="Q-2", how="dismissed_at")
    asked = _asked(database, clock, By.LABEL)
    part = asked.parts["integration"]
    assert (part.n, part.n_open, part.excluded["closed by decision"]) == (2, 1, 1)
    assert asked.answer.figure("quarantined").value == 3


def test_a_signature_in_quarantine_ages_until_it_is_released(database: sa.Engine, clock: VirtualClock) -> None:
    for name in ("Q-1", "Q-2"):
        add_quarantined(database, name, hours=5 * 24)  # Wednesday before the Monday that it is, before office hours
    end_quarantined(database, at=rows.NOW - timedelta(hours=4 * 24), external_id="Q-1")
    caught_up(database, clock, rows.estate())
    with database.connect() as conn:
        found = received(Source(conn, Ask(WINDOW), estate=rows.estate()), None)
    day = round(GROUP_DAY_H * 3600)
    assert sorted((one.lasted_s, one.lasted_work_s, one.open) for one in found) == [
        (24 * 3600, day, False), (5 * 24 * 3600, 3 * day, True),
    ]  # fmt: skip


FUNCTIONS = ("tax", "legal", "delivery", "master_data")


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """A life that the engine and people could have made."""
    function, hours, is_open = draw(st.sampled_from(FUNCTIONS)), 0.0, True
    steps: list[Step] = [(0, "opened", function, TIELINE)]
    for _ in range(draw(st.integers(0, 7))):
        hours += draw(st.floats(0.01, 60).map(lambda h: round(h * 3600) / 3600))
        if not is_open:
            steps.append((hours, "reopened", function, TIELINE))
            is_open = True
            continue
        what = draw(st.sampled_from(["handed_over", "acknowledged", "resolved", "decided"]))
        if what == "handed_over":
            function = draw(st.sampled_from([one for one in FUNCTIONS if one != function]))
        is_open = what not in ("resolved", "decided")
        steps.append((hours, what, function, TIELINE if what == "resolved" else PAT))
    return steps


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(histories(), min_size=1, max_size=4), entity=st.sampled_from(["US01", "GB01", "DE01", "??"]))
def test_facts_are_what_a_walk_through_the_history_gives(
    database: sa.Engine, clock: VirtualClock, lives: list[list[Step]], entity: str
) -> None:
    contract = add_contract(database, legal_entity=entity)
    for number, steps in enumerate(lives):
        with_history(database, contract, START, steps, cause=f"cause_{number}")
    asked = _asked(database, clock)
    expected = [_walked(database, row) for row in _raw(database)]
    facts = {fact["case_id"]: fact for fact in _facts(database, "case")}
    held = {(fact["case_id"], fact["function"]): fact for fact in _facts(database, "case_time")}
    for walked in expected:
        fact = facts[walked["case_id"]]
        assert {name: fact[name] for name in walked if name in fact} == {n: v for n, v in walked.items() if n in fact}
        assert {f: s for (case, f), s in _spent(held).items() if case == walked["case_id"]} == walked["held"]
    _agrees(asked, expected)


def _spent(held: dict[tuple[int, str], dict[str, Any]]) -> dict[tuple[int, str], int]:
    return {key: fact["spent_s"] for key, fact in held.items()}


def _raw(engine: sa.Engine) -> list[dict[str, Any]]:
    with engine.connect() as conn:
        found = conn.execute(
            sa.text("""
            SELECT k.case_id, k.state, c.legal_entity,
                   array_agg(to_jsonb(h) ORDER BY h.occurred_at, h.recorded_xid) AS history
            FROM core.case AS k JOIN core.contract AS c USING (contract_id) JOIN core.case_history AS h USING (case_id)
            GROUP BY k.case_id, c.contract_id""")
        )
        return [dict(row._mapping) for row in found]


def _walked(engine: sa.Engine, row: dict[str, Any]) -> dict[str, Any]:
    """Interval by interval, with the calendar's own arithmetic."""
    entity = rows.estate().entities.get(row["legal_entity"])
    calendar, zone = (entity.working_time, entity.timezone) if entity else (None, "Europe/London")
    spent, work = 0, timedelta()
    held: Counter[str] = Counter()
    since: datetime | None = None
    path: list[str] = []
    for step in row["history"]:
        at = datetime.fromisoformat(step["occurred_at"])
        if since is not None and step["what"] in ("handed_over", "resolved", "decided"):
            lasted = int((at - since).total_seconds())
            spent += lasted
            held[path[-1]] += lasted
            work += working_time(since, at, calendar or rows.estate().entities["GB01"].working_time, zone)
            since = None
        if step["what"] in ("opened", "reopened", "handed_over"):
            since = at
            path += [step["function"]] if not path or path[-1] != step["function"] else []
        held.setdefault(path[-1], 0)
    acted = [datetime.fromisoformat(s["occurred_at"]) for s in row["history"] if s["actor"] != TIELINE]
    opened = datetime.fromisoformat(row["history"][0]["occurred_at"])
    return {
        "case_id": row["case_id"], "outcome": row["state"], "spent_s": spent, "spent_work_s": work.total_seconds(),
        "open_since": since, "functions": path, "hand_offs": len(path) - 1, "held": dict(held),
        "ping_pongs": sum(a == b for a, b in zip(path, path[2:], strict=False)),
        "response_s": int((acted[0] - opened).total_seconds()) if acted else None,
    }  # fmt: skip


def _agrees(asked: Result, expected: list[dict[str, Any]]) -> None:
    assert asked.as_of is not None
    now, answer = asked.as_of, asked.answer
    counted = [one for one in expected if one["outcome"] != "decided"]
    assert (answer.n, answer.n_open) == (len(counted), sum(one["outcome"] == "open" for one in counted))
    ended = [float(one["spent_s"]) for one in counted if one["outcome"] == "resolved"]
    still = [one["spent_s"] + (now - one["open_since"]).total_seconds() // 1 for one in counted
             if one["outcome"] == "open"]  # fmt: skip
    median = answer.figure("p50_calendar").value
    slow = _slow_median(ended, still) if len(counted) >= 20 else None
    assert median == (None if slow is None else pytest.approx(slow / 86_400, abs=2 / 86_400))
    flows = Counter(
        f"{a}>{b}" for one in expected for a, b in zip(one["functions"], one["functions"][1:], strict=False)
    )
    shown = {f.key.removeprefix("flow:"): f.value for f in answer.figures if f.key.startswith("flow:")}
    assert shown == dict(flows)


def _slow_median(ended: list[float], still_open: list[float]) -> float | None:
    """The product limit, one time after the other."""
    left = 1.0
    for moment in sorted(set(ended)):
        at_risk = sum(t >= moment for t in ended) + sum(t >= moment for t in still_open)
        left *= 1 - ended.count(moment) / at_risk
        if left <= 0.5 + 1e-12:
            return moment
    return None
