"""Invoices of our contracts and whether they were paid, read on from where the last read ended.

Only what was posted counts: a draft has no number, and its amounts may still change. An invoice belongs to the
contract whose tasks or booked hours its lines bill; a credit note follows its lines' origin. Amounts are of
those lines, without tax. Payments in part cannot be seen by a user without accounting rights, so a payment is
reported when the invoice is settled, on the day of that. Tryton knows no disputes.

An invoice bears the time at which its transaction began, so it can appear behind the newest one seen: each
read goes back a little, and the cursor says what was there already.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from sync_core.connectors.answers import Row
from sync_core.connectors.erp.tryton.note import Note
from sync_core.connectors.erp.tryton.rpc import Domain, Rpc
from sync_core.connectors.erp.tryton.wire import Value, linked_text, number
from sync_core.errors import ErpAnswerIncomplete
from sync_core.keys import BusinessKey, ErpRef, owning_contract
from sync_core.ports import CallContext, FinancialFact, FinancialKind, FinancialPage

_PAGE = 100
_BACK = timedelta(minutes=2)  # longer than Tryton lets a request run
_STATES = ("posted", "paid", "cancelled")
_FIELDS = (
    "number", "state", "invoice_date", "reconciled", "currency.code", "last_modified_at", "lines.amount",
    "lines.origin",
)  # fmt: skip
_ORIGIN = re.compile(r"account\.invoice\.line,(\d+)")


@dataclass(frozen=True, slots=True)
class _Cursor:
    at: datetime | None = None
    seen: Mapping[str, str] = field(default_factory=dict)  # invoice id: when it was modified

    @classmethod
    def read(cls, system: str, text: str | None) -> "_Cursor":
        if not text:
            return cls()
        try:
            stored = json.loads(text)
            return cls(datetime.fromisoformat(stored["at"]), dict(stored["seen"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ErpAnswerIncomplete(system, f"was given a foreign cursor ({text[:40]!r}); drop it") from error

    @property
    def text(self) -> str:
        return json.dumps({"at": self.at.isoformat(), "seen": self.seen}, sort_keys=True) if self.at else ""

    def after(self, rows: Sequence[Row]) -> "_Cursor":
        found = {str(number(row)): row.text("last_modified_at") for row in rows}
        merged = {**self.seen, **found}
        if not merged:
            return self
        at = max(datetime.fromisoformat(when) for when in merged.values())
        return _Cursor(at, {key: when for key, when in merged.items() if datetime.fromisoformat(when) >= at - _BACK})


async def read_page(rpc: Rpc, text: str | None, ctx: CallContext) -> FinancialPage:
    cursor = _Cursor.read(rpc.system, text)
    domain: list[Value] = [["type", "=", "out"], ["state", "in", list(_STATES)], ["number", "!=", None]]
    if cursor.at is not None:
        domain.append(["last_modified_at", ">=", cursor.at - _BACK])
    limit = _PAGE + len(cursor.seen)  # so that those seen cannot fill the page
    order = [["last_modified_at", "ASC"], ["id", "ASC"]]
    rows = await rpc.rows("invoices.read", "account.invoice", domain, _FIELDS, ctx, limit=limit, order=order)
    fresh = [row for row in rows if cursor.seen.get(str(number(row))) != row.text("last_modified_at")]
    owners = await _owners(rpc, fresh, ctx) if fresh else {}
    facts = [fact for row in fresh for fact in _facts(row, owners)]
    return FinancialPage(tuple(facts), cursor.after(fresh).text, more=len(rows) == limit)


async def _owners(rpc: Rpc, invoices: Sequence[Row], ctx: CallContext) -> dict[int, BusinessKey]:
    """By invoice line, the contract that it bills."""
    lines = sorted({_billing_line(line) for row in invoices for line in row.rows("lines.")})
    booked = "timesheet_works.timesheet_lines.invoice_line"
    domain: Domain = ["OR", ["invoice_line", "in", lines], [booked, "in", lines]]
    fields = ["comment", "invoice_line", booked]
    owners: dict[int, BusinessKey] = {}
    for work in await rpc.rows("invoiced_works.find", "project.work", domain, fields, ctx):
        note = Note.read(work.optional("comment"))
        if note is None:
            continue
        hours = [hour for sheet in work.rows("timesheet_works.") for hour in sheet.rows("timesheet_lines.")]
        for row in (work, *hours):
            if row.fields.get("invoice_line") is not None:
                owners[number(row, "invoice_line")] = BusinessKey(owning_contract(note.key))
    return owners


def _billing_line(line: Row) -> int:
    """The line itself, or the one that it credits."""
    credited = _ORIGIN.fullmatch(line.optional("origin") or "")
    return int(credited[1]) if credited else number(line)


def _facts(invoice: Row, owners: Mapping[int, BusinessKey]) -> list[FinancialFact]:
    amounts: dict[BusinessKey, Decimal] = {}
    for line in invoice.rows("lines."):
        owner = owners.get(_billing_line(line))
        if owner is not None:
            amounts[owner] = amounts.get(owner, Decimal(0)) + line.decimal("amount")
    own = str(number(invoice))
    refs = {project: own if len(amounts) == 1 else f"{own}/{project}" for project in amounts}
    return [fact for project in amounts for fact in _of_one(invoice, ErpRef(refs[project]), project, amounts[project])]


def _of_one(invoice: Row, ref: ErpRef, project: BusinessKey, amount: Decimal) -> list[FinancialFact]:
    state, issued = invoice.text("state"), date.fromisoformat(invoice.text("invoice_date"))
    currency = linked_text(invoice, "currency", "code") or ""
    facts = [FinancialFact(FinancialKind.INVOICE, ref, project, amount, currency, issued, state)]
    settled = invoice.optional("reconciled")
    if state == "paid" and settled is not None and amount > 0:
        paid_on, own = date.fromisoformat(settled), ErpRef(f"{ref}:paid")
        facts.append(FinancialFact(FinancialKind.PAYMENT, own, project, amount, currency, paid_on, "received", ref))
    return facts
