"""What follows from a contract by time alone: renewals that come by themselves, ends ahead, suspensions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.contract import Contract, Stage
from sync_core.derive import derive
from sync_core.desired import BillingMilestone, Found, Kind, fields_of
from sync_core.events import PREFIX, Event, understand
from sync_core.keys import ErpRef
from sync_core.life.closing import left_to_bill
from sync_core.life.life_row import RenewalState, life_row
from sync_core.life.lifecycle import on_day
from sync_core.plan import Action, diff
from tests.folds import fold
from tests.sows import SIGNED_AT, SOURCE, estate, milestone_terms, on, tm_terms

ESTATE = estate()
AUTOMATIC = {"renews_on": "2027-01-01", "notice_by": "2026-10-01", "automatic": True}


def event(kind: str, revision: int, data: Mapping[str, object], event_id: str = "") -> Event:
    name = f"{PREFIX}{kind}.v1"
    payload = understand(name, orjson.dumps({"contract_id": "C-1", "revision": revision, **data}))
    return Event(SOURCE, event_id or f"{kind}-{revision}", name, SIGNED_AT + timedelta(days=revision), payload)


def signed(revision: int = 1, **terms: object) -> Event:
    return event("signed", revision, {"signed_at": SIGNED_AT.isoformat(), "terms": milestone_terms(**terms)})


def folded(*events: Event) -> Contract:
    return fold(events)


def project(contract: Contract, day: str) -> dict[str, object]:
    found = derive(contract, ESTATE, on=on(day)).project
    return {} if found is None else {"ends_on": found.ends_on, "billable": found.billable}


def test_an_automatic_renewal_comes_on_its_day_without_an_event() -> None:
    contract = folded(signed(renewal={**AUTOMATIC, "term_months": 12}))
    before = derive(contract, ESTATE, on=on("2026-12-31"))
    assert before.changes_on == on("2027-01-01")
    assert project(contract, "2026-12-31")["ends_on"] == on("2026-12-31")
    assert project(contract, "2027-01-01")["ends_on"] == on("2027-12-31")
    assert project(contract, "2029-06-30")["ends_on"] == on("2029-12-31")
    terms = on_day(contract, on("2029-06-30")).contract.terms
    assert terms is not None
    assert (terms.renewal.renews_on, terms.renewal.notice_by) == (on("2030-01-01"), on("2029-10-01"))


def test_without_a_term_it_has_no_end_any_more() -> None:
    contract = folded(signed(renewal=AUTOMATIC))
    after = derive(contract, ESTATE, on=on("2027-01-01"))
    assert (project(contract, "2027-01-01")["ends_on"], after.changes_on) == (None, None)
    assert life_row(contract, on("2027-01-01")).renewal is RenewalState.NONE


def test_one_that_has_to_be_agreed_does_not_come_by_itself() -> None:
    contract = folded(signed(renewal={**AUTOMATIC, "automatic": False}))
    assert derive(contract, ESTATE, on=on("2026-12-31")).changes_on is None
    assert project(contract, "2027-06-01")["ends_on"] == on("2026-12-31")
    row = life_row(contract, on("2026-06-01"))
    assert (row.renewal, row.renewal_due) == (RenewalState.MANUAL, on("2026-10-01"))


def declined(revision: int = 2, **data: object) -> Event:
    return event("renewal_declined", revision, {"declined_on": "2026-09-01", "reason": "in-house", **data})


def test_a_declined_renewal_lets_the_contract_end_after_its_last_day() -> None:
    contract = folded(signed(renewal=AUTOMATIC, milestones=[]), declined())
    last, over = (derive(contract, ESTATE, on=on(day)) for day in ("2026-12-31", "2027-01-01"))
    assert last.project is not None
    assert (last.changes_on, over.project, over.objects) == (on("2027-01-01"), None, ())
    standing = on_day(contract, on("2027-01-01"))
    assert (standing.contract.stage, standing.contract.ended_on) == (Stage.EXPIRED, on("2026-12-31"))
    row = life_row(contract, on("2026-09-02"))
    assert (row.renewal, row.renewal_due) == (RenewalState.DECLINED, on("2026-12-31"))


def test_a_later_renewal_is_declined_after_the_earlier_ones_came() -> None:
    """Nobody sends events for the ones that came by themselves."""
    contract = folded(signed(renewal={**AUTOMATIC, "term_months": 12}), declined(declined_on="2028-03-01"))
    assert project(contract, "2028-12-31")["ends_on"] == on("2028-12-31")
    assert on_day(contract, on("2029-01-01")).contract.stage is Stage.EXPIRED
    assert life_row(contract, on("2026-06-01")).renewal_due == on("2027-01-01"), "one comes before"
    named = folded(signed(renewal={**AUTOMATIC, "term_months": 12}), declined(renews_on="2029-01-01"))
    assert on_day(named, on("2028-06-01")).contract.stage is Stage.SIGNED
    assert on_day(named, on("2029-01-01")).contract.stage is Stage.EXPIRED


def test_a_renewal_that_is_agreed_after_all_ends_the_decline() -> None:
    again = {"renewal": {"renews_on": "2028-01-01"}, "ends_on": "2027-12-31"}
    contract = folded(signed(renewal=AUTOMATIC), declined(), event("renewed", 3, again))
    assert contract.renewal_notice is None
    assert project(contract, "2027-06-01") == {"ends_on": on("2027-12-31"), "billable": True}


TERM = {**AUTOMATIC, "term_months": 12}
COMING = {"renews_on": "2028-01-01", "notice_by": "2027-10-01", "automatic": True, "term_months": 12}


@pytest.mark.parametrize(("renewal", "ends"), [
    pytest.param(COMING, {"2026-12-31": "2027-12-31", "2027-03-01": "2027-12-31", "2028-03-01": "2028-12-31"},
                 id="with the next one"),
    pytest.param({"automatic": False}, {"2027-03-01": "2027-12-31", "2028-03-01": "2027-12-31"}, id="the last one"),
])  # fmt: skip
def test_a_renewal_without_its_last_day_takes_no_end_back(renewal: dict[str, object], ends: dict[str, str]) -> None:
    contract = folded(signed(renewal=TERM), event("renewed", 2, {"renewal": renewal}))
    assert {day: str(project(contract, day)["ends_on"]) for day in ends} == ends


@pytest.mark.parametrize(("terms", "end"), [
    ({"renewal": TERM, "ends_on": None}, None), ({"renewal": {}}, "2026-12-31"),
    ({"renewal": {**TERM, "automatic": False}}, "2027-12-31"), ({"renewal": AUTOMATIC}, "2027-12-31"),
])  # fmt: skip
def test_the_last_day_moves_as_far_as_the_renewal(terms: dict[str, object], end: str | None) -> None:
    renewed = event("renewed", 2, {"renewal": {"renews_on": "2028-01-01"}, "ends_on": None})
    contract = folded(signed(1, **terms), renewed)
    assert project(contract, "2027-03-01")["ends_on"] == (None if end is None else on(end))


def test_said_after_it_came_by_itself_it_is_that_renewal() -> None:
    said = replace(event("renewed", 2, {"renewal": {}}), occurred_at=SIGNED_AT.replace(year=2028))
    contract = folded(signed(renewal=TERM), said)
    assert project(contract, "2028-06-01")["ends_on"] == on("2028-12-31")


def test_one_that_is_talked_about_is_under_way_until_it_comes() -> None:
    contract = folded(
        signed(renewal={**AUTOMATIC, "term_months": 6}), event("renewal_initiated", 2, {"initiated_on": "2026-09-01"})
    )
    assert life_row(contract, on("2026-12-31")).renewal is RenewalState.INITIATED
    assert life_row(contract, on("2027-01-01")).renewal is RenewalState.AUTOMATIC


def test_a_suspended_contract_bills_nothing_until_it_is_resumed() -> None:
    begun = event("suspended", 2, {"suspended_on": "2026-06-01", "reason": "review"})
    contract = folded(signed(), begun)
    assert derive(contract, ESTATE, on=on("2026-05-31")).changes_on == on("2026-06-01")
    assert [project(contract, day)["billable"] for day in ("2026-05-31", "2026-06-01")] == [True, False]
    assert life_row(contract, on("2026-06-02")).suspension == "suspended since 2026-06-01: review"
    resumed = folded(signed(), begun, event("resumed", 3, {"resumed_on": "2026-07-01"}))
    assert [project(resumed, day)["billable"] for day in ("2026-06-30", "2026-07-01")] == [False, True]
    assert derive(resumed, ESTATE, on=on("2026-06-15")).changes_on == on("2026-07-01")


def test_an_agreed_end_of_a_suspension_needs_no_event() -> None:
    data = {"suspended_on": "2026-06-01", "resumes_on": "2026-08-01"}
    contract = folded(signed(), event("suspended", 2, data))
    assert derive(contract, ESTATE, on=on("2026-06-15")).changes_on == on("2026-08-01")
    assert project(contract, "2026-08-01")["billable"] is True


def test_signed_anew_after_an_end_nothing_is_suspended_or_declined_any_more() -> None:
    ended = event("terminated", 4, {"ended_on": "2026-06-10"})
    begun = event("suspended", 2, {"suspended_on": "2026-06-01"})
    contract = folded(signed(renewal=AUTOMATIC), begun, declined(3), ended, signed(5, renewal=AUTOMATIC))
    assert (contract.suspensions, contract.renewal_notice) == ((), None)


def test_a_termination_with_a_date_ahead_takes_effect_on_that_day() -> None:
    ended = event("terminated", 2, {"ended_on": "2026-05-20"})
    contract = folded(signed(), ended)
    before = derive(contract, ESTATE, on=on("2026-05-19"))
    assert before.project is not None
    assert (before.changes_on, before.ended_on) == (on("2026-05-20"), None)
    assert derive(contract, ESTATE, on=on("2026-05-20")).objects == ()


def test_what_was_due_by_the_end_stays_until_it_is_invoiced() -> None:
    contract = folded(signed(), event("terminated", 2, {"ended_on": "2026-06-30"}))
    desired = derive(contract, ESTATE, on=on("2026-07-01"))
    kept = [o for o in desired.objects if isinstance(o, BillingMilestone)]
    assert [(o.name, o.amount) for o in kept] == [("Design", Decimal("10000.00"))]
    assert desired.project is not None
    held = [Found(o.kind, o.key, ErpRef(f"R{n}"), fields_of(o)) for n, o in enumerate(desired.objects)]
    assert not diff(desired, held).writes
    invoiced = [replace(f, billed=True) if f.kind is Kind.MILESTONE else f for f in held]
    [close] = diff(desired, invoiced).writes
    assert (close.action, close.kind) == (Action.CLOSE, Kind.PROJECT)
    gone = [replace(f, active=f.billed) for f in invoiced]
    assert not diff(desired, gone).operations, "a closed project is not made again"
    assert not diff(desired, []).operations, "nor one that the ERP has no trace of"
    left = left_to_bill(desired, [])
    assert left is not None
    assert (left.cause, left.money) == ("earned_not_billed", Decimal(10000))


@pytest.mark.parametrize("kind", ["cancelled", "terminated"])
def test_nothing_is_left_of_what_was_cancelled_or_billed_by_time(kind: str) -> None:
    terms = milestone_terms() if kind == "cancelled" else tm_terms()
    first = event("signed", 1, {"signed_at": SIGNED_AT.isoformat(), "terms": terms})
    contract = folded(first, event(kind, 2, {"ended_on": "2026-06-30"}))
    assert derive(contract, ESTATE, on=on("2026-06-30")).objects == ()


DAYS = st.dates(date(2026, 3, 1), date(2029, 12, 31))
ODD_DAYS = st.dates()
RENEWALS = st.fixed_dictionaries(
    {"automatic": st.booleans()},
    optional={"renews_on": ODD_DAYS.map(str), "notice_by": ODD_DAYS.map(str), "term_months": st.integers(-2, 40)},
)
STEPS = st.one_of(
    st.tuples(
        st.just("renewed"),
        st.fixed_dictionaries({"renewal": RENEWALS}, optional={"ends_on": st.none() | DAYS.map(str)}),
    ),
    st.tuples(st.just("renewal_initiated"), st.fixed_dictionaries({"initiated_on": DAYS.map(str)})),
    st.tuples(
        st.just("renewal_declined"),
        st.fixed_dictionaries({"declined_on": ODD_DAYS.map(str)}, optional={"renews_on": ODD_DAYS.map(str)}),
    ),
    st.tuples(
        st.just("suspended"),
        st.fixed_dictionaries({"suspended_on": ODD_DAYS.map(str)}, optional={"resumes_on": DAYS.map(str)}),
    ),
    st.tuples(st.just("resumed"), st.fixed_dictionaries({"resumed_on": DAYS.map(str)})),
    st.tuples(st.sampled_from(["cancelled", "terminated"]), st.fixed_dictionaries({"ended_on": ODD_DAYS.map(str)})),
)


@st.composite
def lives(draw: st.DrawFn) -> list[Event]:
    ends_on = draw(st.none() | ODD_DAYS.map(str))
    first = signed(1, renewal=draw(RENEWALS), ends_on=ends_on)
    steps = draw(st.lists(STEPS, max_size=5))
    return [first, *(event(kind, n, data) for n, (kind, data) in enumerate(steps, 2))]


@given(lives(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_order_of_arrival_does_not_matter(events: Sequence[Event], shuffle: object) -> None:
    arrived = list(events)
    shuffle.shuffle(arrived)  # type: ignore[attr-defined]
    assert fold(arrived) == fold(events)


@given(lives(), DAYS)
@settings(max_examples=300, deadline=None)
def test_nothing_changes_before_the_day_that_is_named(events: Sequence[Event], day: date) -> None:
    """So a contract that is looked at on these days alone is never out of date."""
    contract = fold(events)
    now = derive(contract, ESTATE, on=day)
    until = now.changes_on or day + timedelta(days=900)
    assert until > day
    for ahead in {1, 2, 30, 200, (until - day).days - 1}:
        if 0 < ahead < (until - day).days and ahead < 100_000:
            later = derive(contract, ESTATE, on=day + timedelta(days=ahead))
            assert later.objects == now.objects


@given(lives(), DAYS)
@settings(max_examples=200, deadline=None)
def test_a_look_at_what_stands_already_finds_the_same(events: Sequence[Event], day: date) -> None:
    standing = on_day(fold(events), day)
    again = on_day(standing.contract, day)
    assert (again.contract, again.wanted, again.suspension) == (
        standing.contract, standing.wanted, standing.suspension,
    )  # fmt: skip
