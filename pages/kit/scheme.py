"""The stylesheet by which charts follow a theme that is switched in the menu, of which the server is not told.

The server draws a figure in the colours of one theme, and Plotly writes them into the style of each mark. So each
colour of a palette, wherever it stands in a chart or a bar, is shown as the one of the theme that the browser is in.
"""

from collections.abc import Iterator
from dataclasses import astuple
from functools import cache

from pages.kit.palette import DARK, LIGHT, Palette

# Where it is drawn, and what of it is coloured.
_PLACES = (
    ('[data-testid="stPlotlyChart"]', "fill"),
    ('[data-testid="stPlotlyChart"]', "stroke"),
    (":is(.tl-bar, .tl-key)", "background"),
)


@cache
def stylesheet() -> str:
    """The rules, one a colour and property."""
    pairs = dict.fromkeys(
        pair for pair in zip(colours(LIGHT), colours(DARK), strict=True) if not pair[0].startswith("rgba")
    )  # an opacity stands beside its colour, which is another's too
    return "\n".join(_rule(*place, *pair) for place in _PLACES for pair in pairs)


def colours(palette: Palette) -> Iterator[str]:
    """All of it, in one order."""
    for one in astuple(palette):
        yield from (one,) if isinstance(one, str) else one


def _rule(place: str, name: str, light: str, dark: str) -> str:
    # Two are one in the light: what is filled with it is text on a mark, and the edge of a mark is of the card.
    is_clear = light != LIGHT.card or dark == (DARK.card if name == "stroke" else DARK.on_mark)
    # Marks have the browser's spelling, the spans of a text the one they were written in.
    found = ", ".join(
        f'[style*="{name}: {_rgb(one)}"], [style*="{name}:{one}" i], [style*="{name}: {one}" i]'
        for one in ((light, dark) if is_clear else (dark,))
    )
    return f"{place} :is({found}) {{ {name}: light-dark({light}, {dark}) !important }}"


def _rgb(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"
