"""The board pack: what board.typ draws, with every number written as people read it.

Typst carries its own engine and fallback fonts, and Inter (OFL) is beside this file, so nothing of the machine is
used: no browser, no font of the system, no network.
"""

import re
from collections.abc import Sequence
from datetime import UTC, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
import typst

from metrics import weeks
from metrics.kpi import Answer, Better, Definition, Unit, Value
from metrics.snapshot import chart, wording
from metrics.snapshot.content import Content, KpiTaken, Moved, Span
from sync_core.commands.words import visible

_HERE: Final = Path(__file__).parent
# What a board asks for first; the others follow by name.
_FIRST: Final = (
    "stuck-money", "cycle-time", "auto-provisioned", "amendment-lag", "exception-resolution", "reconciliation",
    "dispute-rate", "contract-to-cash", "exception-ageing", "forecast-accuracy", "roi", "step-time",
)  # fmt: skip
_CARDS, _FIGURES, _ENTITIES, _MOVED = 8, 7, 8, 24
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)[0-9:.]*(?:\+00:00)?")
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
    shown = [_measure(one, content.reporting) for one in ordered]
    with_value = [one for one in shown if one["value"]] + [one for one in shown if not one["value"]]
    cards = with_value[:_CARDS]
    return {
        "title": f"{content.group}: week {weeks.week_name(content.week)}",
        "group": content.group,
        "heading": f"Week {content.week.isocalendar().week}, {content.week.isocalendar().year}",
        "period": _period(content),
        "as_of": f"As of {wording.moment(content.as_of, content.zone)}",
        "headline": _headline(shown),
        "subline": _subline(content, shown),
        "cards": sorted(cards, key=lambda one: shown.index(one)),
        "measures": shown,
        "panels": shown,
        **_restated(content),
        "definitions": [
            {"title": one.definition.title, "version": one.definition.version, "formula": one.definition.formula}
            for one in ordered
        ],
        "method": _method(content),
        "rates": [[r.currency, format(r.rate.normalize(), "f"), r.valid_from.isoformat()] for r in content.rates],
        "reading": "Medians count open cases for as long as they have been open. Targets are suggested defaults unless "
        "your firm has set its own. Below 20 cases no percentile is shown. The dashed line is the target.",
        "foot": f"Tieline {release}  ·  rules {content.policy}  ·  {content.reporting} is the reporting currency",
    }  # fmt: skip


def _rank(slug: str) -> int:
    return _FIRST.index(slug) if slug in _FIRST else len(_FIRST)


def _period(content: Content) -> str:
    last = content.week + timedelta(days=6)
    days = f"{content.week.day} {content.week:%b} to {last.day} {last:%b %Y}"
    over = "" if content.over else "  ·  not over yet: numbers so far"
    return f"{days}  ·  as of {wording.moment(content.as_of, content.zone)}{over}"


def _headline(shown: Sequence[dict[str, Any]]) -> str:
    judged = [one for one in shown if one["status"]]
    if not judged:
        return "No measure can be held against a target this week."
    good = sum(one["status"] == "on target" for one in judged)
    return f"{good} of {len(judged)} measures with a target are on target."


def _subline(content: Content, shown: Sequence[dict[str, Any]]) -> str:
    worse = [one["title"] for one in shown if one["got"] == "worse"]
    better = [one["title"] for one in shown if one["got"] == "better"]
    parts = [
        f"Better than before: {', '.join(better[:4])}." if better else "",
        f"Worse: {', '.join(worse[:4])}." if worse else "",
        "" if content.restatement.since is None else
        f"{_many(content.restatement.contracts, 'contract')} moved this week's numbers since they were first reported.",
    ]  # fmt: skip
    return " ".join(part for part in parts if part) or "Nothing got better or worse than before."


def _measure(one: KpiTaken, currency: str) -> dict[str, Any]:
    known, answer = one.definition, one.answer
    previous = None if one.previous is None else one.previous.value
    change = wording.change(answer.value, previous, known.unit, currency)
    return {
        "title": known.title,
        "says": known.says,
        "value": "" if answer.value is None else wording.shown(answer.value, known.unit, currency),
        "number": wording.parts(answer.value, known.unit, currency)[0],
        "unit": wording.parts(answer.value, known.unit, currency)[1],
        "why": answer.why_none or "Nothing was measured.",
        "of": one.span.value,
        "short": f"n = {answer.n}" if answer.n else "no cases",
        "change": change,
        "way": "up" if change.startswith("+") else "down" if change.startswith(wording.MINUS) else "",
        "got": wording.got(answer.value, previous, known.better) if change not in ("", "unchanged") else "",
        "quarter": "" if one.quarter.value is None else wording.shown(one.quarter.value, known.unit, currency),
        "target": "" if known.target is None else wording.shown(known.target, known.unit, currency),
        "status": _status(known, answer.value),
        "cases": f"{answer.n:,} ({answer.n_open:,})",
        "chart": _chart(one, currency),
        "alt": _alt(one, currency),
        "entities": _entities(one, currency),
        "figures": [
            {"label": figure.label, "value": wording.shown(figure.value, figure.unit, currency)}
            for figure in answer.figures
            if figure.value is not None
        ][:_FIGURES],
        "lines": _lines(known, answer, currency),
    }


