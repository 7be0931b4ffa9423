"""A signature after an end begins a new agreement: nothing of the old one approves, numbers or changes it."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.cases.approvals import approval_findings
from sync_core.contract import Approval, ClauseStatus, Contract, Stage
from sync_core.derive import derive
from sync_core.desired import BillingMilestone, Found, Kind
from sync_core.estate.estate import load
from sync_core.events import DECIDED, Amended, Decided, Event
from sync_core.keys import ErpRef, part_key
from sync_core.life.amendments import books
from sync_core.life.lifecycle import on_day
from sync_core.moving.moving import Behind, Placement, changed_since
from sync_core.plan import diff
from tests.core.test_lifecycle import AUTOMATIC, declined, event, signed
from tests.folds import amendments, fold, fold_steps
from tests.sows import ESTATE_TOML, SIGNED_AT, SOURCE, estate, milestone_terms, on

ASKING = load(ESTATE_TOML + '\n[[approval]]\nname = "Everything"\nfrom_amount = 0\nfunction = "finance_operations"\n')
TERM = {**AUTOMATIC, "term_months": 12}
NEXT = {"value": "9000.00", "starts_on": "2027-02-01", "ends_on": "2027-12-31",
        "milestones": [{"key": "two", "name": "Two", "amount": "9000.00", "due_on": "2027-06-30", "line": "1"}],
        "lines": [{"key": "1", "description": "More", "amount": "9000.00"}]}  # fmt: skip


def signed_on(day: str, revision: int) -> Event:
    """The next agreement."""
    data = {"signed_at": f"{day}T10:00:00Z", "terms": milestone_terms(**NEXT)}
    return event("signed", revision, data, f"next-{revision}")


def amended(number: int, revision: int, **changes: object) -> Event:
    header = {"number": number, "executed_at": SIGNED_AT.isoformat()}
    return event("amended", revision, {"amendment": header, "changes": changes}, f"a-{revision}")


def decided(revision: int) -> Event:
    payload = Decided(
        contract_id="C-1", revision=revision, subject="provisioning", rule="Everything", decision="approved",
        amount=Decimal(25000), currency="USD", by="a", reason="fine",
    )  # fmt: skip
    return Event(SOURCE, f"tieline:{revision}", DECIDED, SIGNED_AT + timedelta(days=revision), payload)


def keys(contract: Contract, day: str) -> list[str]:
    objects = derive(contract, estate(), on=on(day)).objects
    return [o.key.partition("#M:")[2] for o in objects if isinstance(o, BillingMilestone)]


def test_a_signature_after_the_last_day_of_a_declined_contract_is_a_new_one() -> None:
    history = [signed(1, renewal=TERM), declined(), signed_on("2027-01-20", 3)]
    contract = fold(history)
    assert (contract.stage, contract.silent, contract.renewal_notice) == (Stage.SIGNED, (), None)
    standing = on_day(contract, on("2027-03-01"))
    assert (standing.contract.stage, keys(contract, "2027-03-01")) == (Stage.SIGNED, ["two"])
    assert [step.begins for step in fold_steps(history)] == [False, False, True]


@pytest.mark.parametrize(("day", "begins"), [("2026-12-31", False), ("2027-01-01", True)])
def test_it_is_new_from_the_day_after_the_last_one(day: str, begins: bool) -> None:
    contract = fold([signed(1, renewal=TERM), declined(), signed_on(day, 3)])
    assert (contract.silent == (), contract.renewal_notice is None) == (begins, begins)


@pytest.mark.parametrize(("moment", "begins"), [
    ("2027-01-01T04:59:00Z", False), ("2027-01-01T05:00:00Z", True),
    ("2026-12-31T23:59:00-05:00", False), ("2027-01-01T00:00:00-05:00", True),
])  # fmt: skip
def test_its_day_is_that_of_the_legal_entity(moment: str, begins: bool) -> None:
    """New York's last day of the year is over five hours after that of UTC."""
    data = {"signed_at": moment, "terms": milestone_terms(**NEXT)}
    history = [signed(1, renewal=TERM), declined(), event("signed", 3, data, "next-3")]
    assert (fold(history, day_at=estate().day_at).renewal_notice is None) == begins
    assert [step.begins for step in fold_steps(history, day_at=estate().day_at)] == [False, False, begins]


