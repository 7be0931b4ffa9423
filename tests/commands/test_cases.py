"""What people do with exceptions: within their reach, on the version they saw, audited, with hostile text kept text."""

import threading
from dataclasses import replace
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from sync_core.authority import Actor, Forbidden, Permission
from sync_core.case_rules import Deed
from sync_core.clock import VirtualClock
from sync_core.commands.cases import comment
from sync_core.commands.chosen import CasesChanged
from sync_core.commands.desk import Changed, CommandRefused, InvalidInput, NotFound, Once
from sync_core.errors import Function
from sync_core.estate import Estate, Owner
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
    history_of,
)
from tests.reads.handmade import add_case, add_contract
from tests.rows import NOW, estate

HOSTILE = '<script>alert(1)</script> =HYPERLINK("x") **b** \'; DROP TABLE core.case; --\u202egnp\x00'


@pytest.fixture
def case(database: sa.Engine) -> int:
    return add_case(database, add_contract(database), "tax_code_missing")


def test_assigning_and_unassigning_is_kept_with_its_history(database: sa.Engine, case: int) -> None:
    cases = commands(database).cases
    assert cases.assign(EVERYTHING, [case], "ada@example.com", version=1) == CasesChanged((case,))
    row = case_row(database, case)
    assert (row["assignee"], row["version"]) == ("ada@example.com", 2)
    cases.assign(EVERYTHING, [case], None, version=2)
    assert case_row(database, case)["assignee"] is None
    assert [(h["what"], h["assignee"], h["actor"]) for h in history_of(database, case)] == [
        ("assigned", "ada@example.com", "all@example.com"), ("assigned", None, "all@example.com"),
    ]  # fmt: skip
    first = audited(database)[0]
    assert (first["action"], first["subject"], first["legal_entity"]) == (
        "exception.assign",
        f"exception {case}",
        "US01",
    )
    assert orjson.loads(first["detail"])["after"] == {"assignee": "ada@example.com"}


def test_a_version_that_is_past_changes_nothing(database: sa.Engine, case: int) -> None:
    cases = commands(database).cases
    cases.assign(EVERYTHING, [case], "ada@example.com")
    with pytest.raises(Changed):
        cases.assign(EVERYTHING, [case], "bob@example.com", version=1)
    with pytest.raises(Changed):
        cases.hand_over(EVERYTHING, [case], Function.LEGAL, "theirs", version=1)
    with pytest.raises(Changed):
        cases.acknowledge(EVERYTHING, [case], version=1)
    with pytest.raises(Changed):
        cases.decide(EVERYTHING, [case], "will not fix", version=1)
    assert len(audited(database)) == 1
    assert case_row(database, case)["assignee"] == "ada@example.com"


def test_of_many_those_that_can_be_changed_are_and_the_others_say_why(database: sa.Engine) -> None:
    mine = add_case(database, add_contract(database), "tax_code_missing")
    stale = add_case(database, add_contract(database), "tax_code_missing", version=4)
    closed = add_case(database, add_contract(database), "tax_code_missing", state="resolved", resolved_at=NOW)
    done = commands(database).cases.assign(EVERYTHING, [closed, 999_999, stale, mine], "a@b.c", versions={stale: 3})
    assert done.changed == (mine,)
    assert {r.case_id: r.code for r in done.refused} == {
        stale: "command.changed", closed: "command.refused", 999_999: "command.not_found",
    }  # fmt: skip
    row = audited(database)[0]
    assert row["subject"] == f"exception {mine}"
    assert orjson.loads(row["detail"])["refused"] == sorted([stale, closed, 999_999])


