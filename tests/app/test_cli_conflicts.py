"""`tieline exceptions sides, resolve, identify` as an operator types them: real processes on a real database."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import SystemClock
from sync_core.desired import Kind
from sync_core.estate.estate import load
from tests.app.test_cli_clients import Cli
from tests.app.test_cli_exceptions import done
from tests.databases import DatabaseUrls
from tests.engine.governed import RULES, Desk
from tests.reads.handmade import insert
from tests.sows import ESTATE_TOML, cloud_event, milestone_terms, signed

OWNERSHIP = 'contract_headers = { conflict = "person" }\nsow_milestones = { conflict = "person" }\n'
ESTATE = f"{ESTATE_TOML}{RULES}\n[ownership]\n{OWNERSHIP}"


@pytest.fixture
def cli(tmp_path: Path, database_urls: DatabaseUrls) -> Cli:
    return Cli(tmp_path, database_urls, ESTATE)


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    """C-1 was renamed in the ERP by hand; C-2 names a customer that is much like one of master data."""
    desk = Desk(async_database, sync=database, clock=SystemClock(), estate=load(ESTATE))
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms())))
    worker = await desk.worker()
    await worker.drain()
    project = desk.erp.of(Kind.PROJECT)[0]
    desk.erp.hold(replace(project, fields={**project.fields, "name": "[b]Theirs[/b]"}))
    milestone = min(desk.erp.of(Kind.MILESTONE), key=lambda one: one.key)
    desk.erp.hold(replace(milestone, fields={**milestone.fields, "amount": "1.00"}))
    now = desk.clock.now()
    insert(database, "master_customer", system="mdm", mdm_id="M-1", code="CUST-1", name="Harbour Mutual",
           folded="harbour mutual", status="active", changed_at=now, recorded_at=now)  # fmt: skip
    news = {"contract_id": "C-1", "revision": 2, "approval": "approved"}
    named = {"code": "HM", "name": "Harbor Mutual", "country": "US"}
    await desk.arrive(
        cloud_event("e2", "approved.v1", news),
        cloud_event("e3", "signed.v1", signed("C-2", milestone_terms(customer=named))),
    )
    await worker.drain()
    return desk


async def test_both_sides_are_shown_and_decided(cli: Cli, desk: Desk, database: sa.Engine) -> None:
    conflict = str(await desk.case_id("ownership_conflict"))
    alike = str(await desk.case_id("customer_near_duplicate"))
    shown = cli.said("exceptions", "sides", conflict)
    assert "project.name" in shown
    assert "[b]Theirs[/b]" in shown
    listed = json.loads(cli.said("exceptions", "sides", conflict, "--json"))["conflicts"]
    assert {one["name"] for one in listed} == {"project.name", "milestone[design].amount"}
    assert all(one["name"] in shown for one in listed)  # as `resolve` takes them
    [name] = [one for one in listed if one["name"] == "project.name"]
    assert (name["wanted"], name["owner"]) == ("Claims platform rollout", "CLM")
    keep = [word for one in listed for word in ("--keep", one["name"])]
    told = cli.said("exceptions", "resolve", conflict, *keep, "--reason", "the contract says so")
    assert told.startswith("kept 2, taken from the ERP 0")
    assert "mdm/M-1" in cli.said("exceptions", "sides", alike)
    told = cli.said("exceptions", "identify", alike, "--is", "mdm/M-1", "--reason", "the same firm")
    assert told.startswith("HM is CUST-1; contracts that look again: 1")
    assert "HM is CUST-1: " in cli.said("exceptions", "sides", alike)
    told = cli.said("exceptions", "take-back", alike, "--code", "HM", "--reason", "a namesake")
    assert "HM is not CUST-1 any more; contracts that are planned again: 1" in told
    assert done(database) == ["conflict.resolve", "customer.identify", "customer.take_back"]
