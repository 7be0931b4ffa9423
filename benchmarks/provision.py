"""What provisioning a contract costs, against a bare loop that makes the same HTTP calls.

`python -m benchmarks.provision`: both kinds of loop by turns on one PostgreSQL (fsync on), each half round with
fresh sandbox ERPs in processes of their own and contracts that intake has just stored. docs/benchmarks.md has the
method. The last line on stdout is JSON.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson
import psycopg
from sqlalchemy.ext.asyncio import create_async_engine

from app.postgres.embedded import Endpoint, Role
from benchmarks import firm, processes
from benchmarks.provision_worker import Order
from benchmarks.usage import cpu_s, database_use, machine_busy_s
from sync_core.clock import SystemClock
from sync_core.intake import intake
from sync_core.lanes import lanes

_BATCH = 200
_DEADLINE_S = 600.0

_DUE = "SELECT EXISTS (SELECT 1 FROM core.contract WHERE lane = ANY(%s) AND due_at IS NOT NULL)"
_DONE = "SELECT count(*) FROM core.contract WHERE starts_with(external_id, %s) AND state = 'active'"
_JOURNALLED = """
    SELECT coalesce(sum(jsonb_array_length(r.calls)), 0) FROM core.run AS r JOIN core.contract AS c USING (contract_id)
    WHERE starts_with(c.external_id, %s)
