"""How long the back-test of a policy takes: `python -m benchmarks.policy_diff [contracts]`.

Against an embedded PostgreSQL of its own, with signed contracts and an amendment of each fifth.
"""

import asyncio
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from sync_core.reads.policy import compared
from sync_core.store.migrate import migrate
from tests import databases
from tests.policy.texts import plain, ruled
from tests.sows import SIGNED_AT, arrive, cloud_event, milestone_terms, signed, tm_terms


def main(contracts: int) -> None:
    with databases.test_server(uuid.uuid4().hex) as server:
        template = databases.template(server, "bench_policy", lambda url: migrate(url, app_role="tieline_app"))
        urls = databases.clone(server, template)
        asyncio.run(_fill(urls.app, contracts))
        engine = sa.create_engine(urls.app)
        for _ in range(3):
            begun, used = time.perf_counter(), time.process_time()
            with engine.connect() as conn:
                found = compared(conn, plain(), ruled(), now=SIGNED_AT + timedelta(days=1))
            took, cpu = time.perf_counter() - begun, time.process_time() - used
            effects = Counter(change.effect.value for one in found.differences for change in one.changes)
            print(f"{found.contracts:,} contracts, {len(found.differences):,} differ, {took:.2f} s, {cpu:.2f} s CPU")
            print(dict(effects))
        engine.dispose()
        databases.drop(server, urls)


async def _fill(url: str, contracts: int) -> None:
    engine = create_async_engine(url)
    events = list(_events(contracts))
    for begin in range(0, len(events), 2_000):
        async with engine.begin() as conn:
            await arrive(conn, *events[begin : begin + 2_000])
    async with engine.connect() as conn:
        await (await conn.execution_options(isolation_level="AUTOCOMMIT")).execute(sa.text("ANALYZE"))
    await engine.dispose()


def _events(contracts: int) -> Iterator[dict[str, object]]:
    chance = random.Random(1)
    for number in range(contracts):
        make = chance.choice((milestone_terms, tm_terms))
        value = chance.choice(("9000.00", "60000.00", "120000.00", "600000.00"))
        terms = make(
            value=value,
            service_line=chance.choice(("consulting", "consulting", "tax", "audit")),
            po_number=chance.choice(("PO-1", None)),
            lines=[{"key": "1", "description": "All", "amount": value}],
            **({"legal_entity": "GB01", "currency": "GBP"} if chance.random() < 0.5 else {}),
        )
        if make is milestone_terms:
            terms["milestones"] = [{"key": "m", "name": "All", "amount": value, "due_on": "2026-09-30", "line": "1"}]
        yield cloud_event(f"e{number}", "signed.v1", signed(f"C-{number}", terms))
        if number % 5 == 0:
            change = {"number": 1, "executed_at": SIGNED_AT.isoformat()}
            data = {"contract_id": f"C-{number}", "revision": 2, "amendment": change, "changes": {"title": "Amended"}}
            yield cloud_event(f"a{number}", "amended.v1", data)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
