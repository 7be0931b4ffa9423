"""What the dashboard costs its server as a firm grows: each page's reads, each KPI, and keeping the KPIs true.

`python -m benchmarks.dashboard --contracts 1000000`: at 10,000, 100,000 and a million contracts, each with ten
operations, each on a PostgreSQL with production's settings. Pages are drawn whole, in this process, with nothing kept
from before, those of all sizes in turn; reads are told apart from figures and from the rest of the script. At the
largest size all reads of a page may take 100 ms, and no more than 1.3 times what they take at the smallest and 10 ms.
What misses is said; the program ends well all the same. The last line on stdout is JSON. `--keep DIR` leaves the
databases there, and takes those that it finds there: to seed a million and to measure them first takes half an hour.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import orjson
import sqlalchemy as sa

from app.postgres.embedded import Endpoint, Role
from benchmarks import dashboard_pages, portfolio, processes
from benchmarks.dashboard_pages import Drawn, Session
from benchmarks.usage import machine_busy_s
from metrics import slo
from metrics.asking import Ask, Window
from metrics.measures import Measures
from metrics.refresh import refresh
from sync_core.clock import VirtualClock

MOST_MS, MOST_TIMES, MORE_MS = 100.0, 1.3, 10.0
SIZES: Final = (10_000, 100_000)
CHANGED: Final = 1_000
KNOWN_FOR: Final = timedelta(days=8)  # how long ago everything was measured first
_WEEKS: Final = 13
T = TypeVar("T")
Say = Callable[[str], None]
Told = dict[str, float]


@dataclass(slots=True)
class Size:
    """What one size costs."""

    contracts: int
    seeded_s: float = 0.0
    refreshed_per_s: float = 0.0  # contracts, of the first refresh, which takes in all of them
    objectives_s: float = 0.0  # the minutely look at the promises, whose figures the platform page shows
    changed_s: Told = field(default_factory=dict)  # a refresh after CHANGED contracts changed
    again_s: Told = field(default_factory=dict)  # one that looks at the same ones again: what it reads is in memory now
    pages: dict[str, dict[str, Told]] = field(default_factory=dict)
    kpis: dict[str, Told] = field(default_factory=dict)
    machine_busy: float = 0.0  # share of the machine that was busy while pages and KPIs were read; 1 / CPUs is ours


def told(values: Sequence[float]) -> Told:
    """Median, least and most."""
    return {
        "median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3),
    }  # fmt: skip


class Firm:
    """One size in a database of its own. `prepare` first."""

    def __init__(self, endpoint: Endpoint, contracts: int, kept: Path | None) -> None:
        self.size, self._turns = Size(contracts), 0
        self._note = kept / "seeded.json" if kept else None  # what was measured when it was seeded
        self._owner, self._app = (sa.create_engine(endpoint.url(role)) for role in (Role.OWNER, Role.APP))

    def prepare(self, say: Say) -> None:
        """Fill the empty, migrated database, and measure that; one that was kept is as it was left."""
        size = self.size
        if self._note and self._note.exists():
            size.seeded_s, size.refreshed_per_s, self._turns = orjson.loads(self._note.read_bytes())
            say(f"{size.contracts:,}: as it was kept, seeded in {size.seeded_s:.0f} s, the first refresh took in "
                f"{size.refreshed_per_s:,.0f} contracts a second")  # fmt: skip
        else:
            self._seed(say)
        begun = time.perf_counter()
        slo.evaluate(self._app, clock=VirtualClock(portfolio.NOW), estate=portfolio.estate())
        size.objectives_s = round(time.perf_counter() - begun, 2)
        portfolio.settle(self._owner)
        self._noted()

    def _seed(self, say: Say) -> None:
        size = self.size
        begun = time.perf_counter()
        portfolio.seed(self._owner, size.contracts)
        size.seeded_s = round(time.perf_counter() - begun, 1)
        say(f"{size.contracts:,}: seeded in {size.seeded_s:.0f} s")
        begun = time.perf_counter()
        done = _refresh(self._app, portfolio.NOW - KNOWN_FOR)
        size.refreshed_per_s = round(done / (time.perf_counter() - begun), 1)
        say(f"{size.contracts:,}: the first refresh took in {size.refreshed_per_s:,.0f} contracts a second")
        _refresh(self._app)  # the one before is what pages compare a state with

    def _noted(self) -> None:
        if self._note:
            self._note.write_bytes(orjson.dumps([self.size.seeded_s, self.size.refreshed_per_s, self._turns]))

    @property
    def turns_left(self) -> int:
        """How often other contracts can be changed."""
        return portfolio.TURNS - self._turns

    def session(self) -> Session:
        return Session(self._app)

    def changed(self, contracts: int) -> tuple[float, float]:
        """Seconds of a refresh after so many contracts changed, and of one that looks at the same ones again."""
        self._turns += 1
        self._noted()
        portfolio.change(self._owner, contracts, turn=self._turns)
        first = self._timed(contracts)
        portfolio.mark(self._owner, contracts, turn=self._turns)
        return first, self._timed(contracts)

    def _timed(self, contracts: int) -> float:
        begun = time.perf_counter()
        measured = _refresh(self._app)
        spent = time.perf_counter() - begun
        if measured != contracts:
            raise RuntimeError(f"{contracts} contracts changed, but {measured} were measured again")
        return spent

    def close(self) -> None:
        self._owner.dispose()
        self._app.dispose()


def read(firms: Sequence[Firm], rounds: int, say: Say) -> None:
    """Every page and every KPI, of all sizes in turn, for they are compared."""
    sessions = [firm.session() for firm in firms]
    busy, begun = machine_busy_s(), time.perf_counter()
    for pages in zip(*(session.pages() for session in sessions), strict=True):
        drawn = _in_turn([partial(session.draw, *page) for session, page in zip(sessions, pages, strict=True)], rounds)
        for firm, (name, *_), runs in zip(firms, pages, drawn, strict=True):
            parts = firm.size.pages[name] = _parts(runs)
            say(f"{firm.size.contracts:,}: page {name}: {_page(parts)}")
    for asked in zip(*(_asks(session.measures) for session in sessions), strict=True):
        for firm, (name, _), spent in zip(
            firms, asked, _in_turn([partial(_ms, ask) for _, ask in asked], rounds), strict=True
        ):
            firm.size.kpis[name] = told(spent)
            say(f"{firm.size.contracts:,}: {name}: {_line(firm.size.kpis[name])} ms")
    lasted = (time.perf_counter() - begun) * (os.cpu_count() or 1)
    for firm in firms:
        firm.size.machine_busy = round((machine_busy_s() - busy) / lasted, 2)


def _in_turn(asks: Sequence[Callable[[], T]], rounds: int) -> list[list[T]]:
    """What each gave, round by round, after one that warms up."""
    given = [[ask() for ask in asks] for _ in range(rounds + 1)][1:]
    return [list(of_one) for of_one in zip(*given, strict=True)]


def change(firms: Sequence[Firm], rounds: int, say: Say) -> None:
    """Refreshes after a thousand contracts changed, of all sizes in turn."""
    spent: list[list[tuple[float, float]]] = [[] for _ in firms]
    some = [min(CHANGED, firm.size.contracts // 10) for firm in firms]
    for _ in range(min(rounds, *(firm.turns_left for firm in firms))):
        for firm, contracts, times in zip(firms, some, spent, strict=True):
            times.append(firm.changed(contracts))
    if not spent[0]:
        say("refreshes after changes are not measured: those of a database that was kept are used up; seed another")
        return
    for firm, contracts, times in zip(firms, some, spent, strict=True):
        size = firm.size
        size.changed_s, size.again_s = (told(one) for one in zip(*times, strict=True))
        refreshed = f"{_line(size.changed_s)} s, again: {_line(size.again_s)} s"
        say(f"{size.contracts:,}: a refresh after {contracts:,} changed: {refreshed}")


def _refresh(app: sa.Engine, now: datetime = portfolio.NOW) -> int:
    return refresh(app, clock=VirtualClock(now), estate=portfolio.estate()).contracts


def _parts(runs: Sequence[Drawn]) -> dict[str, Told]:
    names = ("reads", "cpu", "sql", "figures", "script", "statements")
    return {name: told([float(getattr(one, name)) for one in runs]) for name in names}


def _asks(measures: Measures) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each KPI alone, by its first split, and the rows behind it, of the usual weeks."""
    ask = Ask(Window.weeks(portfolio.NOW, measures.estate.group.timezone, _WEEKS))
    for one in measures.definitions():
        slug, splits = one.slug, (None, *one.splits[:1])
        for by in splits:
            yield f"{slug} by {by}" if by else slug, partial(measures.kpi, slug, ask, by)
        if one.drill:
            yield f"{slug}, rows", partial(measures.drill, slug, ask)


