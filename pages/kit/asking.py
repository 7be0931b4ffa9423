"""The bar of filters of every page with KPIs: weeks, and the closed set of dimensions. It lives in the URL."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import streamlit as st

from metrics.asking import Ask, Filters, InvalidAsk, Window
from metrics.measures import Measures
from pages.kit import data, filters, frame
from pages.kit import format as fmt
from pages.kit.words import entity, labels
from sync_core.authority import Permission
from sync_core.reads import ExceptionFilter, Reads

_OF_CONTRACTS: Final = ("entity", "service", "geography", "billing")
_WEEKS: Final = {"13": "13 weeks", "4": "4 weeks", "26": "26 weeks", "52": "52 weeks"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page asks, the period before it, and the parameters that carry it to another page."""

    ask: Ask
    before: Ask
    query: dict[str, str]
    weeks: int
    until_now: bool = True  # the last week is not over

    @property
    def contracts(self) -> dict[str, str]:
        """Of those parameters what says which contracts: what lists of work can be narrowed by too."""
        return {name: text for name, text in self.query.items() if name in _OF_CONTRACTS}

    @property
    def exceptions(self) -> ExceptionFilter:
        """The open exceptions of these contracts."""
        kept = self.contracts
        return ExceptionFilter(
            legal_entity=kept.get("entity", ""), service_line=kept.get("service", ""),
            geography=kept.get("geography", ""), billing=kept.get("billing", ""),
        )  # fmt: skip

    @property
    def words(self) -> str:
        last = self.ask.window.end - timedelta(days=1)
        until = "today" if self.until_now else f"{last:%-d %b %Y}"
        return f"{fmt.plural(self.weeks, 'week')} up to {until}"

    @property
    def comparison(self) -> str:
        return f"vs prior {self.weeks} weeks"


def bar(reads: Reads, measures: Measures, *, quiet: bool = False) -> Asked:
    """Draws the filters; call it where they belong. `from` and `to` in the URL win over the number of weeks.

    `quiet`: without the labels above them; each says in its first choice what it is of.
    """
    entities = _entities(reads, measures)
    with st.grid(5, min_column_width=130, gap="small"):
        weeks = int(filters.always("weeks", "Period", _WEEKS, quiet=quiet))
        today = measures.clock.now().astimezone(ZoneInfo(measures.estate.group.timezone)).date()
        window = _window() or Window.weeks(measures.clock.now(), measures.estate.group.timezone, weeks)
        known = measures.dimensions(Ask(window))
        whose = filters.one("entity", "Legal entity", entities, every="All entities", quiet=quiet)
        line = filters.one("service", "Service line", labels(known.service_lines), every="All service lines",
                           quiet=quiet)  # fmt: skip
        geography = filters.one("geography", "Geography", {code: code for code in known.geographies},
                                every="All geographies", quiet=quiet)  # fmt: skip
        billing = filters.one("billing", "Billing", labels(known.billing), every="Any billing", quiet=quiet)
    filters.unknown()
    narrowed = Filters(*(frozenset([one]) if one else None for one in (whose, line, geography, billing)))
    query = {"weeks": str(weeks), "entity": whose, "service": line, "geography": geography, "billing": billing}
    if _window() is not None:
        query |= {"from": window.start.isoformat(), "to": window.end.isoformat()}
    return Asked(
        Ask(window, filters=narrowed),
        Ask(window.before(), filters=narrowed),
        {name: text for name, text in query.items() if text},
        (window.end - window.start).days // 7,
        until_now=window.end > today,
    )


def _entities(reads: Reads, measures: Measures) -> dict[str, str]:
    """Those of the estate, and for who may read contracts those that only contracts name."""
    reach = reads.reach(Permission.KPI_READ)
    listed = {one.code: one.name for one in measures.estate.entity}
    if frame.may(Permission.CONTRACTS_READ):
        listed |= data.choices(reads).entities
    return {code: entity(code, name) for code, name in listed.items() if reach is None or code in reach}


def _window() -> Window | None:
    asked = [st.query_params.get(name, "") for name in ("from", "to")]
    if not all(asked):
        return None
    try:
        return Window(*(date.fromisoformat(text) for text in asked))
    except (ValueError, InvalidAsk):
        filters.left_out("period", " to ".join(asked))
        return None
