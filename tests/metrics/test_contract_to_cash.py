"""Contract to cash: stages, hand-offs and the funnel by hand."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, By
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.flow_rows import ESTATE, WINDOW, Made, asked, facts, made, said, step
from tests.reads.handmade import add_case, add_quarantined, insert

SIGNED = datetime(2026, 9, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
_refs = count(1)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)  # 2026-11-23


def _held(engine: sa.Engine, contract: Made, bill_on: date | None = None, starts_on: date | None = None) -> None:
    """What the ERP holds: the project, and a milestone where it bills on a day."""
    parts = [("project", "", f'{{"starts_on": "{starts_on}"}}' if starts_on else "{}")]
    parts += [("milestone", "#M:1", f'{{"bill_on": "{bill_on}"}}')] if bill_on else []
    for kind, suffix, fields in parts:
        insert(engine, "crosswalk", system="cloud", kind=kind, business_key=f"crm/{contract.external_id}{suffix}",
               state="confirmed", ref="P", contract_id=contract.contract_id, fields=fields)  # fmt: skip


def _booked(
    engine: sa.Engine,
    contract: Made,
    kind: str,
    on: date,
    status: str,
    *,
    ref: str = "",
    by_key: bool = False,
    amount: int = 10,
) -> None:
    insert(engine, "financial_fact", system="cloud", kind=kind, ref=ref or f"{kind}-{next(_refs)}",
           project_key=f"crm/{contract.external_id}", contract_id=None if by_key else contract.contract_id,
           amount=Decimal(amount), currency="GBP", status=status, occurred_on=on, recorded_at=rows.NOW)  # fmt: skip


def _dates(engine: sa.Engine) -> list[tuple[date | None, ...]]:
    names = ("signed_on", "active_on", "billable_on", "invoice_on", "payment_on")
    return [tuple(row[name] for name in names) for row in facts(engine, "cash")]


def test_without_contracts_there_is_no_value(database: sa.Engine, clock: VirtualClock) -> None:
    answer = asked(database, clock, "contract-to-cash").answer
    assert (answer.value, answer.n, answer.figure("reached_signed").value) == (None, 0, 0)


def test_each_stage_has_its_day(database: sa.Engine, clock: VirtualClock) -> None:
    paid = made(database, SIGNED, SIGNED + DAY)
    _held(database, paid, date(2026, 9, 20))
    _booked(database, paid, "invoice", date(2026, 9, 22), "issued", ref="I")
    _booked(database, paid, "invoice", date(2026, 9, 22), "paid", ref="I")
    _booked(database, paid, "payment", date(2026, 10, 22), "received")
    by_key = made(database, SIGNED, SIGNED + 25 * DAY)
    _held(database, by_key, date(2026, 9, 20))  # its day was over before it was active
    _booked(database, by_key, "invoice", date(2026, 9, 28), "issued", by_key=True)
    monthly = made(database, SIGNED, SIGNED + DAY, billing="time_and_materials")
    _held(database, monthly, starts_on=date(2026, 10, 5))
    # New York's day of the signature is the one before.
    made(database, datetime(2026, 9, 2, 2, tzinfo=UTC), datetime(2026, 9, 2, 12, tzinfo=UTC), entity="US01",
         bill_on=date(2026, 12, 24))  # fmt: skip
    asked(database, clock, "contract-to-cash")
    september = date(2026, 9, 1)
    assert _dates(database) == [
        (september, date(2026, 9, 2), date(2026, 9, 20), date(2026, 9, 22), date(2026, 10, 22)),
        (september, date(2026, 9, 26), date(2026, 9, 26), date(2026, 9, 28), None),
        (september, date(2026, 9, 2), date(2026, 10, 31), None, None),
        (september, date(2026, 9, 2), date(2026, 12, 24), None, None),
    ]


def test_what_was_signed_on_a_day_that_has_not_begun_for_the_group_waits(database: sa.Engine) -> None:
    """Half an hour past midnight in Berlin it is the day before in London; rows and number are the same contracts."""
    late = datetime(2026, 11, 23, 23, 45, tzinfo=UTC)
    made(database, late - timedelta(minutes=15), entity="DE01")
    clock = VirtualClock(late)
    found = asked(database, clock, "contract-to-cash").answer
    measures = Measures(database, clock=clock, estate=ESTATE)
    assert (found.n, found.n_open) == (1, 1)
    assert found.figure("active_waiting").value == 1
    assert measures.drill("contract-to-cash", Ask(WINDOW)).count == 1


def test_what_the_erp_took_back_does_not_count(database: sa.Engine, clock: VirtualClock) -> None:
    contract = made(database, SIGNED, SIGNED + DAY, bill_on=date(2026, 9, 20))
    _booked(database, contract, "invoice", date(2026, 9, 21), "issued", ref="I")
    _booked(database, contract, "invoice", date(2026, 9, 21), "cancelled", ref="I")
    _booked(database, contract, "invoice", date(2026, 9, 23), "issued", amount=-10)  # a credit note
    _booked(database, contract, "invoice", date(2026, 9, 25), "issued")
    _booked(database, contract, "payment", date(2026, 10, 1), "received", ref="P")
    _booked(database, contract, "payment", date(2026, 10, 1), "bounced", ref="P")
    asked(database, clock, "contract-to-cash")
    assert _dates(database)[0][3:] == (date(2026, 9, 25), None)


def test_the_median_counts_what_is_not_paid_yet(database: sa.Engine, clock: VirtualClock) -> None:
    for n in range(20):
        contract = made(database, SIGNED, SIGNED + DAY, bill_on=date(2026, 9, 20))
        if n < 10:
            _booked(database, contract, "invoice", date(2026, 9, 21), "issued")
            _booked(database, contract, "payment", date(2026, 10, 1) + n * DAY, "received")
    found = asked(database, clock, "contract-to-cash", By.LEGAL_ENTITY)
    answer = found.answer
    assert (answer.value, answer.n, answer.n_open) == (39.0, 20, 10)  # the tenth was paid on 10 October
    assert answer.figure("p90").note == "not reached: at least 83.0"
    assert answer.figure("billable_p50").value == 18.0
    assert answer.figure("invoice_p50").value == 1.0
    assert (answer.figure("invoice_waiting").value, answer.figure("payment_waiting").value) == (10, 0)
    assert found.parts["GB01"] == answer


def test_what_came_before_its_turn_took_0_days(database: sa.Engine, clock: VirtualClock) -> None:
    """Eleven invoices ten days before their billing day, nine four days after it; paid the day before the invoice."""
    for n in range(20):
        contract = made(database, SIGNED, SIGNED + DAY, bill_on=date(2026, 9, 20))
        invoiced = date(2026, 9, 10) if n < 11 else date(2026, 9, 24)
        _booked(database, contract, "invoice", invoiced, "issued")
        _booked(database, contract, "payment", invoiced - DAY, "received")
    answer = asked(database, clock, "contract-to-cash").answer
    told = [answer.figure(f"{name}_p{p}").value for name in ("billable", "invoice", "payment") for p in (50, 90)]
    assert told == [18, 18, 0, 4, 0, 0]
    assert (answer.value, answer.figure("p90").value) == (8, 22)  # from the first of September, whatever came between


def test_the_funnel_says_where_contracts_are_and_where_they_were_lost(database: sa.Engine, clock: VirtualClock) -> None:
    add_quarantined(database, "Q-1", hours=30)
    step(database, made(database, SIGNED), "captured", SIGNED)
    gone = made(database, SIGNED, state="ended")
    for name in ("captured", "validated"):
        step(database, gone, name, SIGNED)
    made(database, SIGNED, SIGNED + DAY, state="ended", bill_on=date(2026, 9, 20))
    made(database, SIGNED, SIGNED + DAY, bill_on=date(2026, 12, 20))
    made(database, SIGNED, SIGNED + DAY, bill_on=date(2026, 9, 20))
    invoiced = made(database, SIGNED, SIGNED + DAY, bill_on=date(2026, 9, 20))
    paid = made(database, SIGNED, SIGNED + DAY, bill_on=date(2026, 9, 20), state="ended")
    for contract in (invoiced, paid):
        _booked(database, contract, "invoice", date(2026, 9, 20), "issued")
    _booked(database, paid, "payment", date(2026, 9, 30), "received")
    made(database, SIGNED, SIGNED + DAY, test=True)
    answer = asked(database, clock, "contract-to-cash").answer
    stages = ("signed", "captured", "validated", "project_created", "billing_set_up", "active", "billable", "invoiced",
              "paid")  # fmt: skip
    assert [answer.figure(f"reached_{stage}").value for stage in stages] == [8, 7, 6, 5, 5, 5, 3, 2, 1]
    assert [answer.figure(f"lost_{stage}").value for stage in stages] == [0, 0, 1, 0, 0, 1, 0, 0, 0]
    assert answer.excluded == {"ended before its first invoice": 2, "test contract": 1}
    assert (answer.n, answer.n_open) == (6, 5)


def test_an_invoice_before_the_activation_is_one_contract_at_its_furthest_stage(
    database: sa.Engine, clock: VirtualClock
) -> None:
    billed = made(database, SIGNED)
    step(database, billed, "validated", SIGNED)
    gone = made(database, SIGNED, state="ended")
    step(database, gone, "project_created", SIGNED)
    for contract in (billed, gone):
        _booked(database, contract, "invoice", date(2026, 9, 20), "issued")
    step(database, made(database, SIGNED), "billing_set_up", SIGNED)
    answer = asked(database, clock, "contract-to-cash").answer
    stages = ("signed", "captured", "validated", "project_created", "billing_set_up", "active", "invoiced", "paid")
    assert [answer.figure(f"reached_{stage}").value for stage in stages] == [3, 3, 3, 3, 3, 2, 2, 0]
    assert [answer.figure(f"lost_{stage}").value for stage in stages] == [0] * 8


def test_touches_stand_at_the_hand_off_before_which_they_came(database: sa.Engine, clock: VirtualClock) -> None:
    contract = made(database, SIGNED, SIGNED + DAY, bill_on=date(2026, 9, 20))
    _booked(database, contract, "invoice", date(2026, 9, 25), "issued")
    _booked(database, contract, "payment", date(2026, 10, 25), "received")
    for number, days in enumerate((0.5, 0.6, 5, 21, 30, 90)):  # the last one came after the payment
        case = add_case(database, contract.contract_id, f"cause_{number}")
        at = SIGNED + days * DAY
        for what, actor in (("opened", "tieline"), ("acknowledged", "pat@example.com")):
            insert(database, "case_history", case_id=case, what=what, function="tax", actor=actor, occurred_at=at,
                   recorded_at=at)  # fmt: skip
    said(database, contract, "corrected", SIGNED + 22 * DAY, revision=2, overrides=1, changes={})
    answer = asked(database, clock, "contract-to-cash").answer
    hand_offs = ("active", "billable", "invoice", "payment")
    assert [answer.figure(f"{name}_touches").value for name in hand_offs] == [2, 1, 2, 1]
    assert answer.figure("invoice_touches").note == "on 1 contracts"
    shown = Measures(database, clock=clock, estate=ESTATE).drill("contract-to-cash", Ask(WINDOW))
    assert shown.rows[0]["touches"] == 6


def test_rows_of_a_day_that_has_begun_for_the_legal_entity_alone_say_0_days(database: sa.Engine) -> None:
    """In Berlin it is Tuesday, for the group still Monday: signed on Tuesday; and on Monday, paid the Friday before."""
    clock = VirtualClock(datetime(2026, 11, 23, 23, 45, tzinfo=UTC))
    signed = clock.now() - timedelta(minutes=15)
    waiting = [made(database, signed, entity="DE01") for _ in range(2)]
    paid = made(database, signed - DAY, signed - DAY, entity="DE01")
    _booked(database, paid, "payment", date(2026, 11, 20), "received")
    before = made(database, signed - 2 * DAY, entity="DE01")
    assert asked(database, clock, "contract-to-cash").answer.n == 4
    measures = Measures(database, clock=clock, estate=ESTATE)
    of_now, as_of = Ask(WINDOW), Ask(WINDOW, as_of=clock.now())
    for ask in (of_now, as_of):
        listed: list[tuple[object, object]] = []
        after = None
        while listed == [] or after is not None:
            page = measures.drill("contract-to-cash", ask, after=after, limit=1)
            listed += [(row["contract_id"], row["days"]) for row in page.rows]
            after = page.after
        assert listed[0] == (before.contract_id, 1)
        assert sorted(listed[1:]) == sorted((one.contract_id, 0) for one in (*waiting, paid))
