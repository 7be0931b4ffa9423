"""The demo's past as the real core makes it: what its story leaves open is open, and the log stays calm."""

import logging
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

import app
from app.demo import alarms
from app.demo.demo import DemoSystems, published
from app.demo.legacy import LegacySystem
from app.sandbox import history
from app.sandbox.approver import APPROVER
from app.sandbox.clm.server import build
from app.sandbox.erp_troubles import turns
from app.sandbox.portfolio.plan import plan, sequel
from sync_core.authority import person
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.engine.replaying import Replayer
from sync_core.estate.estate import Estate, load
from sync_core.intake.cloudevents import parse_structured
from sync_core.intake.intake import accept
from sync_core.replay.replay import ReplayState
from sync_core.replay.selection import Selection, StuckFilter
from tests.sandbox.stories import troubles, types_of

UNTIL = datetime(2026, 11, 25, 15, tzinfo=UTC)
STRANGE = (
    b'{"specversion": "1.0", "id": "C-1.r1", "source": "urn:tieline:clm:sandbox", "subject": "C-1",'
    b' "type": "com.tieline.contract.signed.v9", "time": "2026-11-25T09:00:00Z",'
    b' "data": {"contract_id": "C-1", "revision": 1}}'
)
OPEN = sa.text(
    "SELECT c.external_id, k.cause FROM core.case k JOIN core.contract c USING (contract_id) WHERE k.state = 'open'"
)
APPROVALS = sa.text(
    "SELECT opened_at FROM core.case WHERE cause = 'approval_needed' AND state = :state AND decided_by IS NULL"
)
DECIDED = sa.text("""
    SELECT a.occurred_at - h.occurred_at FROM core.case_history AS a CROSS JOIN LATERAL (
        SELECT max(occurred_at) AS occurred_at FROM core.case_history AS o
        WHERE o.case_id = a.case_id AND o.what IN ('opened', 'reopened') AND o.occurred_at <= a.occurred_at) AS h
    WHERE a.what = 'approved'
""")
POSTED = sa.text("""
    SELECT count(DISTINCT line_key) AS lines, count(*) FILTER (WHERE contract_id IS NULL) AS strangers
    FROM core.financial_fact WHERE kind = 'revenue'
""")
BEHIND = sa.text("""
    WITH newest AS (
        SELECT DISTINCT ON (system, kind, ref) contract_id, kind, amount FROM core.financial_fact
        WHERE system = 'cloud' ORDER BY system, kind, ref, seq DESC
    )
    SELECT c.external_id FROM newest AS n JOIN core.contract AS c USING (contract_id)
    WHERE c.billing = 'time_and_materials' AND n.kind IN ('invoice', 'revenue') GROUP BY c.external_id
    HAVING sum(n.amount) FILTER (WHERE n.kind = 'invoice')
        IS DISTINCT FROM sum(n.amount) FILTER (WHERE n.kind = 'revenue')
""")
# How long before the end of a week of the group, or of one of the last days, the measures that a report of that moment
# sees were made.
MEASURED = sa.text("""
    SELECT max(ends.at - (SELECT max(finished_at) FROM metrics.refresh WHERE finished_at <= ends.at))
    FROM generate_series(CAST(:first AS date), CAST(:last AS date), interval '1 day') AS days (day),
    LATERAL (SELECT CAST(days.day AS timestamp) AT TIME ZONE :zone AS at) AS ends
    WHERE extract(isodow FROM days.day) = 1 OR days.day > CAST(:last AS date) - 8
""")
SET_ASIDE = sa.text("SELECT external_id FROM core.contract WHERE state = 'set_aside'")
HELD = sa.text("SELECT count(*) FROM core.quarantine")


@pytest.fixture
def estate() -> Estate:
    assert app.__file__ is not None
    return load((Path(app.__file__).parent / "sandbox" / "estate_demo.toml").read_text())


