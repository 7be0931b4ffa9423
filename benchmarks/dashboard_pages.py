"""Draws the product's pages as a browser session would, without a browser, and tells where the time of each went."""

import importlib
import pkgutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.dashboard import Found, discover
from app.web.warm import warm
from benchmarks import portfolio
from benchmarks.stopwatch import FIGURES, READS, Stopwatch
from metrics.kpi import Figures
from metrics.measures import Measures
from metrics.technical import Technical
from pages import kit
from pages.kit.shell import Shell, Viewer, enter
from sync_core.authority import Role, person
from sync_core.clock import VirtualClock
from sync_core.commands.commands import Commands
from sync_core.reads import Reads

_ACTOR: Final = person("bench@bench.example", list(Role))
_STOPWATCH: Final = Stopwatch()
_SHOWN: Final[dict[str, Any]] = {}  # what the script, which AppTest runs apart, takes its page from

# Of pages that show one thing, one that there is; of the page of measures, the costly ones.
_OPEN_CASE: Final = sa.text("SELECT min(case_id) FROM core.case WHERE state = 'open'")
_CONTRACT: Final = sa.text("SELECT min(contract_id) FROM core.contract WHERE state = 'active'")
_SERVERS: Final = sa.text("""
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
""")
_VARIANTS: Final[Mapping[str, tuple[Mapping[str, str], ...]]] = {
    "contract": ({"id": "{contract}"}, {"id": "{contract}", "view": "trace"}),
    "exceptions": ({}, {"case": "{case}"}, {"view": "analysis"}),
    "platform": tuple({"section": one} for one in ("promises", "calls", "work", "house", "jobs")),
    "contracts": ({}, {"state": "blocked"}, {"q": "Northwind 17"}),
    "replay": ({}, {"state": "active"}),
    "measure": tuple({"kpi": slug} for slug in ("cycle-time", "reconciliation", "stuck-money", "forecast-accuracy")),
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """One run of one page, nothing kept from before. Milliseconds; `script` is all but the reads and the figures.

    `cpu` is that of the reads, of this process and of PostgreSQL: what they would take if nobody else used the machine.
    """

    page: str
    reads: float
    sql: float
    cpu: float
    figures: float
    script: float
    statements: int


class Session:
    """Somebody with every role, at the moment that the portfolio was made for."""

    def __init__(self, engine: sa.Engine) -> None:
        clock, estate = VirtualClock(portfolio.NOW), portfolio.estate()
        self.engine = engine
        self.reads: Reads = _STOPWATCH.class_of(Reads)(engine, clock=clock, estate=estate)
        self.measures: Measures = _measures_class()(engine, clock=clock, estate=estate)
        self.commands = Commands(engine, clock=clock, estate=estate)
        self._watcher = sa.create_engine(engine.url, poolclass=sa.StaticPool)
        _STOPWATCH.listen(engine)

    def pages(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Name, path and query of all that is drawn."""
        with self.engine.connect() as conn:
            known = {"case": conn.scalar(_OPEN_CASE), "contract": conn.scalar(_CONTRACT)}
        for one in discover("pages"):
            for asked in _VARIANTS.get(one.page.path, ({},)):
                query = {name: text.format(**known) for name, text in asked.items()}
                told = ", ".join(text if "{" not in text else name for name, text in asked.items())
                yield f"{one.page.path}, {told}" if told else one.page.path, one.page.path, query

    def draw(self, name: str, path: str, query: Mapping[str, str]) -> Drawn:
        """Raises RuntimeError where the page says that something went wrong."""
        _SHOWN.update(path=path, session=self)
        st.cache_resource.clear()
        st.cache_data.clear()
        shown = AppTest.from_function(_script, default_timeout=300)
        for key, text in query.items():
            shown.query_params[key] = text
        _STOPWATCH.lap()
        served, begun = self._served_s(), time.perf_counter()
        shown.run()
        spent = time.perf_counter() - begun
        lap = _STOPWATCH.lap()
        lap.seconds["cpu"] += self._served_s() - served
        wrong = [*(str(one.value) for one in shown.exception), *(str(one.value) for one in shown.error)]
        if wrong:
            raise RuntimeError(f"the page {name} says: {wrong[0]}")
        reads, sql, cpu, figures = (1000 * lap.seconds[kind] for kind in (READS, "sql", "cpu", FIGURES))
        return Drawn(name, reads, sql, cpu, figures, 1000 * spent - reads - figures, lap.statements)

    def _served_s(self) -> float:
        """CPU of the PostgreSQL processes that serve this session, of which each has its own connection."""
        with self._watcher.connect() as conn:
            pids = conn.scalars(_SERVERS).all()
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def prepare() -> None:
    """Once in a process, before the first session; as the web process does."""
    warm("pages")
    for module in pkgutil.iter_modules(kit.__path__):
        if module.name.startswith("charts"):
            _STOPWATCH.figures_of(importlib.import_module(f"{kit.__name__}.{module.name}"))
    # What answers work out when it is looked at belongs to reading them.
    worked_out: Any = vars(Figures)["worked_out"]
    worked_out.func = _STOPWATCH.noted(READS, worked_out.func)
    st.plotly_chart = _STOPWATCH.noted(FIGURES, st.plotly_chart)


def _measures_class() -> type[Measures]:
    """With the methods of what it hands out timed as well."""
    technical = _STOPWATCH.class_of(Technical)

    class Timed(_STOPWATCH.class_of(Measures)):  # type: ignore[misc]  # a class that is made while it runs
        @property
        def technical(self) -> Technical:
            made: Technical = technical(self._engine, clock=self.clock, moments=self._moments)
            return made

    return Timed


def _script() -> None:
    from benchmarks import dashboard_pages  # AppTest runs the body of this function alone

    dashboard_pages.run()


def run() -> None:
    """One run of the script."""
    session: Session = _SHOWN["session"]
    targets = {one.page.path: _target(one, session) for one in discover("pages")}
    enter(Shell(Viewer(_ACTOR.name, _ACTOR), targets, None, session.measures.within(_ACTOR)))
    st.navigation(list(targets.values()), position="top").run()


def _target(one: Found, session: Session) -> st.Page:
    reads = session.reads.within(_ACTOR)
    return st.Page(
        lambda: one.render(reads, session.commands), title=one.page.title, url_path=one.page.path,
        default=one.page.path == _SHOWN["path"],
    )  # fmt: skip
