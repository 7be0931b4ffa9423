"""What an amendment or a correction makes of the terms: new values in place of old ones, parts by their key. Pure."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

from sync_core.contract import ContractLine, LabourRate, Milestone, Path, Terms
from sync_core.events import Changes
from sync_core.life.silent import rate_key

Part = TypeVar("Part", ContractLine, Milestone, LabourRate)

_PARTS: Final = frozenset({"lines", "milestones", "rates", "remove_lines", "remove_milestones", "remove_rates"})
_HEADER: Final = frozenset(Changes.model_fields) - _PARTS


def header(changes: Changes) -> set[str]:
    """The fields of the header that it names."""
    return set(changes.model_fields_set & _HEADER)


def named(changes: Changes) -> set[Path]:
    """The fields of the header and the rates that it names, whether they are others by it or not."""
    rates = [*map(rate_key, changes.rates), *changes.remove_rates]
    return {(name, "") for name in header(changes)} | {("rates", key) for key in rates}


def touched(changes: Changes) -> set[Path]:
    """All that it names, the parts that it removes too."""
    parts = {("lines", one.key) for one in changes.lines} | {("milestones", one.key) for one in changes.milestones}
    removed = {("lines", key) for key in changes.remove_lines} | {("milestones", k) for k in changes.remove_milestones}
    return named(changes) | parts | removed


def changed(terms: Terms, changes: Changes) -> Terms:
    return replace(
        terms,
        **{name: getattr(changes, name) for name in header(changes)},
        lines=_merged(terms.lines, changes.lines, changes.remove_lines, lambda part: part.key),
        milestones=_merged(terms.milestones, changes.milestones, changes.remove_milestones, lambda part: part.key),
        rates=_merged(terms.rates, changes.rates, changes.remove_rates, rate_key),
    )


def _merged(
    now: tuple[Part, ...], given: tuple[Part, ...], removed: tuple[str, ...], key: Callable[[Part], str]
) -> tuple[Part, ...]:
    """Replaced by key in place, new ones behind, removed ones gone; the order depends on content alone."""
    if not given and not removed:
        return now
    parts = {key(part): part for part in now} | {key(part): part for part in given}
    return tuple(part for name, part in parts.items() if name not in removed)