async def test_the_past_ends_with_the_exceptions_that_its_story_left_open_and_sums_its_alarms_up(
    async_database: AsyncEngine, estate: Estate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    portfolio = history.portfolio_of(7, until=UNTIL, contracts=40, estate=estate)
    said: list[str] = []
    with caplog.at_level(logging.INFO), alarms.expected():
        await history.play(
            async_database, portfolio=portfolio, systems=systems(estate, tmp_path), say=said.append, reached=nobody
        )
    told = {(contract, cause) for contract, (each, cause) in troubles(portfolio).items() if each.mended_at >= UNTIL}
    async with async_database.connect() as conn:
        found = {(row.external_id, row.cause) for row in await conn.execute(OPEN)}
        held = await conn.scalar(HELD)
    assert told
    # A period that is closed for one contract holds up others too.
    assert told <= found
    beside = {"erp_rejected", "approval_needed", "outcome_unknown", "earned_not_billed", "draft_would_not_provision"}
    assert {cause for _, cause in found - told} <= beside
    assert "draft_would_not_provision" in {cause for _, cause in found}
    async with async_database.connect() as conn:
        paused = (await conn.execute(sa.text("SELECT suspension FROM core.contract WHERE state = 'suspended'"))).all()
    assert [row.suspension.rpartition(": ")[2] for row in paused] == ["The client's regulator reviews the programme"]
    assert held
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert [words for words in said if words.startswith("the ERP was down for 7 hours on ")]
    clm = build(VirtualClock(UNTIL), seed=7, token="t", journal=tmp_path / "clm.jsonl")
    assert sequel(portfolio, published(clm)) == sequel(portfolio, types_of(list(plan(portfolio))))
    clm.close()
    summary = await alarms.left_over(async_database)
    assert summary.startswith(f"{len(found)} exception")
    assert f"{held} event" in summary
    async with async_database.connect() as conn:
        posted = (await conn.execute(POSTED)).one()
        behind = (await conn.execute(BEHIND)).all()
    days = {"first": portfolio.start.date() + timedelta(days=7), "last": UNTIL.date(), "zone": estate.group.timezone}
    async with async_database.connect() as conn:
        age = await conn.scalar(MEASURED, days)
    assert age <= timedelta(minutes=5), "what a week's end is told of was measured at its end"
    assert posted.lines > 20, "revenue was posted by contract line"
    assert posted.strangers == 0
    assert behind == [], "what is earned as it is billed is what was billed"


async def test_large_contracts_of_the_past_were_approved_within_days_and_the_newest_still_wait(
    async_database: AsyncEngine, database: sa.Engine, tmp_path: Path
) -> None:
    assert app.__file__ is not None
    text = (Path(app.__file__).parent / "sandbox" / "estate_demo.toml").read_text()
    estate = load(text.replace("from_amount = 750_000", "from_amount = 300_000"))
    portfolio = history.portfolio_of(7, until=UNTIL, contracts=40, estate=estate)
    with alarms.expected():
        await history.play(
            async_database, portfolio=portfolio, systems=systems(estate, tmp_path), say=lambda _: None, reached=nobody
        )
    with database.connect() as conn:
        open_since = list(conn.execute(APPROVALS, {"state": "open"}).scalars())
        took = list(conn.execute(DECIDED).scalars())
        by = set(conn.execute(sa.text("SELECT actor FROM core.audit WHERE action = 'approval.approve'")).scalars())
    assert 1 <= len(open_since) <= 2
    assert all(opened_at > UNTIL - timedelta(days=21) for opened_at in open_since)
    assert len(took) > 2
    assert max(took) < timedelta(days=7)  # three, a weekend, and until something is due
    assert by == {APPROVER.name}


async def test_an_unreadable_event_is_an_error_in_the_log_as_soon_as_the_past_is_made(
    async_database: AsyncEngine, estate: Estate, caplog: pytest.LogCaptureFixture
) -> None:
    async def errors(body: bytes) -> list[str]:
        caplog.clear()
        async with async_database.begin() as conn:
            await accept(conn, [parse_structured(body)], estate=estate, now=UNTIL, received_by="webhook")
        return [record.message for record in caplog.records if record.levelno == logging.ERROR]

    with alarms.expected():
        assert await errors(STRANGE) == []
    assert "went to quarantine" in (await errors(STRANGE.replace(b"C-1.r1", b"C-1.r2")))[0]


async def test_what_the_erp_did_not_keep_is_set_aside_at_the_end_and_a_replay_mends_it(
    async_database: AsyncEngine, database: sa.Engine, estate: Estate, tmp_path: Path
) -> None:
    portfolio = history.portfolio_of(7, until=UNTIL, contracts=60, estate=estate)
    begun, over = [turn.at for turn in turns(portfolio)[2:]]
    assert portfolio.start < begun < over < UNTIL
    made = systems(estate, tmp_path)
    with alarms.expected():
        await history.play(async_database, portfolio=portfolio, systems=made, say=lambda _: None, reached=nobody)
    with database.connect() as conn:
        left = set(conn.execute(SET_ASIDE).scalars())
    assert 3 <= len(left) <= 12
    clock = VirtualClock(UNTIL)
    async with AsyncExitStack() as stack:
        again = await history._assemble(async_database, clock, estate, made, UNTIL, stack)
        commands = Commands(database, clock=clock, estate=estate)
        ada = person("ada@example.com", ["operator"])
        chosen = Selection(stuck=StuckFilter(cause="outcome_unknown"))
        replay_id = commands.replays.preview(ada, chosen).replay_id
        replayer = Replayer(again.worker)
        await replayer.drain()
        with database.begin() as conn:  # whom else it needs is not asked here
            conn.execute(sa.text("UPDATE core.replay_item SET money_reporting = 1"))
        done = commands.replays.confirm(ada, replay_id, reason="the release is put right", ticket="CHG-1")
        assert (done.items, done.skipped, done.state) == (len(left), 0, ReplayState.RUNNING)
        for _ in range(20):
            await replayer.drain()
            clock.advance_to(clock.now() + timedelta(seconds=5))
    with database.connect() as conn:
        ends = set(conn.execute(sa.text("SELECT state FROM core.replay_item")).scalars())
        assert ends == {"verified"}
        assert list(conn.execute(SET_ASIDE).scalars()) == []


async def nobody(_moment: datetime) -> None:
    """Nobody follows it."""


def systems(estate: Estate, folder: Path) -> DemoSystems:
    return DemoSystems(
        seed=7,
        clm=estate.clm[0],
        clm_journal=folder / "clm.jsonl",
        clm_token="token-of-the-clm",
        erp=estate.erp[0],
        erp_state=folder / "erp.jsonl",
        erp_secret="secret-of-the-erp",
        admin_token="token-of-the-admin",
        legacy=LegacySystem(7, estate.erp[1], folder / "legacy.jsonl", "secret-of-the-legacy", "token-of-the-admin"),
    )
