"""Open exceptions by age: the same as the list of exceptions says, and both views add up."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, By, Filters, Window
from metrics.kpi import Answer
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from sync_core.estate.calendar import working_time
from sync_core.estate.estate import WorkingTime
from sync_core.reads.ages import AgeBucket, ageing
from tests import rows
from tests.databases import DatabaseUrls
from tests.metrics.case_rows import TIELINE, Step, with_history
from tests.metrics.support import caught_up
from tests.reads.handmade import add_case, add_contract, add_quarantined, insert

WINDOW = Window.weeks(rows.NOW, "Europe/London", 4)
WORKING = ("0_1", "1_3", "3_7", "7_14", "14_30", "30_up")
CALENDAR = ("0_30", "31_60", "61_90", "91_up")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


def _measures(engine: sa.Engine, clock: VirtualClock) -> Measures:
    caught_up(engine, clock, rows.estate())
    return Measures(engine, clock=clock, estate=rows.estate())


def _counts(answer: Answer, view: str, keys: tuple[str, ...]) -> list[object]:
    return [answer.figure(f"{view}_{key}").value for key in keys]


def _same(answer: Answer, view: str, keys: tuple[str, ...], buckets: tuple[AgeBucket, ...], at: datetime) -> None:
    assert _counts(answer, view, keys) == [bucket.count for bucket in buckets]
    for key, bucket in zip(keys, buckets, strict=True):
        money = answer.figure(f"{view}_{key}_money")
        # The list converts what it adds up; here each exception is rounded, as the rows show it.
        apart = Decimal(str(money.value or 0)) - bucket.exposure.money.amount
        assert abs(apart) <= Decimal("0.005") * bucket.count
        listed = [f"{one.total.amount} {one.total.currency}" for one in bucket.exposure.unconverted]
        told = money.note.partition("rates of")[0].removesuffix("; ")
        assert told == (f"without a rate: {', '.join(listed)}" if listed else "")
        oldest = answer.figure(f"{view}_{key}_oldest").value
        days = None if bucket.oldest is None else (at - bucket.oldest).total_seconds() / 86_400
        assert oldest == days


@pytest.mark.parametrize("later", [timedelta(0), timedelta(hours=9), timedelta(days=16), timedelta(days=75)])
def test_it_equals_the_list_of_exceptions_at_the_same_moment(
    database_urls: DatabaseUrls, database: sa.Engine, clock: VirtualClock, later: timedelta
) -> None:
    rows.seed(database_urls.owner, 3_000)
    measures = _measures(database, clock)
    known = measures.kpi("exception-ageing", Ask(WINDOW)).as_of
    assert known is not None
    at = known + later
    clock.advance_to(at)
    asked = measures.kpi("exception-ageing", Ask(WINDOW, as_of=at), By.LABEL)
    with database.connect() as conn:
        listed = ageing(conn, rows.estate(), now=at, entities=None)
    assert set(asked.parts) == {*listed.by_function, "integration"}
    for function, buckets in listed.by_function.items():
        _same(asked.parts[function], "working", WORKING, buckets, at)
    quarantined = asked.parts["integration"].n
    assert asked.answer.n == sum(bucket.count for bucket in listed.working) + quarantined
    for view, keys in (("working", WORKING), ("calendar", CALENDAR)):
        assert sum(int(str(n)) for n in _counts(asked.answer, view, keys)) == asked.answer.n
    within = Ask(WINDOW, as_of=at, filters=Filters(legal_entity=frozenset({"US01"})))
    with database.connect() as conn:
        narrowed = ageing(conn, rows.estate(), now=at, entities=frozenset({"US01"}))
    _same(measures.kpi("exception-ageing", within).answer, "calendar", CALENDAR, narrowed.calendar, at)


def test_the_bounds_of_the_buckets_are_in_the_older_one(database: sa.Engine, clock: VirtualClock) -> None:
    # Now is Monday 1:00 in New York: exactly three working days are over since Wednesday's opening at 9:00, 14:00 UTC.
    contract = add_contract(database)
    edge = datetime(2026, 11, 18, 14, tzinfo=UTC)
    for number, at in enumerate((edge, edge + timedelta(seconds=1), edge - timedelta(hours=10))):
        add_case(database, contract, f"cause_{number}", opened_at=at)
    answer = _measures(database, clock).kpi("exception-ageing", Ask(WINDOW)).answer
    assert _counts(answer, "working", WORKING) == [0, 1, 2, 0, 0, 0]


def test_money_without_a_rate_is_listed_and_quarantine_has_none(database: sa.Engine, clock: VirtualClock) -> None:
    contract, trial = add_contract(database), add_contract(database, test=True)
    add_case(database, contract, "a", currency="EUR", exposure=Decimal(100))
    add_case(database, contract, "b", currency="BRL", exposure=Decimal(70), exposure_reporting=None)
    add_case(database, trial, "c")
    add_quarantined(database, "Q-1", hours=24 * 40)
    answer = _measures(database, clock).kpi("exception-ageing", Ask(WINDOW)).answer
    assert (answer.value, answer.n, answer.excluded) == (3, 3, {"of a test contract": 1})
    assert answer.figure("exposure").value == Decimal("110.00")
    assert answer.figure("unconverted_BRL").value == Decimal(70)
    assert answer.figure("quarantined").value == 1
    assert _counts(answer, "calendar", CALENDAR) == [2, 1, 0, 0]
    assert _counts(answer, "working", WORKING) == [2, 0, 0, 0, 1, 0]


def test_the_money_of_all_is_the_sum_of_its_rows_to_the_cent(database: sa.Engine, clock: VirtualClock) -> None:
    contract = add_contract(database)
    for number in range(3):
        add_case(database, contract, f"cause_{number}", currency="EUR", exposure=Decimal("100.05"))
    measures = _measures(database, clock)
    answer = measures.kpi("exception-ageing", Ask(WINDOW)).answer
    listed = measures.drill("exception-ageing", Ask(WINDOW)).rows
    assert [row["exposure_reporting"] for row in listed] == [Decimal("110.06")] * 3  # 110.055, half to even
    assert answer.figure("exposure").value == Decimal("330.18")
    assert {answer.figure(f"working_{key}_money").value for key in WORKING} == {None, Decimal("330.18")}


def test_one_that_reopened_is_as_old_as_its_first_opening(database: sa.Engine, clock: VirtualClock) -> None:
    """It was closed for 80 of the 90 days, and stays as old as if it never was; one that is closed has no age."""
    start = rows.NOW - timedelta(days=90)
    history: list[Step] = [
        (0, "opened", "tax", TIELINE), (24, "resolved", "tax", TIELINE), (24 * 81, "reopened", "tax", TIELINE),
    ]  # fmt: skip
    contract = add_contract(database)
    with_history(database, contract, start, history, cause="again")
    with_history(database, contract, start, history[:2], cause="over")
    measures = _measures(database, clock)
    answer = measures.kpi("exception-ageing", Ask(WINDOW)).answer
    assert _counts(answer, "calendar", CALENDAR) == [0, 0, 1, 0]
    assert _counts(answer, "working", WORKING) == [0, 0, 0, 0, 0, 1]
    assert (answer.n, answer.figure("oldest").value, answer.figure("working_30_up_oldest").value) == (1, 90, 90)
    [row] = measures.drill("exception-ageing", Ask(WINDOW)).rows
    assert (row["cause"], row["opened_at"], row["days"]) == ("again", start, 90)


def test_nothing_open_is_no_number(database: sa.Engine, clock: VirtualClock) -> None:
    answer = _measures(database, clock).kpi("exception-ageing", Ask(WINDOW)).answer
    assert (answer.value, answer.n, answer.why_none) == (None, 0, "no exception is open")


def test_its_rows_are_the_open_ones_oldest_first(database: sa.Engine, clock: VirtualClock) -> None:
    contract = add_contract(database)
    for days in (3, 50, 10):
        add_case(database, contract, f"of {days} days", hours=24 * days)
    measures = _measures(database, clock)
    first = measures.drill("exception-ageing", Ask(WINDOW), limit=2)
    assert [row["cause"] for row in first.rows] == ["of 50 days", "of 10 days"]
    rest = measures.drill("exception-ageing", Ask(WINDOW), after=first.after, limit=2)
    assert [row["cause"] for row in rest.rows] == ["of 3 days"]
    assert (first.count, rest.after) == (3, None)


_CASES = st.tuples(
    st.sampled_from(["US01", "GB01", "DE01", "nobody's"]), st.integers(1, 100 * 86_400), st.booleans(),
    st.integers(0, 500), st.sampled_from(["USD", "EUR", "BRL"]), st.booleans(),
)  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(_CASES, min_size=1, max_size=15))
def test_any_exceptions_are_as_old_as_plain_arithmetic_says(
    database: sa.Engine, clock: VirtualClock, drawn: list[tuple[str, int, bool, int, str, bool]]
) -> None:
    for number, (entity, seconds, is_open, money, currency, unread) in enumerate(drawn):
        contract = add_contract(database, legal_entity=entity)
        case = add_case(
            database, contract, f"cause_{number}", hours=seconds / 3600, state="open" if is_open else "resolved",
            resolved_at=None if is_open else rows.NOW, exposure=Decimal(money), currency=currency,
        )  # fmt: skip
        opened = rows.NOW - timedelta(hours=seconds / 3600)
        insert(database, "case_history", case_id=case, what="opened", function="tax", actor="tieline",
               occurred_at=opened, recorded_at=opened)  # fmt: skip
        if unread:
            add_quarantined(database, f"Q-{contract}", hours=seconds / 3600)
    answer = _measures(database, clock).kpi("exception-ageing", Ask(WINDOW)).answer
    working, calendar, money_of = _plain_ages(database)
    assert answer.n == sum(working) == sum(calendar)
    if not answer.n:
        return
    assert _counts(answer, "working", WORKING) == working
    assert _counts(answer, "calendar", CALENDAR) == calendar
    rated = {"USD": Decimal(1), "EUR": Decimal("1.10")}
    total = sum((amount * rated.get(currency, 0) for currency, amount in money_of.items()), Decimal(0))  # whole cents
    assert (answer.figure("exposure").value or Decimal(0)) == total
    brl = [one.value for one in answer.figures if one.key == "unconverted_BRL"]
    assert sum((Decimal(str(one)) for one in brl), Decimal(0)) == money_of.get("BRL", 0)


def _plain_ages(engine: sa.Engine) -> tuple[list[int], list[int], dict[str, Decimal]]:
    """Counts by bucket of either view and money by currency, exception by exception from the raw rows."""
    with engine.connect() as conn:
        found = conn.execute(
            sa.text("""
            SELECT c.legal_entity, k.opened_at AS at, k.exposure, k.currency FROM core.case AS k
            JOIN core.contract AS c USING (contract_id) WHERE k.state = 'open'
            UNION ALL SELECT '', recorded_at, 0, 'USD' FROM core.quarantine""")
        ).all()
    working, calendar, money = [0] * 6, [0] * 4, dict[str, Decimal]()
    for one in found:
        entity = rows.estate().entities.get(one.legal_entity)
        hours, zone = (entity.working_time, entity.timezone) if entity else (WorkingTime(), "Europe/London")
        age_s = working_time(one.at, rows.NOW, hours, zone).total_seconds()
        working[bisect_right((1, 3, 7, 14, 30), age_s / (8.5 * 3600))] += 1
        calendar[bisect_right((31, 61, 91), (rows.NOW - one.at).total_seconds() / 86_400)] += 1
        money[one.currency] = money.get(one.currency, Decimal(0)) + one.exposure
    return working, calendar, money
