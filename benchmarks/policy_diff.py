"""How long the back-test of a policy takes: `python -m benchmarks.policy_diff [contracts]`.

Against an embedded PostgreSQL of its own, with signed contracts and an amendment of each fifth. It runs in a thread
beside an event loop, as in the web process, and says how late that loop was meanwhile: so much longer `/healthz` takes.
"""

import asyncio
import multiprocessing
import os
import random
import resource
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from sync_core.reads.policy import BackTest, compared
from sync_core.store.migrate import migrate
from tests import databases
from tests.policy.texts import plain, ruled
from tests.sows import SIGNED_AT, arrive, cloud_event, milestone_terms, signed, tm_terms

_TICK_S = 0.01


def main(contracts: int) -> None:
    with databases.test_server(uuid.uuid4().hex) as server:
        template = databases.template(server, "bench_policy", lambda url: migrate(url, app_role="tieline_app"))
        urls = databases.clone(server, template)
        # In a process of its own, whose memory is none of the back-test's.
        filling = multiprocessing.get_context("spawn").Process(target=_filled, args=(urls.app, contracts))
        filling.start()
        filling.join()
        engine = sa.create_engine(urls.app)
        for _ in range(3):
            asyncio.run(_measured(engine))
        engine.dispose()
        databases.drop(server, urls)


async def _measured(engine: sa.Engine) -> None:
    held, begun, used = _memory_mb(), time.perf_counter(), time.process_time()
    test, late = asyncio.create_task(asyncio.to_thread(_test, engine)), [0.0]
    while not test.done():
        asleep = time.perf_counter()
        await asyncio.sleep(_TICK_S)
        late.append(time.perf_counter() - asleep - _TICK_S)
    found, took, cpu = await test, time.perf_counter() - begun, time.process_time() - used
    late.sort()
    print(
        f"{found.contracts:,} contracts, {len(found.differences):,} differ: {took:.2f} s, {cpu:.2f} s CPU, "
        f"{_memory_mb() - held:+.0f} MB at most; the loop was late by {1000 * late[len(late) // 2]:.1f} ms (median), "
        f"{1000 * late[len(late) * 99 // 100]:.1f} ms (p99), {1000 * late[-1]:.1f} ms (most); "
        f"load {os.getloadavg()[0]:.1f}"
    )
    print(dict(Counter(change.effect.value for one in found.differences for change in one.changes)))


def _test(engine: sa.Engine) -> BackTest:
    with engine.connect() as conn:
        return compared(conn, plain(), ruled(), now=SIGNED_AT + timedelta(days=1))


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _filled(url: str, contracts: int) -> None:
    asyncio.run(_fill(url, contracts))


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
