"""What the board pack says of late knowledge: measures that would have read otherwise, and contracts that did it."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any, Final

from metrics.snapshot import wording
from metrics.snapshot.content import Content, Moved, Restated, Restatement
from metrics.snapshot.wording import many
from sync_core.commands.words import visible

_MOVED: Final = 24
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)[0-9:.]*(?:\+00:00)?")


def late(told: Restatement) -> str:
    """Of how many contracts something came to be known late."""
    contracts = many(told.contracts, "contract")
    return contracts if told.complete else f"at least {contracts} (the list is cut)"


def moved_by(content: Content) -> list[str]:
    """What moved which measures of this week since it was first reported, a sentence each."""
    told, titles = content.restatement, {one.definition.slug: one.definition.title for one in content.kpis}
    by_contracts = [titles[one.slug] for one in told.kpis if one.by_contracts]
    by_stated = [titles[one.slug] for one in told.kpis if one.by_stated]
    by_release = [f"{titles[one.slug]} ({version_of(content, one.slug)})" for one in told.kpis if one.by_release]
    return [
        *([f"What came to be known late of {late(told)} moved {', '.join(by_contracts)}."] if by_contracts else []),
        *([f"{_sentence(anew(told))} moved {', '.join(by_release)}."] if by_release else []),
        *([f"{_numbers(told)} stated since moved {', '.join(by_stated)}."] if by_stated else []),
    ]


def anew(told: Restatement) -> str:
    """`measured anew by release 0.2.0`; "" where nothing was."""
    return "" if told.anew is None else wording.measured_anew(told.anew.why, told.anew.release)


def because(content: Content, one: Moved) -> str:
    return anew(content.restatement) if one.anew else "known late"


def version_of(content: Content, slug: str) -> str:
    """`definition version 3`, `definition version 3, before 2`."""
    now = next(one.definition.version for one in content.kpis if one.definition.slug == slug)
    before, _ = content.restatement.redefined.get(slug, (now, now))
    return wording.version_of(now, before)


def told_of(one: Restated) -> str:
    """`week`, or `4 weeks, then week` where it is of another span than it was."""
    return one.of if one.of == one.of_before else f"{one.of_before}, then {one.of}"


def _measured_anew(told: Restatement) -> str:
    if (one := told.anew) is None:
        return ""
    return f" {wording.all_measured_anew(one.why, one.release, one.contracts, complete=one.complete)}"


def _redefined(content: Content) -> str:
    """What a definition that changed does to the first report's number."""
    titles = {one.definition.slug: one.definition.title for one in content.kpis}
    named = [(titles[slug], *versions) for slug, versions in sorted(content.restatement.redefined.items())]
    return f" {wording.redefined(named)}" if named else ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _numbers(told: Restatement) -> str:
    """`2 baselines, 1 exchange rate`."""
    kinds = Counter(one.kind for one in told.stated)
    return ", ".join(many(n, kind) for kind, n in sorted(kinds.items()))


def why(one: Restated) -> str:
    parts = (
        "contracts" if one.by_contracts else "",
        "a new release" if one.by_release else "",
        "stated numbers" if one.by_stated else "",
    )
    return " and ".join(part for part in parts if part)


def restated(content: Content) -> dict[str, Any]:
    told, currency = content.restatement, content.reporting
    changes = _changes(told.moved)
    known = {one.definition.slug: one.definition for one in content.kpis}
    if told.since is None:
        says = "This is the first report of the week: there is nothing to compare it with yet."
    else:
        since = wording.moment(told.since, content.zone)
        says = (
            f"First reported as of {since}. What had happened by then and came to be known later is of "
            f"{late(told)}; with it, and with the numbers stated since, {many(len(told.kpis), 'measure')} would have "
            "said something else. "
            "What has happened since is no correction. States stay as they were known at the end of the week."
            f"{_measured_anew(told)}{_redefined(content)}"
        )
    return {
        "restated_says": says,
        "restated": [
            {"title": known[one.slug].title, "before": wording.shown(one.before, known[one.slug].unit, currency),
             "after": wording.shown(one.after, known[one.slug].unit, currency), "n_before": f"{one.n_before:,}",
             "n_after": f"{one.n_after:,}", "why": why(one)}
            for one in told.kpis
        ],
        "stated": [
            [f"{one.kind} {wording.plain(one.name)}", "none" if one.before is None else _plain(one.before),
             _plain(one.after), _short(one.by), f"{one.known_from.astimezone(UTC):%Y-%m-%d %H:%M}",
             _short(one.reason, 100)]
            for one in told.stated
        ],
        "moved_says": "" if len(changes) <= _MOVED else f"The first {_MOVED}; the workbook has all that are listed.",
        "moved": changes[:_MOVED],
    }  # fmt: skip


def _plain(number: Decimal) -> str:
    return f"{number.normalize():,f}"


def _changes(moved: Sequence[Moved]) -> list[list[str]]:
    """One line for each fact of a contract."""
    found: dict[tuple[int, str, str], list[Moved]] = {}
    for one in moved:
        found.setdefault((one.contract_id, one.fact, one.key), []).append(one)
    return [
        [_short(first.contract), _short(first.legal_entity), _short(f"{wording.plain(first.fact)} {first.key}"),
         _short(("measured anew: " if first.anew else "") + "; ".join(map(_change, fields)), 130),
         f"{first.known_from.astimezone(UTC):%Y-%m-%d %H:%M}"]
        for fields in found.values() for first in fields[:1]
    ]  # fmt: skip


def _change(one: Moved) -> str:
    before, after = (_MOMENT.sub(r"\1 \2", text) or "nothing" for text in (one.before, one.after))
    return f"{one.what.replace('_', ' ')}: {before} \u2192 {after}" if one.what else one.after or one.before


def _short(text: str, most: int = 60) -> str:
    whole = visible(" ".join(text.split()))
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"
