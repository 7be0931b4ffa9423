"""Whether a measure is where its target wants it: of a target with two halves, only when both are."""

from decimal import Decimal

from metrics.kpi import Answer, Better, Definition, Figure, Value
from metrics.snapshot import wording

MET, MISSED, HALF_MISSED = "on target", "off target", "half of the target missed"


def judged(known: Definition, answer: Answer) -> str:
    """MET, MISSED or HALF_MISSED; "" where there is no target, or nobody knows yet."""
    if known.target is None or known.better is Better.NEITHER:
        return ""
    first = _keeps(known, answer.value, known.target)
    others = [_figure_keeps(known, answer.figure(half.figure), half.target) for half in known.further]
    if first is False:
        return MISSED
    if False in others:
        return HALF_MISSED
    return "" if first is None or None in others else MET


def halves(known: Definition, answer: Answer, currency: str) -> list[str]:
    """What the halves beside the headline come to, in words."""
    told = []
    for half in known.further:
        figure = answer.figure(half.figure)
        kept = _figure_keeps(known, figure, half.target)
        value, floor = (figure.value, "") if figure.value is not None else (figure.at_least, "at least ")
        shown, wanted = (wording.shown(one, figure.unit, currency) for one in (value, half.target))
        came_to = f"{figure.label} not known" if value is None else f"{figure.label} {floor}{shown}"
        told.append(f"{came_to}, target {wanted}: {'open' if kept is None else 'met' if kept else 'missed'}")
    return told


def unknown_halves(known: Definition, answer: Answer) -> list[str]:
    """`90th percentile not reached yet`: what leaves the target open although the headline is known."""
    if answer.value is None or judged(known, answer):
        return []
    figures = [answer.figure(half.figure) for half in known.further]
    return [
        f"{figure.label} not {'known' if figure.at_least is None else 'reached'} yet"
        for figure in figures
        if figure.value is None
    ]


def _figure_keeps(known: Definition, figure: Figure, target: float) -> bool | None:
    """One that is not reached yet may still be known to be too long."""
    if figure.value is None and figure.at_least is not None and known.better is Better.LOWER:
        return False if figure.at_least > target else None
    return _keeps(known, figure.value, target)


def _keeps(known: Definition, value: Value, target: float) -> bool | None:
    exact, wanted = wording.decimal_of(value), wording.decimal_of(target) or Decimal(0)
    if exact is None:
        return None
    if exact == wanted:
        return not known.strict
    return exact < wanted if known.better is Better.LOWER else exact > wanted
