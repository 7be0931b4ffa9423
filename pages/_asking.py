"""The bar of filters of every page with KPIs: weeks, and the closed set of dimensions. It lives in the URL."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import streamlit as st

from metrics.asking import Ask, Filters, InvalidAsk, Window
from metrics.measures import Measures
from pages import _filters as filters
from pages._words import labels
from sync_core.authority import Permission
from sync_core.reads import Reads

_WEEKS: Final = {"13": "13 weeks", "4": "4 weeks", "26": "26 weeks", "52": "52 weeks"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page asks, the period before it, and the parameters that carry it to another page."""

    ask: Ask
    before: Ask
    query: dict[str, str]
    weeks: int

    @property
    def words(self) -> str:
        return f"{self.weeks} weeks up to {self.ask.window.end:%-d %b %Y}"

    @property
    def comparison(self) -> str:
        return f"vs prior {self.weeks} weeks"


def bar(reads: Reads, measures: Measures, *, quiet: bool = False) -> Asked:
    """Draws the filters; call it where they belong. `from` and `to` in the URL win over the number of weeks.

    `quiet`: without the labels above them; each says in its first choice what it is of.
    """
    entities = {entity.code: entity.name for entity in measures.estate.entity if _within(reads, entity.code)}
    with st.grid(5, min_column_width=130, gap="small"):
        weeks = int(filters.always("weeks", "Period", _WEEKS, quiet=quiet))
        window = _window() or Window.weeks(measures.clock.now(), measures.estate.group.timezone, weeks)
        known = measures.dimensions(Ask(window))
        entity = filters.one("entity", "Legal entity", entities, every="All entities", quiet=quiet)
        line = filters.one("service", "Service line", labels(known.service_lines), every="All service lines",
                           quiet=quiet)  # fmt: skip
        geography = filters.one("geography", "Geography", {code: code for code in known.geographies},
                                every="All geographies", quiet=quiet)  # fmt: skip
        billing = filters.one("billing", "Billing", labels(known.billing), every="Any billing", quiet=quiet)
    filters.unknown()
    narrowed = Filters(*(frozenset([one]) if one else None for one in (entity, line, geography, billing)))
    query = {"weeks": str(weeks), "entity": entity, "service": line, "geography": geography, "billing": billing}
    if _window() is not None:
        query |= {"from": window.start.isoformat(), "to": window.end.isoformat()}
    return Asked(
        Ask(window, filters=narrowed),
        Ask(window.before(), filters=narrowed),
        {name: text for name, text in query.items() if text},
        (window.end - window.start).days // 7,
    )


def _within(reads: Reads, entity: str) -> bool:
    reach = reads.reach(Permission.KPI_READ)
    return reach is None or entity in reach


def _window() -> Window | None:
    asked = [st.query_params.get(name, "") for name in ("from", "to")]
    if not all(asked):
        return None
    try:
        return Window(*(date.fromisoformat(text) for text in asked))
    except (ValueError, InvalidAsk):
        filters.left_out("period", " to ".join(asked))
        return None
