"""Attempts, messages and backlog of random runs and contracts, against a plain walk through the rows themselves."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import count, groupby
from operator import itemgetter

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.backlog import Backlog, Waiting, over_all
from metrics.technical import Attempts, Technical, together
from sync_core.clock import VirtualClock
from tests.collectors.test_journal import add_run, counted
from tests.reads.handmade import add_contract
from tests.rows import NOW

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WINDOWS = (15 * MINUTE, HOUR, 6 * HOUR, 48 * HOUR)  # the last is read by the hour
LANES = ("cloud", "legacy")
_contracts = count(1_000_000)

# How an attempt may end, and what that counts as.
ENDS = {
    ("converged", None): "ok", ("blocked", None): "blocked", ("skipped", None): "skipped", ("lost", None): "transient",
    ("retry", "transient"): "transient", ("retry", "ambiguous"): "ambiguous", ("retry", "internal"): "permanent",
    ("blocked", "erp_rejected"): "permanent", ("failed", "ambiguous"): "ambiguous", ("failed", "internal"): "permanent",
}  # fmt: skip
_Run = tuple[int, str, int, tuple[str, str | None]]
_LIVES = st.lists(  # of one contract: revision, lane, seconds since the run before, how it ended
    st.tuples(
        st.integers(1, 2), st.sampled_from(LANES), st.integers(1, 4 * 3600), st.sampled_from(sorted(ENDS, key=str)),
    ),
    min_size=1, max_size=5,
)  # fmt: skip


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(st.tuples(_LIVES, st.booleans()), min_size=1, max_size=5), cut=st.integers(0, 25))
def test_any_runs_are_as_many_attempts_and_messages_as_a_walk_through_them_finds(
    database: sa.Engine, clock: VirtualClock, lives: list[tuple[list[_Run], bool]], cut: int
) -> None:
    """Wherever in between they are counted; the runs of all examples add up."""
    told = sorted(one for life, replayed in lives for one in _moments(life, replayed))
    for some in (told[:cut], told[cut:]):
        with database.begin() as conn:
            for at, contract, by_person, (rev, lane, _, (outcome, error_class)) in some:
                run = add_run(conn, contract, rev, lane=lane, at=at, outcome=outcome, error_class=error_class)
                if by_person:
                    _carried_an_item(conn, contract, run)
        counted(database, clock)
    for window in WINDOWS:
        since = NOW + MINUTE - window
        found = Technical(database, clock=clock).report(window).attempts
        slow = _walked(database, since.replace(minute=0) if window > timedelta(days=1) else since)
        assert {lane: _numbers(one) for lane, one in found.items()} == slow, window
        whole = together(found)
        attempts, messages = (sum(map(itemgetter(n), slow.values())) for n in (0, 1))
        assert (whole.attempts, whole.messages) == (attempts, messages)
        assert whole.amplification == (attempts / messages if messages else None)


def _moments(life: list[_Run], replayed: bool) -> Iterator[tuple[datetime, int, bool, _Run]]:
    """Of a contract of its own, one after the other until now; a person may have asked for the first of them."""
    contract, at = next(_contracts), NOW - 5 * HOUR
    for place, run in enumerate(life):
        at = min(at + timedelta(seconds=run[2]), NOW - timedelta(seconds=len(life) - place))
        yield at, contract, replayed and place == 0, run


def _carried_an_item(conn: sa.Connection, contract: int, run: str) -> None:
    conn.execute(
        sa.text("""
        WITH asked AS (
            INSERT INTO core.replay (created_at, created_by, title, origin, selection, entities, items, state,
                                     per_minute)
            VALUES (:at, 'pat', '', 'current', '{}', '{GB01}', 1, 'finished', 1) RETURNING replay_id)
        INSERT INTO core.replay_item (replay_id, contract_id, position, eligibility, preview, preview_due_at, state,
                                      run_id)
        SELECT replay_id, :contract, 1, 'eligible', 'done', :at, 'failed', CAST(:run AS uuid) FROM asked"""),
        {"at": NOW, "contract": contract, "run": run},
    )


_Numbers = tuple[int, int, int, Counter[str], tuple[Fraction | None, ...]]  # the rates of `_numbers`


def _numbers(one: Attempts) -> _Numbers:
    rates = (one.failure_rate, one.message_failure_rate, one.amplification)
    exact = (None if rate is None else Fraction(rate).limit_denominator(10_000) for rate in rates)
    return one.attempts, one.messages, one.failed_messages, Counter(one.by_label), tuple(exact)


def _walked(engine: sa.Engine, since: datetime) -> dict[str, _Numbers]:
    """By lane. Messages are those whose first run nobody asked for; one is given up when any of its runs was."""
    with engine.connect() as conn:
        runs = conn.execute(
            sa.text("""
            SELECT contract_id, rev, lane, outcome, error_class, started_at, EXISTS (
                       SELECT FROM core.replay_item AS i WHERE i.run_id = r.run_id) AS by_person
            FROM core.run AS r ORDER BY contract_id, rev, started_at""")
        ).all()
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    messages, given_up = Counter[str](), Counter[str]()
    for _, grouped in groupby(runs, key=lambda run: (run.contract_id, run.rev)):
        tries = list(grouped)
        for run in tries:
            if run.started_at >= since:
                labels[run.lane][ENDS[run.outcome, run.error_class]] += 1
        first = tries[0]
        if first.started_at >= since and not first.by_person:
            messages[first.lane] += 1
            given_up[first.lane] += any(run.outcome == "failed" for run in tries)
    return {
        lane: _of_lane(told, messages[lane], given_up[lane]) for lane, told in labels.items()
    }  # fmt: skip


def _of_lane(told: Counter[str], messages: int, given_up: int) -> _Numbers:
    attempts = sum(told.values())
    failed = told["transient"] + told["ambiguous"] + told["permanent"]
    of_messages = [Fraction(n, messages) if messages else None for n in (given_up, attempts)]
    return attempts, messages, given_up, Counter(told), (Fraction(failed, attempts), *of_messages)


_QUEUED = st.tuples(
    st.sampled_from(LANES), st.sampled_from(["waiting", "blocked", "set_aside", "active", "draft"]),
    st.one_of(st.none(), st.integers(-5000, 5000)),  # seconds since it was due
    st.integers(0, 5000), st.booleans(),  # since when it is in its state, and whether a worker has it
)  # fmt: skip
_COUNTED = st.tuples(
    st.sampled_from(LANES), st.sampled_from(["ok", "transient", "permanent"]), st.integers(-3, 20), st.integers(1, 9)
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(queued=st.lists(_QUEUED, max_size=12), ended=st.lists(_COUNTED, max_size=6, unique_by=lambda one: one[:3]))
def test_any_backlog_is_what_a_walk_through_the_contracts_finds(
    database: sa.Engine, clock: VirtualClock, queued: list[tuple[str, str, int | None, int, bool]],
    ended: list[tuple[str, str, int, int]],
) -> None:  # fmt: skip
    for lane, state, due, since, held in queued:
        add_contract(database, lane=lane, state=state, due_at=None if due is None else NOW - timedelta(seconds=due),
                     state_since=NOW - timedelta(seconds=since), lease_owner=7 if held else None)  # fmt: skip
    _count_runs(database, ended)
    found = Technical(database, clock=clock).report().backlog
    slow = _waiting(database)
    assert {lane: (one.contracts, dict(one.oldest_age_s), one.completed) for lane, one in found.items()} == slow
    for lane, one in found.items():
        assert one.drain_s == _drains(one), lane
    assert _adds_up(over_all(found), list(found.values()))


def _count_runs(engine: sa.Engine, ended: list[tuple[str, str, int, int]]) -> None:
    """How runs ended, so many minutes ago."""
    with engine.begin() as conn:
        conn.execute(sa.text("SELECT telemetry.open_months(:first, :last)"), {"first": NOW - HOUR, "last": NOW + HOUR})
        for lane, label, minutes, n in ended:
            conn.execute(
                sa.text("""
                INSERT INTO telemetry.count_minute VALUES (:at, 'attempts', :lane, :label, :n)
                ON CONFLICT (at, name, system, label) DO UPDATE SET n = excluded.n"""),
                {"at": NOW - minutes * MINUTE, "lane": lane, "label": label, "n": n},
            )


def _waiting(engine: sa.Engine) -> dict[str, tuple[dict[Waiting, int], dict[Waiting, float], int]]:
    with engine.connect() as conn:
        contracts = conn.execute(sa.text("SELECT * FROM core.contract")).all()
        minutes = conn.execute(sa.text("SELECT * FROM telemetry.count_minute")).all()
    done, ages = Counter[str](), defaultdict[str, dict[Waiting, list[float]]](lambda: defaultdict(list))
    for one in minutes:
        if one.name == "attempts" and one.label == "ok" and NOW - 15 * MINUTE <= one.at < NOW:
            done[one.system] += one.n
    for one in contracts:
        stopped = one.state in ("blocked", "set_aside")
        due_s = (NOW - one.due_at).total_seconds() if one.due_at else None
        if due_s is None and one.lease_owner is None and not stopped:
            continue
        if one.lease_owner is not None:
            where = Waiting.IN_FLIGHT
        elif stopped:
            where = Waiting.BLOCKED if one.state == "blocked" else Waiting.DEAD
        else:
            where = Waiting.READY if due_s is not None and due_s >= 0 else Waiting.SCHEDULED
        age_s = (NOW - one.state_since).total_seconds() if stopped else max(due_s or 0.0, 0.0)
        ages[one.lane][where].append(age_s)
    return {
        lane: (
            {state: len(ages[lane].get(state, [])) for state in Waiting},
            {state: max(found) for state, found in ages[lane].items()},
            done[lane],
        )
        for lane in {*ages, *done}
    }


def _drains(one: Backlog) -> object:
    ready = one.contracts[Waiting.READY]
    if not ready:
        return 0
    return pytest.approx(ready * 900 / one.completed) if one.completed else None


def _adds_up(whole: Backlog, parts: list[Backlog]) -> bool:
    counts = all(whole.contracts[state] == sum(part.contracts[state] for part in parts) for state in Waiting)
    oldest = all(age == max(part.oldest_age_s.get(state, 0) for part in parts)
                 for state, age in whole.oldest_age_s.items())  # fmt: skip
    return counts and oldest and whole.completed == sum(part.completed for part in parts)
