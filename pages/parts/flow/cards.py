"""The cards of the flow page: steps, functions, the spread of times, the way to the first payment, hand-overs."""

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd
import streamlit as st

from metrics.calendars import GROUP_DAY_H
from metrics.facts.contract import PROMISED_DAYS
from metrics.kpi import Answer, Result, Unit
from metrics.kpis.step_time import STEPS
from metrics.spread import Bin
from pages.kit import charts, charts_flow, charts_kpi, frame, kpi
from pages.kit import format as fmt
from pages.kit import measure_words as words
from pages.kit import table as tables
from pages.kit.asking import Asked
from pages.kit.marks import Mark
from pages.kit.palette import Palette
from pages.kit.trends import week_names
from pages.kit.words import FUNCTIONS
from pages.kit.words import words as written

Results = Mapping[str, Result]
Query = Mapping[str, str]
PROMISE_H: Final = PROMISED_DAYS * GROUP_DAY_H  # where the line is drawn; each contract has its own entity's days
_FLOWS: Final = 5
_SHORT: Final = {"reached_captured": "Received"}  # what has room beside a bar
_HAND_OFFS: Final = {
    "active": "Signed to active", "billable": "Active to billing day", "invoice": "Billing day to invoice",
    "payment": "Invoice to payment",
}  # fmt: skip


def hours(value: float) -> str:
    return words.value(value, Unit.WORKING_HOURS, "")


def steps(results: Results, palette: Palette, query: Query) -> None:
    with frame.card(
        "steps", "By step", "Share of the working time to activation, and the median",
        definition="Working time of each step, ended and still running ones together, divided by that of all steps. "
        "The median is Kaplan-Meier's.",
    ) as card:  # fmt: skip
        answer = results["step-time"].answer
        if answer.value is None:
            frame.empty("No time was spent yet.", "Choose a longer period or clear a filter.",
                        icon=":material/timeline:")  # fmt: skip
            return
        rows = [
            (words_of, words.known(answer, f"{step}_share"), _median(words.known(answer, f"{step}_p50")),
             words.known(answer, f"{step}_open") or 0)
            for step, words_of in STEPS.items()
        ]  # fmt: skip
        table = pd.DataFrame(rows, columns=["name", "share", "note", "open"])
        card.chart(
            charts_flow.shares(table, palette=palette),
            alt=f"Working time by step; the slowest is {answer.figure('slowest').label}",
            data=pd.DataFrame(
                {"Step": table["name"], "Share": [fmt.percent(float(one or 0)) for one in table["share"]],
                 "Median": table["note"].str.removeprefix("p50 "), "Still in it": table["open"]}
            ).set_index("Step"),
        )  # fmt: skip
        frame.link("measure", f"The contracts, {fmt.count(answer.n_open)} of them still on the way",
                   icon=":material/table_rows:", kpi="step-time", **query)  # fmt: skip


def _median(given: object) -> str:
    return "" if given is None else f"p50 {hours(float(str(given)))}"


def functions(results: Results, palette: Palette, query: Query) -> None:
    with frame.card(
        "functions", "By function", "Working time that an exception spends with each function",
        definition="Every stretch of time that an exception was assigned to a function counts as one; what nobody has "
        "taken is its function's too. Below 20 there is no percentile, only their number.",
    ) as card:  # fmt: skip
        result = results["exception-resolution"]
        if not result.parts:
            frame.empty("No exception was opened in these weeks.", "Nothing waited for a person.")
            return
        order = [code for code in FUNCTIONS if code in result.parts]
        order += [code for code in result.parts if code not in order]
        table = pd.DataFrame(
            [(written(code), _float(result.parts[code], "in_function_p50"),
              _float(result.parts[code], "in_function_p90"), result.parts[code].n)
             for code in order],
            columns=["name", "p50", "p90", "n"],
        )  # fmt: skip
        card.chart(
            charts_flow.ranges(table, write=hours, palette=palette),
            alt="Working time an exception spends with each function, median and slowest tenth",
            data=pd.DataFrame(
                {"Function": table["name"], "Median": [_written(one) for one in table["p50"]],
                 "Slowest tenth from": [_written(one) for one in table["p90"]], "Exceptions": table["n"]}
            ).set_index("Function"),
        )  # fmt: skip
        frame.link("exceptions", "How exceptions are resolved", icon=":material/monitoring:", view="analysis", **query)