def test_published_again_as_it_was_signed_it_is_not_signed_anew() -> None:
    """However late: who publishes a contract again tells when it was signed, and that was before its end."""
    history = [signed(1, renewal=TERM), declined()]
    assert on_day(fold([*history, signed(3, renewal=TERM)]), on("2027-03-01")).contract.stage is Stage.EXPIRED
    other = fold([*history, signed(3, renewal=TERM, value="26000.00")])
    assert ([one.path for one in other.silent], other.silent_since) == ([("value", "")], "signed-3")
    ended_before = [signed(1, ends_on="2026-01-31", renewal={"automatic": False}), declined()]
    assert fold([*ended_before, signed(3, ends_on="2026-01-31", value="26000.00")]).renewal_notice is not None


@pytest.mark.parametrize("kind", ["cancelled", "terminated"])
def test_approvals_and_clauses_of_before_the_end_are_not_taken_over(kind: str) -> None:
    said = event("clauses", 1, {"clauses": {"liability_cap": "approved"}}, "c-1")
    rejected = event("approved", 1, {"approval": "rejected"}, "p-1")
    history = [signed(1), said, rejected, decided(1)]
    assert list(approval_findings(fold(history), ASKING)) == []
    history += [event(kind, 3, {"ended_on": "2026-03-05"}), signed(4)]
    contract = fold(history)
    assert (contract.decisions, contract.clauses, contract.approval) == ((), (), Approval.PENDING)
    assert [one.cause for one in approval_findings(contract, ASKING)] == ["approval_needed"]
    assert list(approval_findings(fold([*history, decided(4)]), ASKING)) == []


def test_what_was_said_of_it_since_the_end_is_of_the_new_one() -> None:
    since = [event("clauses", 4, {"clauses": {"ip": "standard"}}), event("approved", 4, {"approval": "approved"})]
    old = event("clauses", 2, {"clauses": {"liability_cap": "approved"}})
    history = [signed(1), old, event("cancelled", 3, {"ended_on": "2026-03-05"}), *since]
    ended = fold(history)
    assert dict(ended.clauses) == {"liability_cap": ClauseStatus.APPROVED, "ip": ClauseStatus.STANDARD}
    anew = fold([*history, signed(5)])
    assert (dict(anew.clauses), anew.approval) == ({"ip": ClauseStatus.STANDARD}, Approval.APPROVED)


def test_amendments_are_numbered_from_one_again() -> None:
    old = [signed(1), amended(1, 2, po_number="A"), amended(2, 3, po_number="B")]
    anew = [*old, event("terminated", 4, {"ended_on": "2026-03-05"}), signed(5)]
    assert (fold(anew).amendments, fold(anew).missing_amendment) == ((), None)
    gap = fold([*anew, amended(2, 7, po_number="NEW-2")])
    assert gap.terms is not None
    assert (gap.missing_amendment, gap.terms.po_number) == (1, "PO-77")
    history = [*anew, amended(2, 7, po_number="NEW-2"), amended(1, 6, title="First")]
    whole = fold(history)
    assert whole.terms is not None
    assert (whole.missing_amendment, whole.terms.po_number, whole.terms.title) == (None, "NEW-2", "First")
    assert [(one.number, one.event_id) for one in amendments(history)] == [
        (1, "a-2"), (2, "a-3"), (1, "a-6"), (2, "a-7"),
    ]  # fmt: skip