def _ms(ask: Callable[[], object]) -> float:
    begun = time.perf_counter()
    ask()
    return 1000 * (time.perf_counter() - begun)


def misses(sizes: Sequence[Size]) -> list[str]:
    """What the largest size asks too much for, in words."""
    least, most = sizes[0], sizes[-1]
    found = []
    for name, parts in most.pages.items():
        ms = parts["reads"]["median"]
        bound = least.pages[name]["reads"]["median"] * MOST_TIMES + MORE_MS
        if ms > MOST_MS:
            found.append(f"{name}: reads take {ms:.0f} ms at {most.contracts:,}, more than {MOST_MS:.0f}")
        if len(sizes) > 1 and ms > bound:
            found.append(f"{name}: reads take {ms:.0f} ms at {most.contracts:,}, more than {bound:.0f} (1.3 x + 10 ms)")
    return found


def report(sizes: Sequence[Size], rounds: int) -> dict[str, object]:
    most = sizes[-1]
    return {
        "contracts": most.contracts, "rounds": rounds,
        "pages": [{"page": name, "ms": parts["reads"]["median"]} for name, parts in most.pages.items()],
        "kpis": [{"kpi": name, "ms": ms["median"]} for name, ms in most.kpis.items()],
        "refreshed_per_s": most.refreshed_per_s, "changed_s": most.changed_s.get("median"),
        "again_s": most.again_s.get("median"),
        "misses": misses(sizes), "sizes": {str(one.contracts): asdict(one) for one in sizes},
    }  # fmt: skip


