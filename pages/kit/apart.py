"""Points of a trend that belong to no line: percentiles not reached yet, and the week that is not over."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

Write = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Apart:
    """A point that belongs to no line."""

    name: str
    week: pd.Timestamp
    value: float
    at_least: bool
    running: bool
    n: int

    @property
    def said(self) -> str:
        least = "at least " if self.at_least else ""
        return f"week of {self.week:%-d %b}{' so far' if self.running else ''}: {self.name} {least}"


def apart_of(frame: pd.DataFrame) -> list[Apart]:
    running = flags(frame, "running")
    return [
        Apart(name, week, float(least if pd.isna(value) else value), bool(pd.isna(value)), bool(is_running), int(n))
        for name in ("p90", "p50")
        for week, value, least, is_running, n in zip(
            frame["week"], frame[name], column(frame, f"{name}_at_least"), running, frame["n"], strict=True
        )
        if (pd.isna(value) and not pd.isna(least)) or (is_running and not pd.isna(value))
    ]


def draw_apart(figure: go.Figure, apart: Sequence[Apart], write: Write, colours: Mapping[str, str]) -> None:
    if apart:
        figure.add_scatter(
            x=[one.week for one in apart], y=[one.value for one in apart], mode="markers", name="apart",
            marker={
                "symbol": ["triangle-up-open" if one.at_least else "circle-open" for one in apart], "size": 9,
                "color": [colours[one.name] for one in apart], "line": {"width": 2},
            },
            customdata=[[one.said, write(one.value), f"{one.n:,}"] for one in apart],
            hovertemplate="%{customdata[0]}<b>%{customdata[1]}</b>, n = %{customdata[2]}<extra></extra>",
        )  # fmt: skip


def newest_of(frame: pd.DataFrame, name: str, write: Write) -> tuple[float, str] | None:
    """Of the newest whole week that has cases for one: where it lies and what it is; of an older week, which."""
    least = column(frame, f"{name}_at_least")
    over, has = ~flags(frame, "running"), frame[name].notna() | least.notna()
    if not (over & has).any():
        return None
    row = frame.index[over & has][-1]
    is_least = bool(pd.isna(frame[name][row]))
    value = float(least[row] if is_least else frame[name][row])
    told = f"> {write(value)}" if is_least else write(value)
    return value, told if row == frame.index[over][-1] else f"{told}<br>week of {frame['week'][row]:%-d %b}"


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name].astype(float) if name in frame else pd.Series(float("nan"), index=frame.index)


def flags(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name].astype(bool) if name in frame else pd.Series(False, index=frame.index)