"""


@dataclass(frozen=True, slots=True)
class Half:
    """One loop's half of a round. CPU in milliseconds per contract; `erp_busy` is the busiest ERP's share of a core."""

    contracts_per_s: float
    cpu_ms: float
    postgres_cpu_ms: float
    erp_cpu_ms: float
    erp_busy: float
    commits: float
    fsyncs: float
    wal_kb: float
    calls: float
    others_busy: float  # share of the machine that went to processes which are no part of this

    @property
    def all_cpu_ms(self) -> float:
        return self.cpu_ms + self.postgres_cpu_ms + self.erp_cpu_ms


@dataclass(frozen=True, slots=True)
class Size:
    contracts: int
    workers: int
    erps: int
    slots: int


class Bench:
    def __init__(self, endpoint: Endpoint, size: Size, place: Path) -> None:
        self._endpoint, self._size, self._place = endpoint, size, place
        self._lanes = [firm.lane_of(n) for n in range(size.erps)]
        self._recorded = [str(place / f"calls-{n}.json") for n in range(size.workers)]
        url = endpoint.libpq_url(Role.OWNER)
        self._admin = psycopg.connect(url, autocommit=True)
        self._watch = psycopg.connect(url)  # one open transaction, so that watching adds no commits

    def close(self) -> None:
        self._admin.close()
        self._watch.close()

    def half(self, name: str, *, bare: bool, record: bool = False, profile: bool = False) -> Half:
        """Store contracts named after `name`, provision them all, measure."""
        size = self._size
        asyncio.run(self._take_in(name))
        self._admin.execute("VACUUM (ANALYZE)")  # else it comes in the middle of one half and not of the other
        with ExitStack() as stack:
            erps = stack.enter_context(processes.erps([firm.master_data(n) for n in range(size.erps)]))
            order = Order(
                self._endpoint.url(Role.APP), self._endpoint.libpq_url(Role.APP), [erp.ready for erp in erps],
                size.slots, size.workers, bare, replay=self._recorded if bare else [],
            )  # fmt: skip
            workers = []
            for n in range(size.workers):
                mine = replace(order, record_to=self._recorded[n] if record else None)
                mine = replace(mine, profile_to=f"{name}-{n}.profile" if profile else None)
                workers.append(processes.WorkerProcess(mine))
                stack.callback(workers[-1].kill)
            for worker in workers:
                worker.await_ready()
            before, erp_before = database_use(self._admin), [cpu_s(erp.pid) for erp in erps]
            begun, busy = time.perf_counter(), machine_busy_s()
            for worker in workers:
                worker.go()
            self._until_done(workers)
            took, busy = time.perf_counter() - begun, machine_busy_s() - busy
            erp_cpu = [cpu_s(erp.pid) - cpu for erp, cpu in zip(erps, erp_before, strict=True)]
            used = [worker.stop() for worker in workers]
            spent = database_use(self._admin).since(before)
        count, workers_cpu = self._checked(name), sum(u.cpu_s for u in used)
        ours = workers_cpu + spent.cpu_s + sum(erp_cpu)
        calls = sum(u.calls for u in used) if bare else self._number(_JOURNALLED, f"{name}-")
        return Half(
            contracts_per_s=count / took,
            cpu_ms=workers_cpu / count * 1000,
            postgres_cpu_ms=spent.cpu_s / count * 1000,
            erp_cpu_ms=sum(erp_cpu) / count * 1000,
            erp_busy=max(erp_cpu) / took,
            commits=spent.commits / count,
            fsyncs=spent.fsyncs / count,
            wal_kb=spent.wal_bytes / count / 1024,
            calls=calls / count,
            others_busy=max(0.0, (busy - ours) / (took * (os.cpu_count() or 1))),
        )

    async def _take_in(self, name: str) -> None:
        size, clock = self._size, SystemClock()
        estate = firm.estate(size.erps, slots=size.slots)
        engine = create_async_engine(self._endpoint.url(Role.APP))
        async with engine.begin() as conn:
            await lanes.declare(conn, [(erp, 0.0) for erp in estate.erp])
        events = [firm.signed_event(f"{name}-{n:06d}", n, size.erps) for n in range(size.contracts)]
        for begin in range(0, len(events), _BATCH):
            async with engine.begin() as conn:
                batch = events[begin : begin + _BATCH]
                await intake.accept(conn, batch, estate=estate, now=clock.now(), received_by="bench")
        await engine.dispose()

    def _until_done(self, workers: list[processes.WorkerProcess]) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while self._ask(_DUE, self._lanes):
            if not all(worker.alive() for worker in workers) or time.monotonic() > deadline:
                raise RuntimeError("the workers did not finish; what they wrote to stderr says why")
            time.sleep(0.02)
        self._watch.rollback()

    def _checked(self, name: str) -> int:
        done = self._number(_DONE, f"{name}-")
        if done != self._size.contracts:
            raise RuntimeError(f"only {done} of {self._size.contracts} contracts became active; look into core.case")
        return self._size.contracts

    def _number(self, statement: str, value: object) -> int:
        found = self._ask(statement, value)
        self._watch.rollback()
        return int(str(found))

    def _ask(self, statement: str, value: object) -> object:
        row = self._watch.execute(statement, [value]).fetchone()
        return row[0] if row else None


def measure(size: Size, *, rounds: int, profile: bool, say: Callable[[str], None]) -> dict[str, object]:
    """Warm both up, then measure them by turns."""
    with (
        tempfile.TemporaryDirectory(prefix="tieline-bench-calls-") as directory,
        processes.database() as endpoint,
        ExitStack() as stack,
    ):
        bench = Bench(endpoint, size, Path(directory))
        stack.callback(bench.close)
        bench.half("warm", bare=False, record=True)
        bench.half("warmbare", bare=True)
        pairs = []
        for number in range(1, rounds + 1):
            full = bench.half(f"core{number}", bare=False)
            bare = bench.half(f"bare{number}", bare=True)
            pairs.append((full, bare))
            say(f"round {number}: core {_line(full)}")
            say(f"round {number}: bare {_line(bare)}")
        if profile:
            bench.half("profile", bare=False, profile=True)
    return summary(pairs)


def summary(pairs: list[tuple[Half, Half]]) -> dict[str, object]:
    """Medians over the rounds; `bare` is the median of the paired ratios of throughput.

    `cpu_ratio` compares all CPU of both (workers, PostgreSQL, ERPs): it holds on a busy machine too, where throughput
    says more of the others.
    """

    def median(of: Callable[[tuple[Half, Half]], float]) -> float:
        return round(statistics.median(map(of, pairs)), 3)

    ratios = [full.contracts_per_s / bare.contracts_per_s for full, bare in pairs]
    return {
        "bare": round(statistics.median(ratios), 3),
        "bare_min": round(min(ratios), 3),
        "bare_max": round(max(ratios), 3),
        "cpu_ratio": median(lambda p: p[1].all_cpu_ms / p[0].all_cpu_ms),
        "contracts_per_s": median(lambda p: p[0].contracts_per_s),
        "bare_contracts_per_s": median(lambda p: p[1].contracts_per_s),
        "cpu_ms_per_contract": median(lambda p: p[0].cpu_ms),
        "bare_cpu_ms": median(lambda p: p[1].cpu_ms),
        "postgres_cpu_ms": median(lambda p: p[0].postgres_cpu_ms),
        "bare_postgres_cpu_ms": median(lambda p: p[1].postgres_cpu_ms),
        "erp_cpu_ms": median(lambda p: p[0].erp_cpu_ms),
        "erp_busy": median(lambda p: p[0].erp_busy),
        "commits_per_contract": median(lambda p: p[0].commits),
        "fsyncs_per_contract": median(lambda p: p[0].fsyncs),
        "wal_kb_per_contract": median(lambda p: p[0].wal_kb),
        "calls_per_contract": median(lambda p: p[0].calls),
        "bare_commits": median(lambda p: p[1].commits),
        "bare_fsyncs": median(lambda p: p[1].fsyncs),
        "bare_wal_kb": median(lambda p: p[1].wal_kb),
        "rounds": [
            {"ratio": round(ratio, 3), "core": _rounded(full), "bare": _rounded(bare)}
            for ratio, (full, bare) in zip(ratios, pairs, strict=True)
        ],
    }


def _rounded(half: Half) -> dict[str, float]:
    return {name: round(value, 3) for name, value in asdict(half).items()}


def _line(half: Half) -> str:
    return (
        f"{half.contracts_per_s:6.1f} contracts/s; CPU ms per contract: worker {half.cpu_ms:.2f}, PostgreSQL "
        f"{half.postgres_cpu_ms:.2f}, ERP {half.erp_cpu_ms:.2f} (busy {half.erp_busy:.0%}); per contract "
        f"{half.calls:.2f} calls, {half.commits:.3f} commits, {half.fsyncs:.3f} fsyncs, {half.wal_kb:.1f} kB WAL; "
        f"others took {half.others_busy:.0%} of the machine"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.provision", description=__doc__)
    parser.add_argument("--contracts", type=int, default=2000, help="in each half round")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--erps", type=int, default=2, help="sandbox ERPs, a process and a lane each")
    parser.add_argument("--slots", type=int, default=16, help="calls in flight per ERP, over all workers")
    parser.add_argument("--json", action="store_true", help="nothing but the JSON line on stdout")
    parser.add_argument("--profile", action="store_true", help="afterwards, one more run whose profiles it writes here")
    given = parser.parse_args()
    size = Size(given.contracts, given.workers, given.erps, given.slots)
    report = sys.stderr if given.json else sys.stdout

    def say(line: str) -> None:
        print(line, file=report, flush=True)

    print(orjson.dumps(measure(size, rounds=given.rounds, profile=given.profile, say=say)).decode())


if __name__ == "__main__":
    main()
