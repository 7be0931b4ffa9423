"""The evaluation: which rule of a table decides for a contract. Pure; the engine, `explain` and `diff` all ask here."""

from typing import TypeVar

from sync_core.policy.rule import Rule, Subject
from sync_core.policy.table import Table

R = TypeVar("R", bound=Rule)


def closest(table: Table[R], subject: Subject) -> list[R]:
    """The rules that fit and that none is more specific than; those of the policy before the estate's."""
    for rules in (table.rules, table.defaults):
        fitting = [rule for rule in rules if rule.unfit(subject) is None]
        if fitting:
            rank = max(rule.rank for rule in fitting)
            return [rule for rule in fitting if rule.rank == rank]
    return []


def decide(table: Table[R], subject: Subject) -> R | None:
    """The rule that decides; None: what holds without one."""
    reached = [rule for rule in closest(table, subject) if rule.reached(subject)]
    return max(reached, key=lambda rule: rule.floor, default=None)
