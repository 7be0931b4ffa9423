"""Lists taken out of Tieline as files. Reading a page leaves no trace; taking its rows away does.

The rows are those that the actor's own view of the list shows, in its order, up to `MOST`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.commands.desk import Act, Desk
from sync_core.reads.ages import cuts_of
from sync_core.reads.contracts import ContractFilter, Sort, contract_listing, contracts_table
from sync_core.reads.exceptions import ExceptionFilter, ExceptionSort, exception_listing, exceptions_table
from sync_core.reads.export import safe_csv

MOST: Final = 10_000  # rows of one file

COMMANDS: Final[Mapping[str, Permission]] = {
    "contracts": Permission.CONTRACTS_READ,
    "exceptions": Permission.EXCEPTIONS_READ,
}


@dataclass(frozen=True, slots=True)
class Export:
    """A CSV file (UTF-8 with a byte order mark). `complete` False: more rows met the filter than `MOST`."""

    name: str
    body: bytes
    rows: int
    complete: bool


class Exports:
    """`desk` carries the commands out."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def contracts(self, actor: Actor, wanted: ContractFilter, sort: Sort = Sort.UPDATED) -> Export:
        """The contracts that meet the filter and that the actor may see. Raises Forbidden."""
        return self._desk.run(actor, Permission.CONTRACTS_READ, lambda act: contracts(act, wanted, sort))

    def exceptions(self, actor: Actor, wanted: ExceptionFilter, sort: ExceptionSort = ExceptionSort.MONEY) -> Export:
        """The exceptions that meet the filter and that the actor may see. Raises Forbidden."""
        return self._desk.run(actor, Permission.EXCEPTIONS_READ, lambda act: exceptions(act, wanted, sort))


def contracts(act: Act, wanted: ContractFilter, sort: Sort) -> Export:
    """One audit row with the filter and a root over the contracts' ids."""
    reach = act.actor.entities(Permission.CONTRACTS_READ)
    reporting = act.estate.group.reporting_currency
    listing = contract_listing(wanted, sort, now=act.now, reporting=reporting, entities=reach)
    rows = listing.first(act.conn, MOST + 1)
    kept = rows[:MOST]
    noted(act, "export.contracts", asdict(wanted) | {"sort": sort}, [row.contract_id for row in kept])
    return Export(_name(act, "contracts"), safe_csv(contracts_table(kept)), len(kept), len(rows) <= MOST)


def exceptions(act: Act, wanted: ExceptionFilter, sort: ExceptionSort) -> Export:
    """One audit row with the filter and a root over the exceptions' ids."""
    reach = act.actor.entities(Permission.EXCEPTIONS_READ)
    reporting = act.estate.group.reporting_currency
    cuts = None if wanted.age is None else cuts_of(act.estate, act.now)
    listing = exception_listing(wanted, sort, reporting=reporting, entities=reach, cuts=cuts)
    rows = listing.first(act.conn, MOST + 1)
    kept = rows[:MOST]
    noted(act, "export.exceptions", asdict(wanted) | {"sort": sort}, [row.case_id for row in kept])
    return Export(_name(act, "exceptions"), safe_csv(exceptions_table(kept, now=act.now)), len(kept), len(rows) <= MOST)


def noted(act: Act, action: str, asked: Mapping[str, object], ids: Sequence[object]) -> None:
    """Audit that rows left Tieline: what was asked for, how many, a root over their ids. The API's reads use it too.

    `action` is "export.<noun>" for files and "read.<noun>" for the API. Call it once per command.
    """
    noun = action.partition(".")[2]
    said = {name: value for name, value in asked.items() if value is not None and value not in ("", ())}
    act.note(Entry(action, f"{len(ids)} {noun}", detail={"asked": said, "rows": len(ids)}, items=ids))


def _name(act: Act, noun: str) -> str:
    return f"{noun}-{act.now:%Y-%m-%d}.csv"
