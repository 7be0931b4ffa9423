"""A signed contract that its CLM publishes again: what is the same, what was repaired, and what differs silently. Pure.

A signature stands until the contract ends. Published again, its terms are compared with the agreed ones part by part:
what no numbered amendment, correction or renewal accounts for is a silent change. It is kept beside the agreed terms,
never applied. Two things are no change: terms as they were, and what Tieline corrected meanwhile, which the CLM may
state as it had it before (it does not know of the correction) or in its own way (it owns the field).
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Final

from sync_core.contract import Contract, ContractLine, LabourRate, Milestone, Part, Path, Repaired, Silent, Terms

PARTS: Final[Mapping[str, type[Part]]] = {"lines": ContractLine, "milestones": Milestone, "rates": LabourRate}
HEADER: Final = tuple(field.name for field in fields(Terms) if field.name not in PARTS)


def rate_key(rate: LabourRate) -> str:
    return rate.category if rate.valid_from is None else f"{rate.category}@{rate.valid_from.isoformat()}"


def part_name(part: Part) -> str:
    """By what a part is known in its list."""
    return rate_key(part) if isinstance(part, LabourRate) else part.key


def by_path(terms: Terms) -> dict[Path, object]:
    """Every field of the header and every part under its own path."""
    known: dict[Path, object] = {(name, ""): getattr(terms, name) for name in HEADER}
    known |= {(name, part_name(part)): part for name in PARTS for part in getattr(terms, name)}
    return known


def with_values(terms: Terms, values: Mapping[Path, object]) -> Terms:
    """With these in place of what stands there; a part that is None is gone."""
    header = {name: value for (name, key), value in values.items() if not key}
    lists: dict[str, tuple[Part, ...]] = {}
    for name in {name for name, key in values if key}:
        parts = {part_name(part): part for part in getattr(terms, name)}
        parts |= {key: value for (of, key), value in values.items() if of == name}
        lists[name] = tuple(part for part in parts.values() if part is not None)
    return replace(terms, **header, **lists)  # type: ignore[arg-type]  # made of the terms' own fields


def published_again(contract: Contract, stated: Terms, event_id: str) -> Contract:
    """The contract after its CLM published it again with these terms. Expects it signed, with terms."""
    assert contract.terms is not None  # noqa: S101 - the fold asks first
    agreed, new, repaired = by_path(contract.terms), by_path(stated), dict(contract.repaired)
    silent: list[Silent] = []
    restated: dict[Path, object] = {}
    for path in sorted(agreed.keys() | new.keys()):
        was, says = agreed.get(path), new.get(path)
        if path in repaired and says != repaired[path]:
            repaired.pop(path)
            restated |= {path: says} if says != was else {}
        elif says != was and path not in repaired:
            silent.append(Silent(path, was, says))
    return replace(
        contract,
        terms=with_values(contract.terms, restated) if restated else contract.terms,
        repaired=tuple(sorted(repaired.items(), key=lambda item: item[0])),
        silent=tuple(silent),
        silent_since=(contract.silent_since or event_id) if silent or contract.silent_days else None,
    )


def numbered_again(contract: Contract, said: Terms | None, says: Terms | None, event_id: str) -> Contract:
    """The contract after an amendment's number was used again. `said`: the terms after the one of that number, `says`:
    as this one would have made them. The same is no news; what differs is kept beside what is agreed by now.
    """
    if contract.terms is None or said is None or says is None:
        return contract
    agreed, was, stated = by_path(contract.terms), by_path(said), by_path(says)
    silent = {one.path: one for one in contract.silent}
    for path in was.keys() | stated.keys():
        if stated.get(path) not in (was.get(path), agreed.get(path)):
            silent[path] = Silent(path, agreed.get(path), stated.get(path))
    listed = tuple(silent[path] for path in sorted(silent))
    since = contract.silent_since or (event_id if listed else None)
    return replace(contract, silent=listed, silent_since=since)


def settled(before: Contract, after: Contract) -> Contract:
    """`after` an event that may change terms: what it says of a silent change, in whatever sense, ends that one."""
    if after.terms is None or before.terms is after.terms or not after.silent:
        return after
    now = by_path(after.terms)
    left = tuple(one for one in after.silent if now.get(one.path) == one.agreed)
    return replace(after, silent=left, silent_since=after.silent_since if left or after.silent_days else None)


def corrected(before: Contract, after: Contract) -> Contract:
    """`after` a correction of ours: remembers what the CLM had published of each term that it changed.

    Accepting what was published silently is no correction of it: there the CLM said it itself.
    """
    if before.terms is None or after.terms is None:
        return after
    was, now = by_path(before.terms), by_path(after.terms)
    accepted = {one.path for one in before.silent if now.get(one.path) == one.stated}
    changed = {path: was.get(path) for path in was.keys() | now.keys() if was.get(path) != now.get(path)}
    fresh = {path: value for path, value in changed.items() if path not in accepted}
    return _remembering(after, {**fresh, **dict(before.repaired)})


def agreed_anew(before: Contract, after: Contract) -> Contract:
    """`after` an amendment: what it changed is no correction any more."""
    if before.terms is None or after.terms is None or not after.repaired:
        return after
    was, now = by_path(before.terms), by_path(after.terms)
    return _remembering(after, {path: value for path, value in after.repaired if was.get(path) == now.get(path)})


def _remembering(contract: Contract, repaired: Mapping[Path, object]) -> Contract:
    listed: tuple[Repaired, ...] = tuple(sorted(repaired.items(), key=lambda item: item[0]))
    return replace(contract, repaired=listed)


def as_published(contract: Contract) -> Terms | None:
    """The terms as the CLM published them last, silent changes and all."""
    if contract.terms is None:
        return None
    return with_values(contract.terms, {one.path: one.stated for one in contract.silent})


def accepting(contract: Contract) -> dict[str, object]:
    """The `changes` of the correction that accepts all that was published silently."""
    changes: dict[str, object] = {}
    for one in contract.silent:
        name, key = one.path
        if not key:
            changes[name] = one.stated
        elif one.stated is None:
            changes[f"remove_{name}"] = [*_listed(changes, f"remove_{name}"), key]
        else:
            changes[name] = [*_listed(changes, name), one.stated]
    return changes


def _listed(changes: Mapping[str, object], name: str) -> list[object]:
    held = changes.get(name, [])
    return held if isinstance(held, list) else []
