"""Facts become events once they are committed: each once, none passed over, all as their schemas say."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.audit import audit
from sync_core.clock import VirtualClock
from sync_core.delivery.announce import WATERMARK, Announcer, Place, forget
from sync_core.delivery.messages import OUTGOING
from sync_core.estate.delivery import PREFIX
from tests.commands.people import APPROVER, TAX, commands
from tests.databases import DatabaseUrls
from tests.delivery.support import BASE, add_outgoing, announcer, told
from tests.engine.support import Bench
from tests.reads.handmade import add_case, add_contract, add_progress, add_quarantined, insert
from tests.rows import NOW
from tests.sows import cloud_event, milestone_terms, signed


def kinds(database: sa.Engine) -> list[str]:
    return [row["type"].removeprefix(PREFIX) for row in told(database)]


def history(database: sa.Engine, case_id: int, what: str, **columns: object) -> None:
    values: dict[str, object] = {"function": "tax", "occurred_at": NOW, "recorded_at": NOW}
    insert(database, "case_history", "", case_id=case_id, what=what, **(values | columns))


def fits(row: sa.RowMapping) -> None:
    Draft202012Validator(OUTGOING[row["type"]].schema(), format_checker=FormatChecker()).validate(row["data"])


def audit_of(database: sa.Engine, *entries: audit.Entry) -> None:
    with database.begin() as conn:
        audit.append(conn, APPROVER, entries, now=NOW)


def add_replay(database: sa.Engine, *entities: str) -> int:
    return insert(
        database, "replay", "replay_id", created_at=NOW, created_by="ada@example.com", title="After <the> outage",
        origin="current", selection="{}", entities=list(entities), items=3, state="finished", per_minute=60,
    )  # fmt: skip


async def test_every_kind_of_fact_becomes_an_event_that_fits_its_schema(
    database: sa.Engine, async_database: AsyncEngine
) -> None:
    one = announcer(async_database)
    await one.announce()
    contract = add_contract(database, external_id="C-1", project_ref="P-1", value=Decimal("1234.50"))
    add_progress(database, contract, "signed", "active", "blocked", "unblocked", "ended")
    asks = add_case(database, contract, "approval_needed", severity="high", bill_on=NOW.date(), due_at=NOW)
    other = add_case(database, contract, "tax_profile_missing", exposure_reporting=None)
    for what in ("opened", "reopened", "resolved", "decided", "assigned", "refused"):
        history(database, asks, what)
    history(database, other, "handed_over", from_function="tax", function="legal", actor="ada@example.com", note="<b>")
    for kind in ("invoice", "payment", "dispute"):
        insert(
            database, "financial_fact", system="cloud", kind=kind, ref="I/1", project_key="crm/C-1", status="posted",
            contract_id=contract if kind == "invoice" else None, amount=Decimal("10.00"), currency="USD",
            occurred_on=NOW.date(), recorded_at=NOW,
        )  # fmt: skip
    add_quarantined(database, "C-1", hours=1)
    add_quarantined(database, "nobody", hours=1, signature=False)
    for breaker in ("open", "closed"):
        insert(database, "lane_history", lane="cloud", breaker=breaker, reason="refused", occurred_at=NOW)
    replay = add_replay(database, "GB01", "US01")
    subject = f"replay {replay}"
    audit_of(
        database,
        audit.Entry("replay.confirm", subject, "why", detail={"approval": "3 items are 3 or more"}),
        audit.Entry("replay.confirm", subject, "why", detail={"approval": ""}),
        audit.Entry("replay.approve", subject, "fine"),
        audit.Entry("replay.finish", subject, detail={"result": {"verified": 3, "failed": 0}}),
        audit.Entry("approval.refuse", f"exception {asks}", "too much", contract),
        audit.Entry("exception.comment", f"exception {asks}", "nothing of ours"),
    )
    assert await one.announce() == len(told(database))
    assert await one.announce() == 0
    for row in told(database):
        fits(row)
    expected = sorted(OUTGOING.keys() - {f"{PREFIX}{kind}" for kind in (
        "test.ping.v1", "renewal.due.v1", "amendment.late.v1", "exception.overdue.v1",
        "snapshot.made.v1", "objective.broken.v1", "schema.drifted.v1")})  # fmt: skip
    assert sorted(set(kinds(database))) == [name.removeprefix(PREFIX) for name in expected]
    assert kinds(database).count("exception.decided.v1") == 2  # decided, and refused by an approver
    assert kinds(database).count("approval.requested.v1") == 3  # opened, reopened, and of the replay
    assert kinds(database).count("approval.decided.v1") == 2
    by_kind = {row["type"].removeprefix(PREFIX): row for row in told(database)}
    active, paid = by_kind["project.activated.v1"], by_kind["payment.reported.v1"]
    assert active["data"]["contract"]["value"] == {"amount": "1234.50", "currency": "USD"}
    assert (active["legal_entity"], paid["legal_entity"], by_kind["lane.stopped.v1"]["legal_entity"]) == (
        "US01", None, "*",
    )  # fmt: skip
    assert by_kind["replay.finished.v1"]["legal_entity"] is None  # of several: only for those without a limit
    assert by_kind["lane.restored.v1"]["data"]["stopped_at"] is not None
    assert active["data"]["links"]["page"] == f"https://tieline.example/contract?id={contract}"


async def test_what_the_engine_does_is_announced(database: sa.Engine, async_database: AsyncEngine) -> None:
    one, bench = announcer(async_database), Bench(async_database)
    await one.announce()
    await bench.arrive(
        cloud_event("e1", "signed.v1", signed("C-1")),
        cloud_event("e2", "signed.v1", signed("C-2", milestone_terms(legal_entity="NOWHERE"))),
    )
    await (await bench.worker()).drain()
    await one.announce()
    assert sorted(kinds(database)) == ["contract.blocked.v1", "exception.opened.v1", "project.activated.v1"]
    for row in told(database):
        fits(row)


async def test_the_past_is_not_announced(database: sa.Engine, async_database: AsyncEngine) -> None:
    contract = add_contract(database)
    add_progress(database, contract, "active")
    one = announcer(async_database)
    assert [await one.announce(), await one.announce()] == [0, 0]
    add_progress(database, contract, "ended")
    await one.announce()
    assert kinds(database) == ["contract.ended.v1"]


async def test_a_fact_that_a_slow_transaction_commits_late_is_not_passed_over(
    database: sa.Engine, async_database: AsyncEngine, database_urls: DatabaseUrls
) -> None:
    contract, one = add_contract(database), announcer(async_database)
    impatient = Announcer(async_database, VirtualClock(NOW), base_url=BASE, reporting="USD")
    await one.announce()
    slow = await psycopg.AsyncConnection.connect(database_urls.app_libpq)
    await slow.execute(
        "INSERT INTO core.progress (contract_id, step, occurred_at, recorded_at) VALUES (%s, 'blocked', %s, %s)",
        (contract, NOW, NOW),
    )
    add_progress(database, contract, "active", at=NOW + timedelta(hours=1))
    assert await impatient.announce() == 0, "what stands behind an open transaction waits for it"
    await slow.commit()
    assert await one.announce() == 2
    assert kinds(database) == ["contract.blocked.v1", "project.activated.v1"]
    add_progress(database, contract, "unblocked")
    assert await one.announce() == 1
    await slow.close()


async def test_many_announcers_at_once_announce_each_fact_once(
    database: sa.Engine, async_database: AsyncEngine
) -> None:
    contracts = [add_contract(database) for _ in range(20)]
    announcers = [announcer(async_database) for _ in range(4)]
    await announcers[0].announce()
    made = 0
    for contract in contracts:
        add_progress(database, contract, "active")
        made += sum(await asyncio.gather(*(one.announce() for one in announcers)))
    made += await announcers[0].announce()
    subjects = [row["subject"] for row in told(database)]
    assert (made, sorted(subjects)) == (20, sorted(f"contract/{contract}" for contract in contracts))


async def test_nothing_is_written_while_nothing_happens(database: sa.Engine, async_database: AsyncEngine) -> None:
    one = announcer(async_database)
    await one.announce()

    def written() -> object:
        with database.connect() as conn:
            return conn.scalar(sa.text("SELECT xmin FROM core.watermark WHERE name = :name"), {"name": WATERMARK})

    before = written()
    add_contract(database)
    assert [await one.announce() for _ in range(3)] == [0, 0, 0]
    assert written() == before


async def test_a_database_restored_elsewhere_counts_anew_and_goes_on(
    database: sa.Engine, async_database: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    contract, one = add_contract(database), announcer(async_database)
    await one.announce()
    with database.begin() as conn:
        far = str(Place(xid=10**9, audit=0))
        conn.execute(sa.text("UPDATE core.watermark SET value = :v WHERE name = :name"), {"v": far, "name": WATERMARK})
    add_progress(database, contract, "active")
    assert await one.announce() == 0
    assert "anew" in caplog.text
    add_progress(database, contract, "ended")
    await one.announce()
    assert kinds(database) == ["contract.ended.v1"]


async def test_an_audit_row_is_announced_once_and_in_the_order_of_commits(
    database: sa.Engine, async_database: AsyncEngine
) -> None:
    one, replay = announcer(async_database), add_replay(database, "GB01")
    await one.announce()
    for action in ("replay.refuse", "replay.finish"):
        audit_of(database, audit.Entry(action, f"replay {replay}", "no", detail={"result": {"verified": 1}}))
        await one.announce()
        await one.announce()
    assert kinds(database) == ["approval.decided.v1", "replay.finished.v1"]
    assert {row["legal_entity"] for row in told(database)} == {"GB01"}


async def test_old_events_are_forgotten(database: sa.Engine, async_database: AsyncEngine) -> None:
    add_outgoing(database, "contract.ended.v1")
    assert await forget(async_database, now=NOW + timedelta(days=89)) == 0
    assert await forget(async_database, now=NOW + timedelta(days=91)) == 1


async def test_facts_of_commands_are_announced_with_who_did_it(
    database: sa.Engine, async_database: AsyncEngine
) -> None:
    contract, one = add_contract(database), announcer(async_database)
    case = add_case(database, contract, "tax_profile_missing")
    await one.announce()
    facade = commands(database, clock=VirtualClock(NOW))
    facade.cases.decide(TAX, [case], "the client pays the tax itself")
    await one.announce()
    [row] = told(database)
    assert (row["type"], row["data"]["by"], row["data"]["note"]) == (
        f"{PREFIX}exception.decided.v1", "tax@example.com", "the client pays the tax itself",
    )  # fmt: skip
    fits(row)