def _status(known: Definition, value: Value) -> str:
    exact, target = wording.decimal_of(value), wording.decimal_of(known.target)
    if exact is None or target is None or known.better is Better.NEITHER:
        return ""
    good = exact <= target if known.better is Better.LOWER else exact >= target
    return "on target" if good else "off target"


def _lines(known: Definition, answer: Answer, currency: str) -> list[str]:
    unit = known.unit
    lines = [f"{_many(answer.n, 'case')}, {answer.n_open:,} of them open"]
    lines += [f"{n:,} not counted: {reason}" for reason, n in sorted(answer.excluded.items()) if n][:3]
    if answer.error is not None:
        lines.append(f"exact to {wording.shown(answer.error, unit, currency)}")
    if known.target is not None:
        lines.append(f"Target: {known.target_says or wording.shown(known.target, unit, currency)}")
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
        return f"{value * 100:g} %"
    if unit in _TIME or unit is Unit.RATIO:
        return f"{value:g}"
    return re.sub(r"(\.[0-9]*?)0+(?=[KMB]|$)", lambda found: found[1].rstrip("."), wording.shown(value, unit, currency))


def _alt(one: KpiTaken, currency: str) -> str:
    told = (f"{one.label(point)} {wording.shown(point.value, one.definition.unit, currency)}" for point in one.trend)
    return f"{one.definition.title} by week: {', '.join(told)}"


def _entities(one: KpiTaken, currency: str) -> list[dict[str, Any]]:
    known = {name: wording.decimal_of(answer.value) for name, answer in one.entities.items()}
    most = max((abs(value) for value in known.values() if value is not None), default=Decimal(0))
    ordered = sorted(known, key=lambda name: (-abs(known[name] or Decimal(0)), -one.entities[name].n, name))[:_ENTITIES]
    return [_bar(name, one.entities[name], known[name], most, one.definition.unit, currency) for name in ordered]


def _bar(name: str, answer: Answer, value: Decimal | None, most: Decimal, unit: Unit, currency: str) -> dict[str, Any]:
    return {
        "name": visible(name),
        "share": None if value is None else round(float(abs(value) / most), 4) if most else 0.0,
        "value": "" if value is None else wording.shown(answer.value, unit, currency),
        "why": f"n = {answer.n:,}" if answer.n else "no cases",
    }


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _restated(content: Content) -> dict[str, Any]:
    told, currency = content.restatement, content.reporting
    changes = _changes(told.moved)
    known = {one.definition.slug: one.definition for one in content.kpis}
    if told.since is None:
        says = "This is the first snapshot of the week: there is nothing to compare it with yet."
    else:
        since = wording.moment(told.since, content.zone)
        says = (
            f"First reported as of {since}. Since then {_many(told.contracts, 'contract')} changed in a way that "
            f"counts, and {_many(len(told.kpis), 'measure')} came to another value."
        )
    return {
        "restated_says": says,
        "restated": [
            {"title": known[one.slug].title, "before": wording.shown(one.before, known[one.slug].unit, currency),
             "after": wording.shown(one.after, known[one.slug].unit, currency), "n_before": f"{one.n_before:,}",
             "n_after": f"{one.n_after:,}"}
            for one in told.kpis
        ],
        "moved_says": "" if len(changes) <= _MOVED else f"The first {_MOVED}; the workbook has all of them.",
        "moved": changes[:_MOVED],
    }  # fmt: skip


def _changes(moved: Sequence[Moved]) -> list[list[str]]:
    """One line for each fact of a contract."""
    found: dict[tuple[int, str, str], list[Moved]] = {}
    for one in moved:
        found.setdefault((one.contract_id, one.fact, one.key), []).append(one)
    return [
        [_short(first.contract), _short(first.legal_entity), _short(f"{first.fact} {first.key}"),
         _short("; ".join(map(_change, fields)), 130), f"{first.known_from.astimezone(UTC):%Y-%m-%d %H:%M}"]
        for fields in found.values() for first in fields[:1]
    ]  # fmt: skip


def _change(one: Moved) -> str:
    before, after = (_MOMENT.sub(r"\1 \2", text) or "nothing" for text in (one.before, one.after))
    return f"{one.what.replace('_', ' ')}: {before} \u2192 {after}" if one.what else one.after or one.before


def _short(text: str, most: int = 60) -> str:
    whole = visible(" ".join(text.split()))
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def _method(content: Content) -> list[list[str]]:
    return [
        ["As of", f"{wording.moment(content.as_of, content.zone)}: only what was known then counts, and ages are "
                  "measured against it."],
        ["Weeks", f"ISO weeks, Monday to Sunday, in the zone {content.zone}."],
        ["Compared", "The cases of a week with those of the week before; a state with how it stood when that ended; "
                     "a measure by month, over 13 weeks, with the 13 weeks before."],
        ["Working time", "On the calendar of each legal entity, with its holidays."],
        ["Money", f"In {content.reporting}, at the rates known and valid then; what has no rate is listed, not added."],
        ["Rules", f"Version {content.policy} of the firm's own rules."],
    ]  # fmt: skip
