"""Contract-to-project cycle time: every edge by hand, and any life of a contract against plain arithmetic."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, By
from metrics.measures import Measures
from metrics.refresh import refresh
from sync_core.clock import VirtualClock
from sync_core.estate.calendar import working_time
from sync_core.estate.estate import load
from tests import rows
from tests.metrics.flow_rows import ESTATE, WINDOW, amended, asked, facts, made, ran, said, step
from tests.metrics.support import caught_up
from tests.reads.handmade import add_quarantined, end_quarantined, insert

TUESDAY = datetime(2026, 11, 10, 10, tzinfo=UTC)  # 10:00 in London, no summer time
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)  # Monday 2026-11-23 6:00 in London


def test_without_contracts_there_is_no_value(database: sa.Engine, clock: VirtualClock) -> None:
    answer = asked(database, clock, "cycle-time").answer
    assert (answer.value, answer.n, answer.n_open) == (None, 0, 0)
    assert answer.why_none == "n = 0: below 20 cases a percentile says nothing"


def test_open_contracts_count_and_stand_beside_the_naive_median(database: sa.Engine, clock: VirtualClock) -> None:
    for n in range(1, 11):
        made(database, TUESDAY, TUESDAY + n * timedelta(minutes=30))
    for _ in range(10):
        made(database, TUESDAY)
    answer = asked(database, clock, "cycle-time").answer
    assert (answer.n, answer.n_open, answer.figure("provisioned").value) == (20, 10, 10)
    # Ten of twenty are done, the last after 5 h: S comes down to one half there, and not before.
    assert answer.value == 5.0
    assert answer.figure("naive_p50").value is None  # ten alone are too few
    assert answer.figure("p90").value is None
    # From Tuesday 10:00 to Monday 6:00: 7.5 h of the first day and eight whole days.
    assert answer.figure("p90").note == f"not reached: at least {7.5 + 8 * 8.5:.1f}"


def test_nine_of_twenty_reach_no_median_and_the_answer_says_at_least(database: sa.Engine, clock: VirtualClock) -> None:
    for n in range(20):
        made(database, TUESDAY, TUESDAY + HOUR if n < 9 else None)
    answer = asked(database, clock, "cycle-time").answer
    assert answer.value is None
    assert answer.why_none == "not reached: at least 75.5 working hours"


def test_nineteen_cases_are_too_few(database: sa.Engine, clock: VirtualClock) -> None:
    for _ in range(19):
        made(database, TUESDAY, TUESDAY + HOUR)
    answer = asked(database, clock, "cycle-time").answer
    assert (answer.value, answer.n) == (None, 19)
    assert answer.why_none == "n = 19: below 20 cases a percentile says nothing"


def test_a_cancelled_contract_is_another_end(database: sa.Engine, clock: VirtualClock) -> None:
    for _ in range(10):
        made(database, TUESDAY, TUESDAY + 1.5 * DAY)
    for _ in range(10):
        gone = made(database, TUESDAY, state="ended", state_since=TUESDAY + 5 * DAY)
        step(database, gone, "ended", TUESDAY + HOUR)
    answer = asked(database, clock, "cycle-time").answer
    assert answer.excluded["cancelled before it was active"] == 10
    assert (answer.n, answer.n_open) == (10, 0)
    assert [answer.figure(f"by_day_{days}").value for days in (1, 2, 5, 10)] == pytest.approx([0, 0.5, 0.5, 0.5])


def test_the_clock_ends_at_the_first_activation_and_the_stable_one_is_beside(
    database: sa.Engine, clock: VirtualClock
) -> None:
    back = made(database, TUESDAY, TUESDAY + HOUR)
    late = made(database, TUESDAY, TUESDAY + HOUR)
    stuck = made(database, TUESDAY, TUESDAY + HOUR, state="blocked")
    for contract in (back, late, stuck):
        # As the engine writes it: the run is over a little before its commit.
        step(database, contract, "active", TUESDAY + HOUR - timedelta(milliseconds=40))
    step(database, back, "blocked", TUESDAY + 2 * HOUR)
    step(database, back, "unblocked", TUESDAY + 3 * HOUR)
    step(database, late, "blocked", TUESDAY + 8 * DAY)
    step(database, stuck, "blocked", TUESDAY + 2 * HOUR)
    answer = asked(database, clock, "cycle-time").answer
    assert (answer.figure("reopened").value, answer.figure("not_stable").value) == (2, 1)
    known = {row["contract_id"]: row for row in facts(database, "contract")}
    assert [known[one.contract_id]["cycle_s"] for one in (back, late, stuck)] == [3600, 3600, 3600]
    assert known[back.contract_id]["stable_at"] == TUESDAY + 3 * HOUR
    assert known[back.contract_id]["stable_work_s"] == 3 * 3600
    assert known[late.contract_id]["stable_at"] == TUESDAY + HOUR
    assert known[stuck.contract_id]["stable_at"] is None


def test_a_block_of_a_later_amendment_is_no_reopening(database: sa.Engine, clock: VirtualClock) -> None:
    contract = made(database, TUESDAY, TUESDAY + HOUR)
    step(database, contract, "active", TUESDAY + HOUR)
    amended(database, contract, 1, TUESDAY + DAY)
    step(database, contract, "blocked", TUESDAY + DAY, amendment=1)
    assert asked(database, clock, "cycle-time").answer.figure("reopened").value == 0


def test_amended_in_flight_keeps_the_signature_and_is_tagged(database: sa.Engine, clock: VirtualClock) -> None:
    contract = made(database, TUESDAY, TUESDAY + 3 * HOUR)
    amended(database, contract, 1, TUESDAY + HOUR)
    made(database, TUESDAY, TUESDAY + HOUR)
    assert asked(database, clock, "cycle-time").answer.figure("amended").value == 1
    assert [row["cycle_s"] for row in facts(database, "contract")] == [3 * 3600, 3600]
    shown = Measures(database, clock=clock, estate=ESTATE).drill("cycle-time", Ask(WINDOW))
    assert [row["tag"] for row in shown.rows] == ["amended in flight", ""]


def test_active_before_the_signature_is_excluded_and_counted(database: sa.Engine, clock: VirtualClock) -> None:
    early = made(database, TUESDAY, TUESDAY - DAY)
    said(database, early, "signed", TUESDAY - 2 * DAY, signed_at=TUESDAY.isoformat(), revision=1, terms={})
    answer = asked(database, clock, "cycle-time").answer
    assert (answer.n, answer.excluded["active before the signature"]) == (0, 1)


def test_a_contract_signed_anew_keeps_its_first_signature(database: sa.Engine, clock: VirtualClock) -> None:
    again = made(database, TUESDAY + 9 * DAY, TUESDAY + HOUR)
    said(database, again, "signed", TUESDAY, signed_at=TUESDAY.isoformat(), revision=1, terms={})
    said(database, again, "signed", TUESDAY + 9 * DAY, signed_at=(TUESDAY + 9 * DAY).isoformat(), revision=2, terms={})
    answer = asked(database, clock, "cycle-time").answer
    assert (answer.n, answer.excluded["active before the signature"]) == (1, 0)
    [row] = facts(database, "contract")
    assert (row["signed_at"], row["cycle_s"]) == (TUESDAY, 3600)


def test_no_date_of_a_contract_stops_the_measures(database: sa.Engine, clock: VirtualClock) -> None:
    made(database, datetime(1601, 1, 1, tzinfo=UTC), TUESDAY)
    odd = made(database, TUESDAY + DAY, TUESDAY)
    said(database, odd, "signed", TUESDAY, signed_at=1_794_304_800, revision=1, terms={})  # a number of seconds
    answer = asked(database, clock, "cycle-time").answer
    assert answer.excluded["active before the signature"] == 1


def test_holidays_weekends_and_summer_time_are_those_of_the_legal_entity(
    database: sa.Engine, clock: VirtualClock
) -> None:
    # Summer time ends on Sunday 25 October. Friday 16:30 to Monday 10:00 in London: an hour on each day.
    made(database, datetime(2026, 10, 23, 15, 30, tzinfo=UTC), datetime(2026, 10, 26, 10, tzinfo=UTC))
    # Friday 2026-05-01 is a holiday in Germany: from Thursday 16:30 to Monday 10:00.
    made(database, datetime(2026, 4, 30, 14, 30, tzinfo=UTC), datetime(2026, 5, 4, 8, tzinfo=UTC), entity="DE01")
    # In the night nobody works, so it takes no working time.
    made(database, datetime(2026, 10, 23, 21, tzinfo=UTC), datetime(2026, 10, 24, 6, tzinfo=UTC))
    asked(database, clock, "cycle-time")
    known = facts(database, "contract")
    assert [row["cycle_work_s"] for row in known] == [2 * 3600, 2 * 3600, 0]
    assert [row["cycle_s"] for row in known] == [int(66.5 * 3600), int(89.5 * 3600), 9 * 3600]


def test_a_signature_in_quarantine_is_one_open_case_until_it_is_read(database: sa.Engine, clock: VirtualClock) -> None:
    add_quarantined(database, "Q-1", hours=30)
    add_quarantined(database, "Q-2", hours=30, signature=False)
    known = made(database, None)
    for n in (1, 2):  # two of one contract
        insert(database, "quarantine", source=rows.SOURCE, event_id=f"k-{n}", type="signed.v9",
               external_id=known.external_id, reason="not registered", signature=True, body=b"{}",
               received_by="webhook", correlation_id="q", occurred_at=TUESDAY, recorded_at=TUESDAY)  # fmt: skip
    found = asked(database, clock, "cycle-time", By.LEGAL_ENTITY)
    assert (found.answer.n, found.answer.n_open, found.answer.figure("quarantined").value) == (2, 2, 2)
    assert {group: part.n_open for group, part in found.parts.items()} == {"": 1, "GB01": 1}
    first = caught_up(database, clock, ESTATE)
    clock.advance(HOUR)
    end_quarantined(database, at=clock.now())
    with database.begin() as conn:
        conn.execute(
            sa.text("UPDATE core.contract SET signed_at = :at, state = 'waiting' WHERE contract_id = :id"),
            {"at": TUESDAY, "id": known.contract_id},
        )
    ran(database, known, clock.now(), clock.now(), rev=1, state="waiting")
    clock.advance(HOUR)
    later = asked(database, clock, "cycle-time").answer
    assert (later.n_open, later.figure("quarantined").value) == (1, 0)
    measures = Measures(database, clock=clock, estate=ESTATE)
    then = measures.kpi("cycle-time", Ask(WINDOW, as_of=first.at), By.LEGAL_ENTITY)
    assert (then.answer, then.parts) == (found.answer, found.parts)


def test_a_receipt_or_an_end_that_is_committed_late_does_not_appear_behind_a_moment(
    database: sa.Engine, clock: VirtualClock
) -> None:
    made(database, TUESDAY, TUESDAY + HOUR)
    add_quarantined(database, "Q-1", hours=30)
    caught_up(database, clock, ESTATE)
    clock.advance(HOUR)
    measures = Measures(database, clock=clock, estate=ESTATE)
    with database.connect() as late, late.begin():
        late.execute(sa.text("UPDATE core.quarantine SET released_at = :at, ended_xid = pg_current_xact_id()"),
                     {"at": clock.now() - HOUR})  # fmt: skip
        late.execute(
            sa.text("""INSERT INTO core.quarantine (source, event_id, type, external_id, reason, signature,
            body, received_by, correlation_id, occurred_at, recorded_at)
            SELECT source, 'q-2', type, 'Q-2', reason, signature, body, received_by, correlation_id, occurred_at,
                   recorded_at FROM core.quarantine""")
        )
        moment = refresh(database, clock=clock, estate=ESTATE).at
        before = measures.kpi("cycle-time", Ask(WINDOW, as_of=moment))
    clock.advance(HOUR)
    assert before.answer.figure("quarantined").value == 1
    caught_up(database, clock, ESTATE)
    assert measures.kpi("cycle-time", Ask(WINDOW, as_of=moment)).answer == before.answer
    add_quarantined(database, "Q-3", hours=30)
    assert asked(database, clock, "cycle-time").answer.figure("quarantined").value == 2


def test_more_than_two_working_days_are_those_of_the_legal_entity(database: sa.Engine, clock: VirtualClock) -> None:
    short = "working_time = { opens = 09:00:00, closes = 13:00:00 }"
    estate = load(rows.ESTATE_TEXT.replace('erp = "legacy"\n', f'erp = "legacy"\n{short}\n', 1))
    [entity] = [one.code for one in estate.entity if one.working_time.closes.hour == 13]
    zone = ZoneInfo(next(one.timezone for one in estate.entity if one.code == entity))
    opens = datetime(2026, 11, 9, 9, tzinfo=zone)
    # Ten working hours of four a day, and of eight and a half: over two days in the one entity, not in the other.
    made(database, opens, opens + 2 * DAY + 2 * HOUR, entity=entity)
    made(database, opens, opens + 2 * DAY, entity=entity)  # eight: just in time
    london = datetime(2026, 11, 9, 9, tzinfo=UTC)
    made(database, london, london + DAY + 1.5 * HOUR, entity="GB01")
    made(database, london, london + 2 * DAY + 1 * HOUR, entity="GB01")  # eighteen
    caught_up(database, clock, estate)
    found = Measures(database, clock=clock, estate=estate).kpi("cycle-time", Ask(WINDOW), By.LEGAL_ENTITY)
    assert found.answer.figure("late").value == 2
    assert {name: part.figure("late").value for name, part in found.parts.items()} == {entity: 1, "GB01": 1}


def test_test_contracts_are_counted_as_excluded_only(database: sa.Engine, clock: VirtualClock) -> None:
    made(database, TUESDAY, TUESDAY + HOUR, test=True)
    answer = asked(database, clock, "cycle-time").answer
    assert (answer.n, answer.excluded["test contract"]) == (0, 1)


_HOURS = st.integers(0, 300).map(lambda hours: timedelta(hours=hours / 3))
_LIVES = st.tuples(
    st.sampled_from(["US01", "GB01", "DE01", "XX99"]), _HOURS, st.sampled_from(["open", "active", "cancelled"]), _HOURS
)


def _slow_median(ended: list[int], still_open: list[int]) -> int | None:
    survival = Fraction(1)
    for t in sorted(set(ended)):
        survival *= 1 - Fraction(ended.count(t), sum(time >= t for time in ended + still_open))
        if survival <= Fraction(1, 2):
            return t
    return None


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=st.lists(_LIVES, min_size=1, max_size=20))
def test_any_lives_give_what_plain_arithmetic_gives(
    database: sa.Engine, clock: VirtualClock, lives: list[tuple[str, timedelta, str, timedelta]]
) -> None:
    for entity, after, end, took in lives:
        signed = datetime(2026, 10, 20, 8, tzinfo=UTC) + after
        if end == "cancelled":
            contract = made(database, signed, entity=entity, state="ended", state_since=signed + took)
            step(database, contract, "ended", signed + took)
        else:
            contract = made(database, signed, signed + took if end == "active" else None, entity=entity)
        said(database, contract, "approved", signed, revision=1, approval="approved")  # news, so it is measured
    answer = asked(database, clock, "cycle-time").answer
    with database.connect() as conn:
        raw = conn.execute(sa.text("SELECT * FROM core.contract ORDER BY contract_id")).all()
    ended = [_worked(row.legal_entity, row.signed_at, row.first_active_at) for row in raw if row.first_active_at]
    still = [_worked(row.legal_entity, row.signed_at, rows.NOW) for row in raw if row.state == "waiting"]
    assert (answer.n, answer.n_open) == (len(ended) + len(still), len(still))
    assert answer.excluded["cancelled before it was active"] == sum(row.state == "ended" for row in raw)
    expected = _slow_median(ended, still) if answer.n >= 20 else None
    assert answer.value == (None if expected is None else pytest.approx(expected / 3600))


def _worked(entity: str, start: datetime, end: datetime) -> int:
    known = ESTATE.entities.get(entity)
    if known is None:
        hours, zone = next(iter(ESTATE.entities.values())).working_time, "Europe/London"
    else:
        hours, zone = known.working_time, known.timezone
    return int(working_time(start, end, hours, zone).total_seconds())
