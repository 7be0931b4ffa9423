"""Invoices of our contracts and whether they were paid, read on from where the last read ended.

Only what was posted counts: a draft has no number, and its amounts may still change. An invoice belongs to the
contract whose tasks or booked hours its lines bill; a credit note follows its lines' origin, and names that invoice.
Amounts are of those lines, without tax. Payments in part cannot be seen by a user without accounting rights, so a
payment is reported when the invoice is settled, on the day of that. Tryton knows no disputes.

Of an invoice that credit notes took back whole Tryton says that it was cancelled, and of these that they were paid,
although it was issued and nobody paid: both are told as `credited`.

An invoice bears the time at which its transaction began, so it can appear behind the newest one seen: each
read goes back a little, and the cursor says what was there already.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
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
class _Known:
    """What a page of invoices needs of others."""

    owners: Mapping[int, BusinessKey]  # by invoice line, the contract that it bills
    originals: Mapping[int, Row]  # by invoice line, the invoice that it is of, of those that are credited
    taken_back: frozenset[int]  # invoices that credit notes came up to and cancelled


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
    known = await _known(rpc, fresh, ctx) if fresh else _Known({}, {}, frozenset())
    facts = [fact for row in fresh for fact in _facts(row, known)]
    return FinancialPage(tuple(facts), cursor.after(fresh).text, more=len(rows) == limit)


async def _known(rpc: Rpc, fresh: Sequence[Row], ctx: CallContext) -> _Known:
    credited = sorted({line for row in fresh for line in _credited_lines(row)})
    domain: Domain = [["lines.id", "in", credited]]
    originals = await rpc.rows("credited_invoices.find", "account.invoice", domain, _FIELDS, ctx) if credited else []
    by_line = {number(line): row for row in originals for line in row.rows("lines.")}
    cancelled = {number(row): row for row in (*fresh, *originals) if row.text("state") == "cancelled"}
    taken_back = await _taken_back(rpc, cancelled, ctx) if cancelled else frozenset()
    return _Known(await _owners(rpc, [*fresh, *originals], ctx), by_line, taken_back)


async def _taken_back(rpc: Rpc, cancelled: Mapping[int, Row], ctx: CallContext) -> frozenset[int]:
    """Those whose credit notes come to all of their amount; others were cancelled without one."""
    lines = {number(line): at for at, row in cancelled.items() for line in row.rows("lines.")}
    origins = [f"account.invoice.line,{line}" for line in sorted(lines)]
    domain: Domain = [["origin", "in", origins], ["invoice.state", "in", ["posted", "paid"]]]
    left = {
        at: sum((line.decimal("amount") for line in row.rows("lines.")), Decimal(0)) for at, row in cancelled.items()
    }
    noted = await rpc.rows("credit_notes.find", "account.invoice.line", domain, ["origin", "amount"], ctx)
    for line in noted:
        left[lines[_billing_line(line)]] += line.decimal("amount")
    return frozenset({lines[_billing_line(line)] for line in noted} & {at for at, amount in left.items() if not amount})


def _credited_lines(row: Row) -> list[int]:
    found = (_ORIGIN.fullmatch(line.optional("origin") or "") for line in row.rows("lines."))
    return [int(origin[1]) for origin in found if origin]


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


def _amounts(invoice: Row, owners: Mapping[int, BusinessKey]) -> dict[BusinessKey, Decimal]:
    amounts: dict[BusinessKey, Decimal] = {}
    for line in invoice.rows("lines."):
        owner = owners.get(_billing_line(line))
        if owner is not None:
            amounts[owner] = amounts.get(owner, Decimal(0)) + line.decimal("amount")
    return amounts


def _refs(invoice: Row, projects: Collection[BusinessKey]) -> dict[BusinessKey, ErpRef]:
    own = str(number(invoice))
    return {project: ErpRef(own if len(projects) == 1 else f"{own}/{project}") for project in projects}


def _facts(invoice: Row, known: _Known) -> list[FinancialFact]:
    amounts = _amounts(invoice, known.owners)
    refs, found = _refs(invoice, amounts), (known.originals.get(line) for line in _credited_lines(invoice))
    originals = {number(row): row for row in found if row is not None}
    named = {at: _refs(row, _amounts(row, known.owners)) for at, row in originals.items()}
    set_off = number(invoice) in known.taken_back or (bool(originals) and originals.keys() <= known.taken_back)
    state = "credited" if set_off else invoice.text("state")
    facts: list[FinancialFact] = []
    for project, amount in amounts.items():
        places = [of[project] for of in named.values() if project in of]
        one = places[0] if len(places) == 1 else None  # of several no one can be named
        facts += _of_one(invoice, refs[project], project, amount, state, credited=one)
    return facts


def _of_one(
    invoice: Row, ref: ErpRef, project: BusinessKey, amount: Decimal, state: str, *, credited: ErpRef | None
) -> list[FinancialFact]:
    issued = date.fromisoformat(invoice.text("invoice_date"))
    currency = linked_text(invoice, "currency", "code") or ""
    facts = [FinancialFact(FinancialKind.INVOICE, ref, project, amount, currency, issued, state, credited)]
    settled = invoice.optional("reconciled")
    if state == "paid" and settled is not None and amount > 0:
        paid_on, own = date.fromisoformat(settled), ErpRef(f"{ref}:paid")
        facts.append(FinancialFact(FinancialKind.PAYMENT, own, project, amount, currency, paid_on, "received", ref))
    return facts
