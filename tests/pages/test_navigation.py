"""The bar of each role: at most five entries, what the role is for first, and how many approvals wait for one."""

from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from app.dashboard import discover
from pages import approvals
from pages.kit.navigation import ROOM, UP_FRONT, arrange
from pages.kit.shell import Page, Shell, Viewer, enter
from sync_core.authority import Actor, Grant, Role, parse_grants, person
from sync_core.reads import Reads
from tests.commands import people
from tests.pages import repair
from tests.reads.handmade import add_case, add_contract

MANY = [
    Page(path.title(), ":material/home:", path or "start", order=at, default=not path)
    for at, path in enumerate(sorted(set().union(*UP_FRONT.values())))
]


def bar(pages: Sequence[Page], *roles: str) -> list[str]:
    return [page.path for page in arrange(pages, parse_grants(roles))[0]]


def product(*roles: str) -> tuple[list[Page], list[Page]]:
    seen = Viewer("eve@example.com", person("eve@example.com", roles))
    return arrange([one.page for one in discover("pages") if seen.may_see(one.page)], parse_grants(roles))


@pytest.mark.parametrize("role", Role)
def test_at_most_five_pages_stand_in_the_bar_and_no_page_is_lost(role: Role) -> None:
    front, more = product(role)
    assert len(front) <= ROOM
    seen = {one.page.path for one in discover("pages") if Viewer("e", person("e", [role])).may_see(one.page)}
    assert sorted([*(page.path for page in front), *(page.path for page in more)]) == sorted(seen)
    assert [page.order for page in more] == sorted(page.order for page in more)
    assert bar(MANY, role) == [path or "start" for path in UP_FRONT[role][:ROOM]]


def test_each_role_finds_first_what_it_is_for() -> None:
    assert product("approver@US01")[0][0].path == "approvals"
    assert product("auditor")[0][0].path == "audit"
    assert [page.path for page in product("operator:tax")[0][:2]] == ["exceptions", "replay"]
    assert product("executive")[0][0].default


def test_of_two_roles_both_are_served() -> None:
    assert bar(MANY, "operator:tax", "operator:legal", "approver") == [
        "exceptions", "approvals", "replay", "start", "flow",
    ]  # fmt: skip


def test_somebody_with_every_role_sees_approvals_in_the_bar() -> None:
    assert "approvals" in bar(MANY, *Role)
    assert "approvals" in [page.path for page in product(*Role)[0]]


def test_what_no_role_asks_for_fills_the_bar_by_its_order_unless_it_belongs_under_more() -> None:
    pages = [
        Page("One", ":material/home:", "one", order=2),
        Page("Two", ":material/home:", "two", order=1),
        Page("Three", ":material/home:", "three", order=0, section="More"),
        Page("Audit", ":material/home:", "audit", order=9, section="More"),
    ]
    front, more = arrange(pages, [Grant(Role.AUDITOR)])
    assert [page.path for page in front] == ["audit", "two", "one"]
    assert [page.path for page in more] == ["three"]


def waiting(reads: Reads, actor: Actor) -> str:
    enter(Shell(Viewer(actor.name, actor)))
    return approvals.mine(reads.within(actor))


def test_the_bar_counts_the_approvals_that_this_viewer_may_decide(database: sa.Engine, nothing: Reads) -> None:
    assert waiting(nothing, people.APPROVER) == ""
    for entity in ("US01", "GB01"):
        contract = add_contract(database, state="blocked", legal_entity=entity)
        add_case(database, contract, "approval_needed", error_class="policy_denied", function="finance_operations")
    assert waiting(nothing, people.APPROVER) == "2"
    assert waiting(nothing, people.BRITISH_APPROVER) == "1"
    assert waiting(nothing, people.TAX) == ""
    commands = people.commands(database)
    replay = repair.previewed(commands, people.TAX, repair.stuck(database, 2))
    with database.begin() as conn:
        conn.execute(
            sa.text(
                "UPDATE core.replay SET state = 'awaiting_approval', confirmed_by = 'tax@example.com',"
                " confirmed_at = created_at, reason = 'data' WHERE replay_id = :id"
            ),
            {"id": replay},
        )
    assert waiting(nothing, people.APPROVER) == "3"
    assert waiting(nothing, person(people.TAX.name, ["operator", "approver"])) == "2"
