"""`tieline amendments` as an operator types it."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cli.refusals import Exit
from sync_core.clock import SystemClock
from tests.app.test_cli import refused
from tests.app.test_cli_clients import Cli
from tests.databases import DatabaseUrls
from tests.engine.governed import RULES, Desk
from tests.sows import ESTATE_TOML, amended, cloud_event, milestone_terms, signed

GOLIVE = {"key": "golive", "name": "Go-live", "amount": "17000.00", "due_on": "2026-10-31", "line": "1"}


@pytest.fixture
def cli(tmp_path: Path, database_urls: DatabaseUrls) -> Cli:
    return Cli(tmp_path, database_urls, ESTATE_TOML + RULES)


async def test_terms_and_schedule_stand_before_and_after_each(
    cli: Cli, async_database: AsyncEngine, database: sa.Engine
) -> None:
    desk = Desk(async_database, sync=database, clock=SystemClock())
    lines = [{"key": "1", "description": "Rollout", "amount": "27000.00"}]
    await desk.arrive(
        cloud_event("e1", "signed.v1", signed("C-1", milestone_terms())),
        cloud_event(
            "e2",
            "amended.v1",
            amended("C-1", 1, title="[red]Renamed", value="27000.00", lines=lines, milestones=[GOLIVE]),
        ),
        cloud_event("e3", "amended.v1", amended("C-1", 3, po_number="PO-3")),
    )
    await (await desk.worker()).drain()
    shown = cli.said("amendments", "C-1")
    for words in ("amendment 1", "in the ERP", "[red]Renamed", "15,000.00 USD", "17,000.00 USD", "25,000.00 USD",
                  "27,000.00 USD", "+2,000.00 USD", "waits for the amendment before it", "C-1 has 2 amendments",
                  "to invoice", "the ERP as read"):  # fmt: skip
        assert words in shown, words
    found = json.loads(cli.said("amendments", "C-1", "--json"))
    first, waits = found["amendments"]
    assert (first["number"], first["delta"], first["schedule"]["after"]) == (1, "2000.00", "27000.00")
    assert (waits["number"], waits["waits"]) == (3, True)
    refused(cli("amendments", "C-9"), Exit.REFUSED, "C-9")
