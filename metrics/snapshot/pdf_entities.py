"""A measure by legal entity, as bars in the board pack."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from metrics.kpi import Answer, Unit
from metrics.snapshot import wording
from metrics.snapshot.content import KpiTaken
from sync_core.commands.words import visible

_MOST: Final = 8
_FEW: Final = re.compile(r"(n = [\d,]+): (.+)")  # `n = 11: below 20 cases a percentile says nothing`


def entities(one: KpiTaken, currency: str) -> dict[str, Any]:
    """The largest, and below them once what several would say: why a number of cases is too few."""
    known = {name: wording.decimal_of(answer.value) for name, answer in one.entities.items()}
    most = max((abs(value) for value in known.values() if value is not None), default=Decimal(0))
    ordered = sorted(known, key=lambda name: (-abs(known[name] or Decimal(0)), -one.entities[name].n, name))[:_MOST]
    rows = [_bar(name, one.entities[name], known[name], most, one.definition.unit, currency) for name in ordered]
    return {"entities": rows, "entities_say": _said_once(one.entities[name] for name in ordered)}


def _bar(name: str, answer: Answer, value: Decimal | None, most: Decimal, unit: Unit, currency: str) -> dict[str, Any]:
    return {
        "name": visible(name),
        "share": None if value is None else round(float(abs(value) / most), 4) if most else 0.0,
        "value": "" if value is None else wording.shown(answer.value, unit, currency),
        "why": _FEW.sub(r"\1", wording.why_none_for_a_board(answer)),
    }


def _said_once(answers: Iterable[Answer]) -> str:
    found = (_FEW.fullmatch(wording.why_none_for_a_board(answer)) for answer in answers)
    reasons = dict.fromkeys(match[2] for match in found if match)
    return " ".join(f"{reason[:1].upper()}{reason[1:]}." for reason in reasons)
