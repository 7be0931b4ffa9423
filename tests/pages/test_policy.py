"""The policy's page: rules in force, a proposal with its back-test, who may decide, what happened before."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from streamlit.testing.v1 import AppTest

from sync_core.authority import Actor, person
from sync_core.clock import VirtualClock
from sync_core.policy.activations import note
from sync_core.reads import Reads
from tests.commands.people import ADMINISTRATOR, APPROVER, BRITISH_APPROVER, EXECUTIVE, commands
from tests.pages.repair import button, press, told
from tests.pages.stage import play, texts
from tests.policy.texts import POLICY, TWO_ERPS, plain, ruled
from tests.sows import SIGNED_AT, arrive, cloud_event, milestone_terms, signed

ALL_TO_BOOKS = '[[route]]\nname = "Every *one*"\nerp = "books"\n'
_ESTATE = sa.text("INSERT INTO core.estate_version (digest, body, activated_at) VALUES ('e', :body, :now)")


@pytest.fixture
async def started(async_database: AsyncEngine, database: sa.Engine) -> sa.Engine:
    async with async_database.begin() as conn:
        for n in range(11):
            await arrive(conn, cloud_event(f"e{n}", "signed.v1", signed(f"C-{n}", milestone_terms())))
        await conn.execute(_ESTATE, {"body": TWO_ERPS, "now": SIGNED_AT})
        await note(conn, plain().rules_version, "", estate="e", now=SIGNED_AT)
    return database


def page(engine: sa.Engine, actor: Actor) -> AppTest:
    clock = VirtualClock(SIGNED_AT)
    reads = Reads(engine, clock=clock, estate=plain())
    shown = play("policy", reads, actor=actor, commands=commands(engine, clock=clock, estate=plain()))
    assert not shown.exception
    assert not shown.error
    return shown


def tables(shown: AppTest) -> str:
    return "\n".join(table.value.to_string() for table in shown.table)


def plain_texts(shown: AppTest) -> str:
    return texts(shown).replace("\\", "").replace("\u2060", "")


def test_rules_and_history_are_shown_to_everybody_who_sees_contracts(started: sa.Engine) -> None:
    shown = page(started, EXECUTIVE)
    assert f"Policy **{plain().rules_version}** is in force" in texts(shown)
    assert "entity US01" in tables(shown)
    assert "The file that a worker was started with" in tables(shown)
    assert not shown.text_area
    assert "An administrator with reach over all legal entities may propose one." in texts(shown)


def test_nobody_says_what_is_in_force_before_a_worker_started(database: sa.Engine) -> None:
    assert "No worker has started yet" in texts(page(database, ADMINISTRATOR))


def test_an_administrator_proposes_and_an_approver_decides(started: sa.Engine) -> None:
    shown = page(started, ADMINISTRATOR)
    shown.text_area[0].set_value("[[route]]")
    shown.text_input[0].set_value("a try")
    assert button(shown, "Propose").disabled, "it may come into force at once, so it is looked at first"
    shown = press(shown, "Look ahead")
    assert "policy file" in told(shown)
    assert button(shown, "Propose").disabled
    shown.text_area[0].set_value(ALL_TO_BOOKS)
    shown.text_input[0].set_value("the cloud is given up")
    shown = press(shown, "Look ahead")
    assert "11 of 11 contracts would be decided on differently" in texts(shown)
    assert "A second person must approve" in texts(shown)
    assert "Route" in tables(shown)
    assert shown.text_area[0].value == ALL_TO_BOOKS
    shown = press(shown, "Propose")
    assert "Proposed: 11 of 11 contracts are decided on differently" in told(shown)
    assert "admin@example.com proposes it" in plain_texts(shown)
    assert shown.button(key="approve_policy_1").disabled
    assert not shown.text_area, "one proposal at a time"
    british = page(started, BRITISH_APPROVER)
    assert british.button(key="approve_policy_1").disabled
    assert "admin@example.com proposed it" in plain_texts(british)
    shown = page(started, APPROVER)
    shown.button(key="approve_policy_1").click().run()
    shown.text_area[0].set_value("agreed")
    next(one for one in shown.button if one.label == "Approve").click().run()
    assert not shown.exception
    after = page(started, EXECUTIVE)
    assert "activated by approver" in texts(after)
    assert "the cloud is given up" in tables(after)


def test_what_was_not_looked_at_is_looked_at_before_it_is_proposed(started: sa.Engine) -> None:
    shown = page(started, ADMINISTRATOR)
    shown.text_area[0].set_value(ALL_TO_BOOKS)
    shown = press(shown, "Look ahead")
    shown.text_area[0].set_value(ALL_TO_BOOKS.replace("books", "cloud"))
    shown.text_input[0].set_value("another text")
    shown = press(shown, "Propose")
    assert "0 of 11 contracts would be decided on differently" in texts(shown)
    assert "brings it into force at once" in texts(shown)
    with started.connect() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM core.policy_proposal")) == 0
        assert "policy.propose" not in conn.scalars(sa.text("SELECT action FROM core.audit")).all()
    shown = press(shown, "Propose")
    assert "is in force: 0 of 11 contracts" in told(shown)


def test_the_firms_rules_and_proposals_are_not_for_whoever_sees_one_legal_entity(started: sa.Engine) -> None:
    desk = commands(started, clock=VirtualClock(SIGNED_AT), estate=plain())
    desk.policies.propose(ADMINISTRATOR, ALL_TO_BOOKS, "the cloud is given up")
    shown = page(started, BRITISH_APPROVER)
    seen = plain_texts(shown) + tables(shown)
    assert "entity GB01" in seen
    assert "entity US01" not in seen
    assert "the cloud is given up" not in seen
    assert "of 11" not in seen
    assert not shown.code
    reads = Reads(started, clock=VirtualClock(SIGNED_AT), estate=plain()).within(BRITISH_APPROVER)
    found = reads.policies()
    assert (found.proposals, found.pending is not None) == ((), True)
    desk.policies.refuse(APPROVER, 1, "not now")
    whole = Reads(started, clock=VirtualClock(SIGNED_AT), estate=plain())
    assert (whole.policies().refused, reads.policies().refused) == (1, 0)
    desk.policies.propose(ADMINISTRATOR, ALL_TO_BOOKS, "the cloud is given up")
    desk.policies.approve(APPROVER, 2, "agreed")
    assert [row.reason for row in reads.policies().history] == [None, None]
    assert "the cloud is given up" not in tables(page(started, BRITISH_APPROVER))
    assert "the cloud is given up" in tables(page(started, EXECUTIVE))


def test_a_long_text_and_many_rules_are_cut(started: sa.Engine) -> None:
    many = "".join(f'[[route]]\nname = "R{n}"\nservice_line = "s{n}"\nerp = "books"\n' for n in range(150))
    desk = commands(started, clock=VirtualClock(SIGNED_AT), estate=plain())
    desk.policies.propose(ADMINISTRATOR, ALL_TO_BOOKS + many, "many lines")
    shown = page(started, ADMINISTRATOR)
    assert len(shown.code[0].value) <= 5_000
    assert "The first 5,000 of" in texts(shown)
    reads = Reads(started, clock=VirtualClock(SIGNED_AT), estate=ruled(many))
    shown = play("policy", reads, actor=EXECUTIVE)
    assert max(len(table.value) for table in shown.table) == 50
    assert "And 102 more." in texts(shown)


def test_its_author_takes_a_proposal_back(started: sa.Engine) -> None:
    clock = VirtualClock(SIGNED_AT)
    commands(started, clock=clock, estate=plain()).policies.propose(ADMINISTRATOR, ALL_TO_BOOKS, "a try")
    shown = page(started, ADMINISTRATOR)
    shown.text_input[0].set_value("not yet")
    next(one for one in shown.button if one.label == "Withdraw").click().run()
    assert "Withdrawn." in told(shown)
    assert "admin@example.com: not yet" in tables(shown).replace("\\", "").replace("\u2060", "")


def test_each_table_of_a_policy_can_be_seen(started: sa.Engine) -> None:
    reads = Reads(started, clock=VirtualClock(SIGNED_AT), estate=ruled(POLICY))
    shown = play("policy", reads, actor=person("cfo@example.com", ["executive"]))
    for name in ("tax", "approval", "owner", "mandatory"):
        shown.button_group[0].set_value(name).run()
        assert not shown.exception
        assert name != "approval" or "approval from USD 10,000" in tables(shown)
    assert "Time and materials end" in tables(shown)
