"""One trace drawn in time: a row a step, nested by what it was done for. Plain values in, a Plotly figure out.

Each name stands above its bar: beside it there would be no room left for time on a phone.
"""

from collections.abc import Sequence
from datetime import timedelta
from html import escape
from typing import Final

import plotly.graph_objects as go

from pages.kit import format as fmt
from pages.kit.figure import legend, new_figure
from pages.kit.palette import Palette
from sync_core.reads.trace import Part, Step

MOST_ROWS: Final = 40
_ROW_PX: Final = 32
_INDENT_PX, _ABOVE_PX = 14, 12
_LEAST_SHARE: Final = 0.004  # of the width, so that a step of no length can be seen
_LONGEST_NAME: Final = 34
_NAMES: Final = {
    Part.EVENT: "event", Part.RUN: "run", Part.OPERATION: "operation", Part.CALL: "ERP call",
}  # fmt: skip


def waterfall(steps: Sequence[Step], *, palette: Palette) -> go.Figure:
    """Milliseconds since the first step; what failed is red. At most MOST_ROWS rows are drawn."""
    shown = list(steps[:MOST_ROWS])
    begun = min(step.started_at for step in shown)
    whole_ms = max(_ms(step.finished_at - begun) for step in shown) or 1.0
    unit_ms, unit = _unit(whole_ms)
    colours = {Part.EVENT: palette.teal, Part.RUN: palette.pale, Part.OPERATION: palette.amber, Part.CALL: palette.blue}
    figure = new_figure(palette, left=6, right=18, top=34, bottom=24)
    figure.add_bar(
        base=[_ms(step.started_at - begun) / unit_ms for step in shown],
        x=[max(_ms(step.took), whole_ms * _LEAST_SHARE) / unit_ms for step in shown],
        y=list(range(len(shown))),
        orientation="h",
        marker={"color": [colours[step.part] if step.ok else palette.red for step in shown]},
        customdata=[_told(step) for step in shown],
        hovertemplate="%{customdata}<extra></extra>",
    )
    drawn = {part for step in shown for part in (step.part,)}
    legend(figure, {_NAMES[part]: colours[part] for part in Part if part in drawn}, palette)
    figure.update_layout(bargap=0.7, height=max(120, 60 + _ROW_PX * len(shown)))
    figure.update_yaxes(autorange="reversed", showgrid=False, showticklabels=False)
    for at, step in enumerate(shown):
        figure.add_annotation(
            xref="paper", x=0, xanchor="left", xshift=_INDENT_PX * step.depth, y=at, yshift=_ABOVE_PX,
            text=_name(step.name), showarrow=False, font={"color": palette.ink if step.ok else palette.red, "size": 12},
        )  # fmt: skip
    figure.update_xaxes(range=[0, whole_ms / unit_ms * 1.04], nticks=6, ticksuffix=f" {unit}", showgrid=True,
                        gridcolor=palette.grid)  # fmt: skip
    return figure


def length(took: timedelta) -> str:
    """12 ms, 3.4 s, then as everywhere."""
    ms = _ms(took)
    if ms < 1000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms < 60_000 else fmt.duration(took)


def _told(step: Step) -> str:
    outcome = "" if step.outcome == "ok" else f", {_name(step.outcome)}"
    detail = f"<br>{_name(step.detail, 90)}" if step.detail else ""
    return f"<b>{_name(step.name)}</b> {length(step.took)}{outcome}{detail}"


def _name(text: str, most: int = _LONGEST_NAME) -> str:
    """Words of others: Plotly would obey tags in them."""
    shown = fmt.shown(text)
    return escape(shown if len(shown) <= most else f"{shown[: most - 1]}…")


def _ms(span: timedelta) -> float:
    return span / timedelta(milliseconds=1)


def _unit(whole_ms: float) -> tuple[float, str]:
    for unit_ms, unit in ((86_400_000.0, "d"), (3_600_000.0, "h"), (60_000.0, "min"), (1000.0, "s")):
        if whole_ms >= 2 * unit_ms:
            return unit_ms, unit
    return 1.0, "ms"
