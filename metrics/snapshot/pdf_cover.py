"""The sentences on the cover of the board pack: what is on target, what got better and what worse."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from metrics.kpi import Unit
from metrics.snapshot import wording
from metrics.snapshot.content import Content
from metrics.snapshot.pdf_restated import moved_by
from metrics.targets import MET

LACKS: Final = ("Too few cases to say", "No case", "Not reached yet", "Not known", "Half of the target is open")
_NAMED: Final = 6


def headline(shown: Sequence[Mapping[str, Any]]) -> str:
    known = [one for one in shown if one["status"]]
    without = [one for one in shown if one["target"] and not one["status"]]
    good = sum(one["status"] == MET for one in known)
    told = [f"{good} of {len(known) + len(without)} measures with a target are on target."]
    for lack in LACKS:
        names = [f"{one['title']}{one['open_half']}" for one in without if one["lack"] == lack]
        told += [f"{lack}: {', '.join(names)}."] if names else []
    return " ".join(told)


def subline(content: Content, shown: Sequence[Mapping[str, Any]]) -> str:
    """`shown` in the order of a board. What is money comes first."""
    units = {one.definition.slug: one.definition.unit for one in content.kpis}
    ordered = sorted(shown, key=lambda one: not wording.is_money(units[one["slug"]]))
    better, worse = (_named([one for one in ordered if one["got"] == got], units) for got in ("better", "worse"))
    parts = [
        f"Better than before: {better}." if better else "",
        f"Worse: {worse}." if worse else "",
        *moved_by(content),
    ]  # fmt: skip
    return " ".join(part for part in parts if part) or "Nothing got better or worse than before."


def _named(found: Sequence[Mapping[str, Any]], units: Mapping[str, Unit]) -> str:
    """All of a few, else the first and how many more; money with its change."""
    told = [
        f"{one['title']} ({one['change']})" if wording.is_money(units[one["slug"]]) else one["title"] for one in found
    ]
    if len(told) > _NAMED + 1:  # "and 1 more" is as long as its name
        return f"{', '.join(told[:_NAMED])} and {len(told) - _NAMED} more"
    return ", ".join(told)
