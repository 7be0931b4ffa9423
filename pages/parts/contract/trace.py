"""The trace of a contract, drawn from the journal: what one event set off, and how long each step of it took."""

from typing import Final

import pandas as pd
import streamlit as st

from pages.kit import format as fmt
from pages.kit import frame
from pages.kit.waterfall import MOST_ROWS, length, waterfall
from sync_core.reads import Reads
from sync_core.reads.trace import Part, Trace

_SHOWN: Final = 20  # traces to choose from


def trace(reads: Reads, contract_id: int) -> None:
    """A choice of traces, newest first, and the chosen one as a waterfall."""
    with frame.card("trace", "Trace", "What an event set off, step by step, in time") as card:
        found = reads.trace(contract_id)
        if found is None or not found.traces:
            frame.empty("Nothing is traced yet.", "A run of the contract draws the first one.",
                        icon=":material/timeline:")  # fmt: skip
            return
        attempts = sorted(
            (part for one in found.traces for part in one.attempts()), key=lambda part: part.started_at, reverse=True
        )
        shown = attempts[:_SHOWN]
        at = 0
        if len(shown) > 1:
            at = st.selectbox(
                "Trace", range(len(shown)), format_func=lambda index: _title(shown[index]), key=f"trace_{contract_id}"
            )
        _draw(card, shown[at or 0])
        if found.more or len(attempts) > len(shown):
            st.caption("Older traces are in the journal.")


def _draw(card: frame.Card, one: Trace) -> None:
    card.chart(waterfall(one.steps, palette=frame.palette()), alt="Steps of the trace in time", data=_table(one))
    known = f", trace {fmt.plain(one.trace_id)}" if one.trace_id else ""
    st.caption(f"Correlation {fmt.plain(one.correlation_id)}{known}")
    if one.replay_id is not None:
        repeats = f", of the original trace {fmt.plain(one.original)}" if one.original else ""
        st.caption(f"A run of replay {one.replay_id}{repeats}.")
    if len(one.steps) > MOST_ROWS:
        st.caption(f"The first {MOST_ROWS} of {fmt.plural(len(one.steps), 'step')} are drawn; the table has all.")


def _title(one: Trace) -> str:
    what = next((step.name for step in one.steps if step.part is Part.EVENT), "replay" if one.replay_id else "run")
    failed = sum(not step.ok for step in one.steps)
    trouble = f", {fmt.plural(failed, 'step')} failed" if failed else ""
    return f"{fmt.moment(one.started_at)}  {fmt.shown(what)}, {fmt.plural(len(one.steps), 'step')}{trouble}"


def _table(one: Trace) -> pd.DataFrame:
    rows = [
        (f"{step.started_at:%H:%M:%S.%f}"[:-3], step.part.value, fmt.shown(step.name), length(step.took), step.outcome,
         fmt.shown(step.detail))
        for step in one.steps
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["begin (UTC)", "part", "name", "took", "outcome", "detail"])
