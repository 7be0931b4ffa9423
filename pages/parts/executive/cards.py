"""The cards of the executive page that tell of money: what is stuck, the books, the forecast, disputes, the savings."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final

import pandas as pd
import streamlit as st

from metrics.kpi import Answer, Result, Unit
from metrics.kpis.roi import LINES, Line
from pages.kit import charts, charts_kpi, frame
from pages.kit import format as fmt
from pages.kit import measure_words as words
from pages.kit import table as tables
from pages.kit.palette import Palette
from pages.parts.executive import words as told

Results = Mapping[str, Result]
Query = Mapping[str, str]
_BOOKS: Final = {
    "signed": ("Signed", "main"), "in_erp": ("In the ERPs", "main"), "billed": ("Billed", "good"),
    "recognised": ("Recognised", "good"), "remaining": ("Left to bill", "open"),
}  # fmt: skip
_EXPLAINED: Final = ("not_provisioned", "on_its_way", "ended", "not_reported")


def stuck(results: Results, currency: str, palette: Palette, query: Query) -> None:
    with frame.card(
        "money", "Money stuck", f"{currency} as of now, by largest difference and working days",
        definition="What differs between the signed state and what the ERPs confirmed. Blocked: nothing of it can be "
        "billed right until somebody acts. Value, rates, dates: what is on its way, or was refused.",
    ) as card:  # fmt: skip
        result = results["stuck-money"]
        if not result.answer.n:
            frame.empty("Nothing is stuck.", "Every signed contract is what its ERP confirmed.")
            return
        table = _by_difference(result)
        card.chart(
            charts.money_by_step(table, currency=currency, palette=palette),
            alt=f"Money stuck, {told.money(result.answer.value, currency)} in all, by difference and age",
            data=table.pivot(index="step", columns="age", values="amount")[[*told.AGES.values()]].map(
                lambda amount: told.money(amount, currency)
            ).rename_axis(index="Differs by"),
        )  # fmt: skip
        if note := told.left_out(result.answer):
            st.caption(fmt.plain(note))
        frame.link("measure", "The contracts", icon=":material/table_rows:", kpi="stuck-money", **query)


def _by_difference(result: Result) -> pd.DataFrame:
    rows = [
        (words_of, age, Decimal(str(words.known(result.parts[cause], key) or 0)))
        for cause, words_of in told.DIFFERS.items()
        if cause in result.parts
        for key, age in told.AGES.items()
    ]
    return pd.DataFrame(rows, columns=["step", "age", "amount"])


def books(results: Results, currency: str, palette: Palette, query: Query) -> None:
    with frame.card(
        "books", "Signed to billed", f"{currency} of all signed contracts as of now; nothing may stay unexplained",
        definition="Signed = billed + left to bill + what is on record as not in an ERP yet, on its way or ended + "
        "unexplained. Unexplained is the sum of the absolute differences that nothing on record explains. Recognised "
        "is revenue that the ERPs posted; it is in no other sum.",
    ) as card:  # fmt: skip
        answer = results["reconciliation"].answer
        if not answer.n:
            frame.empty("Nothing is signed yet.", "The books begin with the first signature.")
            return
        table = _books(answer)
        card.chart(
            charts_kpi.amounts(table, write=lambda amount: told.money(amount, currency), palette=palette),
            alt=f"Signed, in the ERPs, billed and left to bill; unexplained {told.money(answer.value, currency)}",
            data=pd.DataFrame(
                {"Sum": table["name"], "Amount": [told.money(_or_none(amount), currency) for amount in table["amount"]]}
            ).set_index("Sum"),
        )
        if (silent := _silent(answer)) is not None:
            st.caption(fmt.plain(silent))
        odd = words.known(answer, "unexplained_contracts")
        label = f"{fmt.plural(int(odd), 'contract')} with an unexplained difference" if odd else "The contracts"
        frame.link("measure", label, icon=":material/table_rows:", kpi="reconciliation", **query)


def _silent(answer: Answer) -> str | None:
    """Whose revenue is not reported, or was not asked for yet; None: all is."""
    notes = {one.key: one for one in answer.figures if one.key in ("recognised", "without_revenue", "unasked_revenue")}
    if "recognised" in notes and notes["recognised"].value is None:
        return f"Revenue: {notes['recognised'].note}."
    told = [
        f"{fmt.plural(int(notes[key].value or 0), 'contract')}: revenue {before}{notes[key].note}"
        for key, before in (("without_revenue", "not reported "), ("unasked_revenue", ""))
        if key in notes
    ]
    return f"Recognised is without {'; and without '.join(told)}." if told else None


def _books(answer: Answer) -> pd.DataFrame:
    rows = [
        (name, words.known(answer, key), kind)
        for key, (name, kind) in _BOOKS.items()
        if key != "recognised" or words.known(answer, key) is not None
    ]
    explained = [words.known(answer, key) for key in _EXPLAINED]
    rows.append(("Explained", sum((Decimal(str(one)) for one in explained if one is not None), Decimal(0)), "open"))
    rows.append(("Unexplained", answer.value, "breach"))
    amounts = [float("nan") if amount is None else float(amount) for _, amount, _ in rows]
    return pd.DataFrame({"name": [row[0] for row in rows], "amount": amounts, "kind": [row[2] for row in rows]})


def forecast(results: Results, currency: str, palette: Palette, query: Query) -> None:
    with frame.card(
        "forecast", "Signed, forecast and billed", f"{currency} by month; above each, how far off its forecast was",
        definition="Signed: contracts of all kinds by their signature, and what amendments executed in the month "
        "changed. Forecast: milestones due in the month by the schedules in force on its first day. Billed: invoices "
        "issued in it. Months that are over. Time and materials have no plan, so they are in what was signed alone. "
        "Recognised revenue is with the books, not here.",
    ) as card:  # fmt: skip
        result = results["forecast-accuracy"]
        if not result.parts:
            frame.empty("No month is over yet.", "A forecast is judged when its month has ended.",
                        icon=":material/event_upcoming:")  # fmt: skip
            return
        table = _months(result)
        without = _without_rate(result.answer)
        if table[["signed", "forecast", "billed"]].isna().all(axis=None):
            if without:
                frame.empty("No exchange rate.", without, icon=":material/currency_exchange:")
                return
            frame.empty("Nothing was signed, planned or billed in these months.",
                        "Time and materials have no plan: what is billed of them is not here. Clear a filter.",
                        icon=":material/event_upcoming:")  # fmt: skip
            return
        card.chart(
            charts_kpi.foreseen(table, write=lambda amount: told.money(amount, currency), palette=palette),
            alt="Signed, forecast and billed amounts by month",
            data=pd.DataFrame(
                {
                    "Month": [f"{month:%b %Y}" for month in table["month"]],
                    **{
                        name.title(): [told.money(_or_none(amount), currency) for amount in table[name]]
                        for name in ("signed", "forecast", "billed")
                    },
                    "Off by": table["error"],
                }
            ).set_index("Month"),
        )
        if without:
            st.caption(fmt.plain(without))
        error, bias = words.headline(result.answer, result.definition, currency), words.known(result.answer, "bias")
        leaning = "" if bias is None else f", bias {fmt.points(float(bias))}"
        frame.link("measure", f"Mean error **{error}**{leaning}, over {_weeks(query)}", icon=":material/table_rows:",
                   kpi="forecast-accuracy", **query)  # fmt: skip


def _weeks(query: Query) -> str:
    """The period of a card whose period is not that of the tiles above it."""
    return fmt.plural(int(query["weeks"]), "week")


def _without_rate(answer: Answer) -> str:
    """What the bars of the months lack; "" where all was converted."""
    kinds = {"signed": "signed_unconverted_", "forecast": "forecast_unconverted_", "billed": "unconverted_"}
    listed = {kind: told.unconverted(answer, prefix) for kind, prefix in kinds.items()}
    found = "; ".join(f"{kind} {', '.join(amounts)}" for kind, amounts in listed.items() if amounts)
    return f"Not in the bars for want of an exchange rate: {found}." if found else ""


def _months(result: Result) -> pd.DataFrame:
    months = [date.fromisoformat(month) for month in result.parts]
    parts = list(result.parts.values())
    return pd.DataFrame(
        {
            "month": pd.DatetimeIndex(months, tz="UTC"),
            "signed": [_float(words.known(part, "signed")) for part in parts],
            "forecast": [_float(words.known(part, "forecast")) for part in parts],
            "billed": [_float(words.known(part, "billed")) for part in parts],
            "error": ["nothing billed" if part.value is None else fmt.percent(part.value) for part in parts],
        }
    )


def disputes(results: Results, palette: Palette, query: Query) -> None:
    with frame.card(
        "disputes", "Disputed invoices", "Share of a month's invoices; pale: with those under 60 days old, may rise",
        definition="Invoices disputed within 60 days of issue, by month of issue. A month is provisional until all its "
        "invoices are 60 days old; younger ones are in its bar, and not in the number above. Sync-caused: a mismatch "
        "of contract and ERP is on record for the day of issue.",
    ) as card:  # fmt: skip
        result = results["dispute-rate"]
        if not result.answer.n and not words.known(result.answer, "provisional"):
            frame.empty("No invoice was issued in these months.", "ERPs report theirs; see Platform for their state.",
                        icon=":material/receipt_long:")  # fmt: skip
            return
        parts = list(result.parts.values())
        table = pd.DataFrame(
            {
                "month": [f"{date.fromisoformat(month):%b}" for month in result.parts],
                "share": [_float(words.known(part, "with_younger")) for part in parts],
                "n": [part.n + int(words.known(part, "provisional") or 0) for part in parts],
                "provisional": [bool(words.known(part, "provisional")) for part in parts],
            }
        )
        target = result.definition.target or 0.0
        card.chart(
            charts_kpi.monthly(table, target=target, target_label=f"target {fmt.percent(target)}", palette=palette),
            alt="Share of disputed invoices by month of issue",
            data=pd.DataFrame(
                {"Month": table["month"], "Disputed": [_percent(one) for one in table["share"]],
                 "Invoices": table["n"], "Provisional": ["yes" if one else "" for one in table["provisional"]]}
            ).set_index("Month"),
        )  # fmt: skip
        caused = words.known(result.answer, "sync_caused")
        label = "The disputes" if caused is None else f"**{fmt.percent(float(caused))}** of them sync-caused"
        label += f", over {_weeks(query)}"
        frame.link("measure", label, icon=":material/table_rows:", kpi="dispute-rate", **query)


def savings(results: Results, currency: str, query: Query) -> None:
    with frame.card(
        "roi", "Saved against the baseline",
        "Measured before and now; what that is worth rests on stated assumptions",
        definition="Worth = (baseline - measured now) x cases x assumption. The baseline is from before go-live and is "
        "imported, as are the assumptions; both are kept with who stated them and why.",
    ):  # fmt: skip
        answer = results["roi"].answer
        if answer.value is None:
            st.markdown(_why_none(answer))
        else:
            counted = f"from {answer.n} of {len(LINES)} lines"
            st.markdown(frame.plain_dollars(f"**{told.money(answer.value, currency)}** in this period, {counted}."))
        shown = [line for line in LINES if words.known(answer, f"{line.key}_measured") is not None]
        if shown:
            lines = [_line(line, answer, currency) for line in shown]
            based = any(words.known(answer, f"{line.key}_baseline") is not None for line in shown)
            columns = [*lines[0]] if based else ["Measure", "Now, measured", "Cases", "Baseline"]
            tables.table("roi", columns, [[line[column] for column in columns] for line in lines])
        frame.link("measure", "Every line with its assumptions", icon=":material/functions:", kpi="roi", **query)


def _why_none(answer: Answer) -> str:
    if any(one.key.endswith("_baseline") and one.value is not None for one in answer.figures):
        return f"**Not worked out yet.** {fmt.plain(answer.why_none)}"
    return ("**No baseline.** Nobody has stated how it was before go-live, so nothing is said of savings. "
            "Import it: `tieline baseline import FILE`.")  # fmt: skip


def _line(line: Line, answer: Answer, currency: str) -> dict[str, str]:
    def written(what: str, unit: Unit) -> str:
        return words.value(words.known(answer, f"{line.key}_{what}"), unit, currency)

    before = written("baseline", line.unit)
    assumed = [words.known(answer, f"{line.key}_{name}") for name in line.assumptions]
    prices = [_price(one, name, currency) for one, name in zip(assumed, line.assumptions, strict=True)]
    return {
        "Measure": line.label,
        "Baseline": "no baseline" if before == fmt.DASH else before,
        "Now, measured": written("measured", line.unit),
        "Cases": written("cases", Unit.COUNT),
        "Assumed": " × ".join(prices) if any(one is not None for one in assumed) else "nothing stated",
        "Worth": written("money", Unit.MONEY),
    }


def _price(one: object, name: str, currency: str) -> str:
    if one is None:
        return "not stated"
    amount = Decimal(str(one))
    return told.money(amount, currency) if name.startswith("cost_") else f"{amount.normalize():f} h"


def _float(given: object) -> float:
    return float("nan") if given is None else float(str(given))


def _or_none(amount: float) -> float | None:
    return None if pd.isna(amount) else amount


def _percent(share: float) -> str:
    return fmt.DASH if pd.isna(share) else fmt.percent(share)
