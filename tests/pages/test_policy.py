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
from tests.pages.repair import told
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
    shown.button[0].click().run()
    assert "policy file" in told(shown)
    shown.text_area[0].set_value(ALL_TO_BOOKS)
    shown.text_input[0].set_value("the cloud is given up")
    shown.button[0].click().run()
    assert "Proposed: 11 of 11 contracts are decided on differently" in told(shown)
    assert "admin@example.com proposes it" in texts(shown).replace("\\", "").replace("\u2060", "")
    assert shown.button(key="approve_policy_1").disabled
    assert not shown.text_area, "one proposal at a time"
    assert page(started, BRITISH_APPROVER).button(key="approve_policy_1").disabled
    shown = page(started, APPROVER)
    shown.button(key="approve_policy_1").click().run()
    shown.text_area[0].set_value("agreed")
    next(one for one in shown.button if one.label == "Approve").click().run()
    assert not shown.exception
    after = page(started, EXECUTIVE)
    assert "activated by approver" in texts(after)
    assert "the cloud is given up" in tables(after)


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
    assert "Time and materials end" in tables(shown)
