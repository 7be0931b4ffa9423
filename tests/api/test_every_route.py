"""Each route once, as a program uses it, from a signed contract to a replay: real workers beside, every answer held
against the published schema (tests/api/door.py)."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.engine.replaying import Replayer
from sync_core.estate.estate import ReplayPolicy, load
from sync_core.policy.activation import Activation
from tests.api import amended_routes, measured_routes, ownership_routes, schema_routes
from tests.api.door import Door, if_match
from tests.api.moved_routes import moves
from tests.api.policy_routes import policies
from tests.api.walk import Walk
from tests.api.watched_routes import watched
from tests.engine.governed import RULES, Desk
from tests.reads.handmade import add_case, insert
from tests.sows import ESTATE_TOML, SOURCE, cloud_event, milestone_terms, signed

SUBSCRIBER = """
[[subscriber]]
name = "data-lake"
url = "https://lake.example.com/events"
secret_env = ["LAKE_SECRET"]
"""
SPARE = """
[[erp]]
name = "spare"
kind = "sandbox_cloud"
"""
TOML = ESTATE_TOML + RULES + SUBSCRIBER + SPARE + ownership_routes.OWNERSHIP
# A program may not approve a replay or a policy; that it cannot is asserted below.
NEVER_DONE = {("POST", "/v1/replays/{replay_id}/approve"), ("POST", "/v1/policies/{proposal_id}/approve")}


@pytest.fixture
async def walk(async_database: AsyncEngine, database: sa.Engine) -> Any:
    known = load(TOML)
    estate = replace(
        known,
        policy_activation=Activation(second_person_from_count=1),
        replay=ReplayPolicy(Decimal(10**9), second_person_from_count=2),
    )
    desk = Desk(async_database, sync=database, estate=estate)
    large = milestone_terms(
        value="150000.00", lines=[{"key": "1", "description": "Rollout", "amount": "150000.00"}],
        milestones=[{"key": "all", "name": "All", "amount": "150000.00", "due_on": "2026-09-30", "line": "1"}],
    )  # fmt: skip
    for name, terms in (("C-1", milestone_terms(tax={})), ("C-2", large), ("C-3", milestone_terms())):
        await desk.arrive(cloud_event(f"e-{name}", "signed.v1", signed(name, terms)))
    await desk.run()
    assert await desk.states() == {"C-1": "blocked", "C-2": "blocked", "C-3": "active"}
    door = Door(database, clock=desk.clock, estate=estate)
    async with door.calls() as program:
        yield Walk(door, desk, program)


async def test_every_route_does_what_it_says_and_answers_as_published(walk: Walk) -> None:
    walk.door.published.answered.clear()
    await contracts(walk)
    await exceptions(walk)
    await many_exceptions(walk)
    await approvals(walk)
    await filters(walk)
    await quarantine(walk)
    await schema_routes.schemas(walk)
    await replays(walk)
    await moves(walk)
    await holds(walk)
    await measured_routes.finance(walk)
    await clients(walk)
    await subscribers(walk)
    await measured_routes.kpis(walk)
    await measured_routes.snapshots(walk)
    await measured_routes.running(walk)
    await watched(walk)
    await amended_routes.amendments(walk)
    await policies(walk, TOML)
    await ownership_routes.sides(walk)
    await audit(walk)
    document = walk.door.published.document["paths"]
    wanted = {(method.upper(), path) for path, item in document.items() for method in item}
    done = {(method, path) for method, path, status in walk.door.published.answered if status < 300}
    assert wanted - done == NEVER_DONE


async def contracts(walk: Walk) -> None:
    listed = (await walk.get("/contracts?state=active"))["items"]
    assert [(one["external_id"], one["value"]) for one in listed] == [
        ("C-3", {"amount": "25000.00", "currency": "USD"})
    ]
    assert (await walk.get("/renewals?days=3650"))["items"] == []
    one = await walk.get(f"/contracts/{listed[0]['contract_id']}")
    assert one == await walk.get(f"/contracts/by-key?source={SOURCE}&external_id=C-3")
    assert [event["what"] for event in one["events"]] == ["signed"]
    assert any(done["after"] for done in one["runs"][0]["operations"])
    assert one["terms"]["legal entity"] == "US01"
    assert one["summary"]["signed_at"] == "2026-03-02T10:00:00Z"
    traces = f"/contracts/{one['summary']['contract_id']}/traces"
    found = (await walk.get(traces))["items"]
    [trace] = [each for each in found if each["trace_id"] == one["runs"][0]["trace_id"]]
    steps = [(step["part"], step["depth"]) for step in trace["steps"]]
    assert ("run", 1) in steps
    assert ("operation", 2) in steps
    assert await walk.get(f"{traces}?trace_id={trace['trace_id']}") == {"items": [trace], "more": False}
    assert await walk.get(f"{traces}?correlation_id={trace['correlation_id']}") == {"items": found, "more": False}
    assert await walk.get(f"{traces}?trace_id=another") == {"items": [], "more": False}
    status = await walk.get("/status")
    assert (status["contracts"]["active"], status["lanes"][0]["lane"]) == (1, "cloud")


async def exceptions(walk: Walk) -> None:
    case = await walk.desk.case_id("tax_code_missing")
    address = f"/exceptions/{case}"
    assert case in [one["exception_id"] for one in (await walk.get("/exceptions?function=tax"))["items"]]
    assert {one["cause"] for one in (await walk.get("/exceptions/groups"))["items"]} >= {"tax_code_missing"}
    await walk.send(f"{address}/assign", {"assignee": "ada@example.com"}, tag=await walk.tag(address))
    await walk.send(f"{address}/acknowledge", tag=await walk.tag(address))
    await walk.send(f"{address}/comments", {"text": "<b>asked</b> the client"})
    over = {"function": "legal", "reason": "please look at it"}
    await walk.send(f"{address}/hand-over", over, tag=await walk.tag(address))
    back = {"function": "tax", "reason": "it is yours"}
    await walk.send(f"{address}/hand-over", back, tag=await walk.tag(address))
    one = await walk.get(address)
    assert [moment["what"] for moment in one["history"]] == [
        "opened", "assigned", "acknowledged", "commented", "handed_over", "handed_over",
    ]  # fmt: skip
    assert one["history"][3]["note"] == "<b>asked</b> the client"
    assert {action["name"] for action in one["actions"] if action["allowed"]} >= {"corrections.submit"}
    form = await walk.get(f"{address}/correction")
    assert form["correctable"]
    assert form["json_schema"]["properties"].keys() == {"tax"}
    values = {"values": {"tax": {"tax_code": "US-CA-STD"}}}
    seen = await walk.send(f"{address}/correction/preview", values)
    [change] = seen["changes"]
    assert (seen["mends"], change["before"], change["after"]) == (True, None, "US-CA-STD")
    await walk.send(f"{address}/correction", {**values, "reason": "the usual code"}, tag=await walk.tag(address))
    await walk.desk.run()
    assert (await walk.get(address))["exception"]["state"] == "resolved"


async def many_exceptions(walk: Walk) -> None:
    [[contract]] = await walk.desk.rows("SELECT contract_id FROM core.contract WHERE external_id = 'C-2'")
    made = [add_case(walk.door.engine, contract, f"made_up_{n}", function="tax") for n in range(2)]
    chosen = {"exceptions": [{"exception_id": case, "version": 1} for case in made]}
    assert (await walk.send("/exceptions/assign", {**chosen, "assignee": None}))["changed"] == made
    chosen = {"exceptions": [{"exception_id": case} for case in made]}
    await walk.send("/exceptions/acknowledge", chosen)
    await walk.send("/exceptions/hand-over", {**chosen, "function": "delivery", "reason": "it is yours"})
    await walk.send("/exceptions/decide", {"exceptions": [{"exception_id": made[0]}], "reason": "we live with it"})
    one = f"/exceptions/{made[1]}"
    await walk.send(f"{one}/decide", {"reason": "we live with it"}, tag=await walk.tag(one))
    closed = (await walk.get("/exceptions?state=decided&sort=age"))["items"]
    assert [row["exception_id"] for row in closed] == made


async def approvals(walk: Walk) -> None:
    case = await walk.desk.case_id("approval_needed")
    [asked] = (await walk.get("/approvals"))["items"]
    assert (asked["exception"]["exception_id"], asked["value"]["amount"], asked["decidable"]) == (
        case, "150000.00", True,
    )  # fmt: skip
    body = {"approve": True, "reason": "the board agreed"}
    done = await walk.send(f"/approvals/{case}/decide", body, tag=await walk.tag(f"/exceptions/{case}"))
    assert done["money"] == {"amount": "150000.00", "currency": "USD"}
    await walk.desk.run()
    assert (await walk.desk.states())["C-2"] == "active"


async def filters(walk: Walk) -> None:
    new = {"name": "Tax, mine", "query": {"function": "tax"}}
    await walk.send("/exceptions/filters", new, status=201)
    await walk.send("/exceptions/filters", new, status=412)
    address = "/exceptions/filters/Tax%2C%20mine"
    tag = await walk.tag(address)
    changed = await walk.program.put(address, json={"query": {}, "shared": True}, headers=if_match(tag))
    assert changed.json()["version"] == 2
    stale = await walk.program.put(address, json={"query": {}}, headers=if_match(tag))
    assert stale.status_code == 412
    assert [(one["name"], one["shared"]) for one in (await walk.get("/exceptions/filters"))["items"]] == [
        ("Tax, mine", True)
    ]
    assert (await walk.program.delete(address)).status_code == 200
    assert (await walk.program.delete(address)).status_code == 404


async def quarantine(walk: Walk) -> None:
    ids = []
    for number, kind in enumerate(("signed.v1", "signed.v9")):
        event = cloud_event(f"q-{number}", kind, signed(f"Q-{number}"))
        ids.append(
            insert(
                walk.door.engine, "quarantine", "quarantine_id", source=SOURCE, event_id=event["id"],
                type=event["type"], external_id=f"Q-{number}", reason="not in the estate", signature=True,
                body=orjson.dumps(event), received_by="webhook", correlation_id="q",
                occurred_at=walk.desk.clock.now(), recorded_at=walk.desk.clock.now(),
            )
        )  # fmt: skip
    assert [one["quarantine_id"] for one in (await walk.get("/quarantine"))["items"]] == ids
    assert '"specversion":"1.0"' in (await walk.get(f"/quarantine/{ids[0]}"))["body"]
    done = await walk.send("/quarantine/release", {"quarantine_ids": ids})
    assert (done["changed"], [held["quarantine_id"] for held in done["held"]]) == (ids[:1], ids[1:])
    await walk.send("/quarantine/dismiss", {"quarantine_ids": ids[1:], "reason": "a test of theirs"})
    await walk.desk.run()


async def replays(walk: Walk) -> None:
    ids = {str(name): int(number) for name, number in await walk.desk.rows(
        "SELECT external_id, contract_id FROM core.contract"
    )}  # fmt: skip
    walk.desk.erp.objects.clear()
    walk.desk.erp.by_owner.clear()
    made = await walk.send("/replays", {"contracts": [ids["C-3"]], "title": "after the outage"}, status=201)
    both = await walk.send("/replays", {"contracts": [ids["C-2"], ids["C-3"]]}, status=201)
    assert walk.desk._worker is not None
    await Replayer(walk.desk._worker).drain()
    address = f"/replays/{made['replay_id']}"
    one = await walk.get(address)
    assert (one["replay"]["state"], one["totals"]["creates"] > 0) == ("previewed", True)
    [item] = (await walk.get(f"{address}/items?writes=true"))["items"]
    plan = await walk.get(f"{address}/items/{item['contract_id']}")
    assert "create" in [effect["action"] for effect in plan["effects"]]
    assert [row["replay_id"] for row in (await walk.get("/replays"))["items"]] == [both["replay_id"], made["replay_id"]]
    body = {"reason": "the outage is over", "ticket": "CHG-1"}
    confirmed = await walk.send(f"{address}/confirm", body, tag=await walk.tag(address))
    assert (confirmed["state"], confirmed["money"]["currency"]) == ("running", "USD")
    assert [row["replay_id"] for row in (await walk.get("/stuck?state=active"))["items"]].count(made["replay_id"]) == 1
    await walk.send(f"{address}/pause", tag=await walk.tag(address))
    await walk.send(f"{address}/rate", {"per_minute": 6}, tag=await walk.tag(address))
    await walk.send(f"{address}/resume", tag=await walk.tag(address))
    await walk.send(f"{address}/cancel", {"reason": "not now"}, tag=await walk.tag(address))
    again = await walk.send(f"{address}/offer-again", status=201)
    assert again["items"] == 1
    second = f"/replays/{both['replay_id']}"
    waits = await walk.send(f"{second}/confirm", {**body, "per_minute": 60}, tag=await walk.tag(second))
    assert waits["state"] == "awaiting_approval"
    await walk.send(f"{second}/approve", {"reason": "looked at it"}, tag=await walk.tag(second), status=409)
    await walk.send(f"{second}/refuse", {"reason": "not this month"}, tag=await walk.tag(second))
    missed = {"missed": {"lane": "cloud", "since": "2026-01-01T00:00:00Z"}, "origin": "original"}
    assert (await walk.send("/replays", missed, status=201))["items"] >= 3
    await walk.send("/replays", {}, status=422)


async def holds(walk: Walk) -> None:
    [[contract]] = await walk.desk.rows("SELECT contract_id FROM core.contract WHERE external_id = 'C-3'")
    placed = await walk.send("/holds", {"contract_ids": [contract], "reason": "a lawsuit"}, status=201)
    [held] = (await walk.get(f"/holds?contract_id={contract}"))["items"]
    assert held["hold_id"] == placed["hold_ids"][0]
    await walk.send("/holds/release", {"hold_ids": placed["hold_ids"], "reason": "it is over"})
    assert (await walk.get("/holds"))["items"] == []


async def clients(walk: Walk) -> None:
    new = {"client_id": "erp-bridge", "scopes": ["contracts:read"], "entities": ["US01"], "description": "ERP team"}
    made = await walk.send("/clients", new, status=201)
    assert walk.door.tokens.issue("erp-bridge", made["client_secret"], "").scopes == ("contracts:read",)
    second = await walk.send("/clients/erp-bridge/secrets", status=201)
    assert second["client_secret"].startswith("tls_")
    await walk.send(f"/clients/erp-bridge/secrets/{made['secret_id']}/revoke", {"reason": "rotated out"})
    one = await walk.get("/clients/erp-bridge")
    assert [secret["secret_id"] for secret in one["secrets"]] == [second["secret_id"]]
    tag = await walk.tag("/clients/erp-bridge")
    await walk.send("/clients/erp-bridge/disable", {"reason": "not used"}, tag=tag)
    assert "erp-bridge" in [row["client_id"] for row in (await walk.get("/clients"))["items"]]


async def audit(walk: Walk) -> None:
    rows = (await walk.get("/audit?action=replay."))["items"]
    assert {row["action"] for row in rows} >= {"replay.confirm", "replay.cancel", "replay.refuse"}
    assert (await walk.get(f"/audit/{rows[0]['id']}"))["hash"] == rows[0]["hash"]
    assert (await walk.get("/audit/status"))["rows_now"] >= rows[0]["id"]


async def subscribers(walk: Walk) -> None:
    address = "/subscribers/data-lake"
    [lake] = (await walk.get("/subscribers"))["items"]
    assert (lake["name"], lake["paused_at"]) == ("data-lake", None)
    ping = await walk.send(f"{address}/test")
    await walk.send(f"{address}/pause", {"reason": "they move house"}, tag=await walk.tag(address))
    await walk.send(f"{address}/pause", {"reason": "again"}, tag=await walk.tag(address), status=409)
    await walk.send(f"{address}/resume", tag=await walk.tag(address))
    again = {"since": "2026-01-01T00:00:00Z", "reason": "they lost it"}
    assert (await walk.send(f"{address}/replay", again, tag=await walk.tag(address)))["from_seq"] <= ping["seq"]
    await walk.send(f"{address}/replay", {"reason": "from nowhere"}, tag="*", status=422)
    assert (await walk.get("/deliveries"))["items"][0]["seq"] >= ping["seq"]
