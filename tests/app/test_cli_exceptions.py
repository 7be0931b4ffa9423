"""`tieline exceptions` and `tieline quarantine` as an operator types them: real processes on a real database."""

import json
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.cli.actor import operator_of_this_machine
from app.cli.refusals import Exit
from sync_core.clock import SystemClock
from tests.app.test_cli import refused
from tests.app.test_cli_clients import Cli
from tests.databases import DatabaseUrls
from tests.engine.governed import RULES, Desk
from tests.reads.handmade import add_case, insert
from tests.sows import ESTATE_TOML, SOURCE, cloud_event, milestone_terms, signed

CODE = '{"tax": {"tax_code": "US-CA-STD"}}'


@pytest.fixture
def cli(tmp_path: Path, database_urls: DatabaseUrls) -> Cli:
    return Cli(tmp_path, database_urls, ESTATE_TOML + RULES)


@pytest.fixture
async def case(async_database: AsyncEngine, database: sa.Engine) -> int:
    """The exception of a contract without a tax code."""
    desk = Desk(async_database, sync=database, clock=SystemClock())
    await desk.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms(tax={}))))
    worker = await desk.worker()
    await worker.drain()
    return await desk.case_id("tax_code_missing")


def done(database: sa.Engine) -> list[str]:
    with database.connect() as conn:
        found = conn.execute(sa.text("SELECT actor, action FROM core.audit ORDER BY id")).all()
    assert {row.actor for row in found} <= {operator_of_this_machine().name}
    return [row.action for row in found]


def test_an_exception_is_worked_on_and_corrected(cli: Cli, case: int, database: sa.Engine) -> None:
    number = str(case)
    [listed] = json.loads(cli.said("exceptions", "list", "--function", "tax", "--json"))
    assert (listed["exception_id"], listed["exposure"]["amount"]) == (case, "25000.00")
    assert "tax_code_missing" in cli.said("exceptions", "list")
    assert json.loads(cli.said("exceptions", "groups", "--json"))[0]["example_id"] == case
    cli.said("exceptions", "assign", number, "--to", "ada@example.com")
    cli.said("exceptions", "ack", number)
    cli.said("exceptions", "comment", number, "[bold]called[/bold] them")
    assert "[bold]called[/bold] them" in cli.said("exceptions", "show", number)
    preview = cli.said("exceptions", "correct", number, "--values", CODE, "--preview")
    assert "tax code: US-CA-STD" in preview
    assert "whether cloud knows the tax code “US-CA-STD” shows when the worker reads it" in preview
    assert "Mends" not in preview
    assert "how to mend" in cli.said("exceptions", "show", number)
    assert done(database) == ["exception.assign", "exception.acknowledge", "exception.comment"]
    assert "closes once a run no longer finds its cause" in cli.said(
        "exceptions", "correct", number, "--values", CODE, "--reason", "the usual code"
    )
    shown = json.loads(cli.said("exceptions", "show", number, "--json"))
    assert [moment["what"] for moment in shown["history"]][-1] == "corrected"
    assert shown["correction"]["values"] == {"tax": {"tax_code": "US-CA-STD", "exempt": False}}


def test_what_cannot_be_done_is_one_sentence_and_its_exit_code(cli: Cli, case: int, database: sa.Engine) -> None:
    refused(cli("exceptions", "show", "999"), Exit.REFUSED, "no exception 999")
    refused(cli("exceptions", "decide", str(case), "--reason", " "), Exit.USAGE, "say why")
    refused(cli("exceptions", "approve", str(case), "--reason", "as agreed"), Exit.REFUSED, "asks for no approval")
    assert cli("exceptions", "correct", str(case), "--values", "{").returncode == Exit.USAGE
    assert cli("exceptions", "list", "--state", "gone").returncode == Exit.USAGE
    some = cli("exceptions", "ack", str(case), "999")
    assert (some.returncode, some.stdout) == (Exit.REFUSED, f"acknowledged: {case}\n")
    assert "not changed: there is no exception 999" in some.stderr
    assert done(database) == ["exception.acknowledge"]


def test_words_of_others_do_not_steer_the_terminal(cli: Cli, case: int, database: sa.Engine) -> None:
    with database.connect() as conn:
        contract = int(conn.scalar(sa.text("SELECT contract_id FROM core.case")) or 0)
    hostile = add_case(database, contract, "hostile", message="\x1b[2Jgone [red]\x07", group_key="g")
    for shown in (cli.said("exceptions", "list"), cli.said("exceptions", "show", str(hostile)),
                  cli.said("exceptions", "groups")):  # fmt: skip
        assert "\x1b" not in shown
        assert "\x07" not in shown
        assert "[red]" in shown


def test_quarantine_is_listed_released_and_dismissed(cli: Cli, database: sa.Engine) -> None:
    now, ids = SystemClock().now(), []
    for number, kind in enumerate(("signed.v1", "signed.v9")):
        event = cloud_event(f"q-{number}", kind, signed(f"Q-{number}"))
        ids.append(
            insert(
                database, "quarantine", "quarantine_id", source=SOURCE, event_id=event["id"], type=event["type"],
                external_id=f"Q-{number}", reason="not in the estate", signature=True, body=orjson.dumps(event),
                received_by="webhook", correlation_id="q", occurred_at=now, recorded_at=now,
            )
        )  # fmt: skip
    good, bad = map(str, ids)
    assert [row["quarantine_id"] for row in json.loads(cli.said("quarantine", "list", "--json"))] == ids
    assert '"specversion":"1.0"' in cli.said("quarantine", "show", good)
    some = cli("quarantine", "release", good, bad)
    assert (some.returncode, some.stdout) == (Exit.REFUSED, f"released: {good}\n")
    assert "stays: " in some.stderr
    assert cli.said("quarantine", "dismiss", bad, "--reason", "a test of theirs") == f"dismissed: {bad}\n"
    assert done(database) == ["quarantine.release", "quarantine.dismiss"]
    refused(cli("quarantine", "show", "999"), Exit.REFUSED, "no quarantined event 999")