def test_a_thousand_at_once_are_one_command_and_one_audit_row(database: sa.Engine) -> None:
    with database.begin() as conn:
        conn.execute(sa.text("""
            INSERT INTO core.contract (source, external_id, state, state_since, received_at, updated_at, legal_entity)
            SELECT 's', 'B-' || n, 'blocked', :now, :now, :now, 'US01' FROM generate_series(1, 1001) AS n
        """), {"now": NOW})  # fmt: skip
        ids = conn.execute(sa.text("""
            INSERT INTO core.case (contract_id, cause, error_class, function, severity, message, state, opened_at,
                                   seen_at)
            SELECT contract_id, 'tax_code_missing', 'missing_data', 'tax', 'low', 'm', 'open', :now, :now
            FROM core.contract RETURNING case_id
        """), {"now": NOW}).scalars().all()  # fmt: skip
    cases, statements = commands(database).cases, []
    sa.event.listen(database, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert len(cases.decide(EVERYTHING, ids[:1000], "the pilot has ended").changed) == 1000
    assert len(statements) < 12
    with database.connect() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM core.case WHERE state = 'decided'")) == 1000
        assert conn.scalar(sa.text("SELECT count(*) FROM core.case_history WHERE what = 'decided'")) == 1000
    assert [row["items"] for row in audited(database)] == [1000]
    with pytest.raises(InvalidInput, match="at most 1,000"):
        cases.assign(EVERYTHING, ids, "a@b.c")


def test_handing_over_gives_the_new_owner_its_own_time(database: sa.Engine, case: int) -> None:
    cases = commands(database, estate=_with_owner()).cases
    cases.assign(EVERYTHING, [case], "ada@example.com")
    cases.hand_over(EVERYTHING, [case], Function.LEGAL, "the contract itself is wrong")
    row = case_row(database, case)
    assert (row["function"], row["assignee"]) == ("legal", None)
    assert row["due_at"] > NOW
    moved = history_of(database, case)[-1]
    assert (moved["what"], moved["from_function"], moved["function"]) == ("handed_over", "tax", "legal")
    assert moved["note"] == "the contract itself is wrong"
    with pytest.raises(CommandRefused, match="already"):
        cases.hand_over(EVERYTHING, [case], Function.LEGAL, "again")
    with pytest.raises(InvalidInput, match="is no function"):
        cases.hand_over(EVERYTHING, [case], "marketing", "theirs")  # type: ignore[arg-type]


def _with_owner() -> Estate:
    return replace(estate(), owner=(Owner(Function.LEGAL, "Legal", "legal@example.com", 8),))


def test_the_first_acknowledgement_stands(database: sa.Engine, case: int) -> None:
    cases = commands(database).cases
    cases.acknowledge(TAX, [case])
    assert case_row(database, case)["acknowledged_by"] == "tax@example.com"
    with pytest.raises(CommandRefused, match=r"acknowledged by tax@example\.com"):
        cases.acknowledge(LEGAL, [case])


def test_a_comment_is_kept_as_text_and_read_back(database: sa.Engine, case: int) -> None:
    cases, reads = commands(database).cases, Reads(database, clock=VirtualClock(NOW), estate=estate())
    cases.comment(TAX, case, f"  {HOSTILE}\r\nsecond line  ")
    detail = reads.case(case)
    assert detail is not None
    (moment,) = detail.history
    assert moment.note == HOSTILE.replace("\u202e", "").replace("\x00", "\ufffd") + "\nsecond line"
    for wrong in ("", " \n ", "x" * 4_001):
        with pytest.raises(InvalidInput):
            cases.comment(TAX, case, wrong)


@pytest.mark.parametrize("wrong", ["", "   ", "x@" + "x" * 201])
def test_an_assignee_is_one_short_line(database: sa.Engine, case: int, wrong: str) -> None:
    with pytest.raises(InvalidInput):
        commands(database).cases.assign(TAX, [case], wrong)


@pytest.mark.parametrize("wrong", ["ada", "@", "ada@", "@example.com", "a@b@c", "ada lovelace@example.com"])
def test_an_assignee_is_a_persons_address(database: sa.Engine, case: int, wrong: str) -> None:
    with pytest.raises(InvalidInput, match="is no person's e-mail address; give one such as"):
        commands(database).cases.assign(TAX, [case], wrong)
    assert case_row(database, case)["assignee"] is None


def test_half_characters_and_controls_do_not_break_a_command(database: sa.Engine, case: int) -> None:
    cases = commands(database).cases
    cases.assign(TAX, [case], "a\ud800b\x07@example.com")
    assert case_row(database, case)["assignee"] == "a\ufffdb\ufffd@example.com"
    cases.hand_over(TAX, [case], Function.LEGAL, f"because {HOSTILE}")
    assert "DROP TABLE" in history_of(database, case)[-1]["note"]


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


def test_two_people_at_once_with_one_version_only_one_wins(database: sa.Engine, case: int) -> None:
    cases, outcomes = commands(database).cases, []

    def take(who: str) -> None:
        try:
            cases.assign(EVERYTHING, [case], who, version=1)
            outcomes.append("ok")
        except Changed:
            outcomes.append("changed")

    threads = [threading.Thread(target=take, args=(f"p{n}@example.com",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["changed"] * 5 + ["ok"]


def test_filters_are_ones_own_or_shared(database: sa.Engine) -> None:
    cases, reads = commands(database).cases, Reads(database, clock=VirtualClock(NOW), estate=estate())
    assert cases.save_filter(TAX, "Mine", {"function": "tax", "text": HOSTILE}).version == 1
    assert cases.save_filter(TAX, "Mine", {"function": "tax"}, shared=True, version=1).version == 2
    cases.save_filter(LEGAL, "Private", {"function": "legal"})
    seen = [(f.owner, f.name, dict(f.query)) for f in reads.saved_filters(LEGAL.name)]
    assert seen == [
        ("legal@example.com", "Private", {"function": "legal"}), ("tax@example.com", "Mine", {"function": "tax"}),
    ]  # fmt: skip
    with pytest.raises(Changed):
        cases.save_filter(TAX, "Mine", {}, version=1)
    with pytest.raises(NotFound):
        cases.delete_filter(LEGAL, "Mine")
    cases.delete_filter(TAX, "Mine")
    assert [f.name for f in reads.saved_filters(TAX.name)] == []
    with pytest.raises(InvalidInput):
        cases.save_filter(TAX, "x" * 201, {})
    with pytest.raises(InvalidInput):
        cases.save_filter(TAX, "many", {f"k{n}": "v" for n in range(21)})
    with pytest.raises(InvalidInput, match="text is longer than 200"):  # cut, it would list other exceptions
        cases.save_filter(TAX, "long", {"text": "x" * 201})


def test_repeating_under_one_key_does_it_once(database: sa.Engine, case: int) -> None:
    desk, once = commands(database).desk, Once("k", b"f")
    for _ in range(2):
        desk.run_once(TAX, Permission.EXCEPTIONS_WRITE, once, lambda act: comment(act, case, "once"))
    assert len(history_of(database, case)) == 1
