"""Why a contract is decided on as it is: which rule of each table won, and why each other one did not. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sync_core.policy.decide import closest, decide
from sync_core.policy.rule import DIMENSIONS, Rule, Subject
from sync_core.policy.table import R, Table


class Came(StrEnum):
    DECIDES = "decides"
    LOST = "lost"
    DOES_NOT_FIT = "does not fit"


@dataclass(frozen=True, slots=True)
class Considered:
    """One rule and what became of it. `source`: "policy" or "estate"."""

    name: str
    source: str
    where: str
    says: str
    came: Came
    why: str


@dataclass(frozen=True, slots=True)
class Explained:
    """`about`: the cause, in the table of owners. Rules that fit come first."""

    table: str
    about: str
    says: str
    rule: str | None
    considered: tuple[Considered, ...]


def explain(table: Table[R], subject: Subject, currency: str) -> Explained:
    """`currency`: the reporting one, of thresholds."""
    won, near = decide(table, subject), closest(table, subject)
    seen = [_seen(rule, "policy", table, subject, won, near, currency) for rule in table.rules]
    seen += [_seen(rule, "estate", table, subject, won, near, currency) for rule in table.defaults]
    order = list(Came)
    seen.sort(key=lambda one: order.index(one.came))
    says = won.shown(currency) if won else table.otherwise
    return Explained(table.name, subject.cause, says, won.name if won else None, tuple(seen))


def _seen(
    rule: Rule, source: str, table: Table[R], subject: Subject, won: Rule | None, near: Sequence[Rule], currency: str
) -> Considered:
    unmet = rule.unfit(subject)
    if rule is won:
        came, why = Came.DECIDES, _deciding(rule, near)
    elif unmet is not None:
        held = getattr(subject, _key(unmet))
        came, why = Came.DOES_NOT_FIT, f"its {_words(unmet)} is {held or 'not given'}"
    else:
        came, why = Came.LOST, _lost(rule, source, table, subject, won, near)
    return Considered(rule.name, source, rule.where, rule.shown(currency), came, why)


def _deciding(rule: Rule, near: Sequence[Rule]) -> str:
    if len(near) > 1:
        return "of the equally specific rules it has the highest amount that is reached"
    return f"the most specific that fits: {rule.where}"


def _lost(rule: Rule, source: str, table: Table[R], subject: Subject, won: Rule | None, near: Sequence[Rule]) -> str:
    if any(rule is one for one in near):
        if not rule.reached(subject):
            return "its amount is not reached"
        return f"“{won.name}” has a higher amount that is reached" if won else ""
    winner = near[0]
    if source == "estate" and any(winner is one for one in table.rules):
        return f"“{winner.name}” is of the policy, which stands above the estate file"
    beats = next(name for name in DIMENSIONS if winner.condition(name) and not rule.condition(name))
    return f"“{winner.name}” is more specific: it names the {_words(beats)}"


def _key(dimension: str) -> str:
    return "value" if dimension == "from_value" else dimension


def _words(dimension: str) -> str:
    return _key(dimension).replace("_", " ")