def distribution(bins: Sequence[Bin], results: Results, palette: Palette, query: Query) -> None:
    with frame.card(
        "spread", "Cycle-time distribution", "Contracts by working time to billable; each bar takes 1.4 times the last",
        definition="Contracts provisioned, by their working time from the last signature; a scale of doublings. The "
        "rules are the percentiles with open contracts counted, so they may lie to the right of the bars' own.",
    ) as card:  # fmt: skip
        if not bins:
            frame.empty("Nothing was provisioned in these weeks.", "Choose a longer period or clear a filter.",
                        icon=":material/bar_chart:")  # fmt: skip
            return
        table = pd.DataFrame(
            {"start": [one.start / 3600 for one in bins], "end": [one.end / 3600 for one in bins],
             "cases": [one.cases for one in bins]}
        )  # fmt: skip
        answer = results["cycle-time"].answer
        known = {name: words.known(answer, name) for name in ("p50", "p90")}
        figure = charts_flow.spread(
            table, write=hours, rules={name: float(value) for name, value in known.items() if value is not None},
            promise=PROMISE_H, breach_label="over 2 working days", palette=palette,
        )  # fmt: skip
        late = int(words.known(results["cycle-time"].answer, "late") or 0)
        card.chart(
            figure, alt="How many contracts took how long",
            data=pd.DataFrame({"From": table["start"].map(hours), "Contracts": table["cases"]}).set_index("From"),
        )  # fmt: skip
        frame.link("measure", f"{fmt.plural(late, 'contract')} over 2 working days", icon=":material/table_rows:",
                   kpi="cycle-time", **query)  # fmt: skip


def funnel(results: Results, palette: Palette, query: Query) -> None:
    with frame.card(
        "funnel", "From signature to payment", "Contracts signed in these weeks, by the furthest stage they reached",
        definition="Each bar counts the contracts that reached the stage. In the margin: how many have not come so far "
        "yet or ended there. Active: its ERP holds all of it and may bill it, which the tile calls billable. Due to "
        "bill: the first day on which something of it is to be billed has come. A signature in quarantine counts as "
        "signed, not as received.",
    ) as card:  # fmt: skip
        answer = results["contract-to-cash"].answer
        reached = [(_SHORT.get(one.key, one.label), int(str(one.value))) for one in answer.figures
                   if one.key.startswith("reached_")]  # fmt: skip
        if not reached or not reached[0][1]:
            frame.empty("Nothing was signed in these weeks.", "Choose a longer period or clear a filter.",
                        icon=":material/filter_alt:")  # fmt: skip
            return
        table = pd.DataFrame(reached, columns=["step", "cases"])
        card.chart(charts.funnel_bars(table, palette=palette), alt="Contracts that reached each stage",
                   data=table.rename(columns={"step": "Stage", "cases": "Contracts"}).set_index("Stage"))  # fmt: skip
        ended = sum(int(str(one.value)) for one in answer.figures if one.key.startswith("lost_"))
        frame.link("measure", f"The contracts; {ended:,} of them ended on the way", icon=":material/table_rows:",
                   kpi="contract-to-cash", **query)  # fmt: skip


def automatic(results: Results, asked: Asked, palette: Palette, marked: Sequence[Mark]) -> None:
    with frame.card(
        "automatic", "Auto-provisioned, weekly",
        "By week of the signature; the band is what open ones can still make of it",
        definition="Automatic: confirmed by read-back without a correction, a decision, an exception to clear or a "
        "manual replay. What is open does not count as automatic yet, so a young week can only rise.",
    ) as card:  # fmt: skip
        result = results["auto-provisioned"]
        if not result.answer.n:
            frame.empty("Nothing was signed in these weeks.", "Choose a longer period or clear a filter.",
                        icon=":material/timeline:")  # fmt: skip
            return
        table = kpi.weekly(result, asked.ask, "bound_low", "bound_high")
        target = result.definition.target or 0.0
        figure = charts_kpi.share_with_bounds(
            table.rename(columns={"bound_low": "low", "bound_high": "high"}), target=target,
            target_label=f"target {target:.0%}", marks=marked, palette=palette,
        )  # fmt: skip
        card.chart(figure, alt="Share of contracts provisioned without a person, by week", data=_weeks(table))
        if table.loc[table["running"], "value"].notna().any():
            st.caption("Open circle: this week so far.")
        touched = [(one.label, int(str(one.value))) for one in result.answer.figures
                   if one.key.startswith("touched:") and one.value]  # fmt: skip
        most = max(touched, key=lambda one: one[1], default=None)
        label = "The contracts" if most is None else f"{fmt.plural(most[1], 'contract')}: {fmt.plain(most[0].lower())}"
        frame.link("measure", label, icon=":material/table_rows:", kpi="auto-provisioned", **asked.query)


