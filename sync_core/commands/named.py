"""Contracts as people name them: by the id that their CLM gave them, or by Tieline's own number.

An id alone will do where it fits one contract; `clm/C-2026-00012` says whose is meant, by the CLM's name or source, and
`tieline/12` means Tieline's number. What fits several contracts is refused: nobody is to replay the wrong one.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.commands.desk import Act, Desk, InvalidInput, NotFound
from sync_core.commands.words import visible
from sync_core.estate.estate import Estate
from sync_core.reads.scope import CONTRACT, Entities, bound

_OURS: Final = "tieline"
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_LONGEST: Final = 80  # characters of a name in a message

_BY_NUMBER = sa.text(f"SELECT contract_id FROM core.contract WHERE contract_id = ANY(:numbers) AND {CONTRACT}")
_BY_NAME = sa.text(f"""
    SELECT contract_id, source, external_id FROM core.contract WHERE external_id = ANY(:names) AND {CONTRACT}
""")


def contract_ids(act: Act, names: Sequence[int | str], permission: Permission) -> list[int]:
    """In the order of the names. Raises NotFound for what is not within reach, InvalidInput for what fits several."""
    entities = act.actor.entities(permission)
    return _ids(act.conn, names, act.estate, None if entities is None else frozenset(entities))


def found(desk: Desk, names: Sequence[str]) -> list[int]:
    """The same before a command, for the operator of this machine, who may reach all."""
    with desk.engine.connect() as conn:
        return _ids(conn, names, desk.estate, None)


def _ids(conn: sa.Connection, names: Sequence[int | str], estate: Estate, entities: Entities) -> list[int]:
    texts = [name.strip().replace("\0", "") for name in names if isinstance(name, str)]
    if not texts:
        return [int(name) for name in names]  # the command itself says which of them does not exist
    ways = {text: _ways(text, estate) for text in texts}
    ours = {int(own) for each in ways.values() for source, own in each if source == _OURS}
    theirs = {own for each in ways.values() for source, own in each if source != _OURS}
    known = {(_OURS, str(number)): int(number) for number in conn.execute(
        _BY_NUMBER, {"numbers": sorted(ours), **bound(entities)}).scalars()}  # fmt: skip
    for row in conn.execute(_BY_NAME, {"names": sorted(theirs), **bound(entities)}):
        known[row.source, row.external_id] = row.contract_id
    meant = {text: _one(text, each, known, estate) for text, each in ways.items()}
    return [meant[name.strip().replace("\0", "")] if isinstance(name, str) else name for name in names]


def _ways(text: str, estate: Estate) -> list[tuple[str, str]]:
    """(whose, id) for each way to read it."""
    marks = [(_OURS, _OURS), *((clm.source, mark) for clm in estate.clm for mark in (clm.name, clm.source))]
    ways = [(source, text) for source in (_OURS, *estate.clms)]
    ways += [(source, text[len(mark) + 1 :]) for source, mark in marks if text.startswith(f"{mark}/")]
    return [(source, own) for source, own in ways if source != _OURS or _NUMBER.fullmatch(own)]


def _one(text: str, ways: Sequence[tuple[str, str]], known: Mapping[tuple[str, str], int], estate: Estate) -> int:
    found_ = {known[way]: way for way in ways if way in known}
    said = visible(text)[:_LONGEST]
    if not found_:
        raise NotFound(f"there is no contract {said!r}, or it is not within your reach")
    if len(found_) > 1:
        whose = sorted(estate.clms[source].name if source in estate.clms else source for source, _ in found_.values())
        raise InvalidInput(f"{said!r} is a contract of {' and of '.join(whose)}; say whose, as in {whose[0]}/{said}")
    return next(iter(found_))
