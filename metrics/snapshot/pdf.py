"""The board pack: what board.typ draws, with every number written as people read it.

Typst carries its own engine and fallback fonts, and Inter (OFL) is beside this file, so nothing of the machine is
used: no browser, no font of the system, no network.
"""

import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
import typst

from metrics import weeks
from metrics.kpi import Span, Unit
from metrics.snapshot import chart, wording
from metrics.snapshot.content import Content, KpiTaken
from metrics.snapshot.pdf_cover import LACKS, headline, subline
from metrics.snapshot.pdf_entities import entities
from metrics.snapshot.pdf_restated import restated
from metrics.snapshot.wording import many
from metrics.targets import halves, judged, unknown_halves
from sync_core.survival import SAMPLE_FLOOR

_HERE: Final = Path(__file__).parent
# What a board asks for first; the others follow by name.
_FIRST: Final = (
    "stuck-money", "cycle-time", "auto-provisioned", "amendment-lag", "exception-resolution", "reconciliation",
    "dispute-rate", "contract-to-cash", "exception-ageing", "forecast-accuracy", "roi", "step-time",
)  # fmt: skip
_CARDS, _FIGURES = 8, 60
_TIME: Final = frozenset({Unit.HOURS, Unit.WORKING_HOURS, Unit.DAYS, Unit.WORKING_DAYS, Unit.SECONDS})


def board_pack(content: Content, *, release: str) -> bytes:
    """The file's bytes; the same content and release give the same."""
    compiled: bytes = typst.compile(
        (_HERE / "board.typ").read_bytes(),
        format="pdf",
        font_paths=_fonts(),
        sys_inputs={"data": orjson.dumps(described(content, release=release)).decode()},
        timestamp=int(content.as_of.timestamp()),
    )
    return compiled


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, font_paths=[str(_HERE / "fonts")])


def described(content: Content, *, release: str) -> dict[str, Any]:
    """All that the pack shows, as JSON."""
    ordered = sorted(content.kpis, key=lambda one: (_rank(one.definition.slug), one.definition.title))
    shown = [_measure(one, content) for one in ordered]
    with_value = [one for one in shown if one["value"]] + [one for one in shown if not one["value"]]
    cards = with_value[:_CARDS]
    return {
        "title": f"{content.group}: week {weeks.week_name(content.week)}",
        "group": content.group,
        "heading": f"Week {content.week.isocalendar().week}, {content.week.isocalendar().year}",
        "period": _period(content),
        "as_of": f"As of {wording.moment(content.as_of, content.zone)}",
        "states": _states(content),
        "headline": headline(shown),
        "subline": subline(content, shown),
        "cards": sorted(cards, key=lambda one: shown.index(one)),
        "measures": shown,
        "panels": shown,
        **restated(content),
        "definitions": [
            {"title": one.definition.title, "version": one.definition.version,
             "formula": wording.plain(one.definition.formula)}
            for one in ordered
        ],
        "method": _method(content),
        **_rates(content),
        "reading": "Medians count open cases for as long as they have been open. Targets are suggested defaults unless "
        "your firm has set its own. Below 20 cases no percentile is shown: a week with fewer is told by the four weeks "
        "up to it, and says so. The dashed line is the target.",
        "foot": f"Tieline {release}  ·  rules {content.policy}  ·  {content.reporting} is the reporting currency",
    }  # fmt: skip


def _rank(slug: str) -> int:
    return _FIRST.index(slug) if slug in _FIRST else len(_FIRST)


def _period(content: Content) -> str:
    last = content.week + timedelta(days=6)
    days = f"{content.week.day} {content.week:%b} to {last.day} {last:%b %Y}"
    over = "" if content.over else "  ·  not over yet: numbers so far"
    return f"{days}  ·  as of {wording.moment(content.as_of, content.zone)}{over}"


