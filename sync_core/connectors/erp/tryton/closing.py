"""Taking away or ending what Tryton holds and the contract no longer wants.

A task under invoice method effort is billed once its progress is 1, and a project can be Done only when all its
tasks are. So ending a project would bill what was never reached: prices are taken out, or the method is set to
manual, in the same transaction. What was earned (a reached milestone, booked hours) keeps its price, for
finance to invoice. What ends stays readable, marked in its comment; only an unused double and an unused task
disappear, both without booked time, which Tryton would not let go.
"""

from collections.abc import Sequence
from datetime import date

from sync_core.clock import Clock
from sync_core.connectors.answers import Row
from sync_core.connectors.erp.tryton.master_data import MasterData
from sync_core.connectors.erp.tryton.note import CLOSED, Note, of_contract
from sync_core.connectors.erp.tryton.rpc import Domain, Rpc
from sync_core.connectors.erp.tryton.wire import Value, Values, number
from sync_core.connectors.erp.tryton.works import MANUAL, billed
from sync_core.desired import Kind
from sync_core.errors import ErpRejected
from sync_core.keys import ErpRef
from sync_core.ports import CallContext

_FIELDS = (
    "comment", "parent", "project_invoice_method", "invoice_method", "invoice_line", "invoiced_amount", "progress",
    "timesheet_available", "timesheet_duration", "_timestamp",
)  # fmt: skip


class Closer:
    """Closes projects and parts; what is already gone or closed is left as it is."""

    def __init__(self, rpc: Rpc, master_data: MasterData, clock: Clock) -> None:
        self._rpc, self._master_data, self._clock = rpc, master_data, clock

    async def close(self, kind: Kind, ref: ErpRef, ctx: CallContext) -> None:
        work = int(ref)
        domain: Domain = [["parent", "child_of", [work]]]
        rows = await self._rpc.rows(f"{kind}.read", "project.work", domain, _FIELDS, ctx)
        top = next((row for row in rows if number(row) == work), None)
        if top is None:
            return
        note = Note.read(top.optional("comment"))
        if note is None or CLOSED in note.fields:
            return
        unused = not any(billed(row) or _has_time(row) for row in rows)
        ours_alone = all(Note.read(row.optional("comment")) is not None for row in rows)
        if kind is not Kind.PROJECT:
            is_leaf = len(rows) == 1
            await (self._delete(kind, rows, ctx) if unused and is_leaf else self._retire(kind, top, note, ctx))
        elif unused and ours_alone and await self._is_double(work, note, ctx):
            await self._delete(kind, rows, ctx)
        else:
            await self._end(work, rows, note, ctx)

    async def _is_double(self, work: int, note: Note, ctx: CallContext) -> bool:
        found = await self._rpc.rows("contract.find", "project.work", of_contract(note.key), ["comment"], ctx)
        notes = [(number(row), Note.read(row.optional("comment"))) for row in found]
        return any(
            other is not None and at != work and other.key == note.key and CLOSED not in other.fields
            for at, other in notes
        )

    async def _delete(self, kind: Kind, rows: Sequence[Row], ctx: CallContext) -> None:
        await self._rpc.delete(f"{kind}.close", "project.work", [number(row) for row in rows], ctx)

    async def _retire(self, kind: Kind, top: Row, note: Note, ctx: CallContext) -> None:
        """A dropped part that people have worked on: no more time, and no price unless hours were booked for it."""
        if top.fields.get("invoice_line") is not None:
            raise ErpRejected(self._rpc.system, f"{kind} {note.key} is already invoiced; agree on a credit note")
        values = {**self._ended(top, note), **({} if _has_time(top) else {"list_price": None})}
        await self._rpc.write(
            f"{kind}.close", "project.work", [([number(top)], values)], ctx, unless_newer_than=_stamps([top])
        )

    async def _end(self, work: int, rows: Sequence[Row], note: Note, ctx: CallContext) -> None:
        done: Values = {"status": (await self._master_data.statuses(ctx)).done, "progress": 1.0}
        top = next(row for row in rows if number(row) == work)
        tasks = [row for row in rows if number(row) != work]
        changes: list[tuple[Sequence[int], Values]] = []
        if not any(billed(row) or _is_earned(row) for row in tasks):
            changes.append(([work], {"project_invoice_method": MANUAL}))
        for row in reversed(tasks):  # a task can be done only once those under it are
            spare: Values = {} if billed(row) or _is_earned(row) else {"list_price": None}
            changes.append(([number(row)], {**spare, **self._no_more_time(row), **done}))
        changes.append(([work], {**self._ended(top, note), **done}))
        await self._rpc.write("project.close", "project.work", changes, ctx, unless_newer_than=_stamps(rows))

    def _ended(self, row: Row, note: Note) -> dict[str, Value]:
        comment = note.with_fields({CLOSED: self._today().isoformat()}).text
        return {"comment": comment, **self._no_more_time(row)}

    def _no_more_time(self, row: Row) -> dict[str, Value]:
        return {"timesheet_end_date": self._today()} if row.flag("timesheet_available") else {}

    def _today(self) -> date:
        return self._clock.now().date()


def _has_time(row: Row) -> bool:
    return row.fields.get("timesheet_duration") is not None and row.decimal("timesheet_duration") > 0


def _is_earned(row: Row) -> bool:
    """May be invoiced as it stands."""
    if row.optional("invoice_method") == "timesheet":
        return _has_time(row)
    reached = row.fields.get("progress") is not None and row.decimal("progress") == 1
    return reached and row.optional("invoice_method") != MANUAL


def _stamps(rows: Sequence[Row]) -> Values:
    return {f"project.work,{number(row)}": row.text("_timestamp") for row in rows}
