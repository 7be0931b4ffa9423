"""Which master record a contract's customer is, where a machine may not say: a person's merge, kept and audited.

The decision is of the customer's code as its CLM names it, so it holds for every contract of that CLM with this code,
also those to come. The contract itself is not changed: it goes on with the master record's code, name and tax number.

Taken back, it is remembered as that: those contracts are planned again and held until a person decides once more,
whatever master data says by then, with what their ERP holds left as it is. So no second customer comes of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.cases.rules import Deed
from sync_core.commands import words
from sync_core.commands.chosen import Needs, Row, choose, remember
from sync_core.commands.desk import Act, Changed, CommandRefused, Desk, InvalidInput
from sync_core.contract import Party
from sync_core.master.match import ALIKE, NEAR
from sync_core.reads.master import decision, stated

COMMANDS: Final[Mapping[str, Permission]] = {
    "identify": Permission.CORRECTIONS_WRITE,
    "take_back": Permission.CORRECTIONS_WRITE,
}


@dataclass(frozen=True, slots=True)
class CustomerIdentified:
    """`is_code` None: it is none of those that are alike."""

    case_id: int
    code: str  # as the contract names its customer
    is_code: str | None
    mdm_id: str | None
    contracts: int  # that look again: all of this CLM that waited with this code


@dataclass(frozen=True, slots=True)
class CustomerTakenBack:
    """`was_code` None: it had been decided to be none of those that are alike."""

    case_id: int
    code: str  # as the contract names its customer
    was_code: str | None
    contracts: int  # that are planned again: all of this CLM with this code that have not ended, and wait


_RECORD = sa.text("""
    SELECT code, name, merged_into FROM core.master_customer WHERE system = :system AND mdm_id = :mdm_id
""")
_LISTED = sa.text("""
    SELECT d ->> 'what' FROM core.case AS k, jsonb_array_elements(k.detail -> 'differences') AS d
    WHERE k.case_id = :case AND d ->> 'kind' = :alike