def _weeks(table: pd.DataFrame) -> pd.DataFrame:
    def share(one: float) -> str:
        return fmt.DASH if pd.isna(one) else fmt.percent(one)

    shown = pd.DataFrame(
        {
            "Week of": week_names(table),
            "Automatic": table["value"].map(share),
            "At most": table["bound_high"].map(share),
            "Contracts": table["n"],
            "Still open": table["n_open"],
        }
    )
    return shown.set_index("Week of")


def to_cash(results: Results, query: Query) -> None:
    with frame.card(
        "cash", "Stage by stage to cash", "Calendar days from stage to stage, and what people had to do by hand",
        definition="Kaplan-Meier: contracts that have not come so far yet count for as long as they have waited. "
        "Manual touches are corrections, decisions, exceptions to clear and manual replays. An active contract waits "
        "for nobody until the day on which something of it is to be billed; until then it is not due.",
    ):  # fmt: skip
        answer = results["contract-to-cash"].answer
        if not answer.n:
            frame.empty("Nothing was signed in these weeks.", "Choose a longer period or clear a filter.",
                        icon=":material/payments:")  # fmt: skip
            return
        rows = [
            (label, _days(answer, f"{stage}_p50"), _days(answer, f"{stage}_p90"), _waiting(answer, stage),
             _count(answer, f"{stage}_touches"))
            for stage, label in _HAND_OFFS.items()
        ]  # fmt: skip
        tables.table("cash", ("Stage", "Median", "Slowest tenth from", "Still waiting", "Manual touches"), rows)
        frame.link("measure", "The contracts", icon=":material/table_rows:", kpi="contract-to-cash", **query)


def hand_overs(answer: Answer) -> dict[tuple[str, str], int]:
    """How many, by the codes of who gave and who took."""
    flows = ((one.key.removeprefix("flow:").partition(">"), one.value) for one in answer.figures
             if one.key.startswith("flow:"))  # fmt: skip
    return {(giver, taker): int(str(n)) for (giver, _, taker), n in flows}


def summed(result: Result) -> str:
    """One sentence, Markdown."""
    over, back = (int(str(words.known(result.answer, key) or 0)) for key in ("hand_offs", "ping_pongs"))
    return (
        f"**{fmt.plural(over, 'hand-over')}** of {fmt.plural(result.answer.n, 'exception')}, **{back:,}** of them back"
    )


def passed_on(results: Results, query: Query) -> None:
    with frame.card(
        "handovers", "Hand-overs", "Exceptions that one function passed on to another",
        definition="A hand-over is a change of the function that has an exception. Handed back: to the function that "
        "it had come from.",
    ):  # fmt: skip
        result = results["exception-resolution"]
        if not words.known(result.answer, "hand_offs"):
            st.markdown("**Nothing was handed over.** Each exception stayed with the function it began with.")
            frame.link("exceptions", "How exceptions are resolved", icon=":material/monitoring:", view="analysis",
                       **query)  # fmt: skip
            return
        st.markdown(f"{summed(result)} to where it had come from.")
        flows = sorted(hand_overs(result.answer).items(), key=lambda one: -one[1])[:_FLOWS]
        listed = [(written(giver), written(taker), f"{n:,}") for (giver, taker), n in flows]
        tables.table("flows", ("From", "To", "Times"), listed)
        frame.link("exceptions", "Who hands over to whom", icon=":material/monitoring:", view="analysis", **query)


def _float(answer: Answer, key: str) -> float:
    known = words.known(answer, key)
    return float("nan") if known is None else float(known)


def _written(value: float) -> str:
    return fmt.DASH if pd.isna(value) else hours(value)


def _days(answer: Answer, key: str) -> str:
    """Between two days of a calendar: whole ones, so nothing finer is said."""
    known = words.known(answer, key)
    if known is None:
        return fmt.DASH
    return f"{float(known):,.1f} d" if known else "same day"


def _waiting(answer: Answer, stage: str) -> str:
    """Of a hand-off. An active contract waits for no one: its day is in the plan."""
    if stage != "billable":
        return _count(answer, f"{stage}_waiting")
    active, due, ended = (int(words.known(answer, key) or 0) for key in
                          ("reached_active", "reached_billable", "lost_active"))  # fmt: skip
    return f"{fmt.count(active - due - ended)} not due yet"


def _count(answer: Answer, key: str) -> str:
    return words.value(words.known(answer, key), Unit.COUNT, "")
