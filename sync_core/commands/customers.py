"""Which master record a contract's customer is, where a machine may not say: a person's merge, kept and audited.

The decision is of the customer's code as its CLM names it, so it holds for every contract of that CLM with this code,
also those to come. The contract itself is not changed: it goes on with the master record's code, name and tax number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from sync_core.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.case_rules import Deed
from sync_core.commands import words
from sync_core.commands.chosen import Needs, choose, remember
from sync_core.commands.desk import Act, CommandRefused, Desk, InvalidInput
from sync_core.contract_events import events_of
from sync_core.fold import fold
from sync_core.master.match import NEAR

COMMANDS: Final[Mapping[str, Permission]] = {"identify": Permission.CORRECTIONS_WRITE}


@dataclass(frozen=True, slots=True)
class CustomerIdentified:
    """`is_code` None: it is none of those that are alike."""

    case_id: int
    code: str  # as the contract names its customer
    is_code: str | None
    mdm_id: str | None
    contracts: int  # that look again: all of this CLM that waited with this code


_RECORD = sa.text("""
    SELECT code, name, merged_into FROM core.master_customer WHERE system = :system AND mdm_id = :mdm_id
""")
_MATCH = sa.text("""
    INSERT INTO core.customer_match AS m (source, code, system, mdm_id, decided_by, reason, decided_at)
    VALUES (:source, :code, :system, :mdm_id, :by, :reason, :now)
    ON CONFLICT (source, code) DO UPDATE
    SET system = excluded.system, mdm_id = excluded.mdm_id, decided_by = excluded.decided_by, reason = excluded.reason,
        decided_at = excluded.decided_at, version = m.version + 1
""")
# Before the exception's own row in the order of locks: contracts by source and id.
_WAKE = sa.text("""
    WITH mine AS (
        SELECT c.contract_id FROM core.contract AS c
        WHERE c.source = :source AND c.customer_code = :code AND EXISTS (
            SELECT FROM core.case AS k WHERE k.contract_id = c.contract_id AND k.state = 'open' AND k.cause = :cause)
        ORDER BY c.source, c.external_id FOR UPDATE
    )
    UPDATE core.contract AS c SET wanted_rev = c.wanted_rev + 1, due_at = least(c.due_at, CAST(:now AS timestamptz))
    FROM mine WHERE c.contract_id = mine.contract_id
""")


class Customers:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def identify(
        self, actor: Actor, case_id: int, record: str | None, reason: str, *, version: int | None = None
    ) -> CustomerIdentified:
        """`record`: "system/mdm_id" of the master record that it is; None: another customer than all of them.

        Raises Forbidden, NotFound, Changed, CommandRefused, and InvalidInput for a record that there is not or that was
        merged into another one.
        """
        return self._desk.run(
            actor, COMMANDS["identify"], lambda act: identify(act, case_id, record, reason, version=version)
        )


def identify(
    act: Act, case_id: int, record: str | None, reason: str, *, version: int | None = None
) -> CustomerIdentified:
    why = words.reason(reason)
    row = choose(act, Needs(Deed.IDENTIFY, contracts=True), [case_id], version=version).rows[0]
    terms = fold(events_of(act.conn, row.source, row.external_id)).terms
    if terms is None:
        raise CommandRefused(f"contract {row.external_id} names no customer yet; there is nothing to decide")
    party = terms.customer
    system, mdm_id, is_code = _record(act, record)
    bound = {"source": row.source, "code": party.code, "now": act.now}
    act.conn.execute(_MATCH, {**bound, "system": system, "mdm_id": mdm_id, "by": act.actor.name, "reason": why})
    woken = act.conn.execute(_WAKE, {**bound, "cause": NEAR}).rowcount
    act.wakes = True
    told = f"{party.code} is {is_code}" if is_code else f"{party.code} is a customer of its own"
    remember(act, "corrected", [row], note=f"{why}\n{told}")
    detail = {"source": row.source, "code": party.code, "name": party.name, "is": is_code, "system": system,
              "mdm_id": mdm_id, "contracts": woken}  # fmt: skip
    act.note(Entry("customer.identify", f"exception {case_id}", why, row.contract_id, row.legal_entity, detail=detail))
    return CustomerIdentified(case_id, party.code, is_code, mdm_id, woken)


def _record(act: Act, record: str | None) -> tuple[str | None, str | None, str | None]:
    if record is None:
        return None, None, None
    system, _, mdm_id = record.partition("/")
    found = act.conn.execute(_RECORD, {"system": system, "mdm_id": mdm_id}).one_or_none()
    if found is None:
        raise InvalidInput(f"there is no master record {record!r}; name one as the exception lists them")
    if found.merged_into is not None:
        raise InvalidInput(f"master record {record} was merged into {found.merged_into}; name that one")
    return system, mdm_id, found.code