""")
# Whom the decision concerns: contracts that stand under this code, and those that master data knows under another one
# although their CLM names this code.
_CONCERNED: Final = """c.source = :source AND (c.customer_code = :code OR c.held_values ? 'customer.code' AND EXISTS (
    SELECT FROM core.event AS e WHERE e.source = c.source AND e.external_id = c.external_id
      AND :code IN (e.data #>> '{terms,customer,code}', e.data #>> '{changes,customer,code}')))"""
_ENTITIES = sa.text(f"SELECT DISTINCT c.legal_entity FROM core.contract AS c WHERE {_CONCERNED} ORDER BY 1")
# Whoever comes second waits for the first, and finds their decision. One that was taken back is decided anew.
_MATCH = sa.text("""
    INSERT INTO core.customer_match AS m (source, code, system, mdm_id, decided_by, reason, decided_at)
    VALUES (:source, :code, :system, :mdm_id, :by, :reason, :now) ON CONFLICT (source, code) DO UPDATE
    SET system = excluded.system, mdm_id = excluded.mdm_id, decided_by = excluded.decided_by, reason = excluded.reason,
        decided_at = excluded.decided_at, taken_back_at = NULL, version = m.version + 1
    WHERE m.taken_back_at IS NOT NULL
""")
_TAKE_BACK = sa.text("""
    UPDATE core.customer_match SET taken_back_at = :now, version = version + 1
    WHERE source = :source AND code = :code AND taken_back_at IS NULL
""")
# The exception's own contract and all that the decision concerns in one go, by source and id as everybody locks, and
# before the exception itself. A contract that is being worked on may not see what is decided, so it looks again.
_LOCK_WAITING = sa.text(f"""
    SELECT c.contract_id FROM core.contract AS c
    WHERE c.contract_id = :contract OR {_CONCERNED} AND (c.wanted_rev <> c.done_rev OR EXISTS (
        SELECT FROM core.case AS k WHERE k.contract_id = c.contract_id AND k.state = 'open' AND k.cause = :cause))
    ORDER BY c.source, c.external_id FOR UPDATE
""")
_LOCK_CONCERNED = sa.text(f"""
    SELECT c.contract_id FROM core.contract AS c
    WHERE c.contract_id = :contract OR c.state <> 'ended' AND {_CONCERNED}
    ORDER BY c.source, c.external_id FOR UPDATE
""")
_PLAN_AGAIN = sa.text("""
    UPDATE core.contract SET wanted_rev = wanted_rev + 1, due_at = least(due_at, CAST(:now AS timestamptz))
    WHERE contract_id = ANY(:ids) AND state <> 'ended'
""")


class Customers:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def identify(
        self, actor: Actor, case_id: int, record: str | None, reason: str, *, version: int | None = None
    ) -> CustomerIdentified:
        """`record`: "system/mdm_id" of the master record that it is; None: another customer than all of them.

        Raises Forbidden, also where contracts of other legal entities name this code; NotFound, CommandRefused; Changed
        where somebody decided before; InvalidInput for a record that the exception does not list or that was merged
        into another one.
        """
        return self._desk.run(
            actor, COMMANDS["identify"], lambda act: identify(act, case_id, record, reason, version=version)
        )

    def take_back(
        self, actor: Actor, case_id: int, code: str, reason: str, *, version: int | None = None
    ) -> CustomerTakenBack:
        """`code`: the customer's, as the exception shows it, which may be open or not. Raises Forbidden, also where
        contracts of other legal entities name this code; NotFound; Changed where the contract names another code by
        now; CommandRefused where nobody decided.
        """
        return self._desk.run(
            actor, COMMANDS["take_back"], lambda act: take_back(act, case_id, code, reason, version=version)
        )


def identify(
    act: Act, case_id: int, record: str | None, reason: str, *, version: int | None = None
) -> CustomerIdentified:
    why = words.reason(reason)
    row = choose(act, Needs(Deed.IDENTIFY, locks=False), [case_id], version=version).rows[0]
    party = _stated(act, row)
    bound = {"source": row.source, "code": party.code, "contract": row.contract_id, "cause": NEAR, "now": act.now}
    _within_reach(act, row, bound)
    locked = act.conn.execute(_LOCK_WAITING, bound).scalars().all()
    row = choose(act, Needs(Deed.IDENTIFY), [case_id], version=version).rows[0]
    _meant(act, row, party.code)
    _undecided(act, bound)
    if row.wanted_rev != row.done_rev:
        raise Changed(f"contract {row.external_id} changed since; wait for its next run, then decide")
    system, mdm_id, is_code = _record(act, case_id, record)
    match = {**bound, "system": system, "mdm_id": mdm_id, "by": act.actor.name, "reason": why}
    if not act.conn.execute(_MATCH, match).rowcount:
        _undecided(act, bound)
    woken = act.conn.execute(_PLAN_AGAIN, {"ids": locked, "now": act.now}).rowcount
    act.wakes = True
    told = f"{party.code} is {is_code}" if is_code else f"{party.code} is a customer of its own"
    remember(act, "corrected", [row], note=f"{why}\n{told}")
    detail = {"source": row.source, "code": party.code, "name": party.name, "is": is_code, "system": system,
              "mdm_id": mdm_id, "contracts": woken}  # fmt: skip
    act.note(Entry("customer.identify", f"exception {case_id}", why, row.contract_id, row.legal_entity, detail=detail))
    return CustomerIdentified(case_id, party.code, is_code, mdm_id, woken)


def take_back(act: Act, case_id: int, code: str, reason: str, *, version: int | None = None) -> CustomerTakenBack:
    why = words.reason(reason)
    row = choose(act, Needs(Deed.TAKE_BACK, locks=False), [case_id]).rows[0]
    bound = {"source": row.source, "code": _meant(act, row, code), "contract": row.contract_id, "now": act.now}
    _within_reach(act, row, bound)
    locked = act.conn.execute(_LOCK_CONCERNED, bound).scalars().all()
    choose(act, Needs(Deed.TAKE_BACK), [case_id], version=version)
    _meant(act, row, code)
    was = decision(act.conn, row.source, code)
    if was is None or not act.conn.execute(_TAKE_BACK, bound).rowcount:
        raise CommandRefused(f"nobody decided which customer {code} is, or it was taken back; there is nothing to undo")
    planned = act.conn.execute(_PLAN_AGAIN, {"ids": locked, "now": act.now}).rowcount
    act.wakes = True
    told = f"took back that {code} {was.words}, which {was.decided_by} decided on {was.decided_at:%Y-%m-%d}"
    remember(act, "commented", [row], note=f"{why}\n{told}")
    detail = {"source": row.source, "code": code, "was": was.is_code, "mdm_id": was.mdm_id,
              "decided_by": was.decided_by, "decided_at": was.decided_at.isoformat(), "contracts": planned}  # fmt: skip
    act.note(Entry("customer.take_back", f"exception {case_id}", why, row.contract_id, row.legal_entity, detail=detail))
    return CustomerTakenBack(case_id, code, was.is_code, planned)


def _stated(act: Act, row: Row) -> Party:
    """Raises CommandRefused."""
    party = stated(act.conn, row.source, row.external_id, act.estate, act.now)
    if party is None:
        raise CommandRefused(f"contract {row.external_id} names no customer yet; there is nothing to decide")
    return party


def _meant(act: Act, row: Row, code: str) -> str:
    """Raises Changed: an exception is of whom its contract names today, and who decides may have looked before."""
    today = _stated(act, row).code
    if code != today:
        raise Changed(f"contract {row.external_id} names {today} as its customer, not {code}; look at it again")
    return code


def _within_reach(act: Act, row: Row, bound: Mapping[str, object]) -> None:
    """Raises Forbidden: the decision is of all contracts of the code, whatever legal entity they are of."""
    for entity in act.conn.execute(_ENTITIES, bound).scalars():
        act.actor.require(Permission.CORRECTIONS_WRITE, entity=entity, function=row.function)


def _undecided(act: Act, bound: Mapping[str, object]) -> None:
    known = decision(act.conn, str(bound["source"]), str(bound["code"]))
    if known is not None:
        raise Changed(
            f"{known.decided_by} decided on {known.decided_at:%Y-%m-%d} that {bound['code']} {known.words}; it holds "
            "for all contracts of this code, which look again, until it is taken back"
        )


def _record(act: Act, case_id: int, record: str | None) -> tuple[str | None, str | None, str | None]:
    if record is None:
        return None, None, None
    system, _, mdm_id = record.partition("/")
    found = act.conn.execute(_RECORD, {"system": system, "mdm_id": mdm_id}).one_or_none()
    if found is None:
        raise InvalidInput(f"there is no master record {record!r}; name one as the exception lists them")
    if found.merged_into is not None:
        raise InvalidInput(f"master record {record} was merged into {found.merged_into}; the exception lists it anew")
    listed = act.conn.execute(_LISTED, {"case": case_id, "alike": ALIKE}).scalars().all()
    if record not in listed:
        raise InvalidInput(f"{record} is none of the records that are alike: {', '.join(listed)}")
    return system, mdm_id, found.code
