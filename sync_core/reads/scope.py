"""What a viewer's reach means for a read: contracts of some legal entities, or all of them.

A contract whose entity is not known yet has "", which is in no set: only viewers without a limit see it.
"""

from collections.abc import Set as AbstractSet
from typing import Final

from sync_core.authority import Actor, Forbidden, Permission

Entities = frozenset[str] | None  # None: all; empty: none


def bound(entities: AbstractSet[str] | None) -> dict[str, list[str] | None]:
    """The value that statements with `within` bind."""
    return {"entities": None if entities is None else sorted(entities)}


def within(column: str) -> str:
    """The condition on a column of legal entities. Planned away where nothing limits the viewer."""
    return f"(CAST(:entities AS text[]) IS NULL OR {column} = ANY(CAST(:entities AS text[])))"


# LEFT, although each has its contract: where nothing is asked of the contract, the planner then leaves the join out.
CASES: Final = "core.case AS k LEFT JOIN core.contract AS c USING (contract_id)"
# Of a row `k` whose contract is not looked at otherwise: test contracts are few, and an index has only these.
NOT_OF_A_TEST: Final = "k.contract_id NOT IN (SELECT t.contract_id FROM core.contract AS t WHERE t.test)"
CONTRACT: Final = within("legal_entity")  # of core.contract without an alias
OF_CONTRACT: Final = within("c.legal_entity")  # of core.contract AS c


def whole_group(actor: Actor, permission: Permission) -> None:
    """For what cannot be cut to some legal entities. Raises Forbidden for who reaches only some."""
    actor.require(permission)
    reach = actor.entities(permission)
    if reach is not None:
        within = ", ".join(sorted(reach)) or "nothing"
        words = f"snapshots are of the whole group, and your reach is {within}; KPIs show your part"
        raise Forbidden(permission, words)


def scope_of(actor: Actor) -> str:
    """A text that two actors share only if they may read the same of the same legal entities."""
    parts = []
    for permission in sorted(actor.reaches):
        entities = actor.entities(permission)
        parts.append(permission if entities is None else f"{permission}@{'+'.join(sorted(entities))}")
    return " ".join(parts)
