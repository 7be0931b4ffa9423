"""Test only: exceptions, quarantined events and replays in states that a page is to be drawn in."""

from collections.abc import Mapping, Sequence
from uuid import uuid4

import orjson
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from sync_core.authority import Actor
from sync_core.commands.commands import Commands
from sync_core.estate.estate import Estate
from sync_core.reads import Reads
from sync_core.replay.selection import Selection
from tests.commands import people
from tests.pages.stage import play
from tests.reads.handmade import add_case, add_contract, add_event, insert
from tests.rows import NOW

TERMS = {
    "title": "Rollout",
    "customer": {"code": "CU-1", "name": "Northwind"},
    "legal_entity": "US01",
    "service_line": "consulting",
    "geography": "AMER",
    "currency": "USD",
    "value": "1000.50",
    "starts_on": "2026-11-01",
    "ends_on": None,
    "billing": {"kind": "milestones", "payment_terms": "NET30"},
    "lines": [{"key": "1", "description": "Work", "amount": "1000.50"}],
    "milestones": [{"key": "M1", "name": "Design", "amount": "1000.50", "due_on": "2026-12-01", "line": "1"}],
    "tax": {},
}
PLAN = [
    {"action": "no_op", "kind": "customer", "key": "CU-1", "ref": "K1", "before": None, "after": None, "words": ""},
    {"action": "update", "kind": "project", "key": "crm/R-1", "ref": "P1", "before": {"value": "100"},
     "after": {"value": "1000.50"}, "words": ""},
]  # fmt: skip


def shown(
    path: str,
    engine: sa.Engine,
    reads: Reads,
    actor: Actor,
    query: Mapping[str, str] | None = None,
    *,
    estate: Estate | None = None,
) -> AppTest:
    """The page for this actor, who may act."""
    page = play(path, reads, {**(query or {})}, actor=actor, commands=people.commands(engine, estate=estate))
    assert not page.exception
    return page


def button(page: AppTest, label: str) -> Button:
    """The first of this label; fails when there is none."""
    found = [one for one in page.button if one.label == label]
    assert found, f"{label!r} is not among {[one.label for one in page.button]}"
    return found[0]


def press(page: AppTest, label: str) -> AppTest:
    pressed: AppTest = button(page, label).click().run()
    assert not pressed.exception
    return pressed


def told(page: AppTest) -> str:
    """What the page says of the last action."""
    return "\n".join(one.value for one in (*page.success, *page.warning)).replace("\\", "")


def tick(page: AppTest, picks: str, *rows: int) -> AppTest:
    """Rows of the grid of a list by their place."""
    key = page.session_state[f"tieline.picks.{picks}"].key
    page.session_state[key] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    ticked: AppTest = page.run()
    assert not ticked.exception
    return ticked


def correctable(engine: sa.Engine, external_id: str = "T-1") -> int:
    """An exception of a contract that lacks its tax code; its id."""
    data = {"contract_id": external_id, "revision": 1, "signed_at": "2026-11-01T10:00:00Z", "terms": TERMS}
    add_event(engine, external_id, "com.tieline.contract.signed.v1", orjson.dumps(data).decode())
    contract = add_contract(engine, external_id=external_id, state="blocked", wanted_rev=1, done_rev=1)
    return add_case(engine, contract, "tax_code_missing", message="no tax code", operation="check.contract")


def stuck(engine: sa.Engine, number: int, *, legal_entity: str = "US01") -> list[int]:
    """So many blocked contracts, each with an exception; their ids."""
    found = [add_contract(engine, state="blocked", legal_entity=legal_entity) for _ in range(number)]
    for contract in found:
        add_case(engine, contract, "tax_code_missing")
    return found


def previewed(commands: Commands, actor: Actor, contracts: Sequence[int], *, writes: bool = True) -> int:
    """A replay of these contracts that workers have previewed; its id."""
    made = commands.replays.preview(actor, Selection(contracts=tuple(contracts)), title="After the outage")
    items = """
        UPDATE core.replay_item SET preview = 'done', previewed_at = :now, plan = CAST(:plan AS jsonb), digest = 'd',
            updates = :writes, no_ops = 1, money = 100, currency = 'USD', money_reporting = 100, lane = 'cloud'
        WHERE replay_id = :id
    """
    replay = "UPDATE core.replay SET state = 'previewed', version = version + 1 WHERE replay_id = :id"
    with commands.desk.engine.begin() as conn:
        plan = orjson.dumps(PLAN if writes else PLAN[:1]).decode()
        conn.execute(sa.text(items), {"id": made.replay_id, "plan": plan, "now": NOW, "writes": int(writes)})
        conn.execute(sa.text(replay), {"id": made.replay_id})
    return made.replay_id


def stop(engine: sa.Engine, replay_id: int, contract: int, why: str) -> None:
    """The preview of this contract found what stops it."""
    finding = {"error_class": "reference_missing", "cause": "customer_tax_profile_missing", "function": "tax"}
    statement = """
        UPDATE core.replay_item SET findings = CAST(:findings AS jsonb)
        WHERE replay_id = :id AND contract_id = :contract
    """
    with engine.begin() as conn:
        findings = orjson.dumps([{**finding, "message": why}]).decode()
        conn.execute(sa.text(statement), {"id": replay_id, "contract": contract, "findings": findings})


def refused_before(engine: sa.Engine, contract: int, words: str) -> None:
    """The ERP refused the contract's last run."""
    insert(engine, "run", run_id=uuid4(), contract_id=contract, rev=1, lane="cloud", outcome="blocked", state="blocked",
           correlation_id="c", started_at=NOW, finished_at=NOW, recorded_at=NOW, error_class="erp_rejected",
           error=words)  # fmt: skip
    with engine.begin() as conn:
        conn.execute(
            sa.text("UPDATE core.contract SET last_error = :words, last_error_class = 'erp_rejected'"
                    " WHERE contract_id = :id"), {"words": words, "id": contract},
        )  # fmt: skip


def ended(engine: sa.Engine, replay_id: int, **states: int) -> None:
    """Items in these states, in their order, and the replay finished."""
    wanted = [state for state, number in states.items() for _ in range(number)]
    item = """
        UPDATE core.replay_item SET state = :state, words = :words, finished_at = :now
        WHERE replay_id = :id AND position = (SELECT min(position) FROM core.replay_item
                                              WHERE replay_id = :id AND state = 'pending')
    """
    with engine.begin() as conn:
        for state in wanted:
            conn.execute(sa.text(item), {"id": replay_id, "state": state, "words": f"ends {state}", "now": NOW})
        conn.execute(
            sa.text("UPDATE core.replay SET state = 'finished', finished_at = :now WHERE replay_id = :id"),
            {"id": replay_id, "now": NOW},
        )
