"""The cards of the engine: what was called, what waits, what failed, what was replayed."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from metrics.backlog import Backlog, Waiting, over_all
from metrics.measures import Measures
from metrics.technical import FAILED, Attempts, Calls, Report
from pages.kit import charts_platform as charts
from pages.kit import data, frame, trends
from pages.kit import format as fmt
from pages.kit.marks import Mark
from pages.kit.palette import Palette
from pages.kit.table import table
from pages.parts.platform import words as told
from sync_core.reads import Reads
from sync_core.telemetry.latencies import Kind

_LANES: Final = 4
_ROW, _SEEN = 34, 12  # pixels of a row, and rows that are seen at once
_NO_LANE: Final = "no ERP yet"


def calls(reads: Reads, measures: Measures, window: timedelta) -> None:
    with frame.card(
        "calls", "Calls by operation", "Busiest first; ± is the bucket's width, within which the true value lies",
        definition="Failed: every outcome but ok, the refusals of a caller's own mistakes included. Writes change the "
        "system that is called.",
    ):  # fmt: skip
        found = data.report(reads, measures, window)
        if not found.calls:
            frame.empty("No call was made in this time.", "Choose a longer window.", icon=":material/timer:")
            return
        shown = _calls(found)
        st.dataframe(
            shown, hide_index=True, row_height=_ROW, height=min(len(shown) + 1, _SEEN + 1) * _ROW + 2, placeholder="",
            key="calls", column_config=_columns(), alt="Calls by system and operation, busiest first",
        )  # fmt: skip


def backlog(reads: Reads, measures: Measures, window: timedelta, palette: Palette) -> None:
    with frame.card(
        "backlog", "Backlog now", "Contracts in the queue, and how long the oldest of each has waited",
        definition="Ready: due, and no worker has it; behind an ERP that takes no work it stays and ages. Due later: a "
        "retry, a settling time, a recheck. Blocked waits for a person, set aside was given up. Drain time: what is "
        "ready over the completions of the last 15 minutes. Alarm on age, not on depth.",
    ) as card:  # fmt: skip
        whole = over_all(data.report(reads, measures, window).backlog)
        rows = [(words, whole.contracts[state], _oldest(whole, state), kind)
                for state, (words, kind) in told.WAITING.items()]  # fmt: skip
        shown = pd.DataFrame(rows, columns=["state", "contracts", "note", "kind"])
        card.chart(
            charts.waiting(shown, palette=palette), alt="Contracts in the queue by state",
            data=pd.DataFrame(
                {"State": shown["state"], "Contracts": shown["contracts"], "Oldest": shown["note"]}
            ).set_index("State"),
        )  # fmt: skip
        st.caption(fmt.plain(_drain(whole)))


def waited(
    reads: Reads, measures: Measures, window: timedelta, palette: Palette, marked: Sequence[Mark]
) -> None:  # fmt: skip
    with frame.card(
        "waited", "Oldest ready contract", "How long the oldest contract that is due has waited, by ERP",
        definition="Sampled each minute; of a longer step the highest. It grows while an ERP takes no work or there "
        "are too few workers.",
    ) as card:  # fmt: skip
        frame_ = _ages(reads, measures, window)
        if frame_.empty:
            frame.empty("Nothing was sampled in this time.", "A worker samples each minute; see that one runs.",
                        icon=":material/hourglass_empty:")  # fmt: skip
            return
        found = data.report(reads, measures, window)
        figure = charts.ages(
            frame_, write=told.age, since=found.since, until=found.until, marks=marked, palette=palette
        )  # fmt: skip
        worst = frame_.loc[frame_.groupby("lane")["seconds"].idxmax()]
        card.chart(
            figure, alt="Age of the oldest ready contract over time, by ERP",
            data=pd.DataFrame(
                {"ERP": worst["lane"], "Longest": [told.age(one) for one in worst["seconds"]],
                 "At": [fmt.moment(at.to_pydatetime()) for at in worst["at"]]}
            ).set_index("ERP"),
        )  # fmt: skip
        trends.tell(marked)


def failures(reads: Reads, measures: Measures, window: timedelta, palette: Palette) -> None:
    with frame.card(
        "failures", "Failed attempts", "By ERP and by what can be done; behind it the share of attempts, and retries",
        definition="An attempt is one run of one contract. Transient: tried again by itself. Ambiguous: nobody knows "
        "whether a write arrived, so it looks before it sends. Permanent: set aside for a person. Blocked contracts "
        "are no failures. Amplification: attempts per message; 1 is the least.",
    ) as card:  # fmt: skip
        ran = data.report(reads, measures, window).attempts
        lanes = {name or _NO_LANE: one for name, one in ran.items() if one.attempts}
        if not lanes:
            frame.empty("No contract ran in this time.", "Choose a longer window.", icon=":material/sync:")
            return
        rows = [(name, *(one.by_label.get(kind, 0) for kind in FAILED), _rate(one)) for name, one in lanes.items()]
        card.chart(
            charts.failures(pd.DataFrame(rows, columns=["lane", *FAILED, "note"]), palette=palette),
            alt="Failed attempts by ERP and kind", data=_attempts(lanes),
        )  # fmt: skip


def replayed(reads: Reads, measures: Measures, window: timedelta) -> None:
    with frame.card(
        "replayed", "Replays", "Contracts of the replays that were made in this time",
        definition="Carried out: dispatched to a worker. Verified: read back equal. A verified one without a write had "
        "been done before: a duplicate that was prevented.",
    ):  # fmt: skip
        found = data.report(reads, measures, window).replays
        if not found.replays:
            frame.empty("Nothing was replayed in this time.", "Choose a longer window.", icon=":material/replay:")
            return
        rows = [
            ("Asked for", found.requested), ("Carried out", found.executed), ("Verified", found.verified),
            ("Duplicates prevented", found.no_op), ("Failed, or not as written", found.failed),
        ]  # fmt: skip
        table("replayed", ["What", "Contracts"], [[name, fmt.count(n)] for name, n in rows])
        frame.link("replay", f"{fmt.plural(found.replays, 'replay')}", icon=":material/replay:", view="history")


def _calls(found: Report) -> pd.DataFrame:
    """ERPs first; what writes and what reads under one name apart."""
    order = list(Kind)
    calls = sorted(found.calls, key=lambda one: (order.index(one.kind), one.system, -one.n, one.operation))
    quantiles = {f"p{q * 100:g}": [told.quantile(one.quantile(q)) for one in calls] for q in (0.5, 0.95, 0.99)}
    return pd.DataFrame(
        {
            "Operation": [fmt.shown(one.operation) for one in calls],
            "Calls": [one.n for one in calls],
            **quantiles,
            "Failed": [_failed(one) for one in calls],
            "System": [fmt.shown(told.system(one.kind, one.system)) for one in calls],
        }
    )


def _columns() -> dict[str, ColumnConfig]:
    column = st.column_config
    return {
        "Operation": column.TextColumn("Operation", width=190, pinned=True),
        "Calls": column.NumberColumn("Calls", format="localized", width=64),
        **{name: column.TextColumn(name, width=118, alignment="right") for name in ("p50", "p95", "p99")},
        "Failed": column.TextColumn("Failed", width=88, alignment="right"),
        "System": column.TextColumn("System", width=150),
    }


def _failed(one: Calls) -> str:
    return f"{fmt.count(one.failed)} ({fmt.percent(one.failure_share or 0)})" if one.failed else "0"


def _oldest(whole: Backlog, state: Waiting) -> str:
    seconds = whole.oldest_age_s.get(state)
    return "" if seconds is None or state is Waiting.SCHEDULED else f"oldest {told.age(seconds)}"


def _drain(whole: Backlog) -> str:
    if not whole.contracts[Waiting.READY]:
        return "Nothing is ready that no worker has."
    if whole.drain_s is None:
        return "No contract was completed in the last 15 minutes, so nobody can say when what is ready is done."
    return f"What is ready is done in {told.age(whole.drain_s)}, at {whole.completed / 15:,.1f} completions a minute."


def _ages(reads: Reads, measures: Measures, window: timedelta) -> pd.DataFrame:
    """With 0 where a lane had nothing ready: such minutes have no sample of it."""
    found = data.samples(reads, measures, ("backlog_oldest_s", "db_connections"), window)
    moments = sorted({one.at for one in found if one.name == "db_connections"})
    ready = [one for one in found if one.name == "backlog_oldest_s" and one.label == Waiting.READY]
    lanes = sorted({one.system for one in ready}, key=lambda lane: -max(s.value for s in ready if s.system == lane))
    held = {(one.system, one.at): one.value for one in ready}
    shown = lanes[:_LANES] or ["all"]
    rows = [(lane or _NO_LANE, pd.Timestamp(at), held.get((lane, at), 0.0)) for lane in shown for at in moments]
    return pd.DataFrame(rows, columns=["lane", "at", "seconds"])


def _rate(one: Attempts) -> str:
    many = "" if one.amplification is None else f", {one.amplification:.2f}×"
    return f"{fmt.percent(one.failure_rate or 0)} of {fmt.count(one.attempts)}{many}"


def _attempts(lanes: Mapping[str, Attempts]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ERP": list(lanes),
            "Attempts": [fmt.count(one.attempts) for one in lanes.values()],
            "Well": [fmt.count(one.by_label.get("ok", 0)) for one in lanes.values()],
            "Blocked": [fmt.count(one.by_label.get("blocked", 0)) for one in lanes.values()],
            **{kind.title(): [fmt.count(one.by_label.get(kind, 0)) for one in lanes.values()] for kind in FAILED},
            "Messages": [fmt.count(one.messages) for one in lanes.values()],
            "Failed for good": [fmt.count(one.failed_messages) for one in lanes.values()],
        }
    ).set_index("ERP")
