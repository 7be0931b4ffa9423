"""What people do with exceptions: within their reach, on the version they saw, audited, with hostile text kept text."""

import threading
from dataclasses import replace

import orjson
import pytest
import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.clock import VirtualClock
from sync_core.commands.cases import comment
from sync_core.commands.chosen import CasesChanged
from sync_core.commands.desk import Changed, CommandRefused, InvalidInput, NotFound, Once
from sync_core.errors import Function
from sync_core.estate.estate import Estate, Owner
from sync_core.reads import Reads
from tests.commands.people import (
    EVERYTHING,
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