@pytest.mark.parametrize(("numbers", "missing"), [([3], None), ([3, 4], None), ([4], 3), ([1, 3], 2), ([2, 3], 1)])
def test_or_they_go_on_where_the_old_ones_ended(numbers: list[int], missing: int | None) -> None:
    old = [signed(1), amended(1, 2), amended(2, 3), event("terminated", 4, {"ended_on": "2026-03-05"}), signed(5)]
    assert fold([*old, *(amended(n, 5 + n) for n in numbers)]).missing_amendment == missing


def test_a_gap_in_the_old_agreement_is_not_filled_by_a_number_of_the_new_one() -> None:
    history = [signed(1), amended(2, 2, po_number="OLD-2"), event("terminated", 4, {"ended_on": "2026-03-05"})]
    steps = fold_steps([*history, signed(5), amended(1, 6, po_number="NEW-1")])
    assert [step.waits for step in steps] == [False, True, False, False, False]
    assert (steps[2].after.missing_amendment, steps[-1].after.missing_amendment) == (1, None)


def test_what_was_invoiced_under_the_old_agreement_is_no_difference_of_the_new_one() -> None:
    old = [signed(1), event("cancelled", 3, {"ended_on": "2026-06-05"})]
    contract = fold([*old, signed_on("2027-01-20", 4)])
    desired = derive(contract, estate(), on=on("2027-03-01"))
    held = {key: Found(Kind.MILESTONE, part_key("clm/C-1", "M", key), ErpRef(key), {"amount": "10000"}, billed=True)
            for key in ("design", "stranger")}  # fmt: skip
    assert [one.key for one in diff(desired, list(held.values())).tasks] == [held["stranger"].key]
    schedule = books(contract, {"design": Decimal(10000)})
    assert schedule is not None
    assert [(row.key, row.difference) for row in schedule.rows] == [("two", Decimal(0))]
    placement = Placement("cloud", None, {"old": Behind(Decimal(10000), {"clm/C-1#M:design": Decimal(10000)})})
    assert changed_since("clm/C-1", contract.terms, placement, contract.earlier) == []
    assert changed_since("clm/C-1", contract.terms, placement) != []


MOVES = st.sampled_from(["signed", "late", "amended", "cancelled", "declined", "clauses", "approved"])


@st.composite
def lives(draw: st.DrawFn) -> list[Event]:
    made: list[Event] = [signed(1, renewal=draw(st.sampled_from([TERM, {}])))]
    for revision, kind in enumerate(draw(st.lists(MOVES, max_size=8)), 2):
        match kind:
            case "signed":
                made.append(signed(revision, value=draw(st.sampled_from(["25000.00", "26000.00"]))))
            case "late":
                made.append(signed_on("2027-02-01", revision))
            case "amended":
                made.append(amended(draw(st.integers(1, 3)), revision, po_number=f"PO-{revision}"))
            case "cancelled":
                made.append(event("cancelled", revision, {"ended_on": "2026-05-01"}))
            case "declined":
                made.append(declined(revision))
            case "clauses":
                made.append(event("clauses", revision, {"clauses": {f"c{revision % 2}": "standard"}}))
            case _:
                made.append(event("approved", revision, {"approval": "approved"}))
    return made


@settings(max_examples=200, deadline=None)
@given(lives(), st.data())
def test_arrival_does_not_matter_and_the_new_agreement_knows_nothing_of_the_old(
    history: Sequence[Event], data: st.DataObject
) -> None:
    assert fold(data.draw(st.permutations(history))) == fold(history)
    steps = fold_steps(history)
    begun = [place for place, step in enumerate(steps) if step.begins]
    if not begun:
        return
    alone = fold([step.event for step in steps[begun[-1] :]])
    now = fold(history)
    assert (now.stage, now.decisions) == (alone.stage, ())
    if min((step.event.payload.amendment.number for step in steps[begun[-1] :]
            if isinstance(step.event.payload, Amended)), default=1) == 1:  # fmt: skip
        assert (now.terms, now.amendments, now.missing_amendment, now.silent, now.dated) == (
            alone.terms, alone.amendments, alone.missing_amendment, alone.silent, alone.dated,
        )  # fmt: skip
