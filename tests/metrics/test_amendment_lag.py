"""Amendment sync lag: every edge by hand."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By
from metrics.burn import PERIOD, Events
from metrics.measures import Measures
from metrics.slo_events import Looked
from metrics.slo_events import amended as amendments_in_time
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.amendment_rows import DAY, HOUR, MONDAY, SIGNED, active, done
from tests.metrics.flow_rows import ESTATE, WINDOW, amended, asked, facts, made, ran, said, step
from tests.metrics.support import caught_up
from tests.reads.handmade import insert


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)  # Monday 2026-11-23 6:00 in London


def test_without_amendments_there_is_no_value(database: sa.Engine, clock: VirtualClock) -> None:
    active(database)
    answer = asked(database, clock, "amendment-lag").answer
    assert (answer.value, answer.n, answer.figure("in_time").value, answer.figure("oldest_open").value) == (
        None, 0, None, None,
    )  # fmt: skip


def test_the_lag_begins_at_the_execution_and_our_own_part_at_the_receipt(
    database: sa.Engine, clock: VirtualClock
) -> None:
    for n in range(20):
        contract = active(database)
        amended(database, contract, 1, MONDAY, received=MONDAY + HOUR)
        if n < 18:
            done(database, contract, 1, MONDAY + 2 * HOUR)
    found = asked(database, clock, "amendment-lag", By.LEGAL_ENTITY)
    answer = found.answer
    assert (answer.value, answer.n, answer.n_open) == (2.0, 20, 2)  # 18 of 20 are nine of ten
    assert answer.figure("p90_own").value == 1.0
    assert answer.figure("p90_calendar").value == pytest.approx(2 / 24)
    assert answer.figure("naive_p90").value is None
    assert answer.figure("oldest_open").value == pytest.approx(13 + 20 / 24)
    # The two open ones are over one working day: 18 of 20 made it.
    assert (answer.figure("in_time").value, answer.figure("late").value) == (0.9, 2)
    assert found.parts["GB01"] == answer


def test_the_first_read_back_that_knows_of_it_ends_it(database: sa.Engine, clock: VirtualClock) -> None:
    contract = active(database)
    amended(database, contract, 1, MONDAY)
    amended(database, contract, 2, MONDAY + HOUR)
    done(database, contract, 1, MONDAY + 2 * HOUR)
    done(database, contract, 2, MONDAY + 3 * HOUR)
    in_flight = made(database, MONDAY, MONDAY + 5 * HOUR)
    amended(database, in_flight, 1, MONDAY + HOUR)
    done(database, in_flight, 1, MONDAY + 5 * HOUR)
    asked(database, clock, "amendment-lag")
    assert [(row["number"], row["lag_s"]) for row in facts(database, "amendment")] == [
        (1, 2 * 3600), (2, 2 * 3600), (1, 4 * 3600),
    ]  # fmt: skip


def _milestones(*due: str) -> list[dict[str, str]]:
    return [{"key": f"m{n}", "name": "M", "amount": "50", "due_on": on} for n, on in enumerate(due)]


def _first_days(engine: sa.Engine) -> list[date | None]:
    return [row["bill_on"] for row in facts(engine, "amendment")]


def test_the_day_by_which_it_had_to_be_done_stays_whatever_is_billed_next(
    database: sa.Engine, clock: VirtualClock
) -> None:
    contract = made(database, SIGNED, SIGNED + HOUR, bill_on=date(2026, 11, 12))
    said(database, contract, "signed", SIGNED, revision=1, signed_at=SIGNED.isoformat(),
         terms={"value": "100", "milestones": _milestones("2026-11-01", "2026-11-12", "2026-12-20")})  # fmt: skip
    step(database, contract, "active", SIGNED + HOUR)
    amended(database, contract, 1, MONDAY)
    asked(database, clock, "amendment-lag")
    assert _first_days(database) == [date(2026, 11, 12)]
    done(database, contract, 1, MONDAY + 5 * DAY)  # two days late
    with database.begin() as conn:  # as the run leaves it
        conn.execute(sa.text("UPDATE core.contract SET bill_on = DATE '2026-12-20'"))
    # Nor does a later amendment that moves the milestone, nor one that came late of before.
    said(database, contract, "amended", MONDAY + 6 * DAY, revision=3, changes={"remove_milestones": ["m1"]},
         amendment={"number": 2, "executed_at": (MONDAY + 6 * DAY).isoformat()})  # fmt: skip
    clock.advance(HOUR)
    asked(database, clock, "amendment-lag")
    assert _first_days(database) == [date(2026, 11, 12), date(2026, 12, 20)]
    with database.connect() as conn:
        looked = Looked(conn, clock.now(), ESTATE)
        assert amendments_in_time(looked)[PERIOD] == Events(1, 1), "a miss stays a miss"


def test_the_day_is_that_of_the_terms_known_when_it_came(database: sa.Engine, clock: VirtualClock) -> None:
    moved, monthly, later, unsigned, over = (made(database, SIGNED, SIGNED + HOUR) for _ in range(5))
    for contract, terms in ((moved, {"milestones": _milestones("2026-11-12")}),
                            (monthly, {"billing": {"kind": "time_and_materials"}, "starts_on": "2026-10-01"}),
                            (later, {"billing": {"kind": "time_and_materials"}, "starts_on": "2027-02-03"}),
                            (over, {"milestones": _milestones("2026-11-01")})):  # fmt: skip
        said(database, contract, "signed", SIGNED, revision=1, signed_at=SIGNED.isoformat(), terms=terms)
    said(database, moved, "amended", MONDAY, revision=2, changes={"milestones": _milestones("2026-11-30")},
         amendment={"number": 1, "executed_at": MONDAY.isoformat()})  # fmt: skip
    for contract in (monthly, later, unsigned, over):
        amended(database, contract, 1, MONDAY)
    said(database, unsigned, "signed", MONDAY + DAY, revision=1, signed_at=SIGNED.isoformat(),
         terms={"milestones": _milestones("2026-11-18")})  # fmt: skip
    asked(database, clock, "amendment-lag")
    assert _first_days(database) == [
        date(2026, 11, 30), date(2026, 11, 30), date(2027, 2, 28), date(2026, 11, 18), date(2026, 11, 1),
    ]  # fmt: skip


def test_one_that_changes_nothing_in_the_erp_ends_with_the_run_that_saw_it(
    database: sa.Engine, clock: VirtualClock
) -> None:
    contract = active(database)
    amended(database, contract, 1, MONDAY)
    ran(database, contract, MONDAY + HOUR, MONDAY + HOUR, rev=1, state="active")  # it had begun before the event
    ran(database, contract, MONDAY + 2 * HOUR, MONDAY + 2 * HOUR, rev=2, state="active")
    asked(database, clock, "amendment-lag")
    [row] = facts(database, "amendment")
    assert (row["outcome"], row["lag_s"]) == ("synced", 2 * 3600)


def test_what_is_effective_later_is_early_and_never_negative(database: sa.Engine, clock: VirtualClock) -> None:
    ahead, behind, retro = active(database), active(database), active(database, entity="US01")
    amended(database, ahead, 1, MONDAY, effective=date(2026, 12, 1))
    amended(database, behind, 1, MONDAY, effective=date(2026, 11, 10))
    amended(database, retro, 1, MONDAY, effective=date(2026, 11, 1))
    for contract in (ahead, behind, retro):
        done(database, contract, 1, MONDAY + 38 * HOUR)  # Wednesday 0:00 in London
    answer = asked(database, clock, "amendment-lag").answer
    lags = [row["billing_lag_s"] for row in facts(database, "amendment")]
    # New York's 1 November begins at 4:00 UTC, still in summer time.
    exposed = MONDAY + 38 * HOUR - datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert lags == [0, 24 * 3600, exposed.total_seconds()]
    assert answer.figure("retroactive").value == 1
    assert answer.figure("exposure_days").value == pytest.approx(exposed / DAY)


def test_an_open_retroactive_one_is_exposed_until_now(database: sa.Engine, clock: VirtualClock) -> None:
    amended(database, active(database), 1, MONDAY, effective=date(2026, 11, 1))
    answer = asked(database, clock, "amendment-lag").answer
    assert answer.figure("retroactive").value == 1
    assert answer.figure("exposure_days").value == pytest.approx(22.25)  # 1 to 23 November, 6:00


def test_an_amendment_waits_for_those_before_it(database: sa.Engine, clock: VirtualClock) -> None:
    late, gap = active(database), active(database)
    amended(database, late, 2, MONDAY)
    amended(database, late, 1, MONDAY - DAY, received=MONDAY + 6 * HOUR)
    done(database, late, 2, MONDAY + 7 * HOUR)
    amended(database, gap, 3, MONDAY)
    amended(database, gap, 1, MONDAY)
    ran(database, gap, MONDAY + HOUR, MONDAY + HOUR, rev=3, state="waiting")
    done(database, gap, 1, MONDAY + HOUR)
    answer = asked(database, clock, "amendment-lag").answer
    known = {(row["contract_id"], row["number"]): row for row in facts(database, "amendment")}
    assert known[late.contract_id, 2]["ordering_s"] == 6 * 3600
    assert (known[late.contract_id, 1]["ordering_s"], known[late.contract_id, 1]["lag_s"]) == (0, 31 * 3600)
    assert (known[gap.contract_id, 3]["waits"], known[gap.contract_id, 3]["outcome"]) == (True, "open")
    assert known[gap.contract_id, 1]["outcome"] == "synced"
    assert answer.figure("gap").value == 1
    # 6 h of the one, and from Monday 10:00 until now of the other.
    assert answer.figure("ordering_days").value == pytest.approx((6 + 13 * 24 + 20) / 24)


def test_superseded_early_unsigned_and_test_are_excluded_and_counted(database: sa.Engine, clock: VirtualClock) -> None:
    ended = active(database, state="ended")
    amended(database, ended, 1, MONDAY)
    early = active(database)
    amended(database, early, 1, MONDAY + DAY, received=MONDAY)
    done(database, early, 1, MONDAY + HOUR)
    amended(database, made(database, None), 1, MONDAY)
    amended(database, active(database, test=True), 1, MONDAY)
    answer = asked(database, clock, "amendment-lag").answer
    assert answer.n == 0
    assert answer.excluded == {
        "superseded before it was in the ERP": 1, "of a contract that is not signed": 1,
        "in the ERP before its execution": 1, "of a test contract": 1,
    }  # fmt: skip


def test_zero_and_negative_ones_count_and_values_are_summed_by_currency(
    database: sa.Engine, clock: VirtualClock
) -> None:
    # 100 -> 150 -> 150 -> 120, and a correction of the second in between that is part of what the third finds.
    dollars, pounds, reals = active(database), active(database, currency="GBP"), active(database, currency="BRL")
    amended(database, dollars, 1, MONDAY, value=Decimal(150))
    amended(database, dollars, 2, MONDAY)
    amended(database, dollars, 3, MONDAY, value=Decimal(120))
    said(database, dollars, "corrected", MONDAY, revision=9, overrides=3, changes={"value": 140})
    amended(database, pounds, 1, MONDAY, value=Decimal(90))
    amended(database, reals, 1, MONDAY, value=Decimal(101))
    answer = asked(database, clock, "amendment-lag").answer
    assert [row["delta"] for row in facts(database, "amendment")] == [50, 0, -20, -10, 1]
    assert [answer.figure(kind).value for kind in ("positive", "zero", "negative")] == [2, 1, 2]
    assert answer.figure("delta").value == Decimal("17.5")  # 30 - 10 * 1.25
    assert answer.figure("delta").note == (
        "BRL\u00a01.00, GBP\u00a0-10.00, USD\u00a030.00; without a rate, so not in it: BRL; rates of GBP 2020-01-01"
    )


def test_a_number_that_is_used_again_changes_nothing(database: sa.Engine, clock: VirtualClock) -> None:
    contract = active(database)
    amended(database, contract, 1, MONDAY, value=Decimal(150))
    done(database, contract, 1, MONDAY + HOUR)
    amended(database, contract, 1, MONDAY, received=MONDAY + DAY, revision=3, value=Decimal(160))
    asked(database, clock, "amendment-lag")
    [row] = facts(database, "amendment")
    assert (row["received_at"], row["lag_s"], row["delta"]) == (MONDAY, 3600, 50)


def test_odd_events_stop_nothing(database: sa.Engine, clock: VirtualClock) -> None:
    contract = active(database)
    said(database, contract, "amended", MONDAY, revision=2.0, amendment={"number": 1, "executed_at": 1_794_304_800},
         changes={"value": "1e2"})  # fmt: skip
    said(database, contract, "amended", MONDAY, revision=3, amendment={"number": 10**18}, changes={})
    asked(database, clock, "amendment-lag")
    [row] = facts(database, "amendment")
    assert (row["number"], row["executed_at"], row["delta"]) == (1, MONDAY, 0)


def test_bill_runs_go_over_what_is_in_force_and_open(database: sa.Engine, clock: VirtualClock) -> None:
    # London bills on the 15th and the last day: the last run was Sunday the 15th, the next one is on the 30th.
    for effective in (None, date(2026, 11, 20), date(2026, 12, 5)):
        amended(database, active(database), 1, MONDAY, effective=effective)
    synced = active(database)
    amended(database, synced, 1, MONDAY)
    done(database, synced, 1, MONDAY + HOUR)
    answer = asked(database, clock, "amendment-lag").answer
    assert (answer.figure("missed_run").value, answer.figure("next_run").value) == (1, 2)


def test_an_amendment_in_quarantine_is_open_since_its_receipt(database: sa.Engine, clock: VirtualClock) -> None:
    contract = active(database)
    for kind in ("com.tieline.contract.amended.v9", "com.tieline.contract.signed.v9"):
        insert(database, "quarantine", source=rows.SOURCE, event_id=kind, type=kind, external_id=contract.external_id,
               reason="not registered", signature=True, body=b"{}", received_by="webhook", correlation_id="q",
               occurred_at=MONDAY, recorded_at=MONDAY)  # fmt: skip
    answer = asked(database, clock, "amendment-lag").answer
    assert (answer.n, answer.n_open, answer.figure("quarantined").value) == (1, 1, 1)


def test_each_amendment_in_quarantine_is_one_and_is_late_after_a_working_day(
    database: sa.Engine, clock: VirtualClock
) -> None:
    contract = active(database)
    # Since Thursday noon it is more than a working day, since Friday noon less.
    for name, at in (("1", rows.NOW - 4 * DAY + 6 * HOUR), ("2", rows.NOW - 3 * DAY + 6 * HOUR), ("3", MONDAY)):
        insert(database, "quarantine", source=rows.SOURCE, event_id=f"a-{name}", type="com.tieline.contract.amended.v9",
               external_id=contract.external_id, reason="not registered", signature=True, body=b"{}",
               received_by="webhook", correlation_id="q", occurred_at=at, recorded_at=at)  # fmt: skip
    in_time = active(database)
    amended(database, in_time, 1, MONDAY)
    done(database, in_time, 1, MONDAY + HOUR)
    found = asked(database, clock, "amendment-lag", By.LEGAL_ENTITY)
    answer = found.answer
    with database.connect() as conn:
        day_s = conn.scalar(sa.text("SELECT day_s FROM metrics.calendar WHERE calendar = 'GB01'"))
    assert day_s == 8.5 * 3600
    assert (answer.n, answer.n_open, answer.figure("quarantined").value) == (4, 3, 3)
    assert (answer.figure("late").value, answer.figure("in_time").value) == (2, 1 / 3)
    assert found.parts["GB01"] == answer


def test_it_was_open_then(database: sa.Engine, clock: VirtualClock) -> None:
    contract = active(database)
    amended(database, contract, 1, MONDAY)
    then = caught_up(database, clock, ESTATE)
    clock.advance(HOUR)
    done(database, contract, 1, clock.now())
    ran(database, contract, clock.now(), clock.now(), rev=2, state="active")
    assert asked(database, clock, "amendment-lag").answer.n_open == 0
    measures = Measures(database, clock=clock, estate=ESTATE)
    assert measures.kpi("amendment-lag", Ask(WINDOW, as_of=then.at)).answer.n_open == 1
    shown = measures.drill("amendment-lag", Ask(WINDOW))
    assert [(row["number"], row["outcome"]) for row in shown.rows] == [(1, "synced")]


def test_the_day_from_which_an_amendment_holds_is_one_of_its_legal_entity(
    database: sa.Engine, clock: VirtualClock
) -> None:
    """Midnight in Berlin is the evening before, UTC."""
    amended(database, active(database, entity="DE01"), 1, MONDAY, effective=date(2026, 11, 24))
    caught_up(database, clock, ESTATE)
    [row] = Measures(database, clock=clock, estate=ESTATE).drill("amendment-lag", Ask(WINDOW)).rows
    assert row["effective_on"] == date(2026, 11, 24)
