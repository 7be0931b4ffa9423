"""Open projects whoever made them, for the first day on a running firm; and our key written on one of them.

Tryton's projects have no value and no dates, so of one without a comment of ours neither is told, and nobody finds it
by its attributes: the firm's list names it. Its tasks are paired with the contract's parts all the same: those sold by
the piece are milestones, those sold by the hour labour rates. A task without a product or a price bills nothing.
"""

from collections.abc import Sequence
from typing import Final

from sync_core.connectors.answers import Row
from sync_core.connectors.erp.tryton.note import CLOSED, Note
from sync_core.connectors.erp.tryton.rpc import Domain, Rpc
from sync_core.connectors.erp.tryton.wire import Value, Values, linked, linked_text, number
from sync_core.connectors.erp.tryton.works import FIELDS, billed, codes, kind_of, part_fields, project_fields
from sync_core.desired import Found, Kind, Scalar
from sync_core.errors import ErpRejected
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ports import CallContext, ProjectPage

_PAGE: Final = 200
_FIELDS: Final = (*FIELDS, "number", "product.default_uom.symbol")
_BY_UNIT: Final = {"u": Kind.MILESTONE, "h": Kind.LABOUR_RATE}
# Of what stands in our comment alone nothing is known where there is none.
_NOTED: Final = frozenset({"value", "starts_on", "ends_on", "payment_terms", "po_number", "not_to_exceed", "bill_on"})
_OPEN: Final[Value] = ["OR", ["status.progress", "=", None], ["status.progress", "<", 1.0]]


class Lister:
    """Reads and labels works that may not be ours."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def projects(self, cursor: str | None, ctx: CallContext) -> ProjectPage:
        domain: Domain = [["type", "=", "project"], ["id", ">", int(cursor or 0)], _OPEN]
        rows = await self._rpc.rows("projects.list", "project.work", domain, _FIELDS, ctx, limit=_PAGE)
        found = [one for row in rows if (one := _project(row)).active]
        last = str(number(rows[-1])) if rows else cursor or "0"
        return ProjectPage(tuple(found), last, more=len(rows) == _PAGE)

    async def project(self, ref: ErpRef, ctx: CallContext) -> Found | None:
        domain: Domain = [["type", "=", "project"], ["id", "=", int(ref)], _OPEN]
        rows = await self._rpc.rows("project.read", "project.work", domain, _FIELDS, ctx)
        return next((one for row in rows if (one := _project(row)).active), None)

    async def parts(self, project: Found, ctx: CallContext) -> Sequence[Found]:
        domain: Domain = [["type", "=", "task"], ["parent", "child_of", [int(project.ref)]]]
        rows = await self._rpc.rows("parts.list", "project.work", domain, _FIELDS, ctx)
        return [found for row in rows if (found := _part(row, project)) is not None]

    async def relabel(self, kind: Kind, ref: ErpRef, key: BusinessKey, ctx: CallContext) -> None:
        """What people wrote into the comment stays, below our line."""
        work = int(ref)
        fields = ["comment", "_timestamp"]
        rows = await self._rpc.rows(f"{kind}.read", "project.work", [["id", "=", work]], fields, ctx)
        if not rows:
            raise ErpRejected(self._rpc.system, f"{kind} {ref} is no longer there; adopt the contract anew")
        comment = rows[0].optional("comment")
        held = Note.read(comment)
        if held is not None and held.key == key:
            return
        note = Note(key, held.fields, held.words) if held else Note(key, {}, (comment or "").strip("\n"))
        stamps: Values = {f"project.work,{work}": rows[0].text("_timestamp")}
        changes: list[tuple[Sequence[int], Values]] = [([work], {"comment": note.text})]
        await self._rpc.write(f"{kind}.relabel", "project.work", changes, ctx, unless_newer_than=stamps)


def _key(row: Row, note: Note | None) -> BusinessKey:
    """That of our comment, else Tryton's own number."""
    return note.key if note is not None else BusinessKey(row.optional("number") or str(number(row)))


def _told(fields: dict[str, Scalar], note: Note | None) -> dict[str, Scalar]:
    return fields if note is not None else {name: value for name, value in fields.items() if name not in _NOTED}


def _project(row: Row) -> Found:
    own = Note.read(row.optional("comment"))
    note, known = own or Note(_key(row, None), {}), codes(linked(row, "party"))
    entity = codes(linked(linked(row, "company") or row, "party"))
    fields = project_fields(
        row, note, customer=next(iter(known), None), legal_entity=next(iter(entity), None), tax_code=None
    )
    del fields["tax_code"]  # a matter of the customer's tax rule, and of the contract
    at = _key(row, own), ErpRef(str(number(row)))
    return Found(Kind.PROJECT, *at, _told(fields, own), None, billed(row), CLOSED not in note.fields)


def _part(row: Row, project: Found) -> Found | None:
    own = Note.read(row.optional("comment"))
    priced = row.fields.get("list_price") is not None
    unit = linked_text(linked(row, "product"), "default_uom", "symbol") if priced else None
    kind = kind_of(own.key) if own is not None else _BY_UNIT.get(unit or "")
    if kind is None or (own is not None and CLOSED in own.fields):
        return None
    fields = _told(part_fields(kind, row, own or Note(_key(row, None), {})), own)
    at = _key(row, own), ErpRef(str(number(row)))
    return Found(kind, *at, {**fields, "project": project.key}, project.ref, billed(row))
