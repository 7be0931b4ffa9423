"""A row of KPI tiles: one headline value each, its change, its trend, and "How measured" with all the rest."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final, Literal

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from metrics.asking import Ask, By
from metrics.converted import dated
from metrics.kpi import Answer, Definition, Figure, Result, Value
from metrics.targets import HALF_MISSED, MET, MISSED, halves, judged, unknown_halves
from pages.kit import format as fmt
from pages.kit import frame
from pages.kit import measure_words as words
from pages.kit.asking import Asked
from pages.kit.frame import Trend

_VERDICTS: Final[dict[str, Literal["green", "red", "orange"]]] = {MET: "green", MISSED: "red", HALF_MISSED: "orange"}
_SPARK: Final = 8  # weeks with a value, below which a line says nothing


def tile(slug: str) -> DeltaGenerator:
    """The place of one number in a row of them."""
    return st.container(key=f"kpi_{slug.replace('-', '_')}", border=True, gap=None, height="stretch")


def draw(
    result: Result, past: Value, asked: Asked, currency: str, title: str | None = None, *,
    comparison: str | None = None, remark: tuple[str, str] | None = None,
) -> None:  # fmt: skip
    """The headline of a KPI, its change, its trend and "How measured".

    `past`: the headline it is compared with; `comparison`: what that is, if no period. `remark`: stands where the
    change would, as that and what it is of.
    """
    known, answer = result.definition, result.answer
    moved = words.change(answer.value, past, known.unit, currency)
    good = words.is_better(answer.value, past, known.better) if moved else None
    spark = _spark(result)
    if moved is None and remark is not None:
        st.metric(title or known.title, words.headline(answer, known, currency), remark[0], "off", delta_arrow="off",
                  delta_description=remark[1], height="stretch")  # fmt: skip
        _how(result, asked, currency)
        return
    st.metric(
        title or known.title, words.headline(answer, known, currency), moved,
        "off" if good is None else "normal" if good else "inverse",
        delta_arrow=_arrow(answer, past).value, delta_description=(comparison or asked.comparison) if moved else None,
        height="stretch", chart_data=spark or None,
        chart_type="line" if st.context.theme.type == "dark" else "area",
    )  # fmt: skip
    _how(result, asked, currency)


def _how(result: Result, asked: Asked, currency: str) -> None:
    slug = result.definition.slug
    with st.popover("How measured", type="tertiary", key=f"how_{slug}"):
        how_measured(result, currency)
        frame.link("measure", "Rows and formula", icon=":material/table_rows:", kpi=slug, **asked.query)


def how_measured(result: Result, currency: str) -> None:
    """Definition, the figures beside the headline, what is in and what is not, and as of when."""
    known, answer = result.definition, result.answer
    st.markdown(f"**{fmt.plain(known.title)}**, {words.UNITS[known.unit]}")
    st.markdown(frame.plain_dollars(fmt.plain(known.says)))
    if answer.figures:
        st.table(figures(answer.figures, currency), border="horizontal")
    formula(result, currency)


def formula(result: Result, currency: str) -> None:
    """How the headline is worked out, why there may be none, what is in it and what is not, and as of when."""
    known, answer = result.definition, result.answer
    if verdict := judged(known, answer):
        st.badge(f"{verdict[:1].upper()}{verdict[1:]}", icon=":material/flag:", color=_VERDICTS[verdict])
    st.caption(frame.plain_dollars(fmt.plain(f"{known.formula[:1].upper()}{known.formula[1:]}")))
    if answer.why_none:
        st.info(fmt.coded(answer.why_none), icon=":material/info:")
    st.caption(frame.plain_dollars(fmt.plain(population(answer, known, currency))))
    if result.data_as_of is not None:
        rates = f" Money at the {dated(answer.rate_dates)}." if answer.rate_dates else ""
        st.caption(fmt.plain(f"As of {fmt.moment(result.data_as_of)}; definition version {known.version}.{rates}"))


def figures(shown: Sequence[Figure], currency: str) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "Figure": [fmt.plain(one.label) for one in shown],
            "Value": [fmt.plain(words.figure(one, currency)) for one in shown],
            "Note": [fmt.plain(one.note) for one in shown],
        }
    )
    return table.set_index("Figure")


def population(answer: Answer, known: Definition, currency: str) -> str:
    """What the value is of: n, open ones, exclusions by reason, the error of a value read from buckets."""
    left_out = [words.excluded(n, reason) for reason, n in answer.excluded.items() if n]
    parts = [f"n = {fmt.count(answer.n)}", f"{fmt.count(answer.n_open)} of them open" if answer.n_open else ""]
    parts.append(f"not counted: {', '.join(left_out)}" if left_out else "")
    if answer.error is not None:
        parts.append(f"read from buckets, {words.value(answer.error, known.unit, currency)} wide")
    if known.target is not None:
        parts.append(f"target {words.value(known.target, known.unit, currency)} ({known.target_says})")
        parts += halves(known, answer, currency) if judged(known, answer) == HALF_MISSED else []
    if open_halves := unknown_halves(known, answer):
        parts.append(f"whether it is met is open: {', '.join(open_halves)}")
    return "; ".join(part for part in parts if part) + "."


def _spark(result: Result) -> list[float]:
    """Weeks that are over: one that has just begun would look like a collapse."""
    if result.by is not By.WEEK:
        return []
    weeks = (result.pooled or result.parts).items()
    known = [float(part.value) for monday, part in weeks
             if part.value is not None and not _is_running(date.fromisoformat(monday), result)]  # fmt: skip
    return known if len(known) >= _SPARK else []


def _arrow(answer: Answer, past: object) -> Trend:
    if answer.value is None or not isinstance(past, Decimal | float | int) or float(answer.value) == float(past):
        return Trend.LEVEL
    return Trend.UP if float(answer.value) > float(past) else Trend.DOWN


def weekly(result: Result, ask: Ask, *keys: str) -> pd.DataFrame:
    """The trend of a result by week, no week absent. Columns: week (UTC midnight of its Monday), value, n, n_open,
    running (the week is not over).

    Each point may be of several weeks; n and n_open are those of the week itself, `pooled` is the n of its point. A
    column more for each figure that is named, and `<figure>_at_least` for where it is a percentile that is not reached.
    """
    nothing = Answer(None, 0)
    own = [result.parts.get(monday.isoformat(), nothing) for monday in ask.window.mondays]
    points = [(result.pooled or result.parts).get(monday.isoformat(), nothing) for monday in ask.window.mondays]
    return pd.DataFrame(
        {
            "week": pd.DatetimeIndex(ask.window.mondays, tz="UTC", dtype="datetime64[us, UTC]"),
            "value": [_number(point.value) for point in points],
            **{key: [_number(words.known(point, key)) for point in points] for key in keys},
            **{f"{key}_at_least": [_number(words.at_least(point, key)) for point in points] for key in keys},
            "n": [part.n for part in own],
            "n_open": [part.n_open for part in own],
            "pooled": [point.n for point in points],
            "running": [_is_running(monday, result) for monday in ask.window.mondays],
        }
    )


def _is_running(monday: date, result: Result) -> bool:
    return result.running is not None and monday >= result.running


def _number(given: Value) -> float:
    return float("nan") if given is None else float(given)
