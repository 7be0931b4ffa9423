"""What all figures share: one height, transparent ground, no tools, and how rules, labels and legends are drawn."""

from collections.abc import Mapping
from html import escape

import plotly.graph_objects as go

from pages.kit.palette import Palette

HEIGHT = 236
_FONT = "Inter, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


def new_figure(palette: Palette, *, left: int, right: int, top: int = 6, bottom: int = 4) -> go.Figure:
    """An empty figure with these margins in pixels; marks and axes neither zoom nor drag."""
    axis = {"fixedrange": True, "zeroline": False, "automargin": False, "ticks": "", "tickfont": {"size": 12}}
    return go.Figure(
        layout={
            "height": HEIGHT,
            "margin": {"l": left, "r": right, "t": top, "b": bottom, "pad": 5},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": _FONT, "size": 12, "color": palette.ink},
            "showlegend": False,
            "dragmode": False,
            "hovermode": "closest",
            "hoverlabel": {"bgcolor": palette.card, "bordercolor": palette.grid, "font": {"color": palette.ink}},
            "xaxis": axis | {"showgrid": False, "tickfont": {"size": 12, "color": palette.muted}},
            "yaxis": axis | {"gridcolor": palette.grid, "tickfont": {"size": 12, "color": palette.muted}},
        }
    )


def name_rows(figure: go.Figure, palette: Palette) -> None:
    """The y axis holds names, first on top."""
    figure.update_yaxes(autorange="reversed", showgrid=False, tickfont_color=palette.ink)


def count_rows(figure: go.Figure, most: float) -> None:
    """The y axis counts up to `most`, in whole numbers: of few, Plotly would mark halves and name each number twice."""
    figure.update_yaxes(nticks=5, tickformat=",d", dtick=1 if most < 5 else None)


def legend(figure: go.Figure, entries: Mapping[str, str], palette: Palette) -> None:
    """Name to colour, as one line above the plot: Plotly's own legend spaces its entries unevenly."""
    marks = (f"<span style='color:{colour};font-size:15px'>■</span> {escape(name)}" for name, colour in entries.items())
    figure.add_annotation(
        xref="paper",
        yref="paper",
        x=0,
        y=1,
        xanchor="left",
        yanchor="bottom",
        yshift=6,
        text="&#160;&#160;&#160;&#160;".join(marks),
        showarrow=False,
        font={"color": palette.muted, "size": 12},
    )


def beside_mark(figure: go.Figure, x: object, y: object, text: str, colour: str, *, push: int = 0) -> None:
    """Text to the right of a point; `push` moves it up by pixels."""
    figure.add_annotation(
        x=x,
        y=y,
        text=text,
        xanchor="left",
        xshift=6,
        yshift=push,
        showarrow=False,
        font={"color": colour, "size": 12},
    )


def in_margin(figure: go.Figure, y: object, text: str, colour: str, *, push: int = 0) -> None:
    """Text in the right margin, level with a point or row."""
    figure.add_annotation(
        xref="paper",
        x=1,
        y=y,
        text=text,
        xanchor="left",
        align="left",
        xshift=10,
        yshift=push,
        showarrow=False,
        font={"color": colour, "size": 12},
    )


def above_plot(figure: go.Figure, text: str, palette: Palette, *, push: int = 4) -> None:
    """A remark at the left, `push` pixels over the plot."""
    figure.add_annotation(
        xref="paper",
        yref="paper",
        x=0,
        y=1,
        text=text,
        xanchor="left",
        yanchor="bottom",
        yshift=push,
        showarrow=False,
        font={"color": palette.muted, "size": 12},
    )


def rule_across(figure: go.Figure, y: float, label: str, palette: Palette) -> None:
    """A dashed horizontal rule with its name on top."""
    line = {"color": palette.muted, "width": 1.2, "dash": "5px,4px"}
    figure.add_shape(type="line", xref="paper", x0=0, x1=1, y0=y, y1=y, line=line)
    figure.add_annotation(
        xref="paper",
        x=0,
        y=y,
        text=label,
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
        font={"color": palette.muted, "size": 12},
    )


def rule_down(figure: go.Figure, x: float, label: str, palette: Palette) -> None:
    """A dashed vertical rule with its name at the top."""
    line = {"color": palette.muted, "width": 1.2, "dash": "5px,4px"}
    figure.add_shape(type="line", yref="paper", y0=0, y1=1, x0=x, x1=x, line=line)
    figure.add_annotation(
        yref="paper",
        x=x,
        y=1,
        text=label,
        xanchor="left",
        yanchor="bottom",
        xshift=-2,
        showarrow=False,
        font={"color": palette.ink, "size": 12},
    )
