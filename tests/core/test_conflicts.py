"""Three values of a field, and whose word counts."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.contract import BillingKind
from sync_core.desired import BillingMilestone, Desired, Fields, Found, Kind, Project, fields_of
from sync_core.domains.conflicts import Knowledge, Moved, Settled, baseline, differences, settle
from sync_core.domains.domains import DOMAIN_OF, DOMAINS, OnConflict, Owner
from sync_core.errors import ErrorClass, InvalidEstate
from sync_core.estate.ownership import OwnerRule, Rules, check, rule_for
from sync_core.keys import BusinessKey, ErpRef
from sync_core.plan import Action, diff

KEY, PART = BusinessKey("clm/C-1"), BusinessKey("clm/C-1#M:design")


def project(**changes: object) -> Project:
    made = Project(
        key=KEY, name="Rollout", customer=BusinessKey("CUST-1"), legal_entity="US01", billing=BillingKind.MILESTONES,
        currency="USD", value=Decimal(1000), starts_on=date(2026, 4, 1), ends_on=date(2026, 12, 31),
        payment_terms="NET30", tax_code="US-STD", po_number="PO-1", not_to_exceed=None, billable=True,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def milestone(**changes: object) -> BillingMilestone:
    made = BillingMilestone(PART, KEY, "Design", Decimal(1000), "USD", date(2026, 5, 29), "REV")
    return replace(made, **changes)  # type: ignore[arg-type]


def held(wanted: Project | BillingMilestone, **changes: object) -> Found:
    return Found(wanted.kind, wanted.key, ErpRef(f"E-{wanted.kind}"), {**fields_of(wanted), **changes})  # type: ignore[dict-item]


def looked(
    wanted: Project, found: Found, agreed: Fields | None, rules: Rules | None = None, **known: frozenset[object]
) -> Settled:
    desired = Desired(KEY, "cloud", (wanted,), may_create_customer=False)
    knowledge = Knowledge({(Kind.PROJECT, KEY): agreed} if agreed is not None else {}, **known)  # type: ignore[arg-type]
    return settle(desired, diff(desired, [found]), knowledge, rules or {})


def written(settled: Settled) -> dict[str, object]:
    return {name: value for o in settled.plan.writes for name, value in (o.after or {}).items()}


PO = "project.po_number"
ERP = {PO: OwnerRule(Owner.ERP)}
ASK = {PO: OwnerRule(conflict=OnConflict.PERSON)}
ERP_ASK = {PO: OwnerRule(Owner.ERP, OnConflict.PERSON)}
ALLOW = {PO: OwnerRule(conflict=OnConflict.ALLOW)}
AGREED = fields_of(project())
NEW = {**AGREED, "po_number": "PO-0"}  # agreed before the contract moved


@pytest.mark.parametrize(
    ("agreed", "found", "rules", "writes", "asks", "leaves"),
    [
        pytest.param(NEW, "PO-0", {}, True, False, False, id="the contract moved"),
        pytest.param(NEW, "PO-0", ASK, True, False, False, id="the contract moved, its own change asks nobody"),
        pytest.param(AGREED, "PO-9", {}, True, False, False, id="the ERP moved, and it is put back"),
        pytest.param(AGREED, "PO-9", ASK, False, True, False, id="the ERP moved, and a person is asked"),
        pytest.param(AGREED, "PO-9", ALLOW, False, False, True, id="the ERP moved, and it may"),
        pytest.param(NEW, "PO-9", ASK, False, True, False, id="both moved, and a person is asked"),
        pytest.param(NEW, "PO-9", ALLOW, True, False, False, id="both moved: the owner's later word counts"),
        pytest.param(None, "PO-9", ASK, True, False, False, id="first seen: adopted"),
        pytest.param(None, "PO-9", ERP, False, False, True, id="first seen, and the ERP owns it"),
        pytest.param(AGREED, "PO-9", ERP, False, False, True, id="the ERP moved what it owns"),
        pytest.param(AGREED, "PO-9", ERP_ASK, False, False, True, id="its own change asks nobody"),
        pytest.param(NEW, "PO-0", ERP, False, False, True, id="the contract moved what the ERP owns: not applied"),
        pytest.param(NEW, "PO-0", ERP_ASK, False, True, False, id="the same, and a person is asked"),
        pytest.param(AGREED, None, ASK, False, True, False, id="emptied in the ERP"),
    ],
)
def test_whose_word_counts(
    agreed: Fields | None, found: str | None, rules: Rules, writes: bool, asks: bool, leaves: bool
) -> None:
    settled = looked(project(), held(project(), po_number=found), agreed, rules)
    assert ("po_number" in written(settled)) is writes
    assert bool(settled.plan.conflicts) is asks
    assert [one.field for one in settled.left] == (["po_number"] if leaves else [])
    if leaves:
        assert settled.values == {"po_number": found}
        stands = next(o for o in settled.desired.objects if isinstance(o, Project))
        assert stands.po_number == found, "a read-back compares with what stands"


def test_a_conflict_tells_both_values_and_what_was_agreed() -> None:
    settled = looked(project(), held(project(), po_number="PO-9"), NEW, ASK)
    (conflict,) = settled.plan.conflicts
    assert (conflict.before, conflict.after) == ({"po_number": "PO-9"}, {"po_number": "PO-1"})
    assert conflict.why is ErrorClass.OWNERSHIP_CONFLICT
    assert "PO-9 in the ERP, PO-1 by the contract, PO-0 when both were last equal" in conflict.words


def test_nothing_is_overwritten_without_a_word() -> None:
    settled = looked(project(), held(project(), po_number="PO-9", name="Mine"), AGREED)
    (update,) = settled.plan.writes
    assert update.action is Action.UPDATE
    assert "po number was changed there from PO-1 to PO-9" in update.words
    assert "name was changed there from Rollout to Mine" in update.words


def test_a_decision_is_of_these_two_values_only() -> None:
    choice = (Kind.PROJECT, KEY, "po_number", "PO-1", "PO-9")
    assert written(looked(project(), held(project(), po_number="PO-9"), AGREED, ASK, kept=frozenset({choice})))
    again = looked(project(), held(project(), po_number="PO-8"), AGREED, ASK, kept=frozenset({choice}))
    assert again.plan.conflicts
    assert not again.plan.writes


def test_what_we_sent_ourselves_is_nobodys_change() -> None:
    sent = (Kind.PROJECT, KEY, "po_number", "PO-9")
    settled = looked(project(), held(project(), po_number="PO-9"), NEW, ASK, sent=frozenset({sent}))
    assert written(settled) == {"po_number": "PO-1"}


def test_a_project_on_hold_is_billable_again_only_where_nobody_must_be_asked() -> None:
    on_hold = held(project(), billable=False)
    assert written(looked(project(), on_hold, AGREED)) == {"billable": True}
    asked = looked(project(), on_hold, AGREED, {"approval_statuses": OwnerRule(conflict=OnConflict.PERSON)})
    assert asked.plan.conflicts
    assert not asked.plan.writes


def test_other_fields_of_the_same_object_are_written_beside_a_conflict() -> None:
    settled = looked(project(name="New"), held(project(), po_number="PO-9"), AGREED, ASK)
    assert written(settled) == {"name": "New"}
    assert len(settled.plan.conflicts) == 1


def test_a_change_that_was_seen_is_not_agreed_by_being_seen() -> None:
    desired = Desired(KEY, "cloud", (project(),), may_create_customer=False)
    seen = held(project(), po_number="PO-9")
    kept = baseline(desired, [seen], {(Kind.PROJECT, KEY): AGREED}, ())
    assert kept == {(Kind.PROJECT, KEY): {"po_number": "PO-1"}}
    agreed = {**seen.fields, **kept[Kind.PROJECT, KEY]}
    assert looked(project(), seen, agreed, ASK).plan.conflicts, "the next look still sees who moved"
    assert baseline(desired, [held(project())], {(Kind.PROJECT, KEY): agreed}, ()) == {}, "put right, it is forgotten"


def test_what_this_engine_wrote_is_agreed_as_it_stands_although_the_contract_moved_on() -> None:
    seen = held(project(), po_number="PO-9")
    desired = Desired(KEY, "cloud", (project(),), may_create_customer=False)
    ours = frozenset({(Kind.PROJECT, KEY, "po_number", "PO-9")})
    assert baseline(desired, [seen], {(Kind.PROJECT, KEY): AGREED}, (), ours) == {}


def test_what_an_erp_owned_from_the_first_look_is_told_and_asks_nobody_later() -> None:
    seen = held(project(), po_number="PO-9")
    first = looked(project(), seen, None, ERP_ASK)
    kept = baseline(Desired(KEY, "cloud", (project(),), may_create_customer=False), [seen], {}, first.left)
    second = looked(project(), seen, {**seen.fields, **kept[Kind.PROJECT, KEY]}, ERP_ASK)
    assert second.values == {"po_number": "PO-9"}
    assert not second.plan.conflicts


def test_parts_are_named_by_their_key() -> None:
    desired = Desired(KEY, "cloud", (project(), milestone()), may_create_customer=False)
    found = [held(project()), held(milestone(), bill_on="2026-06-30", amount="900")]
    rules = {"sow_milestones": OwnerRule(Owner.ERP)}
    settled = settle(desired, diff(desired, found), Knowledge({(Kind.MILESTONE, PART): fields_of(milestone())}), rules)
    assert settled.values == {"milestones[design].due_on": "2026-06-30", "milestones[design].amount": "900"}
    assert settled.desired.objects == (project(), milestone(bill_on=date(2026, 6, 30), amount=Decimal(900)))
    again = diff(settled.desired, found)
    assert not again.writes


_VALUES = st.sampled_from(["PO-1", "PO-2", "PO-3", None])
_RULES = st.sampled_from([{}, ERP, ASK, ERP_ASK, ALLOW])


@given(_VALUES, _VALUES, _VALUES, _RULES)
def test_each_difference_is_written_asked_or_left_and_no_other(
    was: str | None, wants: str | None, has: str | None, rules: Rules
) -> None:
    wanted, found = project(po_number=wants), held(project(), po_number=has)
    settled = looked(wanted, found, {**AGREED, "po_number": was}, rules)
    ways = [bool(written(settled)), bool(settled.plan.conflicts), bool(settled.left)]
    assert sum(ways) == (wants != has)
    assert not diff(settled.desired, [found]).writes or not settled.left


def test_who_moved_is_told_without_any_rule() -> None:
    desired = Desired(KEY, "cloud", (project(),), may_create_customer=False)
    agreed = {(Kind.PROJECT, KEY): {**AGREED, "name": "Old"}}
    found = [held(project(), name="Old", po_number="PO-9", payment_terms="NET60")]
    told = {d.field: d.moved for d in differences(desired, found, agreed)}
    assert told == {"name": Moved.CONTRACT, "po_number": Moved.ERP, "payment_terms": Moved.ERP}


def test_every_field_of_an_erp_object_is_of_one_domain() -> None:
    assert len(DOMAINS) == 12
    assert len(DOMAIN_OF) == sum(len(domain.fields) for domain in DOMAINS.values())
    for wanted in (project(), milestone()):
        assert {f"{wanted.kind}.{name}" for name in fields_of(wanted)} <= set(DOMAIN_OF)


def test_a_fields_rule_goes_before_its_domains() -> None:
    rules = {"billing_terms": OwnerRule(conflict=OnConflict.PERSON), "project.payment_terms": OwnerRule(Owner.ERP)}
    assert rule_for(rules, "project.payment_terms").owner is Owner.ERP
    assert rule_for(rules, "project.payment_terms").conflict is OnConflict.PERSON
    assert rule_for(rules, "project.not_to_exceed").owner is Owner.CLM


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"po": OwnerRule(Owner.ERP)}, "neither a domain nor a field"),
        ({"amendments": OwnerRule(Owner.CLM)}, "always owned by CLM"),
        ({"contract_headers": OwnerRule(Owner.MDM)}, "cannot be owned by MDM"),
    ],
)
def test_an_estate_cannot_name_what_there_is_not(rules: Rules, words: str) -> None:
    with pytest.raises(InvalidEstate, match=words):
        check(rules)
