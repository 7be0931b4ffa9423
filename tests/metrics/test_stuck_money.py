"""Money between what was signed and what the ERP confirmed, by hand."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By, Window
from metrics.kpi import Result
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.money_rows import BEFORE, Told, amended, fact, hold, milestone, signed, told
from tests.metrics.support import caught_up
from tests.reads.handmade import add_case

WINDOW = Window.weeks(rows.NOW, "Europe/London", 4)  # the bill run of all entities is on 2026-11-30
ZERO = Decimal(0)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


def _asked(engine: sa.Engine, clock: VirtualClock, by: By | None = By.LABEL, as_of: datetime | None = None) -> Result:
    caught_up(engine, clock, rows.estate())
    return Measures(engine, clock=clock, estate=rows.estate()).kpi("stuck-money", Ask(WINDOW, as_of=as_of), by)


def _figures(result: Result, *keys: str) -> list[object]:
    return [result.answer.figure(key).value for key in keys]


def test_a_chain_of_amendments_counts_once(database: sa.Engine, clock: VirtualClock) -> None:
    story = [signed(), amended(1, value="130"), amended(2, value="120"), amended(3, value="150")]
    told(database, "C-1", story, confirmed=1)
    asked = _asked(database, clock)
    assert (asked.answer.value, asked.answer.n) == (Decimal(50), 1)
    assert list(asked.parts) == ["value"]
    assert _figures(asked, "net", "misses_bill_run") == [Decimal(50), ZERO]


def test_money_is_told_by_the_working_days_it_has_stood(database: sa.Engine, clock: VirtualClock) -> None:
    # NOW is Monday 1:00 in New York: since Saturday, since Thursday morning, and since ten days ago.
    for name, value, days_ago in (("C-1", "10", 2), ("C-2", "20", 3 + 16 / 24), ("C-3", "40", 10)):
        told(database, name, [signed(value=value, milestones=[])], days_ago=days_ago)
    asked = _asked(database, clock)
    assert _figures(asked, "age_0_1", "age_1_3", "age_3_up") == [Decimal(10), Decimal(20), Decimal(40)]
    assert asked.answer.value == 70


def test_an_amendment_that_waits_for_another_is_stuck_too(database: sa.Engine, clock: VirtualClock) -> None:
    told(database, "C-1", [signed(), amended(2, value="90")], confirmed=1)
    assert _figures(_asked(database, clock), "gross", "net") == [Decimal(10), Decimal(-10)]


def test_what_was_published_without_an_amendment_is_not_signed(database: sa.Engine, clock: VirtualClock) -> None:
    contract = told(database, "C-1", [signed(), signed(value="150")], confirmed=2)
    add_case(database, contract, "silent_change", error_class="sequence_gap", function="legal")
    assert _asked(database, clock).answer.value is None
    told(database, "C-2", [signed(), signed(value="150"), amended(1, value="130")], confirmed=2)
    assert _asked(database, clock).answer.value == 30


def test_of_an_active_contract_the_invoice_that_differs_counts_alone(database: sa.Engine, clock: VirtualClock) -> None:
    billed = [milestone("a", 40, "2026-11-01"), milestone("b", 60, "2027-06-01")]
    lowered = amended(1, value="90", milestones=[milestone("a", 30, "2026-11-01")])
    contract = told(database, "C-1", [signed(milestones=billed), lowered], confirmed=2)
    with database.begin() as conn:
        conn.execute(
            sa.text("""UPDATE core.crosswalk SET fields = fields || '{"amount": "40"}'
            WHERE kind = 'milestone' AND business_key LIKE '%M:a'""")
        )
    add_case(database, contract, "billed_differs", error_class="erp_rejected", function="finance_operations")
    asked = _asked(database, clock)
    assert (list(asked.parts), *_figures(asked, "gross", "net")) == (["schedule"], Decimal(10), Decimal(-10))


def test_an_order_number_of_a_coming_day_holds_nothing_up(database: sa.Engine, clock: VirtualClock) -> None:
    kind, said = amended(1, po_number="PO-2")
    said["amendment"]["effective_on"] = "2027-01-01"
    contract = told(database, "C-1", [signed(), (kind, said)], confirmed=1, state="active", done_rev=2)
    add_case(database, contract, "billed_differs", error_class="erp_rejected", function="finance_operations")
    assert _asked(database, clock).answer.value is None


@pytest.mark.parametrize(("said", "moved", "stuck"), [
    ("2026-11-01", "2027-01-01", None), ("2027-01-01", "2026-11-01", 100), ("2027-01-01", None, 100),
])  # fmt: skip
def test_an_order_number_waits_for_the_day_to_which_a_correction_moved_it(
    database: sa.Engine, clock: VirtualClock, said: str, moved: str | None, stuck: int | None
) -> None:
    kind, header = amended(1, po_number="PO-2")
    header["amendment"]["effective_on"] = said
    days = [{"number": 1, "effective_on": moved}]
    correction = ("corrected", {"overrides": 2, "changes": {}, "amendment_days": days})
    told(database, "C-1", [signed(), (kind, header), correction], confirmed=1)
    assert _asked(database, clock).answer.value == stuck


def test_what_never_was_in_the_erp_is_stuck_whole(database: sa.Engine, clock: VirtualClock) -> None:
    soon = [milestone("a", 40, "2026-11-30"), milestone("b", 60, "2026-12-01")]
    # Friday 9:00 in New York to Monday 1:00: one working day.
    blocked = told(database, "C-1", [signed(milestones=soon)], days_ago=2 + 16 / 24)
    add_case(database, blocked, "tax_profile_missing")
    told(database, "C-2", [signed(value="50", milestones=[])], days_ago=2)  # on a Saturday
    asked = _asked(database, clock)
    assert asked.answer.value == Decimal(150)
    assert _figures(asked, "cause_blocker", "cause_value") == [Decimal(100), Decimal(50)]
    assert _figures(asked, "misses_bill_run") == [Decimal(40)]
    assert asked.answer.figure("money_days").value == Decimal(100)


def test_a_new_purchase_order_blocks_all_that_is_unbilled(database: sa.Engine, clock: VirtualClock) -> None:
    contract = told(database, "C-1", [signed(), amended(1, po_number="PO-2", value="110")], confirmed=1)
    fact(database, contract, "invoice", "I-1", 30)
    fact(database, contract, "invoice", "I-2", -10)  # a credit note
    asked = _asked(database, clock)
    assert list(asked.parts) == ["blocker"]
    assert asked.answer.value == Decimal(90)


@pytest.mark.parametrize("over_time", [False, True], ids=["one price a category", "dated prices"])
def test_a_rate_counts_for_the_hours_that_remain(database: sa.Engine, clock: VirtualClock, over_time: bool) -> None:
    def card(senior: str) -> list[dict[str, str]]:
        given = (("SR", senior), ("JR", "160"))
        now = [{"category": c, "name": c, "rate": rate, "planned_hours": "120"} for c, rate in given]
        return [*now, {**now[0], "rate": "300", "valid_from": "2028-01-15"}]  # not in force yet

    by_time = {"kind": "time_and_materials", "payment_terms": "NET30"}
    story = [signed(value="48000", billing=by_time, milestones=[], rates=card("240")), amended(1, rates=card("260"))]
    contract = told(database, "C-1", story, confirmed=1, over_time=over_time)
    fact(database, contract, "invoice", "I-1", 12_000)
    asked = _asked(database, clock)
    assert list(asked.parts) == ["rates"]
    assert asked.answer.value == Decimal(20) * 120 * Decimal("0.75")
    # Two of twelve months are over by the run, 8,000 of which 12,000 are billed.
    assert _figures(asked, "misses_bill_run") == [ZERO]


def test_a_moved_milestone_counts_when_a_bill_run_comes_before_it(database: sa.Engine, clock: VirtualClock) -> None:
    later = [milestone("a", 40, "2026-12-20"), milestone("b", 60, "2027-03-01")]
    changes = amended(1, milestones=[milestone("a", 40, "2026-11-27"), milestone("b", 60, "2027-02-10")])
    told(database, "C-1", [signed(milestones=later), changes], confirmed=1)
    asked = _asked(database, clock)
    assert list(asked.parts) == ["schedule"]
    assert _figures(asked, "gross", "net", "misses_bill_run") == [Decimal(40), Decimal(40), Decimal(40)]
    in_january = asked.as_of and asked.as_of + timedelta(days=61)  # the next run is on 2027-01-31: both agree on a
    clock.advance(timedelta(days=72))
    again = _asked(database, clock, as_of=in_january)
    assert (again.answer.value, again.answer.n) == (None, 0)
    assert again.answer.excluded["on its way, no money differs"] == 1
    in_february = asked.as_of and asked.as_of + timedelta(days=71)  # the next run is on 2027-02-15
    assert _asked(database, clock, as_of=in_february).answer.value == Decimal(60)


def test_a_part_that_was_closed_in_the_erp_is_not_held(database: sa.Engine, clock: VirtualClock) -> None:
    soon = [milestone("a", 40, "2026-11-25"), milestone("b", 60, "2027-03-01")]
    contract = told(database, "C-1", [signed(milestones=soon), amended(1, po_number="PO-1")], confirmed=1)
    hold(database, contract, "milestone", "crm/C-1#M:old", {"amount": "25", "bill_on": "2026-11-26"}, BEFORE)
    asked = _asked(database, clock)
    assert (asked.answer.value, asked.answer.figure("net").value) == (Decimal(25), Decimal(-25))
    with database.begin() as conn:
        conn.execute(sa.text("""
            INSERT INTO core.operation (run_id, step, contract_id, system, action, kind, business_key, status,
                                        started_at, finished_at)
            SELECT run_id, 0, contract_id, 'cloud', 'close', 'milestone', 'crm/C-1#M:old', 'done', finished_at,
                   finished_at FROM core.run WHERE contract_id = :id"""), {"id": contract})  # fmt: skip
        conn.execute(sa.text("""
            INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, started_at,
                                  finished_at, recorded_at)
            VALUES (gen_random_uuid(), :id, 2, 'cloud', 'retry', 'waiting', 'k', :at, :at, :at)"""),
            {"id": contract, "at": rows.NOW})  # fmt: skip
    assert _asked(database, clock).answer.n == 0


def test_what_ended_should_bill_no_more(database: sa.Engine, clock: VirtualClock) -> None:
    story: list[Told] = [signed(), ("terminated", {"ended_on": "2026-11-20"})]
    contract = told(database, "C-1", story, confirmed=1)
    fact(database, contract, "invoice", "I-1", 30)
    assert _figures(_asked(database, clock), "gross", "net") == [Decimal(70), Decimal(-70)]


def test_who_is_in_step_a_trial_or_unverified_is_no_part_of_the_sum(database: sa.Engine, clock: VirtualClock) -> None:
    told(database, "C-1", [signed(), amended(1, value="120")], confirmed=2)
    told(database, "C-2", [signed(test=True)])
    told(database, "C-3", [signed(), amended(1, value="107")], confirmed=1, unclean_at=rows.NOW)
    asked = _asked(database, clock)
    assert (asked.answer.value, asked.answer.n) == (None, 0)
    assert asked.answer.why_none == "every signed contract is what its ERP confirmed"
    assert _figures(asked, "unverified", "unverified_contracts") == [Decimal(7), 1]
    assert asked.answer.excluded == {"on its way, no money differs": 0, "test contract": 1, "unverified": 1}


def test_unverified_money_without_a_rate_is_listed(database: sa.Engine, clock: VirtualClock) -> None:
    for name, currency, value in (("C-1", "BRL", "107"), ("C-2", "BRL", "105"), ("C-3", "USD", "103")):
        story = [signed(currency=currency), amended(1, value=value)]
        told(database, name, story, confirmed=1, unclean_at=rows.NOW)
    asked = _asked(database, clock)
    assert _figures(asked, "unverified", "unverified_contracts") == [Decimal(3), 3]
    listed = asked.answer.figure("unverified_unconverted_BRL")
    assert (listed.value, listed.currency) == (Decimal(12), "BRL")


def test_what_is_unverified_and_differs_by_nothing_is_neither_listed_nor_a_zero(
    database: sa.Engine, clock: VirtualClock
) -> None:
    told(database, "C-1", [signed(currency="BRL"), amended(1, value="107")], confirmed=1, unclean_at=rows.NOW)
    told(database, "C-2", [signed()], confirmed=1, unclean_at=rows.NOW)
    told(database, "C-3", [signed(currency="INR")], confirmed=1, unclean_at=rows.NOW)
    asked = _asked(database, clock)
    listed = {one.key for one in asked.answer.figures if one.key.startswith("unverified_unconverted_")}
    assert (_figures(asked, "unverified", "unverified_contracts"), listed) == (
        [None, 1], {"unverified_unconverted_BRL"},
    )  # fmt: skip


def test_money_without_a_rate_is_listed_and_rows_sum_to_the_value(database: sa.Engine, clock: VirtualClock) -> None:
    told(database, "C-1", [signed(currency="BRL", value="700")])
    told(database, "C-2", [signed(currency="EUR", value="200", legal_entity="DE01")])
    told(database, "C-3", [signed(value="10")])
    asked = _asked(database, clock, By.LEGAL_ENTITY)
    assert asked.answer.value == Decimal("230.00")
    assert asked.answer.figure("unconverted_BRL").value == Decimal(700)
    assert asked.parts["DE01"].value == Decimal("220.00")
    assert asked.answer.rate_dates == {"EUR": date(2020, 1, 1)}
    assert asked.answer.figure("gross").note == "sum of the absolute differences; rates of EUR 2020-01-01"
    drill = Measures(database, clock=clock, estate=rows.estate()).drill("stuck-money", Ask(WINDOW))
    assert (drill.total, drill.count) == (asked.answer.value, 3)
    assert [row["contract"] for row in drill.rows] == ["C-2", "C-3", "C-1"]


def test_what_each_contract_is_worth_is_rounded_and_the_headline_is_their_sum(
    database: sa.Engine, clock: VirtualClock
) -> None:
    for number, days in enumerate((2, 2, 5)):
        story = [signed(currency="EUR", value="100.05", milestones=[], legal_entity="DE01")]
        told(database, f"C-{number}", story, days_ago=days)
    told(database, "C-9", [signed(currency="BRL", value="7", milestones=[])])
    now = _asked(database, clock)
    known = now.as_of
    caught_up(database, clock, rows.estate())  # a refresh more: what was known before is read from versions
    measures = Measures(database, clock=clock, estate=rows.estate())
    for result, moment in ((now, None), (_asked(database, clock, as_of=known), known)):
        drill = measures.drill("stuck-money", Ask(WINDOW, moment))
        worth = [row["exposure_reporting"] for row in drill.rows]
        assert worth == [Decimal("110.06")] * 3 + [None]  # 110.055, half to even
        assert (result.answer.value, drill.total, drill.count) == (Decimal("330.18"), Decimal("330.18"), 4)
        assert _figures(result, "age_0_1", "age_1_3", "age_3_up", "cause_value") == [
            Decimal("220.12"), ZERO, Decimal("110.06"), Decimal("330.18"),
        ]  # fmt: skip
    first = measures.drill("stuck-money", Ask(WINDOW), limit=1)
    rest = measures.drill("stuck-money", Ask(WINDOW), after=first.after)
    assert len({row["contract"] for row in (*first.rows, *rest.rows)}) == 4


def test_without_any_rate_it_says_whose_rate_is_missing(database: sa.Engine, clock: VirtualClock) -> None:
    told(database, "C-1", [signed(currency="BRL", value="700")])
    told(database, "C-2", [signed(currency="INR", value="900")])
    answer = _asked(database, clock).answer
    assert (answer.value, answer.n) == (None, 2)
    assert answer.why_none == "no exchange rate for BRL, INR to USD"


def test_an_event_with_odd_numbers_stops_nothing(database: sa.Engine, clock: VirtualClock) -> None:
    odd = {"key": "a", "name": "A", "amount": "9e9999", "due_on": "2026-11-25"}
    told(database, "C-1", [signed(milestones=[odd])])
    assert _asked(database, clock).answer.value == Decimal(100)
