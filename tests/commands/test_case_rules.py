"""Who may do what with which exception, and that what is offered is what the command does."""

from typing import Any

import pytest
import sqlalchemy as sa

from sync_core.authority import Actor, Forbidden
from sync_core.cases.rules import Deed
from sync_core.clock import VirtualClock
from sync_core.commands.desk import CommandRefused, NotFound
from sync_core.errors import Function
from sync_core.reads import Reads
from tests.commands.people import (
    ADMINISTRATOR,
    APPROVER,
    BRITISH_TAX,
    EVERYTHING,
    EXECUTIVE,
    LEGAL,
    TAX,
    audited,
    case_row,
    commands,
)
from tests.reads.handmade import add_case, add_contract
from tests.rows import NOW, estate


@pytest.fixture
def case(database: sa.Engine) -> int:
    return add_case(database, add_contract(database), "tax_code_missing")


def test_out_of_reach_is_not_found_and_without_the_role_forbidden(database: sa.Engine, case: int) -> None:
    cases = commands(database).cases
    with pytest.raises(NotFound):
        cases.assign(BRITISH_TAX, [case], "x@y.z")
    with pytest.raises(NotFound):
        cases.comment(BRITISH_TAX, case, "hello")
    for actor, act in ((EXECUTIVE, "assign"), (EXECUTIVE, "decide")):
        with pytest.raises(Forbidden):
            getattr(cases, act)(actor, [case], "because it is so")
    assert audited(database) == []


def test_only_the_function_that_has_it_decides(database: sa.Engine, case: int) -> None:
    cases = commands(database).cases
    with pytest.raises(Forbidden, match="for US01 for tax is not yours"):
        cases.decide(LEGAL, [case], "will not fix")
    cases.decide(TAX, [case], "will not fix")
    row = case_row(database, case)
    assert (row["state"], row["closed_how"], row["decided_by"], row["decided_rev"]) == (
        "decided", "decision", "tax@example.com", 1,
    )  # fmt: skip
    assert row["resolved_at"] == NOW
    with pytest.raises(CommandRefused, match="decided already"):
        cases.decide(TAX, [case], "again")


def test_a_function_works_on_its_own_and_on_what_nobody_has_taken(database: sa.Engine) -> None:
    """Untaken ones of legal may be handed on by tax; one that legal is at work on is not taken away from it."""
    cases = commands(database).cases
    untaken = add_case(database, add_contract(database), "end_before_start", function="legal")
    taken = add_case(database, add_contract(database), "end_before_start", function="legal", assignee="ada@example.com")
    given = add_case(database, add_contract(database), "end_before_start", function="legal", assignee=TAX.name)
    taxs = add_case(database, add_contract(database), "tax_code_missing", assignee="bob@example.com")
    done = cases.acknowledge(TAX, [untaken, taken, given, taxs])
    assert (done.changed, [one.case_id for one in done.refused]) == ((untaken, given, taxs), [taken])
    assert done.refused[0].words == (
        f"exception {taken} is with legal, and ada@example.com has it; ask them to hand it over"
    )
    with pytest.raises(Forbidden):
        cases.assign(TAX, [taken], TAX.name)
    with pytest.raises(Forbidden):
        cases.hand_over(TAX, [taken], Function.TAX, "ours")
    with pytest.raises(Forbidden):
        cases.decide(TAX, [untaken], "will not fix")
    cases.comment(TAX, taken, "we can help")
    cases.hand_over(TAX, [taxs], Function.LEGAL, "the contract itself is wrong")
    cases.hand_over(TAX, [untaken], Function.DELIVERY, "rates")
    cases.assign(EVERYTHING, [taken], None)
    cases.assign(TAX, [taken], TAX.name)
    cases.assign(TAX, [taken], None)
    assert case_row(database, taken)["assignee"] is None


def test_handing_a_cause_of_others_to_oneself_gives_no_say_in_it(database: sa.Engine) -> None:
    cases = commands(database).cases
    legals = add_case(database, add_contract(database), "end_before_start", function="legal")
    cases.hand_over(TAX, [legals], Function.TAX, "I take it")
    with pytest.raises(Forbidden, match="is legal's: hand it over to them"):
        cases.decide(TAX, [legals], "closed anyway")
    assert case_row(database, legals)["state"] == "open"
    cases.hand_over(TAX, [legals], Function.LEGAL, "it is theirs")
    assert cases.decide(LEGAL, [legals], "the client insists").changed == (legals,)


@pytest.mark.parametrize("deed", [deed for deed in Deed if deed.value.startswith("cases.")])
@pytest.mark.parametrize(
    "actor", [TAX, LEGAL, EVERYTHING, EXECUTIVE, BRITISH_TAX, APPROVER, ADMINISTRATOR], ids=lambda actor: actor.name
)
def test_what_is_offered_is_what_the_command_does(database: sa.Engine, deed: Deed, actor: Actor) -> None:
    """Over every kind of exception: the reads' offer and the command's answer are one."""
    reads, facade = Reads(database, clock=VirtualClock(NOW), estate=estate()), commands(database)
    closed = {"state": "decided", "resolved_at": NOW, "closed_how": "decision"}
    kinds: list[dict[str, Any]] = [
        {}, {"function": "legal"}, {"function": "legal", "assignee": "ada@example.com"}, closed,
        {"assignee": actor.name, "function": "delivery"}, {"acknowledged_by": "ada@example.com"},
    ]  # fmt: skip
    cases = [add_case(database, add_contract(database), "po_missing", **kind) for kind in kinds]
    cases.append(add_case(database, add_contract(database, legal_entity="GB01"), "po_missing"))
    cases.append(add_case(database, add_contract(database), "approval_needed", error_class="policy_denied"))
    method = getattr(facade.cases, deed.value.partition(".")[2])
    for case in cases:
        detail = reads.case(case)
        assert detail is not None
        offered = next(one for one in detail.actions if one.deed is deed).allowed(actor)
        values: dict[Deed, tuple[object, ...]] = {
            Deed.ASSIGN: ("x@example.com",), Deed.HAND_OVER: (Function.INTEGRATION, "theirs"),
            Deed.DECIDE: ("will not fix",), Deed.COMMENT: ("hello",),
        }  # fmt: skip
        try:
            method(actor, case if deed is Deed.COMMENT else [case], *values.get(deed, ()))
        except (Forbidden, CommandRefused):
            done = False
        else:
            done = True
        assert offered is done, (case, detail.row)


def test_what_asks_for_an_approval_is_not_decided_away(database: sa.Engine) -> None:
    asks = add_case(database, add_contract(database), "approval_needed", function="finance_operations")
    with pytest.raises(CommandRefused, match="approve or refuse"):
        commands(database).cases.decide(EVERYTHING, [asks], "never mind")
