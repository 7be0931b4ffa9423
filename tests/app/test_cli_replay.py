"""`tieline replay` as an operator types it: real processes, and a real worker with a memory ERP beside them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cli.refusals import Exit
from sync_core.clock import SystemClock
from sync_core.desired import Kind
from sync_core.engine.worker import Pace
from tests.app.test_cli import refused
from tests.app.test_cli_clients import Cli
from tests.databases import DatabaseUrls
from tests.engine.replays import lose
from tests.engine.support import Bench, start, until
from tests.sows import ESTATE_TOML, cloud_event, signed

QUICK = Pace(idle_s=0.05, sweep_s=0.05, lease_s=30, call_timeout_s=5)
POLICY = "\n[replay]\nsecond_person_from_count = 3\nper_minute = 60000\n"


@pytest.fixture
def cli(tmp_path: Path, database_urls: DatabaseUrls) -> Cli:
    return Cli(tmp_path, database_urls, ESTATE_TOML + POLICY)


@pytest.fixture
async def bench(async_database: AsyncEngine, database_urls: DatabaseUrls) -> AsyncIterator[Bench]:
    """Three contracts, active in the ERP, and a worker that runs."""
    bench = Bench(async_database, clock=SystemClock())
    await bench.arrive(*(cloud_event(f"e-{n}", "signed.v1", signed(f"C-{n}")) for n in range(3)))
    living = await start(bench, database_urls.app_libpq, pace=QUICK)

    async def active() -> bool:
        return await bench.count("active") == 3

    await until(active)
    yield bench
    await living.finish()


async def ids(bench: Bench) -> list[str]:
    return [str(row[0]) for row in await bench.rows("SELECT contract_id FROM core.contract ORDER BY external_id")]


async def said(cli: Cli, *arguments: str) -> str:
    return await asyncio.to_thread(cli.said, *arguments)


async def test_what_an_erp_lost_is_restored_by_one_command(bench: Bench, cli: Cli) -> None:
    one, two = "C-0", "clm/C-1"
    lose(bench, ["C-0", "C-1"])
    assert len(bench.erp.of(Kind.PROJECT)) == 1
    told = await said(
        cli,
        "replay",
        "run",
        "--contract",
        one,
        "--contract",
        two,
        "--reason",
        "restored from the backup",
        "--ticket",
        "INC-1",
        "--yes",
    )
    assert len(bench.erp.of(Kind.PROJECT)) == 3
    assert "finished: 2 verified" in told
    [listed] = json.loads(await said(cli, "replay", "list", "--json"))
    assert (listed["state"], listed["states"]["verified"]) == ("finished", 2)
    number = str(listed["replay_id"])
    assert [row["state"] for row in json.loads(await said(cli, "replay", "items", number, "--json"))] == [
        "verified"
    ] * 2
    plan = json.loads(await said(cli, "replay", "items", number, "--contract", one, "--json"))
    assert "create" in [effect["action"] for effect in plan["effects"]]
    assert "clm/C-0" in await said(cli, "replay", "items", number, "--contract", one)
    assert await said(cli, "replay", "watch", number) == "finished: 2 verified\n"


async def test_what_is_stopped_says_why_and_no_id_is_cut_however_narrow_the_terminal(bench: Bench, cli: Cli) -> None:
    bench.erp.tax_codes = set()
    lose(bench, ["C-0"])
    first = await said(cli, "replay", "preview", "--contract", "C-0", "--contract", "C-1", "--wait")
    number = str(json.loads(await said(cli, "replay", "list", "--json"))[0]["replay_id"])
    shows = [await said(cli, "replay", command, number) for command in ("show", "items")]
    for told in (first, *shows):
        assert "C-0" in told
        assert "no tax profile US-CA-STD" in told
    shown = json.loads(await said(cli, "replay", "show", number, "--json"))
    assert shown["totals"]["stopped"] == 2
    assert shown["totals"]["ready"] == 0
    unknown = await asyncio.to_thread(cli, "replay", "preview", "--contract", "C-77")
    refused(unknown, Exit.REFUSED, "there is no contract 'C-77'")
    no_ticket = await asyncio.to_thread(cli, "replay", "run", "--contract", "C-1", "--reason", "a drill", "--yes")
    refused(no_ticket, Exit.USAGE, "name the ticket")


async def test_many_wait_for_another_person_and_a_cancelled_one_is_not_verified(
    bench: Bench, cli: Cli, database: sa.Engine
) -> None:
    chosen = [part for number in await ids(bench) for part in ("--contract", number)]
    lose(bench, ["C-0"])
    waits = await asyncio.to_thread(
        cli, "replay", "run", *chosen, "--reason", "after the outage", "--ticket", "INC-1", "--yes"
    )
    assert waits.returncode == Exit.NOT_VERIFIED
    assert "waits for another person's approval" in waits.stderr
    [listed] = json.loads(await said(cli, "replay", "list", "--json"))
    number = str(listed["replay_id"])
    assert "must be approved" in await said(cli, "replay", "show", number)
    mine = await asyncio.to_thread(cli, "replay", "approve", number, "--reason", "looked at it")
    refused(mine, Exit.REFUSED, "another person must approve it")
    await said(cli, "replay", "cancel", number, "--reason", "not now")
    watched = await asyncio.to_thread(cli, "replay", "watch", number)
    assert (watched.returncode, watched.stdout) == (Exit.NOT_VERIFIED, "cancelled: 3 cancelled\n")
    assert "3 contracts are not verified" in watched.stderr


async def test_one_of_two_is_confirmed_and_watched_and_a_running_one_is_paused(bench: Bench, cli: Cli) -> None:
    one, two, _ = await ids(bench)
    made = json.loads(await said(cli, "replay", "preview", "--contract", one, "--contract", two, "--json"))
    number = str(made["replay_id"])

    async def previewed() -> bool:
        return bool(await bench.rows("SELECT 1 FROM core.replay WHERE state = 'previewed'"))

    await until(previewed)
    unconfirmed = await asyncio.to_thread(cli, "replay", "watch", number)
    assert (unconfirmed.returncode, unconfirmed.stdout) == (Exit.NOT_VERIFIED, "previewed: 2 pending\n")
    assert f"tieline replay confirm {number}" in unconfirmed.stderr
    again = json.loads(await said(cli, "replay", "preview", "--contract", two, "--contract", one, "--json"))
    await said(cli, "replay", "confirm", number, "--reason", "a drill", "--ticket", "INC-1", "--only", one)
    watched = await asyncio.to_thread(cli, "replay", "watch", number)
    assert watched.returncode == Exit.OK, watched.stderr
    assert watched.stdout.endswith("finished: 1 verified, 1 skipped\n")
    second = str(again["replay_id"])
    await until(previewed)
    await said(cli, "replay", "confirm", second, "--reason", "a drill", "--ticket", "INC-1", "--per-minute", "1")
    assert "is paused" in await said(cli, "replay", "pause", second)
    assert await said(cli, "replay", "resume", second) == f"replay {second} goes on\n"


def test_what_cannot_be_asked_is_refused(cli: Cli) -> None:
    refused(cli("replay", "show", "7"), Exit.REFUSED, "no replay 7")
    refused(cli("replay", "preview"), Exit.USAGE, "")
    refused(cli("replay", "pause", "7"), Exit.REFUSED, "no replay 7")
    for wrong in (("--missed", "cloud"), ("--function", "tax"), ("--stuck", "--min-money", "much"),
                  ("--missed", "cloud", "--since", "yesterday")):  # fmt: skip
        assert cli("replay", "preview", *wrong).returncode == Exit.USAGE
