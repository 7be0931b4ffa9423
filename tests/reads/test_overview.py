"""The overview against small data whose answers are known."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sync_core.money import Money
from sync_core.progress import State
from sync_core.reads import Reads, Unconverted
from tests.reads.handmade import add_case, add_contract, add_event, add_progress, add_quarantined
from tests.rows import NOW


def test_an_empty_database_has_zeros_and_no_percentile(reads: Reads) -> None:
    seen = reads.overview()
    assert seen.data_as_of is None
    assert (seen.counts.signed, set(seen.counts.by_state)) == (0, set(State))
    assert seen.waiting.total.money == Money(Decimal(0), "USD")
    assert (seen.waiting.oldest_age, seen.cycle.n, seen.cycle.p50, seen.cycle.longest) == (None, 0, None, None)
    assert seen.weekly.empty
    assert str(seen.weekly.dtypes["week"]) == "datetime64[us, UTC]"
    assert seen.funnel["cases"].tolist() == [0] * 6
    assert seen.ageing.to_numpy().sum() == 0
    assert seen.intake["events"].tolist() == [0] * 28


def test_contracts_are_counted_by_state_and_trial_contracts_are_not(database: sa.Engine, reads: Reads) -> None:
    add_contract(database, signed=None)
    add_contract(database, took=2)
    add_contract(database, state="blocked")
    add_contract(database, test=True)
    seen = reads.overview().counts
    assert (seen.signed, seen.provisioned) == (2, 1)
    assert seen.by_state == {
        State.DRAFT: 1, State.WAITING: 0, State.BLOCKED: 1, State.ACTIVE: 1, State.ENDED: 0, State.SET_ASIDE: 0
    }  # fmt: skip


def test_money_without_a_rate_is_listed_and_never_dropped(database: sa.Engine, reads: Reads) -> None:
    add_contract(database, value_reporting=Decimal("250.50"))
    add_contract(database, signed=90, value=Decimal(700), currency="BRL", value_reporting=None)
    add_contract(database, signed=30, value_reporting=Decimal(40), state="blocked")
    add_contract(database, took=1, value_reporting=Decimal(9999))
    seen = reads.overview().waiting
    assert seen.waiting.money == Money(Decimal("250.50"), "USD")
    assert seen.waiting.unconverted == (Unconverted(Money(Decimal(700), "BRL"), 1),)
    assert (seen.waiting.count, seen.blocked.count, seen.set_aside.count) == (2, 1, 0)
    assert seen.total.money == Money(Decimal("290.50"), "USD")
    assert (seen.old.count, seen.old.unconverted) == (1, seen.waiting.unconverted)
    assert seen.oldest_age == timedelta(hours=90)


def test_an_active_contract_that_waits_for_a_change_brings_no_value_of_its_own(
    database: sa.Engine, reads: Reads
) -> None:
    add_contract(database, took=2, state="waiting", value_reporting=Decimal(5000))
    seen = reads.overview()
    assert seen.counts.by_state[State.WAITING] == 1
    assert seen.waiting.total.money.amount == 0


def test_money_stands_behind_the_last_step_reached_by_age(database: sa.Engine, reads: Reads) -> None:
    add_contract(database, signed=1, value_reporting=Decimal(10))
    validated = add_contract(database, signed=30, value_reporting=Decimal(20))
    add_progress(database, validated, "signed", "captured", "validated", "blocked")
    built = add_contract(database, signed=100, value_reporting=Decimal(30))
    add_progress(database, built, "project_created", "signed", "captured", "validated")
    cells = reads.overview().waiting.by_step.set_index(["step", "age"])
    assert len(cells) == 12
    filled = cells[cells["contracts"] > 0]["amount"].to_dict()
    assert filled == {("captured", "< 24 h"): 10, ("validated", "1-3 d"): 20, ("project_created", "> 3 d"): 30}


def test_open_contracts_lengthen_the_median(database: sa.Engine, reads: Reads) -> None:
    for hours in range(1, 21):
        add_contract(database, signed=200, took=hours)
    for _ in range(20):
        add_contract(database, signed=100)
    seen = reads.overview().cycle
    assert (seen.n, seen.n_open) == (40, 20)
    assert seen.naive_median == timedelta(hours=10)
    assert seen.p50 == timedelta(hours=20)  # 20 of 40 ended, the last of them at 20 h
    assert (seen.p90, seen.longest) == (None, timedelta(hours=100))


def test_below_twenty_cases_there_is_no_percentile(database: sa.Engine, reads: Reads) -> None:
    for hours in range(1, 20):
        add_contract(database, signed=200, took=hours)
    seen = reads.overview()
    assert (seen.cycle.n, seen.cycle.p50, seen.cycle.p90, seen.cycle.naive_median) == (19, None, None, None)
    assert seen.weekly["n"].tolist() == [19]
    assert seen.weekly["p50"].isna().all()


def test_weeks_with_too_few_cases_are_pooled_by_fours(database: sa.Engine, reads: Reads) -> None:
    for week in range(5):
        for hours in range(1, 7):
            add_contract(database, signed=100 + 24 * 7 * week, took=hours)
    seen = reads.overview()
    assert seen.weekly_span == 4
    assert seen.weekly["n"].tolist() == [6] * 5
    assert seen.weekly["pooled"].tolist() == [6, 12, 18, 24, 24]
    assert seen.weekly["p50"].isna().tolist() == [True, True, True, False, False]


def test_weeks_with_cases_enough_stand_alone(database: sa.Engine, reads: Reads) -> None:
    for hours in range(1, 21):
        add_contract(database, signed=100, took=hours)
        add_contract(database, signed=100 + 24 * 7, took=hours)
    add_contract(database, signed=100 + 24 * 14, took=5)
    seen = reads.overview()
    assert seen.weekly_span == 1
    assert seen.weekly["pooled"].tolist() == seen.weekly["n"].tolist() == [1, 20, 20]


def test_cancelled_and_begun_before_signature_are_counted_apart(database: sa.Engine, reads: Reads) -> None:
    add_contract(database, state="ended")
    add_contract(database, signed=24, took=-5)
    add_contract(database, signed=24, took=5)
    seen = reads.overview().cycle
    assert (seen.n, seen.n_cancelled, seen.n_before_signature) == (1, 1, 1)


def test_a_signature_in_quarantine_is_an_open_case_from_its_receipt(database: sa.Engine, reads: Reads) -> None:
    add_quarantined(database, "Q-1", hours=50)
    add_quarantined(database, "Q-2", hours=5, signature=False)
    known = add_contract(database, external_id="Q-3", took=1)
    add_quarantined(database, "Q-3", hours=5)  # a change of a contract that was signed long ago
    assert known
    seen = reads.overview()
    assert (seen.quarantined, seen.cycle.n, seen.cycle.n_open) == (1, 2, 1)
    assert seen.cycle.longest == timedelta(hours=50)
    assert seen.funnel["cases"].tolist() == [2, 1, 1, 1, 1, 1]


def test_weeks_are_iso_weeks_of_the_groups_zone(database: sa.Engine, reads: Reads) -> None:
    # 23:30 UTC on a Sunday of British Summer Time is Monday in London.
    at = datetime(2026, 10, 11, 23, 30, tzinfo=UTC)
    add_contract(database, signed=(NOW - at).total_seconds() / 3600, took=2)
    seen = reads.overview()
    assert [week.date() for week in seen.weekly["week"]] == [date(2026, 10, 12)]
    assert seen.since == datetime(2026, 8, 30, 23, 0, tzinfo=UTC)  # Monday 31 August in London


def test_contracts_signed_before_the_window_are_left_out_of_it(database: sa.Engine, reads: Reads) -> None:
    add_contract(database, signed=24 * 200, took=5)
    seen = reads.overview()
    assert (seen.cycle.n, seen.counts.signed, seen.funnel["cases"].tolist()[0]) == (0, 1, 0)


def test_the_funnel_counts_who_reached_each_step(database: sa.Engine, reads: Reads) -> None:
    add_contract(database, took=2)
    stuck = add_contract(database, state="blocked")
    add_progress(database, stuck, "signed", "captured", "validated")
    add_contract(database)
    assert reads.overview().funnel.to_dict("list") == {
        "step": ["signed", "captured", "validated", "project_created", "billing_set_up", "active"],
        "cases": [3, 3, 2, 1, 1, 1],
    }


def test_exceptions_are_grouped_by_cause_with_money_and_age(database: sa.Engine, reads: Reads) -> None:
    one, two = add_contract(database, state="blocked"), add_contract(database, state="blocked")
    add_case(database, one, "tax_profile_missing", hours=30, exposure_reporting=Decimal(70))
    add_case(database, two, "tax_profile_missing", hours=800, exposure_reporting=Decimal(50), due_at=NOW)
    add_case(database, two, "po_missing", function="finance_operations", exposure_reporting=None, currency="BRL")
    add_case(database, one, "rate_missing", state="resolved")
    add_case(database, add_contract(database, test=True), "rate_missing")
    seen = reads.overview()
    tax, po = seen.attention
    assert (tax.cause, tax.count, tax.exposure.money.amount, tax.overdue) == ("tax_profile_missing", 2, Decimal(120), 0)
    assert tax.oldest == NOW - timedelta(hours=800)
    assert tax.query == {"cause": "tax_profile_missing", "function": "tax"}
    assert po.exposure.unconverted == (Unconverted(Money(Decimal(100), "BRL"), 1),)
    assert list(seen.ageing.loc["tax"]) == [0, 1, 0, 0, 0, 1]
    assert seen.ageing.to_numpy().sum() == 3
    assert reads.exception_groups() == seen.attention
    assert reads.ageing().equals(seen.ageing)


@pytest.mark.parametrize(("hours", "bucket"), [(23.9, 0), (24, 1), (72, 2), (168, 3), (336, 4), (720, 5)])
def test_an_exception_on_a_boundary_is_in_the_older_bucket(
    database: sa.Engine, reads: Reads, hours: float, bucket: int
) -> None:
    add_case(database, add_contract(database), "po_missing", hours=hours)
    assert list(reads.overview().ageing.loc["tax"]).index(1) == bucket


def test_intake_has_every_day_and_the_data_its_age(database: sa.Engine, reads: Reads) -> None:
    add_event(database, "C-1", "t", "{}", at=NOW - timedelta(days=1))
    add_event(database, "C-1", "t", "{}", at=NOW - timedelta(hours=1))
    seen = reads.overview(days=3)
    assert seen.intake["events"].tolist() == [0, 1, 1]
    assert [day.date() for day in seen.intake["day"]] == [date(2026, 11, 21), date(2026, 11, 22), date(2026, 11, 23)]
    assert (seen.now, seen.data_as_of) == (NOW, NOW - timedelta(hours=1))
