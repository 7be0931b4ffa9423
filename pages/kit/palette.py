"""The colours of charts, for a light and a dark card.

Blue is the main series, amber the p90 or a warning, teal a good end state, red a breach and nothing else, pale what is
young or normal. Dark cards take lighter tints: the light ones fall under 3:1 on #121B2C. Text inside a filled mark
has its own ink per theme for the same reason.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """Every colour a chart may use."""

    ink: str
    muted: str
    grid: str
    card: str
    blue: str
    amber: str
    teal: str
    red: str
    pale: str
    on_mark: str  # text on blue or teal
    area: str  # fill below a teal line
    heat: tuple[str, ...]  # few to many
    heat_ink: tuple[str, str]  # on the lighter and on the stronger half of `heat`


LIGHT = Palette(
    ink="#0F1B2D",
    muted="#566377",
    grid="#E6EBF2",
    card="#FFFFFF",
    blue="#2F66E0",
    amber="#C9770B",
    teal="#0E8279",
    red="#CF3A2E",
    pale="#9CB8F2",
    on_mark="#FFFFFF",
    area="rgba(14,130,121,0.14)",
    heat=("#F1F5FE", "#D3E0FB", "#A9C2F6", "#6F97EE", "#2F66E0", "#1D4BB8"),
    heat_ink=("#0F1B2D", "#FFFFFF"),
)
DARK = Palette(
    ink="#E8EDF5",
    muted="#A3B0C6",
    grid="#243049",
    card="#121B2C",
    blue="#6E9BFF",
    amber="#EBA13F",
    teal="#38C7B6",
    red="#F0695E",
    pale="#3D5488",
    on_mark="#0B1120",
    area="rgba(56,199,182,0.16)",
    heat=("#18243A", "#213660", "#2C4C8C", "#3D66BD", "#6E9BFF", "#93B6FF"),
    heat_ink=("#E8EDF5", "#0B1120"),
)


def palette_for(theme: str | None) -> Palette:
    """The palette for Streamlit's `st.context.theme.type`; unknown (first connect, tests) is light."""
    return DARK if theme == "dark" else LIGHT