def _measure(one: KpiTaken, content: Content) -> dict[str, Any]:
    currency = content.reporting
    known, answer = one.definition, one.headline
    previous = None if one.previous is None else one.previous.value
    change = wording.change(answer.value, previous, known.unit, currency)
    halves_open = unknown_halves(known, answer)
    figures = [
        figure for figure in answer.figures if figure.value is not None and not (figure.currency and ":" in figure.key)
    ]
    return {
        "slug": known.slug,
        "title": known.title,
        "says": wording.plain(known.says),
        "at": _at(one, content),
        "lack": _lack(one),
        "open_half": f" ({', '.join(halves_open)})" if halves_open else "",
        "value": "" if answer.value is None else wording.shown(answer.value, known.unit, currency),
        "number": wording.parts(answer.value, known.unit, currency)[0],
        "unit": wording.parts(answer.value, known.unit, currency)[1],
        "why": wording.why_none_for_a_board(answer),
        "of": _of(one, content),
        "week": f"n = {one.answer.n} in the week" if one.pooled else "",
        "change": change,
        "way": "up" if change.startswith("+") else "down" if change.startswith(wording.MINUS) else "",
        "got": wording.got(answer.value, previous, known.better) if change not in ("", "unchanged") else "",
        "quarter": "" if one.quarter.value is None else wording.shown(one.quarter.value, known.unit, currency),
        "target": "" if known.target is None else wording.shown(known.target, known.unit, currency),
        "status": judged(known, answer),
        "cases": f"{answer.n:,} ({answer.n_open:,})",
        "chart": _chart(one, currency),
        "alt": _alt(one, currency),
        **entities(one, currency),
        "figures": [
            {"label": wording.plain(figure.label),
             "value": wording.shown(figure.value, figure.unit, figure.currency or currency)}
            for figure in figures[:_FIGURES]
        ],
        "more": _more(len(figures)),
        "lines": _lines(one, currency),
    }  # fmt: skip


def _lack(one: KpiTaken) -> str:
    """Why nobody knows whether a measure is on target, of LACKS."""
    few, none, not_reached, unknown, half = LACKS
    n = one.headline.n
    if one.headline.value is not None:
        return half
    if _unknown(one) or one.span is not Span.WEEK:
        return unknown
    return few if 0 < n < SAMPLE_FLOOR else not_reached if n else none


def _unknown(one: KpiTaken) -> bool:
    """A state that was not measured by its moment."""
    return one.span is Span.STATE and one.at is None


def _more(figures: int) -> str:
    return f"and {figures - _FIGURES} more, in the workbook" if figures > _FIGURES else ""


def _of(one: KpiTaken, content: Content) -> str:
    return one.of if one.at is None else f"state, {wording.short_moment(one.at, content.zone)}{_facts_at(one, content)}"


def _facts_at(one: KpiTaken, content: Content) -> str:
    """`; data as of 22 Nov 21:10`, of a state whose facts are older than its moment."""
    return "" if one.facts_at is None else f"; data as of {wording.short_moment(one.facts_at, content.zone)}"


def _at(one: KpiTaken, content: Content) -> str:
    """What the headline is of, in words."""
    if one.at is not None:
        running = "" if content.over else ", in a week that is not over yet"
        return f"A state, as of {wording.moment(one.at, content.zone)}{running}{_facts_at(one, content)}"
    if one.pooled:
        return f"Of the {one.of} up to this one; the week alone has too few cases, n = {one.answer.n}"
    return ""


def _states(content: Content) -> str:
    unknown = [one.definition.title for one in content.kpis if _unknown(one)]
    if unknown:
        return f"Not known, because nothing was measured yet when the week ended: {', '.join(unknown)}."
    end = max((one.at for one in content.kpis if one.at is not None), default=content.as_of)
    older = min((one.facts_at for one in content.kpis if one.facts_at is not None), default=None)
    facts = "" if older is None else f"; their data are as of {wording.moment(older, content.zone)}"
    return f"States are as of {wording.moment(end, content.zone)}, as it was known then{facts}."


