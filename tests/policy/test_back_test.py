"""The back-test says beforehand what the worker then does under the new policy: a real database, real runs."""

import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.postgres.embedded import Endpoint
from sync_core.cases.sla import due
from sync_core.desired import Kind
from sync_core.engine.lane_watch import LaneWatch
from sync_core.engine.worker import Pace, Worker
from sync_core.errors import Function
from sync_core.estate.estate import Estate
from sync_core.keys import ExternalId, Lane, contract_key
from sync_core.lanes import lanes
from sync_core.lanes.lanes import LaneGate
from sync_core.policy.compare import Difference, Effect
from sync_core.reads.policy import BackTest, compared
from tests import databases
from tests.engine.support import Bench
from tests.memory_erp import MemoryConnector, MemoryErp
from tests.policy.texts import plain, ruled
from tests.sows import SIGNED_AT, cloud_event, milestone_terms, signed, tm_terms

CONTRACTS = 120
PLACES = [("US01", "USD", "US-CA-STD"), ("GB01", "GBP", "GB-STD")] * 6 + [("XX01", "USD", "US-CA-STD")]


@pytest.fixture
async def another(server: Endpoint, template: str) -> AsyncIterator[AsyncEngine]:
    """A second database."""
    urls = databases.clone(server, template)
    engine = create_async_engine(urls.app)
    yield engine
    await engine.dispose()
    databases.drop(server, urls)


@dataclass
class TwoErps(Bench):
    """A bench whose estate has a second ERP."""

    books: MemoryErp = field(default_factory=MemoryErp)
    estate: Estate = field(default_factory=plain)

    async def worker(self, *, pace: Pace | None = None, worker_id: int | None = None) -> Worker:
        self.workers += 1
        gates = {erp.name: LaneGate(Lane(erp.name)) for erp in self.estate.erp}
        held = {"cloud": self.erp, "books": self.books}
        connectors = {
            name: MemoryConnector(held[name], gate, name=name, settle_s=self.settle_s) for name, gate in gates.items()
        }
        async with self.engine.begin() as conn:
            await lanes.declare(conn, [(erp, connectors[erp.name].settle_s) for erp in self.estate.erp])
        watch = LaneWatch(self.engine, connectors, gates, self.clock, self.workers)
        return Worker(self.engine, connectors, watch, self.estate, self.clock, self.workers, pace or Pace())

    async def under(self, estate: Estate) -> None:
        """Let a new worker do all contracts under this policy."""
        self.estate = estate
        async with self.engine.begin() as conn:
            await conn.execute(sa.text("UPDATE core.contract SET due_at = :now"), {"now": self.clock.now()})
        worker = await self.worker()
        await worker.drain()
        for _ in range(60):  # some wait a moment for a customer that another contract is creating
            if await self.rows("SELECT FROM core.contract WHERE state NOT IN ('active', 'blocked', 'ended')") == []:
                return
            self.virtual.advance(timedelta(seconds=1))
            await worker.drain()
        raise AssertionError("some contracts are neither active nor blocked after a minute")


def portfolio() -> Iterator[dict[str, object]]:
    """Signed contracts of all kinds: large and small, with and without orders, tax codes and end dates."""
    chance = random.Random(7)
    for number in range(CONTRACTS):
        make = chance.choice((milestone_terms, tm_terms))
        entity, currency, code = chance.choice(PLACES)
        value = str(chance.choice((9_000, 15_000, 60_000, 120_000, 600_000)))
        terms = make(
            legal_entity=entity,
            currency=currency,
            value=value,
            service_line=chance.choice(("consulting", "tax", "audit", "assurance")),
            po_number=chance.choice(("PO-1", None)),
            ends_on=chance.choice(("2026-12-31", None)),
            tax=chance.choice(({"tax_code": code}, {"exempt": True}, {})),
            lines=[{"key": "1", "description": "All", "amount": value}],
        )
        if make is milestone_terms:
            terms["milestones"] = [{"key": "all", "name": "All", "amount": value, "due_on": "2026-09-30", "line": "1"}]
        yield cloud_event(f"e{number}", "signed.v1", signed(f"C-{number:03}", terms))
        if number % 11 == 0:
            ended = {"contract_id": f"C-{number:03}", "revision": 2, "ended_on": "2026-03-01"}
            yield cloud_event(f"x{number}", "cancelled.v1", ended)


def told(database: sa.Engine, before: Estate, after: Estate) -> BackTest:
    with database.connect() as conn:
        return compared(conn, before, after, now=SIGNED_AT)


def side(found: BackTest, effect: Effect) -> dict[str, tuple[str, str]]:
    """By contract what the back-test says of one effect: now and then."""
    return {
        one.external_id: (change.before, change.after)
        for one in found.differences
        for change in one.changes
        if change.effect is effect
    }


async def lanes_of(bench: Bench) -> dict[str, str]:
    rows = await bench.rows("SELECT external_id, lane FROM core.contract WHERE state <> 'ended'")
    return {str(row[0]): str(row[1]) for row in rows}