def _page(parts: Mapping[str, Told]) -> str:
    listed = ", ".join(f"{name} {_line(parts[name])} ms" for name in ("reads", "figures", "script"))
    sent = f"{parts['statements']['median']:.0f} statements, {parts['sql']['median']:.1f} ms of them"
    return f"{listed}; {sent}, CPU of the reads {parts['cpu']['median']:.1f} ms"


def _line(one: Told) -> str:
    return f"{one['median']:.1f} ({one['min']:.1f} to {one['max']:.1f})"


def _firm(stack: ExitStack, contracts: int, keep: Path | None) -> Firm:
    kept = keep / str(contracts) if keep else None
    return Firm(stack.enter_context(processes.database(kept)), contracts, kept)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--contracts", type=int, default=1_000_000, help="the largest size")
    parser.add_argument("--sizes", help="all sizes, rising, instead of 10000,100000 and the largest")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="where databases stay, and are taken from")
    parser.add_argument("--json", action="store_true", help="nothing but the JSON line on stdout")
    given = parser.parse_args()
    out = sys.stderr if given.json else sys.stdout

    def say(line: str) -> None:
        print(line, file=out, flush=True)

    usual = [*(size for size in SIZES if size < given.contracts), given.contracts]
    dashboard_pages.prepare()
    wanted = [int(size) for size in given.sizes.split(",")] if given.sizes else usual
    with ExitStack() as stack:
        firms = [_firm(stack, contracts, given.keep) for contracts in wanted]
        for firm in firms:
            stack.callback(firm.close)
            firm.prepare(say)
        read(firms, given.rounds, say)
        change(firms, given.rounds, say)
    sizes = [firm.size for firm in firms]
    for missed in misses(sizes):
        say(f"misses: {missed}")
    print(orjson.dumps(report(sizes, given.rounds)).decode())


if __name__ == "__main__":
    main()
