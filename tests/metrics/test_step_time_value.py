"""Medians, nines and shares of the steps, against a plain walk through the progress that was noted of each contract."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Final

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.kpi import Answer
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.flow_rows import asked, made, said, step
from tests.metrics.plain_time import GERMAN, Office

STEPS: Final = ("captured", "validated", "project_created", "billing_set_up", "active")
# Of flow_rows.ESTATE; an entity that nobody knows is on the group's calendar.
OFFICES: Final = {
    "GB01": Office("Europe/London"), "US01": Office("America/New_York"),
    "DE01": Office("Europe/Berlin", closed=GERMAN), "XX99": Office("Europe/London"),
}  # fmt: skip
BEGIN: Final = datetime(2026, 10, 23, 8, tzinfo=UTC)  # a Friday; on Sunday summer time ends in Europe

_MINUTES = st.one_of(st.integers(0, 300), st.integers(0, 4_000))
_LIVES = st.tuples(
    st.sampled_from(sorted(OFFICES)), st.integers(0, 5_000),  # minutes from BEGIN to the signature
    st.lists(st.one_of(st.none(), _MINUTES), max_size=4),  # from one step to the next one; None: it passed unseen
    st.one_of(st.none(), _MINUTES),  # from there to the activation
    st.sampled_from(["", "", "", "", "cancelled", "test"]),
)  # fmt: skip
_Life = tuple[str, int, list[int | None], int | None, str]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(_LIVES, min_size=8, max_size=24))
def test_any_progress_gives_what_plain_arithmetic_gives(
    database: sa.Engine, clock: VirtualClock, lives: list[_Life]
) -> None:
    """The lives of all examples add to each other."""
    for life in lives:
        _live(database, life)
    ended, running, calendar = _walked(database)
    answer = asked(database, clock, "step-time").answer
    assert answer.n == len(ended["captured"]) + len(running["captured"])
    assert answer.n_open == sum(map(len, running.values()))
    worked = {name: sum(ended[name]) + sum(running[name]) for name in STEPS}
    for name in STEPS:
        assert answer.figure(f"{name}_open").value == len(running[name]), name
        for figure, share in (("p50", Fraction(1, 2)), ("p90", Fraction(9, 10))):
            expected = _slow_percentile(ended[name], running[name], share)
            assert _number(answer, f"{name}_{figure}") == (None if expected is None else pytest.approx(expected / 60))
        assert _number(answer, f"{name}_hours") == pytest.approx(worked[name] / 60)
        assert _number(answer, f"{name}_days") == pytest.approx(calendar[name] / (24 * 60))
        if any(worked.values()):
            assert _number(answer, f"{name}_share") == pytest.approx(worked[name] / sum(worked.values()))
        if any(calendar.values()):
            part = calendar[name] / sum(calendar.values())
            assert _number(answer, f"{name}_share_calendar") == pytest.approx(part)
    if any(worked.values()):
        assert answer.value == pytest.approx(max(worked.values()) / sum(worked.values()))


def _number(answer: Answer, key: str) -> float | None:
    value = answer.figure(key).value
    return None if value is None else float(str(value))


def _live(engine: sa.Engine, life: _Life) -> None:
    entity, after, reached, last, kind = life
    signed = BEGIN + timedelta(minutes=after)
    at, noted = signed, []
    for name, minutes in zip(STEPS, reached, strict=False):
        at += timedelta(minutes=minutes or 0)
        if minutes is not None:
            noted.append((name, at))
    active = None if last is None or kind == "cancelled" else at + timedelta(minutes=last)
    state = {"state": "ended", "state_since": at} if kind == "cancelled" else {}
    contract = made(engine, signed, active, entity=entity, test=kind == "test", **state)
    said(engine, contract, "approved", signed, revision=1, approval="approved")  # news, so it is measured
    for name, moment in [*noted, *([("active", active)] if active else [])]:
        step(engine, contract, name, moment)


_Minutes = dict[str, list[int]]  # working ones, by step


def _walked(engine: sa.Engine) -> tuple[_Minutes, _Minutes, dict[str, int]]:
    """Of steps that ended, of those that run, and of both by the clock on the wall; from the rows alone."""
    with engine.connect() as conn:
        contracts = conn.execute(sa.text("SELECT * FROM core.contract WHERE NOT test AND state <> 'ended'")).all()
        noted = conn.execute(sa.text("SELECT contract_id, step, occurred_at FROM core.progress")).all()
    moments: dict[int, dict[str, datetime]] = defaultdict(dict)
    for one in noted:
        moments[one.contract_id][one.step] = one.occurred_at
    ended: _Minutes = defaultdict(list)
    running: _Minutes = defaultdict(list)
    calendar: dict[str, int] = defaultdict(int)
    for contract in contracts:
        office = OFFICES[contract.legal_entity]
        reached = _reached(contract.received_at, moments[contract.contract_id])
        for name, (start, end) in zip(STEPS, pairwise([contract.signed_at, *reached]), strict=False):
            ended[name].append(office.minutes(start, end))
            calendar[name] += int((end - start).total_seconds()) // 60
        if len(reached) < len(STEPS):
            name, since = STEPS[len(reached)], reached[-1]
            running[name].append(office.minutes(since, rows.NOW))
            calendar[name] += int((rows.NOW - since).total_seconds()) // 60
    return ended, running, calendar


def _reached(received: datetime, noted: dict[str, datetime]) -> Sequence[datetime]:
    """When each step ended, as far as it came. One that passed unseen ended with the next one that was noted; that a
    contract was captured is known from its receipt.
    """
    known = [noted.get("captured", received), *(noted.get(name) for name in STEPS[1:])]
    found: list[datetime] = []
    for place in range(len(STEPS)):
        later = [moment for moment in known[place:] if moment is not None]
        if not later:
            break
        found.append(later[0])
    return found


def _slow_percentile(ended: list[int], running: list[int], share: Fraction) -> int | None:
    """Kaplan-Meier by fractions; none of fewer than twenty, nor where it is not reached."""
    if len(ended) + len(running) < 20:
        return None
    survival = Fraction(1)
    for minutes in sorted(set(ended)):
        survival *= 1 - Fraction(ended.count(minutes), sum(n >= minutes for n in ended + running))
        if survival <= 1 - share:
            return minutes
    return None