async def causes_of(bench: Bench, state: str = "open") -> dict[str, dict[str, str]]:
    """By contract its open exceptions: cause and function."""
    rows = await bench.rows(
        "SELECT c.external_id, k.cause, k.function FROM core.case AS k JOIN core.contract AS c USING (contract_id) "
        "WHERE k.state = :state",
        state=state,
    )
    found: dict[str, dict[str, str]] = {}
    for contract, cause, function in rows:
        found.setdefault(str(contract), {})[str(cause)] = str(function)
    return found


def owners(now: dict[str, dict[str, str]], then: dict[str, dict[str, str]]) -> dict[str, set[tuple[str, str]]]:
    """By contract the causes of both that have another function then."""
    moved = {
        contract: {
            (f"{cause}: {function}", f"{cause}: {then[contract][cause]}")
            for cause, function in causes.items()
            if then.get(contract, {}).get(cause, function) != function
        }
        for contract, causes in now.items()
    }
    return {contract: pairs for contract, pairs in moved.items() if pairs}


def differing(now: dict[str, str], then: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {name: (now[name], then[name]) for name in now if now[name] != then[name]}


def joined(causes: dict[str, dict[str, str]], names: list[str]) -> dict[str, str]:
    return {name: ", ".join(sorted(causes.get(name, {}))) for name in names}


async def test_the_back_test_says_what_workers_then_do(
    database: sa.Engine, async_database: AsyncEngine, another: AsyncEngine
) -> None:
    """The same events, never run before: one worker under the one policy, one under the other."""
    before, after = plain(), ruled()
    bench = TwoErps(async_database)
    await bench.arrive(*portfolio())
    said = told(database, before, after)
    assert (said.contracts, said.unreadable) == (CONTRACTS, 0)
    await bench.under(before)
    now_lanes, now_causes = await lanes_of(bench), await causes_of(bench)
    other = TwoErps(another)
    await other.arrive(*portfolio())
    await other.under(after)
    then_lanes, then_causes = await lanes_of(other), await causes_of(other)

    names = sorted(now_lanes)
    assert side(said, Effect.ROUTE) == differing(now_lanes, then_lanes)
    assert side(said, Effect.BLOCKED) == differing(joined(now_causes, names), joined(then_causes, names))
    happened = owners(now_causes, then_causes)
    assert {name: set(pairs) for name, pairs in owner_side(said).items()} == happened
    waits = [
        {name for name, causes in each.items() if "approval_needed" in causes} for each in (now_causes, then_causes)
    ]
    asked = side(said, Effect.APPROVAL)
    assert {name for name, (was, becomes) in asked.items() if not was and becomes} == waits[1] - waits[0]
    assert {name for name, (was, becomes) in asked.items() if was and not becomes} == waits[0] - waits[1]
    for name, (_, lacks) in side(said, Effect.MANDATORY).items():
        assert ("po_number" in lacks) == ("po_missing" in then_causes.get(name, {}))
    codes = {f.key: f.fields["tax_code"] for erp in (other.erp, other.books) for f in erp.of(Kind.PROJECT)}
    taxed = {name: code for name, (_, code) in side(said, Effect.TAX).items() if name not in then_causes}
    assert taxed
    assert {name: codes[contract_key("clm", ExternalId(name))] for name in taxed} == taxed
    dues = await other.rows(
        "SELECT DISTINCT c.legal_entity, k.due_at FROM core.case AS k JOIN core.contract AS c USING (contract_id) "
        "WHERE k.cause = 'po_missing'"
    )
    assert dues
    assert all(at == due(after, Function.TAX, entity, SIGNED_AT, hours=4) for entity, at in dues)
    for effect in (Effect.ROUTE, Effect.BLOCKED, Effect.OWNER, Effect.APPROVAL, Effect.MANDATORY, Effect.TAX):
        assert len(side(said, effect)) >= 3, effect
    assert {f.key for f in other.books.objects.values() if f.active}, "the second ERP got its projects"


def owner_side(found: BackTest) -> dict[str, set[tuple[str, str]]]:
    moved = {
        one.external_id: {(c.before, c.after) for c in one.changes if c.effect is Effect.OWNER}
        for one in found.differences
    }
    return {name: pairs for name, pairs in moved.items() if pairs}


async def test_a_policy_that_comes_into_force_does_to_provisioned_contracts_what_was_said(
    database: sa.Engine, async_database: AsyncEngine
) -> None:
    before, after = plain(), ruled()
    bench = TwoErps(async_database)
    await bench.arrive(*portfolio())
    await bench.under(before)
    now_causes, names = await causes_of(bench), sorted(await lanes_of(bench))
    said = told(database, before, after)
    await bench.under(after)
    then_causes = await causes_of(bench)
    expected = differing(joined(now_causes, names), joined(then_causes, names))
    assert side(said, Effect.BLOCKED) == expected
    assert any("project_elsewhere" in then for _, then in expected.values()), "what stands in an ERP stays there"
    versions = await bench.rows("SELECT policy, count(*) FROM core.run GROUP BY 1")
    assert {str(row[0]) for row in versions} == {before.rules_version, after.rules_version}


def test_a_policy_changes_nothing_against_itself(database: sa.Engine) -> None:
    empty: tuple[Difference, ...] = ()
    assert told(database, ruled(), replace(ruled())).differences == empty