def _lines(one: KpiTaken, currency: str) -> list[str]:
    known, answer, unit = one.definition, one.headline, one.definition.unit
    lines = [] if _unknown(one) else [f"{many(answer.n, 'case')}, {answer.n_open:,} of them open"]
    lines += [f"{n:,} not counted: {wording.plain(reason)}" for reason, n in sorted(answer.excluded.items()) if n][:3]
    if answer.error is not None:
        lines.append(f"exact to {wording.shown(answer.error, unit, currency)}")
    if known.target is not None:
        lines.append(f"Target: {known.target_says or wording.shown(known.target, unit, currency)}")
    lines += halves(known, answer, currency)
    return lines


def _chart(one: KpiTaken, currency: str) -> dict[str, Any] | None:
    unit = one.definition.unit
    values = [wording.decimal_of(point.value) for point in one.trend]
    known = [float(value) for value in values if value is not None]
    if len(known) < 2:
        return None
    target = one.definition.target
    scale = chart.axis(known if target is None else [*known, target], whole=unit is Unit.COUNT)
    lines = chart.runs(values, scale)
    step = 3 if len(one.trend) > 7 else 1
    last = len(one.trend) - 1
    return {
        "ticks": [{"at": scale.at(tick), "label": _tick(tick, unit, currency)} for tick in scale.ticks],
        "target": None if target is None else scale.at(target),
        "of": f"each point is of the {wording.FOUR_WEEKS} up to it"
        if one.pooled_trend
        else "as of the end of each week"
        if one.span is Span.STATE
        else "",
        "target_label": "" if target is None else wording.shown(target, unit, currency),
        "runs": lines,
        "last": lines[-1][-1] if values[-1] is not None else None,
        "labels": [
            {"at": round(place / max(last, 1), 4), "text": one.label(point)[5 * (one.span is not Span.QUARTER) :]}
            for place, point in enumerate(one.trend)
            if (last - place) % step == 0
        ],
    }


def _tick(value: float, unit: Unit, currency: str) -> str:
    """Without its unit where the title says it."""
    if unit is Unit.SHARE:
        return f"{value * 100:g}%"
    if unit in _TIME or unit is Unit.RATIO:
        return f"{value:g}"
    return re.sub(r"(\.[0-9]*?)0+(?=[KMB]|$)", lambda found: found[1].rstrip("."), wording.shown(value, unit, currency))


def _alt(one: KpiTaken, currency: str) -> str:
    told = (f"{one.label(point)} {wording.shown(point.value, one.definition.unit, currency)}" for point in one.trend)
    return f"{one.definition.title} by week: {', '.join(told)}"


def _rates(content: Content) -> dict[str, Any]:
    """Without those that only earlier weeks of a trend were converted at."""
    told = [one for one in content.rates if one.used_for]
    rest = len(content.rates) - len(told)
    more = f"{many(rest, 'more rate')}, of earlier weeks in the trend of states, in the workbook."
    return {
        "rates": [
            [one.currency, format(one.rate.normalize(), "f"), one.valid_from.isoformat(), "; ".join(one.used_for)]
            for one in told
        ],
        "rates_head": ["Currency", f"Rate, in {content.reporting}", "Valid from", "Used for"],
        "rates_more": more if rest else "",
    }


def _method(content: Content) -> list[list[str]]:
    return [
        ["As of", f"{wording.moment(content.as_of, content.zone)}: only what was known then counts. Ages of open "
                  "cases are measured against it, those of a state against the state's moment."],
        ["Weeks", f"ISO weeks, Monday to Sunday, in the zone {content.zone}."],
        ["Compared", "The cases of a week with those of the week before; a state with how it stood when that ended; "
                     "a measure by month, over 13 weeks, with the 13 weeks before; four weeks with the four before."],
        ["States", _states(content)],
        ["Working time", "On the calendar of each legal entity, with its holidays."],
        ["Money", f"In {content.reporting}, each number at the rates known and valid as of its moment; what has no "
                  "rate is listed, not added."],
        ["Rules", f"Version {content.policy} of the firm's own rules."],
    ]  # fmt: skip
